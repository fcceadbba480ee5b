"""Storms on a real Kafka, at length: what was lost, what was false, what was repeated."""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import page
from streams.agents.correlate import CorrelateStation
from streams.bus import Bus as WorkersBus
from streams.lanes import Commit
from streams.states import stages_of
from tests.broker.bus import Bus
from tests.broker.rule_changes import Change, changed, two_sites
from tests.broker.storms import (
    ACKNOWLEDGES_FIRST,
    COMMITS_EARLY,
    WITHOUT_REBUILD,
    Fleet,
    RestartableBroker,
    Verdict,
    Weather,
    judged,
    restartable,
    storm,
)
from tests.broker.worker_site import Site, open_site

_HEAD: Final = """\
# Reliability

Made by `python -m benchmarks reliability`; nothing here is written by hand. Apache Kafka 4.1 from
its jars, one node, two partitions per topic, workers as processes of their own under a supervisor,
rules of both stages. After each storm every alert record is compared, byte for byte, with what a
correlator of the harness's own makes of the facts logs; the last records of raised alerts with
what a replay of the records gives; the dead letters with the malformed records; and all topics and
the log are searched for the names and numbers that were sent. A repeat is a record that stands on
the alerts topic once more, byte for byte; any other would count as false.

"""
_CHANGES: Final = """\
## Other rules on a running system

Made by `python -m benchmarks rule-changes`. Two workers of each epoch; workers of both are killed,
and the command itself, while records come whose event time passes in hours. Each epoch's records
have to be those that its own facts imply, byte for byte; what the old one leaves open and the new
one does not raise has to end withdrawn, and nothing else; the new one's last words have to be
those of a replay of all records, from its start on; every alert has to end; within an epoch
revisions have to grow.

"""
_COLUMNS: Final = (
    "id",
    "storm",
    "events",
    "faults",
    "alert records",
    "missing",
    "false",
    "repeats",
)
_PIECE: Final = 500
_NOT_RUN: Final = (
    ("R-06", "three brokers, each killed in turn"),
    ("R-12", "one feed two hours behind the other"),
    ("R-14", "a backlog of twelve hours (silent partitions: broker suite)"),
    ("R-21", "ten million people"),
    ("R-22", "one person with a million calls"),
    ("none", "stock Faust agents, for comparison"),
)
_IN_THE_SUITE: Final = (
    ("R-10", "simulation: see `docs/simulation.md`"),
    ("R-33", "a topic gone, other partitions, rows deleted, a record too large: broker suite"),
)


class Told(NamedTuple):
    """A row of the table: what ran, and what it came to."""

    row: str
    what: str
    verdict: Verdict
    is_broken: bool = False


async def tables(people: int, rounds: int, say: Callable[[str], None]) -> str:
    """Return the page.

    Args:
        people: how many people a storm has; each has some two and a half events.
        rounds: how often the storms of kills and of zombies run.
        say: is told of each row.
    """
    told: list[Told] = []
    with tempfile.TemporaryDirectory() as folder, restartable(Path(folder)) as broker:
        for row, what, run in _storms(people, rounds):
            verdict = await run(broker)
            is_broken = row == "broken"
            told.append(Told(row, what, verdict, is_broken))
            say(f"{row} {what}: {json.dumps(verdict.__dict__)}\n")
    return _page(told)


async def changes_table(people: int, rounds: int, say: Callable[[str], None]) -> str:
    """Return the part about changes of rules.

    Args:
        people: of each change.
        rounds: how often the rules are changed, at once and by a shadow in turn.
        say: is told of each row.
    """
    told: list[Told] = []
    with tempfile.TemporaryDirectory() as folder, restartable(Path(folder)) as broker:
        for what, run in _changes(people, rounds):
            verdict = await run(broker)
            told.append(Told("R-17", what, verdict))
            say(f"R-17 {what}: {json.dumps(verdict.__dict__)}\n")
    notes = [f"* {t.what}: {'; '.join(t.verdict.notes)}\n" for t in told]
    return f"{_CHANGES}{page.table(_COLUMNS, [_row(t) for t in told])}\n{''.join(notes)}"


Run = Callable[[RestartableBroker], Awaitable[Verdict]]


def _storms(people: int, rounds: int) -> Iterator[tuple[str, str, Run]]:
    plain = Weather(people=people, chunks=6, workers=3)
    for seed in range(rounds):
        kills = replace(plain, kills=6, seed=seed)
        yield "R-01", f"kill -9, run {seed + 1}", _in_weather(kills)
    for seed in range(rounds):
        zombies = replace(plain, freezes=3, seed=seed)
        yield "R-02", f"SIGSTOP for three sessions, run {seed + 1}", _in_weather(zombies)
    sizes = replace(plain, workers=1, sizes=(2, 4, 1, 3, 2, 1))
    yield "R-03", "workers 1, 2, 4, 1, 3, 2, 1", _in_weather(sizes)
    yield "R-04", "SIGTERM, rolling", _in_weather(replace(plain, rolls=True))
    yield "R-05", "the broker killed twice", _broker_killed(people)
    bad = replace(plain, kills=6, malformed=True)
    yield "R-16, R-18, R-20", "kill -9, malformed records 1:1", _in_weather(bad)
    yield "R-27", "every worker gone at once", _all_gone(people)
    for what, code in (
        ("no rebuild", WITHOUT_REBUILD),
        ("acknowledges before it sends", ACKNOWLEDGES_FIRST),
        ("commits before it has done", COMMITS_EARLY),
    ):
        small = Weather(people=min(people, 1_500), chunks=6, workers=3, kills=9, code=code)
        yield "broken", what, _in_weather(small)


