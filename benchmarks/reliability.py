"""The page on reliability: storms on a real Kafka, and what was lost, false or repeated."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from benchmarks import feeds, machine, overload, stock
from benchmarks.rows import Run, notes, run_all, site_at, table
from streams.agents.correlate import CorrelateStation
from streams.bus import Bus as WorkersBus
from streams.lanes import Commit
from streams.states import stages_of
from tests.broker.restartable import RestartableBroker, cluster
from tests.broker.storms import (
    ACKNOWLEDGES_FIRST,
    COMMITS_EARLY,
    WITHOUT_REBUILD,
    Fleet,
    Verdict,
    Weather,
    judged,
    kill_each_broker,
    send_in_pieces,
    storm,
)
from tests.broker.worker_site import Site

HEAD: Final = """\
# Reliability

Made by `python -m benchmarks reliability`; nothing here is written by hand. Apache Kafka 4.1 from
its jars, two partitions per topic, workers as processes of their own under a supervisor,
rules of both stages. After each storm every alert record is compared, byte for byte, with what a
correlator of the harness's own makes of the facts logs; the last records of raised alerts with
what a replay of the records gives; the dead letters with the malformed records; and all topics and
the log are searched for the names and numbers that were sent. Dead letters that are missing or
false, rows or lines that show something, and workers that end with a bug stand below the table: if
nothing is said there, there were none. A repeat is a record that stands
on the alerts topic once more, byte for byte; any other would count as false.

Elsewhere: R-10 in `docs/simulation.md`; R-33 (a topic gone, other partitions, rows deleted, a
record too large) in the broker suite; ten million people (R-21), by the correlator alone, in
`docs/sizing.md`. R-22 wants a million events of one key; how many ran stands under "Floods".

"""


class Part(StrEnum):
    """A part of the page; each can be made anew by itself."""

    KILLS = "kills"
    ZOMBIES = "zombies"
    WORKERS = "workers"
    BROKEN = "broken"
    CLUSTER = "cluster"
    FEEDS = "feeds"
    FLOODS = "floods"
    MALFORMED = "malformed"
    FAUST = "faust"


_TITLES: Final = {
    Part.KILLS: "Workers killed at random moments",
    Part.ZOMBIES: "Workers stopped, and gone on as zombies",
    Part.WORKERS: "Workers and the one broker killed, stopped and restarted",
    Part.BROKEN: "Broken workers, which have to be caught",
    Part.CLUSTER: "Three brokers, each killed in turn",
    Part.FEEDS: "Feeds apart, silent partitions, a backlog",
    Part.FLOODS: "Floods",
    Part.MALFORMED: "As many malformed records as good ones",
    Part.FAUST: "Stock Faust agents, for comparison",
}


@dataclass(frozen=True)
class Scale:
    """How much of each there is.

    Attributes:
        people: of a storm; each has some two and a half events.
        rounds: how often the storms of kills and of zombies run.
        flood: events of one key; a fifth as many people are the ordinary load beside it.
        malformed: malformed records.
    """

    people: int
    rounds: int
    flood: int
    malformed: int


def unheard(part: Part) -> str:
    """Return what stands for a part that has not run."""
    return f"## {_TITLES[part]}\n\nDid not run.\n"


async def made(part: Part, scale: Scale, say: Callable[[str], None]) -> str:
    """Run a part, and return its text."""
    size = 3 if part is Part.CLUSTER else 1
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), size) as brokers:
        text = await _MAKERS[part](brokers, scale, say)
    took = f"In {(time.monotonic() - began_s) / 60:.0f} minutes, on {machine.described()}."
    return f"## {_TITLES[part]}\n\n{text}\n{took}\n"


Say = Callable[[str], None]
Brokers = Sequence[RestartableBroker]


async def _kills(brokers: Brokers, scale: Scale, say: Say) -> str:
    told = await run_all(brokers[0].address, _kill_storms(scale), say)
    return f"{table(told)}\n{notes(told)}"


async def _zombies(brokers: Brokers, scale: Scale, say: Say) -> str:
    told = await run_all(brokers[0].address, _zombie_storms(scale), say)
    return f"{table(told)}\n{notes(told)}"


async def _workers(brokers: Brokers, scale: Scale, say: Say) -> str:
    told = await run_all(brokers[0].address, _storms(brokers[0], scale), say)
    return f"{table(told)}\n{notes(told)}"


async def _broken(brokers: Brokers, scale: Scale, say: Say) -> str:
    told = await run_all(brokers[0].address, _broken_workers(scale.people), say)
    return f"{table(told)}\n{notes(told)}"


async def _cluster(brokers: Brokers, scale: Scale, say: Say) -> str:
    async def run(address: str) -> Verdict:
        async with site_at(address) as (site, journal):
            return await kill_each_broker(site, journal, brokers, scale.people)

    address = ",".join(broker.address for broker in brokers)
    rows = (("R-06", f"each broker killed, run {n + 1}", run) for n in range(scale.rounds))
    told = await run_all(address, rows, say)
    about = "Three copies of everything, two of which must be up to date; two workers.\n\n"
    return f"{about}{table(told)}\n{notes(told)}"


async def _feeds(brokers: Brokers, scale: Scale, say: Say) -> str:
    told = await run_all(brokers[0].address, feeds.storms(scale.people), say)
    return f"{table(told)}\n{notes(told)}"


async def _floods(brokers: Brokers, scale: Scale, say: Say) -> str:
    address = brokers[0].address
    told, loads = await overload.of_one_key(address, max(1, scale.flood // 5), scale.flood, say)
    say(str(told))
    return f"{_ABOUT_FLOODS}{overload.table(loads)}\n{table([told])}\n{notes([told])}"


async def _malformed(brokers: Brokers, scale: Scale, say: Say) -> str:
    told, loads = await overload.of_malformed(brokers[0].address, scale.malformed, say)
    say(str(told))
    return f"{_ABOUT_MALFORMED}{overload.table(loads)}\n{table([told])}\n{notes([told])}"


async def _faust(brokers: Brokers, scale: Scale, say: Say) -> str:
    return _ABOUT_FAUST + await stock.tables(brokers[0].address, scale.people, scale.rounds, say)


_MAKERS: Final[Mapping[Part, Callable[[Brokers, Scale, Say], Awaitable[str]]]] = {
    Part.KILLS: _kills,
    Part.ZOMBIES: _zombies,
    Part.WORKERS: _workers,
    Part.BROKEN: _broken,
    Part.CLUSTER: _cluster,
    Part.FEEDS: _feeds,
    Part.FLOODS: _floods,
    Part.MALFORMED: _malformed,
    Part.FAUST: _faust,
}
_ABOUT_MALFORMED: Final = """\
One worker; its memory, part by part. All that it remembers is forgotten several times over. Where
the rows that are kept stay as many, what still grows is its cache of pseudonyms, of at most 65,536
texts.

