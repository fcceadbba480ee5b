"""Tests of what is planted in a town: stories told of others, and the truth beside the log."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.alert import alert_id
from rules.authoring.starting import new_rule
from rules.authoring.stories import records_of
from rules.events import BY_WIRE_TYPE
from rules.fact import Identity
from rules.timing import Timing
from streams.rule_files import read_texts
from streams.simulation.log import Scenario, write_log
from streams.simulation.planted import Planted, plant, unplantable
from streams.simulation.repertoire import Repertoire, repertoire
from streams.simulation.retold import Cast, Variation, retold

TEXTS = read_texts(None)
OFFERED = repertoire(TEXTS, Timing())
START_US = Scenario().start_us
Json = dict[str, Any]


def planted(seed: int = 7, rounds: int = 1, offered: Repertoire = OFFERED) -> list[Planted]:
    return list(plant(offered, seed, rounds, START_US, 3))


def only(*rules: str) -> Repertoire:
    return repertoire({name: TEXTS[name] for name in map(path_of, rules)}, Timing())


def path_of(rule: str) -> str:
    return f"rules/catalog/{rule}.yaml"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streams.cli", "simulate", "--events", "0", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )


def told(tmp_path: Path, hash_seed: str) -> tuple[str, str, str]:
    """Return the log, the truth and the summary of a town, made in a process of its own."""
    truth = tmp_path / f"truth-{hash_seed}.jsonl"
    done = run("--planted", "1", "--truth", str(truth), PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stderr
    return done.stdout, truth.read_text(encoding="utf-8"), done.stderr


def test_the_same_seed_gives_the_same_log_and_the_same_truth(tmp_path: Path) -> None:
    first = told(tmp_path, "1")
    assert first == told(tmp_path, "2")
    log, truth, said = first
    known = {json.loads(line)["id"].partition(".")[0] for line in log.splitlines()}
    cases = [json.loads(line) for line in truth.splitlines()]
    assert {event for case in cases for event in case["events"]} <= known
    assert said.endswith("cases: none; 1 round of 21 cases and 38 confusers planted\n")


def test_every_rule_and_every_confuser_comes_once_in_each_round() -> None:
    found = Counter(
        (p.truth["rule"], p.truth["kind"], p.truth["story"] if p.truth["kind"] != "case" else "")
        for p in planted(rounds=3)
    )
    wanted = {(p.rule.id, p.kind, p.stories[0].title) for p in OFFERED.parts}
    assert {(r, k) for r, k, _ in wanted} == {(r, k) for r, k, _ in found}
    assert {rule for rule, kind, _ in found if kind == "case"} == {
        path.stem for path in Path("rules/catalog").glob("*.yaml")
    }
    assert {*found.values()} == {3}
    assert len(found) == len(OFFERED.parts)


def test_planting_leaves_ordinary_life_as_it_was() -> None:
    bare = {line.raw for line in write_log(Scenario())}
    among = {line.raw for line in write_log(Scenario(), (p.happening for p in planted()))}
    assert {line for line in bare if b'"heartbeat' not in line} < among


@given(st.integers(0, 2**64))
@settings(max_examples=5)
def test_no_two_cases_share_anybody_or_anything(seed: int) -> None:
    met: set[str] = set()
    for each in planted(seed):
        names = {*each.truth["people"], *each.truth["events"], *each.truth["keys"]}
        assert not names & met
        met |= names


@given(st.integers(0, 2**64))
@settings(max_examples=5)
def test_what_is_planted_keeps_the_contract_and_begins_when_it_should(seed: int) -> None:
    for each in planted(seed):
        for report in each.happening.reports:
            spec = next(s for s in BY_WIRE_TYPE.values() if s.name == report.type)
            spec.model.model_validate(report.data)
        assert min(report.time_us for report in each.happening.reports) == each.happening.at_us


def test_the_truth_names_the_alert_that_the_engine_makes() -> None:
    rules = {rule.id: rule for rule in OFFERED.rule_set.rules}
    for each in planted():
        for expected in each.truth["alerts"]:
            rule, anchor = rules[each.truth["rule"]], Identity(*expected["anchor"].values())
            assert anchor.id in each.truth["events"] or anchor.type == "alert"
            wanted = None if rule.reads_alerts else alert_id(rule, anchor, "")
            assert expected.get("alert_id") == wanted


def test_a_confuser_expects_nothing_and_a_case_something() -> None:
    for each in planted():
        assert bool(each.truth["alerts"]) is (each.truth["kind"] == "case")


def test_most_cases_are_told_with_other_amounts_and_none_that_would_not_hold() -> None:
    part = next(p for p in OFFERED.parts if p.rule.id == "fee_ladder")
    story = part.stories[0]
    varied = 0
    for each in planted(rounds=8, offered=only("fee_ladder")):
        told_of = next(s for p in OFFERED.parts for s in p.stories if s.title == _title(each))
        before = [r["data"].get("amount") for r in records_of(told_of)]
        varied += before != [r.data.get("amount") for r in each.happening.reports]
    assert varied > 8
    cast = Cast("k1", iter(range(910_001, 910_099)))
    assert OFFERED.holds(part.rule, retold(story, cast, Variation()))


def _title(each: Planted) -> Any:  # noqa: ANN401 - a value of JSON
    return each.truth["story"]


def test_a_story_of_ones_own_is_planted_without_further_ado(tmp_path: Path) -> None:
    (tmp_path / "rent_scam.yaml").write_text(new_rule("rent_scam"), encoding="utf-8")
    truth = tmp_path / "truth.jsonl"
    done = run("--rules", str(tmp_path), "--planted", "2", "--truth", str(truth))
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    assert [case["rule"] for case in cases if case["kind"] == "case"] == ["rent_scam"] * 2


def left_out(offered: Repertoire) -> list[tuple[str, str]]:
    return [(part.kind, part.rule.id) for part in unplantable(offered)]


def test_what_needs_alerts_that_nobody_raises_is_left_out_with_a_warning() -> None:
    assert left_out(OFFERED) == []
    alone = only("mule_account_fan_in")
    assert left_out(alone) == [("case", "mule_account_fan_in")]
    assert {p.truth["kind"] for p in planted(offered=alone)} == {"confuser"}
    done = run("--rules", path_of("mule_account_fan_in"), "--planted", "2")
    assert done.returncode == 0
    warning, summary = done.stderr.splitlines()
    assert warning == (
        "ringfence: warning: no case of mule_account_fan_in is planted ('the third person within"
        " three days'): it does not hold, or wants alerts that no story of the rules on outside"
        " events gives"
    )
    assert summary.endswith("; 2 rounds of 1 cases and 1 confusers planted")


def test_hosts_of_another_kind_do_not_help() -> None:
    # Its alerts are of another stage than that of the alerts that are wanted.
    assert left_out(only("mule_account_fan_in", "institution_named_caller"))
    assert not left_out(only("mule_account_fan_in", "fee_ladder"))


def test_a_story_that_does_not_hold_is_not_planted() -> None:
    wrong = new_rule("rent_scam").replace("{anchor: p1", "{anchor: c1")
    offered = repertoire({"rent_scam.yaml": wrong}, Timing())
    assert left_out(offered) == [("case", "rent_scam")]


def test_a_truth_about_nothing_is_refused(tmp_path: Path) -> None:
    done = run("--truth", str(tmp_path / "truth.jsonl"))
    assert (done.returncode, done.stderr) == (
        2,
        "ringfence: --truth: nothing is planted, say how often with --planted\n",
    )


def test_a_truth_in_the_place_of_the_log_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "town.jsonl")
    done = run("--planted", "1", "--truth", path, "--out", path)
    assert (done.returncode, done.stderr) == (
        2,
        "ringfence: --truth: that is the file of the log, name another\n",
    )


def test_rules_without_stories_have_nothing_to_plant(tmp_path: Path) -> None:
    text = new_rule("rent_scam").partition("stories:")[0]
    path = tmp_path / "rent_scam.yaml"
    path.write_text(text, encoding="utf-8")
    done = run("--rules", str(path), "--planted", "1")
    assert done.returncode == 2
    assert done.stderr == (
        f'ringfence: --planted: no story in "{path}" alerts or is one of a confuser\n'
    )


def test_mistakes_in_rule_files_are_told_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "rent_scam.yaml"
    path.write_text(new_rule("rent_scam").replace("answered", "anwsered"), encoding="utf-8")
    done = run("--rules", str(path), "--planted", "1")
    assert done.returncode == 2
    assert "did you mean 'answered'?" in done.stderr


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = run("--planted", "1", "--truth", str(tmp_path / "nowhere" / "truth.jsonl"))
    assert done.returncode == 3
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("rounds", ["-1", "1001"])
def test_rounds_have_their_bounds(rounds: str) -> None:
    assert run("--planted", rounds).returncode == 2
