"""Tests of the town's page: the catalogue finds what is planted, and whom it troubles."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import town
from benchmarks.town import LIMIT, Verdict, judge, tables
from streams.simulation.log import Scenario

SMALL = Scenario(seed=11, people=1_200, events=9_600, days=2)


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return judge(SMALL, 2)


def test_every_planted_case_is_found_and_no_confuser(verdict: Verdict) -> None:
    cases = [truth for truth in verdict.truths if truth["kind"] == "case"]
    confusers = [truth for truth in verdict.truths if truth["kind"] == "confuser"]
    assert (len(cases), len(confusers)) == (2 * 21, 2 * 38)
    assert [truth for truth in cases if not verdict.found(truth)] == []
    assert [truth for truth in confusers if not verdict.silent(truth)] == []


def test_ordinary_people_are_troubled_no_more_than_is_stated(verdict: Verdict) -> None:
    assert {
        rule: alerts
        for rule, alerts in verdict.ordinary.items()
        if verdict.per_thousand(alerts) > LIMIT
    } == {}
    # Somebody always is: ordinary life knows nothing of the rules.
    assert verdict.ordinary


def test_what_is_not_alerted_is_not_found(verdict: Verdict) -> None:
    blind = replace(verdict, alerts={})
    assert not any(blind.found(t) for t in verdict.truths if t["kind"] == "case")


def test_an_alert_about_a_confuser_is_not_silence(verdict: Verdict) -> None:
    case = next(t for t in verdict.truths if t["rule"] == "residential_cluster" and t["alerts"])
    assert not verdict.silent(case)


@pytest.mark.slow
def test_the_page_is_what_the_command_writes() -> None:
    made = tables(town.PEOPLE, town.DAYS, town.ROUNDS, town.SEED)
    written = Path("docs/town.md").read_text(encoding="utf-8")
    assert written == made, "run: python -m benchmarks town"
    # Of every planted case and confuser, as many as there were.
    rows = [row.split(" | ") for row in made.splitlines() if row.startswith("| `")]
    assert len(rows) == 21
    for row in rows:
        assert all(len({*share.split(" of ")}) == 1 for share in row[1:3])
        assert float(row[4].rstrip("| ")) <= LIMIT