"""
_ABOUT_FLOODS: Final = """\
One worker with the whole catalogue, one load after the other, each sent as fast as the broker
takes it. Waiting are records whose offsets are not committed; what the worker does not hold waits
on the broker.

"""
_ABOUT_FAUST: Final = """\
The same backlog of records, two partitions, in a storm two workers under the same supervisor; one
alert per call and transfer of a person is due. A worker is killed once alerts have come since the
last kill, at any moment of the three seconds after that: stock Faust commits every 2.8. Stock
Faust is `benchmarks/contenders/on_faust.py`, an agent and a table as Faust's documentation has
them, at its default settings; its session is 60 s, ringfence's here 6. ringfence runs one rule. A
repeat is an alert told once more for Faust, a record told once more for ringfence.

"""


def _kill_storms(scale: Scale) -> Iterator[tuple[str, str, Run]]:
    for seed in range(scale.rounds):
        workers = 2 + seed % 2
        kills = Weather(people=scale.people, chunks=6, workers=workers, kills=7, seed=seed)
        yield "R-01", f"kill -9 of {workers} workers, run {seed + 1}", _in_weather(kills)


def _zombie_storms(scale: Scale) -> Iterator[tuple[str, str, Run]]:
    for seed in range(scale.rounds):
        zombies = Weather(people=scale.people, chunks=6, workers=3, freezes=3, seed=seed)
        yield "R-02", f"SIGSTOP for three sessions, run {seed + 1}", _in_weather(zombies)


def _storms(broker: RestartableBroker, scale: Scale) -> Iterator[tuple[str, str, Run]]:
    plain = Weather(people=scale.people, chunks=6, workers=3)
    sizes = replace(plain, workers=1, sizes=(2, 4, 1, 3, 2, 1))
    yield "R-03", "workers 1, 2, 4, 1, 3, 2, 1", _in_weather(sizes)
    yield "R-04", "SIGTERM, rolling", _in_weather(replace(plain, rolls=True))
    yield "R-05", "the broker killed twice", _broker_killed(broker, scale.people)
    bad = replace(plain, kills=6, malformed=True)
    yield "R-16, R-18, R-20", "kill -9, malformed records 1:1", _in_weather(bad)
    yield "R-27", "every worker gone at once", _all_gone(scale.people)


def _broken_workers(people: int) -> Iterator[tuple[str, str, Run]]:
    for what, code in (
        ("no rebuild", WITHOUT_REBUILD),
        ("acknowledges before it sends", ACKNOWLEDGES_FIRST),
        ("commits before it has done", COMMITS_EARLY),
    ):
        small = Weather(people=min(people, 1_500), chunks=6, workers=3, kills=9, code=code)
        yield "broken", what, _in_weather(small)


def _in_weather(weather: Weather) -> Run:
    async def run(address: str) -> Verdict:
        async with site_at(address) as (site, journal):
            return await storm(site, journal, weather)

    return run


def _broker_killed(broker: RestartableBroker, people: int) -> Run:
    async def run(address: str) -> Verdict:
        async with site_at(address) as (site, journal):
            began_s = time.monotonic()
            with Fleet(site, journal, 3) as fleet:
                for part in (range(people // 2), range(people // 2, people)):
                    await send_in_pieces(site, part)
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
    async def run(address: str) -> Verdict:
        async with site_at(address) as (site, journal):
            began_s = time.monotonic()
            with Fleet(site, journal, 3) as fleet:
                await send_in_pieces(site, range(people))
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
