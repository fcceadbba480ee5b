"""The worker in storms on a real Kafka: `docs/reliability.md` has the same at length."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.topics import connected
from tests.broker.bus import Bus
from tests.broker.restartable import restartable
from tests.broker.storms import (
    ACKNOWLEDGES_FIRST,
    Fleet,
    Verdict,
    Weather,
    judged,
    storm,
    told,
)
from tests.broker.worker_site import PATIENCE_S, Site, final_raised, open_site, worker

pytestmark = pytest.mark.broker


@pytest.fixture
async def site(bus: Bus, names: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose topics are there."""
    async with open_site(bus, names, tmp_path) as site:
        await site.make_topics()
        yield site


async def test_kills_zombies_and_malformed_records_lose_nothing_and_show_nobody(
    site: Site, tmp_path: Path
) -> None:
    weather = Weather(
        people=900, chunks=4, workers=2, kills=3, freezes=1, malformed=True, rest_s=1.0
    )
    verdict = await storm(site, tmp_path / "journal", weather)
    assert verdict.is_clean, told(verdict)
    assert verdict.alerts > 1000
    assert verdict.faults == 4


async def test_workers_that_are_ended_in_order_are_gone_soon_and_repeat_little(
    site: Site, tmp_path: Path
) -> None:
    verdict = await storm(
        site, tmp_path / "journal", Weather(people=400, chunks=2, rolls=True, rest_s=1.0)
    )
    assert verdict.is_clean, told(verdict)
    assert verdict.repeats <= 50 * verdict.faults


async def test_a_worker_that_acknowledges_before_it_sends_is_caught(
    site: Site, tmp_path: Path
) -> None:
    weather = Weather(people=300, chunks=5, kills=5, code=ACKNOWLEDGES_FIRST, rest_s=1.0)
    verdict = await storm(site, tmp_path / "journal", weather)
    assert verdict.missing > 0
    # Who only ends with a bug of the test's own is not the worker that is to be caught.
    assert verdict.bugs == 0


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    names: Callable[[str], str], tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder, restartable(Path(folder)) as broker:
        async with (
            Bus(broker.address) as bus,
            open_site(bus, names, tmp_path) as site,
        ):
            await site.make_topics()
            with Fleet(site, tmp_path / "journal", 2) as fleet:
                for part in (range(200), range(200, 400)):
                    await site.send_calls(part)
                    await site.send_transfers(part)
                    await site.send_blocks(part)
                    await asyncio.to_thread(broker.kill)
                    await asyncio.sleep(2)
                    await asyncio.to_thread(broker.again)
                    fleet.supervise()
                await site.send_end()
                await fleet.until_caught_up()
            verdict = await judged(site, tmp_path / "journal", Verdict())
            bus.topics.clear()
    assert verdict.is_clean, told(verdict)


async def test_partitions_that_fall_silent_follow_the_clock_and_alerts_become_final(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    async with open_site(bus, names, tmp_path, RINGFENCE_IDLE_AFTER="4s") as site:
        await site.make_topics()
        with worker(site.environ, tmp_path / "journal"):
            await site.send_calls(range(20))
            await site.send_transfers(range(20))
            expected = site.implied_by_records()
            async with asyncio.timeout(PATIENCE_S):
                # No heartbeat says so: only the clock does.
                while final_raised(await site.alert_records()) != expected:  # noqa: ASYNC110 - a broker has no event
                    await asyncio.sleep(0.5)
        assert expected


async def test_a_record_that_the_broker_finds_too_large_stops_the_worker_by_name(
    site: Site, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with connected(site.settings) as admin:
        small = {"max.message.bytes": "300"}
        topic = site.settings.alerts_topic
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=small)])
    with worker(site.environ, journal) as process:
        await site.send_calls(range(2, 4))
        await site.send_transfers(range(2, 4))
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 3
    last = (await asyncio.to_thread(journal.read_text)).splitlines()[-1]
    assert last.endswith("was not taken: MessageSizeTooLargeError")
    assert site.settings.alerts_topic in last
