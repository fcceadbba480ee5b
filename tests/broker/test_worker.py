"""The worker as a process of its own, on a real Kafka: alerts, and kills."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streams.topics import connected
from tests.broker.bus import Bus
from tests.broker.storms import WITHOUT_REBUILD
from tests.broker.worker_site import PATIENCE_S, Site, final_raised, open_site, run_command, worker
from tests.streams.worker_parts import SECOND_US, TEN_O_CLOCK, call, transfer

pytestmark = pytest.mark.broker


@pytest.fixture
async def site(bus: Bus, names: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose topics are there."""
    async with open_site(bus, names, tmp_path) as site:
        await site.make_topics()
        yield site


async def test_records_on_topics_become_alerts_and_a_signal_ends_the_worker(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    async with open_site(bus, names, tmp_path) as site:
        await site.make_topics_by_command()
        await become_alerts(site, tmp_path / "journal")


async def become_alerts(site: Site, journal: Path) -> None:
    """Let a worker turn records into alerts, and look at what it has said."""
    with worker(site.environ, journal) as process:
        await site.send_calls(range(40))
        await site.send_transfers(range(40))
        await site.send_blocks(range(40))
        await site.send_end()
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    alerts = await site.alert_records()
    assert set(alerts) == await site.implied_by_facts()
    assert final_raised(alerts) == site.implied_by_records()
    by_rule = Counter(str(rule_of(a)) for a in final_raised(alerts).values())
    victims = [n for n in range(40) if n % 5 and n % 7]
    assert by_rule["video_call_then_new_payee"] == len(victims)
    assert by_rule["alert_then_block"] == len([n for n in victims if n % 4 == 0])
    # Of each account's victims every one but the first makes a campaign of it.
    assert by_rule["many_victims"] == len(victims) - len({n // 3 for n in victims})
    assert "cust-" not in await asyncio.to_thread(journal.read_text)


def rule_of(alert: Any) -> object:  # noqa: ANN401 - an alert's data
    """Return the id of the rule that raised an alert."""
    return alert["rule"]["id"]


async def test_without_a_rebuild_a_kill_does_lose_alerts(site: Site, tmp_path: Path) -> None:
    alerts = await alerts_over_a_kill(site, tmp_path / "journal", WITHOUT_REBUILD)
    assert final_raised(alerts) != site.implied_by_records()


async def alerts_over_a_kill(site: Site, journal: Path, code: str) -> list[bytes]:
    """Return the alerts topic after a worker was killed with calls behind and transfers ahead."""
    with worker(site.environ, journal, code) as process:
        await site.send_calls(range(600))
        await site.send_transfers(range(200))
        await site.until_caught_up()
        await site.send_transfers(range(200, 400))
        process.kill()
        process.wait()
    with worker(site.environ, journal, code) as process:
        await site.send_transfers(range(400, 600))
        await site.send_blocks(range(600))
        await site.send_end()
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    return await site.alert_records()


async def test_a_worker_refuses_to_start_without_its_topics(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    async with open_site(bus, names, tmp_path) as site:
        done = await asyncio.to_thread(run_command, site.environ, "worker")
    assert done.returncode == 3
    missing = f'"{names("calls")}", "{names("transactions")}"'
    remedy = 'make what is missing, for a trial with "ringfence topics create --inputs"'
    assert (
        done.stderr
        == f"ringfence: topics {missing} are not there, or not for us to see; {remedy}\n"
    )


async def test_malformed_records_become_dead_letters_and_the_others_alerts(
    site: Site, tmp_path: Path
) -> None:
    calls, transactions = site.settings.outside_topics
    with worker(site.environ, tmp_path / "journal"):
        values = [b"{not json", None, call(1, TEN_O_CLOCK), b'"text"']
        await site.bus.produce_all((calls, 0, b"any", value) for value in values)
        await site.bus.produce(transactions, [transfer(1, TEN_O_CLOCK + 60 * SECOND_US)])
        await site.until_caught_up()
    letters = await site.bus.read_json(site.settings.dead_letters_topic)
    found = sorted((x["feed"], x["partition"], x["offset"], x["reason"]) for x in letters)
    assert found == [(calls, 0, 0, "not_json"), (calls, 0, 3, "wrong_type")]
    assert len(await site.alert_records()) == 1


async def test_a_row_that_nobody_can_read_stops_the_worker_and_is_not_stepped_over(
    site: Site, tmp_path: Path
) -> None:
    epoch = await site.epoch()
    journal = tmp_path / "journal"
    with worker(site.environ, journal) as process:
        await site.bus.produce(epoch.facts_topic, [b"no row of ours: cust-7"])
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 70
    said = await asyncio.to_thread(journal.read_text)
    assert "RowError" in said
    assert "cust-7" not in said
    assert (epoch.facts_topic, 0) not in await site.bus.committed(epoch.group)


async def test_a_topic_that_goes_away_stops_the_worker_by_name(site: Site, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    calls = site.settings.calls_topics[0]
    with worker(site.environ, journal) as process:
        await site.send_calls(range(4))
        await site.until_caught_up()
        async with connected(site.settings) as admin:
            await admin.delete_topics([calls])
        site.bus.topics.remove(calls)
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 3
    last = (await asyncio.to_thread(journal.read_text)).splitlines()[-1]
    assert last == f'ringfence: topic "{calls}" is gone'
