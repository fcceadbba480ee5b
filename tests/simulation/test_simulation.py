"""The worker's real code over a Kafka in memory, with crashes after any step: see `run.py`.

`RINGFENCE_TEST_SIMULATIONS` sets how many runs there are in the slow suite.
"""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.plan import plan_of
from tests.simulation.run import Run
from tests.simulation.setting import simulated

QUICK = 500
SLOW = int(os.environ.get("RINGFENCE_TEST_SIMULATIONS", "1000"))
WITHIN = 5_000


@pytest.fixture(autouse=True)
def _simulated() -> Iterator[None]:
    with simulated():
        yield


def test_nothing_is_lost_or_wrong_whatever_dies_and_whenever() -> None:
    assert {seed: wrongs for seed in range(QUICK) if (wrongs := Run(seed).wrongs())} == {}


@pytest.mark.slow
def test_nothing_is_lost_or_wrong_in_many_more_runs() -> None:
    runs = range(QUICK, QUICK + SLOW)
    assert {seed: wrongs for seed in runs if (wrongs := Run(seed).wrongs())} == {}


@pytest.mark.parametrize("rule", ["a lane is rebuilt", "facts are acknowledged before the mark"])
def test_a_worker_without_a_safety_rule_is_soon_noticed(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dict(MUTANTS)[rule](monkeypatch)
    assert any(Run(seed).wrongs() for seed in range(50))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for _, m in MUTANTS], ids=[name for name, _ in MUTANTS])
def test_each_safety_rule_that_is_switched_off_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert any(Run(seed).wrongs() for seed in range(WITHIN))


def test_a_run_is_the_same_again() -> None:
    for seed in (3, 7):
        first, second = Run(seed), Run(seed)
        assert first.wrongs() == second.wrongs() == []
        assert first.kafka.logs == second.kafka.logs
        assert first.group.commits == second.group.commits


def test_there_are_runs_with_every_fault() -> None:
    plans = [plan_of(seed) for seed in range(QUICK)]
    assert any(plan.crash_at and plan.kill_at_s and plan.stop_at_s for plan in plans)
    assert any(plan.end_at_s for plan in plans)
    assert any(plan.strays for plan in plans)
    assert any(plan.is_silent for plan in plans)
    assert any(plan.has_late for plan in plans)
    assert any(plan.workers == 3 for plan in plans)
