"""The worker's real code over a Kafka in memory: many seeded runs, and each rule switched off."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final, NamedTuple

import pytest

from benchmarks import machine, page
from tests.simulation.change import ChangeRun
from tests.simulation.epoch_mutants import EPOCH_MUTANTS
from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import change_plan_of, plan_of
from tests.simulation.run import Run
from tests.simulation.setting import Simulated, simulated, wrong_runs

_CHUNK: Final = 250
_WITHIN: Final = 5_000
_CHANGES_AMONG: Final = 10
_HEAD: Final = """\
# Simulation

Made by `python -m benchmarks simulation`; nothing here is written by hand. Each run takes the
worker's real ingest, correlate, lane and commit code, in one to three processes, over a Kafka in
memory on a virtual clock. A seed makes the records (two bank partitions and one of calls, some
late, some malformed, time leaping so that alerts become final and are forgotten in the middle) and
the faults: processes die right after any effect on the Kafka or at any moment, are stopped and
go on as zombies, leave in order; deliveries repeat and skip. Once all is quiet, these must hold:

* the alert records are those that a correlator of its own makes of the facts logs, byte for byte;
* the facts are those that ingest makes of the records when it reads each partition once, in order;
* where nothing was late, the last records of raised alerts are those that a replay gives;
* the dead letters are those of the malformed records, each at least once.

In other runs the rules change, at once or by a shadow that is promoted, by the real command, which
is killed and stopped after any of its effects and run again, while workers of both rule sets find,
watch and leave their epochs. Then these must hold:

* each epoch has said what its own facts logs imply, byte for byte, and nothing else;
* what the old one has left open is ended as designed, and nothing too early;
* each alert's last word is the new epoch's, or else the old one's, and every alert has ended;
* where nothing was late, the new epoch raises what a replay gives, from its start on.
"""


Seeds = tuple[int, int]
"""The first seed, and the one behind the last."""


class Tally(NamedTuple):
    """What some runs have come to."""

    seeds: Seeds
    wrong: tuple[int, ...]
    faults: int
    records: int


def tables(
    first: int, runs: int, jobs: int, minutes: float, say: Callable[[str], None]
) -> Iterator[str]:
    """Yield the page: the runs, those in which rules change, and each safety rule switched off.

    Args:
        first: the first seed.
        runs: how many; of those with a change of rules a tenth as many.
        jobs: processes that share the work.
        minutes: after so long no more runs are begun, and the page tells of those that were.
        say: is told how far it is.
    """
    began_s = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        noticed = list(pool.map(_noticed, range(len(MUTANTS))))
        noticed_change = list(pool.map(_noticed_change, range(len(EPOCH_MUTANTS))))
        say(f"safety rules after {(time.monotonic() - began_s) / 60:.0f} minutes")
        course = _Course(began_s + 60 * minutes, first, runs, say)
        course.run(pool, jobs)
    took = f"{(time.monotonic() - began_s) / 60:.0f} minutes in {jobs} processes"
    yield f"{_HEAD}\n## Runs\n\n"
    yield page.table(
        ("runs", "seeds", "how many", "records", "faults", "wrong"),
        [
            _row("one rule set", runs, course.plain),
            _row("the rules change", runs // _CHANGES_AMONG, course.changes),
        ],
    )
    yield f"\nIn {took}, on {machine.described()}.\n"
    yield (
        f"\n## Safety rules switched off\n\nSeeds from 0 on, at most {_WITHIN:,}; the first run in"
        " which something was wrong.\n\n"
    )
    yield _noticed_table("rule of the worker", MUTANTS, noticed)
    yield "\n"
    yield _noticed_table("rule of a change of rules", EPOCH_MUTANTS, noticed_change)


class _Course:
    """All runs, those with a change of rules among the others, for as long as there is time."""

    def __init__(self, until_s: float, first: int, runs: int, say: Callable[[str], None]) -> None:
        self._until_s = until_s
        self._runs = runs
        self._say = say
        self._starts = range(first, first + runs, _CHUNK)
        self.plain: list[Tally] = []
        self.changes: list[Tally] = []

    def run(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        """Run them, a few at a time."""
        out: deque[tuple[Future[Tally], Future[Tally]]] = deque()
        for at in self._starts:
            if time.monotonic() > self._until_s:
                break
            end = min(at + _CHUNK, self._starts.stop)
            changes = (at // _CHANGES_AMONG, end // _CHANGES_AMONG)
            out.append((pool.submit(_tally, (at, end)), pool.submit(_tally_changes, changes)))
            if len(out) > jobs:
                self._take(*out.popleft())
        while out:
            self._take(*out.popleft())

    def _take(self, plain: "Future[Tally]", changes: "Future[Tally]") -> None:
        self.plain.append(plain.result())
        self.changes.append(changes.result())
        wrong = [tally.wrong for tally in (*self.plain, *self.changes) if tally.wrong]
        if len(self.plain) % 20 == 0 or wrong:
            done = sum(tally.seeds[1] - tally.seeds[0] for tally in self.plain)
            self._say(f"{done:,} of {self._runs:,} runs, wrong: {wrong}")


def _row(what: str, wanted: int, tallies: Sequence[Tally]) -> Sequence[str]:
    wrong = [seed for tally in tallies for seed in tally.wrong]
    first, last = tallies[0].seeds[0], tallies[-1].seeds[1] - 1
    return (
        what,
        f"{first:,} to {last:,}",
        f"{last + 1 - first:,} of {wanted:,}",
        f"{sum(t.records for t in tallies):,}",
        f"{sum(t.faults for t in tallies):,}",
        f"{len(wrong)}" + (f" ({', '.join(map(str, wrong[:9]))})" if wrong else ""),
    )


def _noticed_table(
    what: str, mutants: Sequence[tuple[str, object]], noticed: Sequence[int | None]
) -> str:
    return page.table(
        (what, "noticed in run"),
        [
            (name, "not noticed" if seed is None else f"{seed + 1:,}")
            for (name, _), seed in zip(mutants, noticed, strict=True)
        ],
    )


def _tally(seeds: Seeds) -> Tally:
    faults = records = 0
    for plan in map(plan_of, range(*seeds)):
        deaths = len(plan.crash_at) + len(plan.kill_at_s)
        faults += deaths + len(plan.stop_at_s) + len(plan.end_at_s) + plan.strays
        records += sum(map(len, plan.records.values()))
    return Tally(seeds, _wrong(Run, seeds), faults, records)


def _tally_changes(seeds: Seeds) -> Tally:
    faults = records = 0
    for plan in map(change_plan_of, range(*seeds)):
        deaths = len(plan.crash_at) + len(plan.kill_at_s) + len(plan.command_dies_at)
        stops = len(plan.stop_at_s) + (plan.command_stops_at is not None)
        faults += deaths + stops + plan.strays
        records += sum(map(len, plan.records.values()))
    return Tally(seeds, _wrong(ChangeRun, seeds), faults, records)


def _wrong(make: Callable[[int], Simulated], seeds: Seeds) -> tuple[int, ...]:
    with simulated():
        return tuple(seed for seed, _ in wrong_runs(make, range(*seeds)))


def _noticed(number: int) -> int | None:
    return _first_wrong(Run, MUTANTS[number][1])


def _noticed_change(number: int) -> int | None:
    return _first_wrong(ChangeRun, EPOCH_MUTANTS[number][1])


def _first_wrong(
    make: Callable[[int], Simulated], mutant: Callable[[pytest.MonkeyPatch], None]
) -> int | None:
    with simulated(), pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        return next((seed for seed, _ in wrong_runs(make, range(_WITHIN))), None)
