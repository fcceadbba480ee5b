"""The worker's real code over a Kafka in memory: many seeded runs, and each rule switched off."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
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


class Tally(NamedTuple):
    """What some runs have come to."""

    runs: int
    wrong: tuple[int, ...]
    faults: int
    records: int


Seeds = tuple[int, int]
"""The first seed, and the one behind the last."""


def tables(first: int, runs: int, jobs: int, say: Callable[[str], None]) -> Iterator[str]:
    """Yield the page: the runs, those in which rules change, and each safety rule switched off.

    Args:
        first: the first seed.
        runs: how many; of those with a change of rules a tenth as many.
        jobs: processes that share the work.
        say: is told how far it is.
    """
    began_s = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        noticed = list(pool.map(_noticed, range(len(MUTANTS))))
        noticed_change = list(pool.map(_noticed_change, range(len(EPOCH_MUTANTS))))
        say(f"safety rules after {(time.monotonic() - began_s) / 60:.0f} minutes")
        rows = [
            _row("one rule set", first, runs, pool.map(_tally, _chunks(first, runs)), say),
            _row(
                "the rules change",
                first,
                runs // _CHANGES_AMONG,
                pool.map(_tally_changes, _chunks(first, runs // _CHANGES_AMONG)),
                say,
            ),
        ]
    yield f"{_HEAD}\n## Runs\n\n"
    yield page.table(("runs", "seeds", "how many", "records", "faults", "wrong", "minutes"), rows)
    yield f"\nOn {machine.described()}.\n"
    yield (
        f"\n## Safety rules switched off\n\nSeeds from 0 on, at most {_WITHIN:,}; the first run in"
        " which something was wrong.\n\n"
    )
    yield _noticed_table("rule of the worker", MUTANTS, noticed)
    yield "\n"
    yield _noticed_table("rule of a change of rules", EPOCH_MUTANTS, noticed_change)


def _chunks(first: int, runs: int) -> list[Seeds]:
    return [(at, min(at + _CHUNK, first + runs)) for at in range(first, first + runs, _CHUNK)]


def _row(
    what: str, first: int, runs: int, tallies: Iterator[Tally], say: Callable[[str], None]
) -> Sequence[str]:
    began_s = time.monotonic()
    found: list[Tally] = []
    for tally in tallies:
        found.append(tally)
        done = sum(t.runs for t in found)
        if done % (20 * _CHUNK) == 0 or tally.wrong:
            say(f"{what}: {done:,} of {runs:,}, wrong {[s for t in found for s in t.wrong]}")
    wrong = [seed for tally in found for seed in tally.wrong]
    return (
        what,
        f"{first} to {first + runs - 1}",
        f"{sum(t.runs for t in found):,}",
        f"{sum(t.records for t in found):,}",
        f"{sum(t.faults for t in found):,}",
        f"{len(wrong)}" + (f" ({', '.join(map(str, wrong[:9]))})" if wrong else ""),
        f"{(time.monotonic() - began_s) / 60:.0f}",
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
    return Tally(seeds[1] - seeds[0], _wrong(Run, seeds), faults, records)


def _tally_changes(seeds: Seeds) -> Tally:
    faults = records = 0
    for plan in map(change_plan_of, range(*seeds)):
        deaths = len(plan.crash_at) + len(plan.kill_at_s) + len(plan.command_dies_at)
        stops = len(plan.stop_at_s) + (plan.command_stops_at is not None)
        faults += deaths + stops + plan.strays
        records += sum(map(len, plan.records.values()))
    return Tally(seeds[1] - seeds[0], _wrong(ChangeRun, seeds), faults, records)


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