def _changes(people: int, rounds: int) -> Iterator[tuple[str, Run]]:
    for seed in range(rounds):
        change = Change(people=people, shadow=seed % 2 == 1, kills=2, commands=2, seed=seed)
        how = "by a shadow that is promoted" if change.shadow else "at once"
        yield f"other rules {how}, run {seed + 1}", _changing(change)


def _changing(change: Change) -> Run:
    async def run(broker: RestartableBroker) -> Verdict:
        unique = uuid.uuid4().hex[:8]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                Bus(broker.address) as bus,
                two_sites(bus, lambda topic: f"{unique}.{topic}", folder) as (old, new),
            ):
                return await changed(old, new, folder / "journal", change)

    return run


def _in_weather(weather: Weather) -> Run:
    async def run(broker: RestartableBroker) -> Verdict:
        async with _site(broker) as (site, journal):
            return await storm(site, journal, weather)

    return run


def _broker_killed(people: int) -> Run:
    async def run(broker: RestartableBroker) -> Verdict:
        async with _site(broker) as (site, journal):
            began_s = time.monotonic()
            with Fleet(site, journal, 3) as fleet:
                for part in (range(people // 2), range(people // 2, people)):
                    await _send(site, part)
                    await asyncio.to_thread(broker.kill)
                    await asyncio.sleep(5)
                    await asyncio.to_thread(broker.again)
                    fleet.supervise()
                await site.send_end()
                await fleet.until_caught_up()
            verdict = Verdict(faults=2, seconds=time.monotonic() - began_s)
            return await judged(site, journal, verdict)

    return run


def _all_gone(people: int) -> Run:
    async def run(broker: RestartableBroker) -> Verdict:
        async with _site(broker) as (site, journal):
            began_s = time.monotonic()
            with Fleet(site, journal, 3) as fleet:
                await _send(site, range(people))
                await fleet.until_caught_up()
            note = await _rebuild(site)
            with Fleet(site, journal, 3) as fleet:
                await site.send_end()
                await fleet.until_caught_up()
            verdict = Verdict(faults=3, seconds=time.monotonic() - began_s, notes=[note])
            return await judged(site, journal, verdict)

    return run


async def _rebuild(site: Site) -> str:
    """Rebuild every partition of the first facts log, one after the other, and say how fast."""
    epoch = await site.epoch()
    stage = stages_of(epoch, site.rule_set)[0]
    commits = await site.bus.committed(epoch.group)
    bus = WorkersBus(site.settings, epoch.group)
    station = CorrelateStation(
        asyncio.Queue(),
        settings=site.settings,
        stage=stage,
        alerts_topic=epoch.alerts_topic,
        sender=_Nowhere(),
        facts_log=bus,
    )
    rows, seconds = 0, 0.0
    for number in range(stage.log.size):
        place = (stage.log.name, number)
        began_s = time.monotonic()
        opening = await station.open(place, Commit(*commits[place]), None)
        seconds += time.monotonic() - began_s
        rows += opening.rebuilt_rows
    return f"rebuilt {rows:,} rows at {rows / seconds:,.0f} a second in one process"


class _Nowhere:
    """Takes what a rebuilt lane begins by telling."""

    async def send_all(self, messages: object) -> None:
        """Drop it."""
        del messages


async def _send(site: Site, numbers: range) -> None:
    # In pieces, or what is told last of the first people would come late.
    for at in range(numbers.start, numbers.stop, _PIECE):
        piece = range(at, min(at + _PIECE, numbers.stop))
        await site.send_calls(piece)
        await site.send_transfers(piece)
        await site.send_blocks(piece)


@asynccontextmanager
async def _site(broker: RestartableBroker) -> AsyncIterator[tuple[Site, Path]]:
    unique = uuid.uuid4().hex[:8]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            Bus(broker.address) as bus,
            open_site(bus, lambda topic: f"{unique}.{topic}", folder) as site,
        ):
            await site.make_topics()
            yield site, folder / "journal"


def _page(told: list[Told]) -> str:
    rows = [_row(t) for t in told if not t.is_broken]
    broken = [_row(t) for t in told if t.is_broken]
    notes = [f"* {t.row}, {t.what}: {note}\n" for t in told for note in t.verdict.notes]
    letters = "".join(
        f"* {t.row}, {t.what}: {t.verdict.letters_missing} dead letters missing,"
        f" {t.verdict.letters_false} false; {t.verdict.raw} rows or log lines with something raw\n"
        for t in told
        if not t.is_broken
    )
    elsewhere = page.table(("id", "where"), _IN_THE_SUITE)
    not_run = page.table(("id", "did not run"), _NOT_RUN)
    return (
        f"{_HEAD}{page.table(_COLUMNS, rows)}\n{letters}\n{''.join(notes)}\n"
        f"## Broken workers, which have to be caught\n\n{page.table(_COLUMNS, broken)}\n"
        f"## Elsewhere\n\n{elsewhere}\n## Not run\n\n{not_run}"
    )


def _row(told: Told) -> tuple[str, ...]:
    v = told.verdict
    counts = (v.events, v.faults, v.alerts, v.missing, v.false, v.repeats)
    return (told.row, told.what, *(f"{count:,}" for count in counts))
