"""The worker's real code over a Kafka in memory, with crashes after any step: see `run.py`.

`RINGFENCE_TEST_SIMULATIONS` sets how many runs there are in the slow suite; all 100,000 of the
page are run by `python -m benchmarks simulation`.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.simulation.change import ChangeRun
from tests.simulation.epoch_mutants import EPOCH_MUTANTS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.plan import change_plan_of, plan_of
from tests.simulation.run import Run
from tests.simulation.setting import Simulated, simulated, wrong_runs

QUICK = 500
QUICK_CHANGES = 60
SLOW = int(os.environ.get("RINGFENCE_TEST_SIMULATIONS", "6000"))
PARTS = 12
"""Tests into which the many runs are split, for as many processes as there are cores."""
CHANGES_AMONG = 10
"""So many runs there are for one more in which the rules change."""
WITHIN = 5_000


@pytest.fixture(autouse=True)
def _simulated() -> Iterator[None]:
    with simulated():
        yield


def test_nothing_is_lost_or_wrong_whatever_dies_and_whenever() -> None:
    assert dict(wrong_runs(Run, range(QUICK))) == {}


def test_a_change_of_rules_loses_nothing_and_leaves_nothing_open_whatever_dies() -> None:
    assert dict(wrong_runs(ChangeRun, range(QUICK_CHANGES))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_or_wrong_in_many_more_runs(part: int) -> None:
    runs = range(QUICK + part, QUICK + SLOW, PARTS)
    assert dict(wrong_runs(Run, runs)) == {}
    changes = range(QUICK_CHANGES + part, QUICK_CHANGES + SLOW // CHANGES_AMONG, PARTS)
    assert dict(wrong_runs(ChangeRun, changes)) == {}


def is_noticed(make: Callable[[int], Simulated], within: int) -> bool:
    """Return whether one of so many runs has something wrong."""
    return any(wrong_runs(make, range(within)))


@pytest.mark.parametrize("rule", ["a lane is rebuilt", "facts are acknowledged before the mark"])
def test_a_worker_without_a_safety_rule_is_soon_noticed(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dict(MUTANTS)[rule](monkeypatch)
    assert is_noticed(Run, 50)


def test_a_command_without_a_safety_rule_is_soon_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    dict(EPOCH_MUTANTS)["what the old epoch has left open is ended"](monkeypatch)
    assert is_noticed(ChangeRun, 50)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for _, m in MUTANTS], ids=[name for name, _ in MUTANTS])
def test_each_safety_rule_that_is_switched_off_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert is_noticed(Run, WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant", [m for _, m in EPOCH_MUTANTS], ids=[name for name, _ in EPOCH_MUTANTS]
)
def test_each_safety_rule_of_a_change_that_is_switched_off_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert is_noticed(ChangeRun, WITHIN)


def test_a_run_is_the_same_again() -> None:
    for seed in (3, 7):
        first, second = Run(seed), Run(seed)
        assert first.wrongs() == second.wrongs() == []
        assert first.kafka.logs == second.kafka.logs
        assert first.group.commits == second.group.commits
    before, after = ChangeRun(3), ChangeRun(3)
    assert before.wrongs() == after.wrongs() == []
    assert before.kafka.logs == after.kafka.logs


def test_there_are_runs_with_every_fault() -> None:
    plans = [plan_of(seed) for seed in range(QUICK)]
    assert any(plan.crash_at and plan.kill_at_s and plan.stop_at_s for plan in plans)
    assert any(plan.end_at_s for plan in plans)
    assert any(plan.strays for plan in plans)
    assert any(plan.is_silent for plan in plans)
    assert any(plan.has_late for plan in plans)
    assert any(plan.workers == 3 for plan in plans)
    changes = [change_plan_of(seed) for seed in range(QUICK_CHANGES)]
    assert any(plan.is_shadow and len(plan.command_dies_at) > 1 for plan in changes)
    assert any(not plan.is_shadow and plan.command_stops_at for plan in changes)
    assert any(plan.crash_at and plan.kill_at_s and plan.stop_at_s for plan in changes)
