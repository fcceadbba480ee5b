"""How a worker leaves and comes back: without its broker, and within its session."""

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rules.watermark import Partition
from streams.brokers import free_ports
from tests.broker.bus import Bus
from tests.broker.restartable import restartable
from tests.broker.test_watch import Watched, watched_site
from tests.broker.worker_site import PATIENCE_S, open_site, worker

pytestmark = pytest.mark.broker


def entries(journal: Path, event: str) -> list[dict[str, Any]]:
    """Return what a journal says of one event."""
    said = [line for line in journal.read_text().splitlines() if line.startswith("{")]
    return [entry for line in said if (entry := json.loads(line))["event"] == event]


def opened(journal: Path) -> list[Partition]:
    """Return which partitions a worker has opened, in order and with repeats."""
    return [(entry["topic"], entry["partition"]) for entry in entries(journal, "lane_opened")]


@pytest.mark.parametrize("end", ["killed", "frozen"])
async def test_a_signal_ends_a_worker_in_time_when_its_broker_is_gone(
    names: Callable[[str], str], tmp_path: Path, end: str
) -> None:
    journal, port = tmp_path / "journal", free_ports(1)[0]
    settings = {
        "RINGFENCE_WEB_PORT": str(port),
        "RINGFENCE_SESSION_TIMEOUT": "45s",
        "RINGFENCE_STALLED_AFTER": "2s",
    }
    with tempfile.TemporaryDirectory() as folder, restartable(Path(folder)) as broker:
        async with (
            Bus(broker.address) as bus,
            open_site(bus, names, tmp_path, **settings) as site,
        ):
            await site.make_topics()
            bus.topics.clear()
            with worker(site.environ, journal) as process:
                watched = Watched(process, port, journal)
                await watched.until("/readyz", 200)
                await site.send_calls(range(20_000))
                await asyncio.sleep(0.3)
                if end == "killed":
                    await asyncio.to_thread(broker.kill)
                else:
                    broker.process.send_signal(signal.SIGSTOP)
                said = await watched.until("/readyz", 503)
                begun_s = time.monotonic()
                process.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(process.wait, 60)
                took_s = time.monotonic() - begun_s
            if end == "frozen":
                broker.process.send_signal(signal.SIGCONT)
    assert (code, took_s < 30, said.startswith("the broker has not answered for")) == (
        0,
        True,
        True,
    ), (took_s, said, journal.read_text()[-2000:])


async def restarted(bus: Bus, names: Callable[[str], str], folder: Path, *ids: str) -> list[Path]:
    """Restart one worker of two, each with an id or without; return both journals."""
    journals = [folder / "one", folder / "two"]
    async with watched_site(bus, names, folder, RINGFENCE_SESSION_TIMEOUT="30s") as (site, _):
        environs = [{**site.environ, "RINGFENCE_WEB_PORT": str(free_ports(1)[0])} for _ in "12"]
        for environ, name in zip(environs, ids, strict=False):
            environ["RINGFENCE_GROUP_INSTANCE_ID"] = name
        ports = [int(environ["RINGFENCE_WEB_PORT"]) for environ in environs]
        with (
            worker(environs[1], journals[1]) as two,
        ):
            with worker(environs[0], journals[0]) as one:
                for process, port, journal in zip((one, two), ports, journals, strict=True):
                    await Watched(process, port, journal).until("/readyz", 200)
                await site.send_calls(range(200))
                await site.until_caught_up(quiet_s=2)
                one.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(one.wait, 30) == 0
            journals[1].write_text("")
            with worker(environs[0], folder / "again") as again:
                watched = Watched(again, ports[0], folder / "again")
                await watched.until("/readyz", 200)
                await site.send_transfers(range(200))
                await site.send_blocks(range(200))
                await site.send_end()
                await site.until_caught_up(quiet_s=2)
        alerts = await site.alert_records()
        assert set(alerts) == await site.implied_by_facts()
    return [*journals, folder / "again"]


async def test_a_worker_with_a_name_of_its_own_keeps_its_partitions_over_a_restart(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    one, two, again = await restarted(bus, names, tmp_path, "one", "two")
    # The other one is not disturbed at all.
    assert opened(two) == []
    kept = opened(again)
    assert sorted(kept) == sorted(set(opened(one)[-len(kept) :]))
    assert [e for e in entries(again, "lane_opened") if e["rebuilt_rows"] > 0]


async def test_without_a_name_a_restart_takes_everything_from_everybody(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    _, two, _ = await restarted(bus, names, tmp_path)
    assert opened(two)


async def test_two_workers_with_one_name_are_told_so(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    async with watched_site(bus, names, tmp_path, RINGFENCE_GROUP_INSTANCE_ID="one") as (site, p):
        journals = [tmp_path / "first", tmp_path / "second"]
        with worker(site.environ, journals[0]) as first:
            await Watched(first, p, journals[0]).until("/readyz", 200)
            with worker({**site.environ, "RINGFENCE_WEB_PORT": str(port)}, journals[1]) as second:
                async with asyncio.timeout(PATIENCE_S):
                    while first.poll() is second.poll() is None:  # noqa: ASYNC110 - a process has no event
                        await asyncio.sleep(0.1)
                which = 0 if first.poll() is not None else 1
                assert (first, second)[which].wait() == 3
    last = (await asyncio.to_thread(journals[which].read_text)).splitlines()[-1]
    assert last == (
        'ringfence: the group gives and takes without end: another worker is "one" too;'
        " RINGFENCE_GROUP_INSTANCE_ID has to be another one for each"
    )
