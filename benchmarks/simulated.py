"""The worker's real code over a Kafka in memory: many seeded runs, and each rule switched off."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

import pytest

from benchmarks import page
from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import plan_of
from tests.simulation.run import Run
from tests.simulation.setting import simulated

_CHUNK: Final = 250
_WITHIN: Final = 5_000
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
"""


class Tally(NamedTuple):
    """What some runs have come to."""

    runs: int
    wrong: tuple[int, ...]
    faults: int
    records: int


def tables(first: int, runs: int, jobs: int) -> Iterator[str]:
    """Yield the page: the runs, then each safety rule and when it was missed.

    Args:
        first: the first seed.
        runs: how many.
        jobs: processes that share the work.
    """
    began_s = time.monotonic()
    chunks = [(at, min(at + _CHUNK, first + runs)) for at in range(first, first + runs, _CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        tallies = list(pool.map(_tally, chunks))
        noticed = list(pool.map(_noticed, range(len(MUTANTS))))
    wrong = [seed for tally in tallies for seed in tally.wrong]
    yield f"{_HEAD}\n## Runs\n\n"
    yield page.table(
        ("seeds", "runs", "records", "faults", "wrong", "minutes"),
        [
            (
                f"{first} to {first + runs - 1}",
                f"{runs:,}",
                f"{sum(t.records for t in tallies):,}",
                f"{sum(t.faults for t in tallies):,}",
                f"{len(wrong)}" + (f" ({', '.join(map(str, wrong[:9]))})" if wrong else ""),
                f"{(time.monotonic() - began_s) / 60:.0f}",
            )
        ],
    )
    yield (
        f"\n## Safety rules switched off\n\nSeeds from 0 on, at most {_WITHIN:,}; the first run in"
        " which something was wrong.\n\n"
    )
    yield page.table(
        ("rule", "noticed in run"),
        [
            (name, "not noticed" if seed is None else f"{seed + 1:,}")
            for (name, _), seed in zip(MUTANTS, noticed, strict=True)
        ],
    )


def _tally(seeds: tuple[int, int]) -> Tally:
    wrong = []
    faults = records = 0
    with simulated():
        for seed in range(*seeds):
            plan = plan_of(seed)
            deaths = len(plan.crash_at) + len(plan.kill_at_s)
            faults += deaths + len(plan.stop_at_s) + len(plan.end_at_s) + plan.strays
            records += sum(len(values) for values in plan.records.values())
            if Run(seed).wrongs():
                wrong.append(seed)
    return Tally(seeds[1] - seeds[0], tuple(wrong), faults, records)


def _noticed(number: int) -> int | None:
    with simulated(), pytest.MonkeyPatch.context() as patch:
        MUTANTS[number][1](patch)
        return next((seed for seed in range(_WITHIN) if Run(seed).wrongs()), None)
