"""Mutants of a rule: what is changed, and which its own stories notice."""

from pathlib import Path

import pytest

from rules.authoring.mutants import Mutant, mutants, score_of, try_mutants
from rules.authoring.starting import new_rule
from rules.language import check_files
from rules.language.build import build
from rules.language.check import CheckedRule
from rules.timing import Timing

TIMING = Timing()
CAMPAIGN = Path(__file__).parents[2] / "rules" / "catalog" / "mule_account_fan_in.yaml"


def checked(text: str, name: str = "tried") -> CheckedRule:
    (rule,) = check_files({f"{name}.yaml": text}, TIMING)
    return rule


RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
anchor: pay
steps:
  - as: call
    event: call_invitation
    where: [answered]
  - as: pay
    event: transfer
    after: call
    within: 2h
    where: [payee_is_new]
  - as: act
    either:
      - {event: session_opened, where: [channel == "web"]}
      - {event: payee_added}
    relations:
      - {around: call, within: 1h}
      - {before: pay, within: 0s}
    where: [session == pay.session]
  - as: sweeps
    each: funds_moved
    during: call
    having: [count(sweeps) >= 2]
unless:
  - {event: official_call, during: call}
evidence:
  - {as: shared, event: screen_share, during: call, weight: 40, where: [first]}
score:
  base: 40
  bands:
    - {from: 40, severity: low, action: warn}
    - {from: 80, severity: high, action: hold}
message: "{gap(call, pay)}"
stories:
  - title: a share makes it worse
    events:
      - {at: "10:00", call_invitation: c1, answered_at: "10:01", ended_at: "11:00"}
      - {at: "10:05", screen_share: s1, first: true, ended_at: "10:20"}
      - {at: "10:10", funds_moved: m1}
      - {at: "10:11", funds_moved: m2}
      - {at: "10:20", session_opened: o1, channel: web, session: x}
      - {at: "10:20", transfer: p1, payee_times_paid: 0, session: x}
    alerts: [{anchor: p1, score: 80, action: hold}]
"""


def said(rule: CheckedRule) -> list[str]:
    return [f"{mutant.at.line} {mutant.says}" for mutant in mutants(rule)]


def test_everything_that_a_rule_says_is_changed_once() -> None:
    assert said(checked(RULE)) == [
        "11 without 'call.answered'",
        "11 in 'call.answered' not answered instead",
        "16 without 'pay.payee_is_new'",
        "16 in 'pay.payee_is_new' not payee_is_new instead",
        "15 in 'pay within 2h after call' 2h1s for 2h",
        "15 in 'pay within 2h after call' 1h59m59s for 2h",
        "15 in 'pay within 2h after call' 'around' for 'after'",
        "19 without 'act.channel == \"web\"'",
        "19 in 'act.channel == \"web\"' '!=' for '=='",
        "24 without 'act.session == pay.session'",
        "24 in 'act.session == pay.session' '!=' for '=='",
        "22 in 'act within 1h around call' 1h1s for 1h",
        "22 in 'act within 1h around call' 59m59s for 1h",
        "22 in 'act within 1h around call' 'after' for 'around'",
        "22 in 'act within 1h around call' 'before' for 'around'",
        "22 without 'act within 1h around call'",
        "23 in 'act within 0s before pay' 1s for 0s",
        "23 in 'act within 0s before pay' 'around' for 'before'",
        "23 without 'act within 0s before pay'",
        "17 without the step 'act'",
        "28 without 'count(sweeps) >= 2'",
        "28 in 'count(sweeps) >= 2' '>' for '>='",
        "28 in 'count(sweeps) >= 2' 1 for 2",
        "27 in 'sweeps during call' 'around' within 1s for 'during'",
        "25 without the step 'sweeps'",
        "30 in 'official_call during call' 'around' within 1s for 'during'",
        "30 without the 'unless' 'official_call'",
        "32 without 'shared.first'",
        "32 in 'shared.first' not first instead",
        "32 in 'shared during call' 'around' within 1s for 'during'",
        "32 without the evidence 'shared'",
        "39 without the band from 80",
    ]


def test_a_step_that_others_hang_on_is_left_out_only_where_the_rest_still_hangs_together() -> None:
    chain = checked(new_rule("tried"))
    # Without the call, the evidence would hang on nothing.
    assert not any("without the step 'call'" in line for line in said(chain))
    three = RULE[: RULE.index("  - as: act")] + (
        "  - {as: added, event: payee_added, before: pay, within: 1h}\n"
        "severity: low\naction: warn\n"
    )
    assert "9 without the step 'call'" in said(checked(three))


def test_every_mutant_can_be_run() -> None:
    for mutant in mutants(checked(RULE)):
        assert isinstance(mutant, Mutant)
        assert build(mutant.rule, TIMING).id == "tried"
        assert mutant.story


def test_the_window_of_the_set_that_is_the_anchor_is_moved() -> None:
    rule = checked(CAMPAIGN.read_text(encoding="utf-8"), "mule_account_fan_in")
    assert [line.partition(" ")[2] for line in said(rule) if " for 3d" in line] == [
        "3d1s for 3d",
        "2d23h59m59s for 3d",
    ]


def test_stories_notice_what_they_are_about_and_nothing_else() -> None:
    rule = checked(RULE)
    tried = {mutant.says: mutant.noticed_by for mutant in try_mutants(rule, TIMING)}
    noticed_by = "a share makes it worse"
    assert tried["in 'call.answered' not answered instead"] == noticed_by
    assert tried["without the evidence 'shared'"] == noticed_by
    assert tried["without the band from 80"] == noticed_by
    assert tried["without 'call.answered'"] is None
    assert tried["without the 'unless' 'official_call'"] is None
    lines = [mutant.at.line for mutant in try_mutants(rule, TIMING)]
    assert lines == sorted(lines)


def test_a_story_in_its_own_order_of_arrival_is_tried_in_that() -> None:
    with_order = RULE + "    arrival: [p1, o1, m2, m1, s1, c1]\n"
    tried = try_mutants(checked(with_order), TIMING)
    assert score_of(tried) == score_of(try_mutants(checked(RULE), TIMING)) > 20


def test_a_rule_without_stories_notices_nothing() -> None:
    tried = try_mutants(checked(RULE[: RULE.index("stories:")]), TIMING)
    assert score_of(tried) == 0
    assert score_of([]) == 100


@pytest.mark.parametrize(
    ("says", "story"),
    [
        ("without 'call.answered'", "all as it should be but 'call.answered', and no alert"),
        (
            "without 'shared.first'",
            "all as it should be but 'shared.first', and a score without it",
        ),
        ("without the 'unless' 'official_call'", "all as it should be and 'official_call' there"),
        ("without the step 'act'", "all as it should be but 'act' missing"),
        ("without the band from 80", "a score that just reaches 80, and what it asks for"),
    ],
)
def test_a_mutant_says_which_story_would_notice_it(says: str, story: str) -> None:
    assert {m.says: m.story for m in mutants(checked(RULE))}[says] == story
