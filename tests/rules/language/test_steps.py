"""Sets, alternatives, exceptions and evidence, as a file says them and as the engine gets them."""

import pytest

from rules.condition import Aggregate, Field, Gap
from rules.events import Kind
from rules.language import load_rules
from rules.moment import HOUR_US, MINUTE_US
from rules.timing import Timing
from tests.rules.language.texts import RULE, TIMING, load, mistakes

SETS = f"""{RULE}  - as: moves
    each: funds_moved
    before: pay
    within: 1h
    where:
      - kind == "own_sweep"
      - amount >= floor and amount < pay.amount
      - gap(moves, call) <= while_on
    having:
      - count(moves) >= few
      - sum(moves.amount) >= pay.amount
"""
ALERTS = """\
id: tried
version: 1.0.0
title: A rule that reads alerts
status: test
typology: trial
stage: campaign
severity: high
action: block
by: payee
params: {days: 3d}
steps:
  - as: hits
    each: alert
    where: [stage == "exfiltration"]
    within: days
    having: [count(hits.person) >= 3]
anchor: hits
"""


def test_a_set_has_conditions_on_its_members_and_on_the_whole() -> None:
    moves = load(SETS).steps[2]

    assert (moves.each, moves.window_us, moves.weight) == (True, None, 0)
    assert [option.event for option in moves.options] == ["funds_moved"]
    assert [c.text for c in moves.own["funds_moved"]] == ['moves.kind == "own_sweep"']
    assert [c.text for c in moves.joint] == [
        "moves.amount >= floor and moves.amount < pay.amount",
        "gap(moves, call) <= while_on",
    ]
    assert [c.text for c in moves.having] == [
        "count(moves) >= few",
        "sum(moves.amount) >= pay.amount",
    ]
    amount = Field("moves", "amount", Kind.MONEY, open=False)
    assert moves.having[0].reads[0] == Aggregate("count", "moves", None, Kind.INTEGER)
    assert moves.having[1].reads[0] == Aggregate("sum", "moves", amount, Kind.MONEY)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("count(moves.kind) == 2", Kind.INTEGER),
        ("count(moves.amount) == 2", Kind.INTEGER),
        ("least(moves.amount) >= floor", Kind.MONEY),
        ("greatest(moves.amount) >= floor", Kind.MONEY),
        ("least(moves.moved_at) > call.invited_at", Kind.MOMENT),
        ("greatest(moves.moved_at) > call.invited_at", Kind.MOMENT),
        ("gap(call, pay) > '5m' and count(moves) == 0", Kind.DURATION),
    ],
)
def test_what_is_said_of_a_set_is_typed(text: str, kind: Kind) -> None:
    rule = load(SETS.replace("count(moves) >= few", f"{text}"))

    assert rule.steps[2].having[0].reads[0].kind is kind


def test_a_later_set_may_look_at_an_earlier_one_as_a_whole() -> None:
    more = "  - {as: more, each: transfer, around: pay, within: 1h, having: [HAVING]}\n"
    rule = load(SETS + more.replace("HAVING", "count(more) > count(moves)"))

    assert rule.steps[3].having[0].steps == {"more", "moves"}


def test_the_anchor_is_the_last_step_that_binds_one_event() -> None:
    assert load(SETS).anchor == "pay"


def test_a_set_that_is_the_anchor_reaches_back_from_it() -> None:
    rule = load(ALERTS)

    (hits,) = rule.steps
    assert (rule.anchor, hits.window_us, hits.relations) == ("hits", 72 * HOUR_US, ())
    assert rule.span.ranges["hits"] == (-72 * HOUR_US, 0)


def test_a_relation_to_the_set_that_is_the_anchor_means_the_anchor() -> None:
    rule = load(
        f"{ALERTS}evidence: [{{as: pay, event: transfer, after: hits, within: 1h, weight: 5,"
        " where: ['gap(pay, hits) > \"1m\"']}]\n"
    )

    (pay,) = rule.evidence
    assert [relation.other for relation in pay.relations] == ["hits"]
    assert pay.joint[0].reads[0] == Gap("pay", "hits")


def test_a_set_that_is_the_anchor_may_have_a_relation_in_place_of_a_window() -> None:
    text = SETS.replace("      - gap(moves, call) <= while_on\n", "")
    rule = load(f"{text}anchor: moves\n")

    assert (rule.anchor, rule.steps[2].window_us) == ("moves", None)
    assert rule.steps[2].relations[0].other == "pay"


def test_a_member_of_the_anchors_set_may_be_asked_for_its_gap() -> None:
    rule = load(f"{SETS}anchor: moves\n")

    assert rule.steps[2].joint[1].reads == (Gap("moves", "call"), rule.steps[2].joint[1].reads[1])


def test_having_on_the_anchor_may_ask_for_the_gap_to_it() -> None:
    text = SETS.replace("      - gap(moves, call) <= while_on\n", "")
    rule = load(f"{text}      - gap(moves, pay) < while_on\nanchor: moves\n")

    assert rule.steps[2].having[2].steps == {"moves", "pay"}


# Alternatives ------------------------------------------------------------------------------

EITHER = f"""{RULE}  - as: out
    either:
      - {{event: payee_added, where: [limit is not None]}}
      - {{event: session_opened}}
    after: pay
    within: 1h
    where:
      - session == pay.session
      - channel in ("web", "mobile")
"""


def test_a_step_may_bind_an_event_of_one_of_several_types() -> None:
    out = load(EITHER).steps[2]

    assert [(o.event, [c.text for c in o.where]) for o in out.options] == [
        ("payee_added", ["out.limit is not None"]),
        ("session_opened", []),
    ]
    assert [c.text for c in out.own["payee_added"]] == [
        "out.limit is not None",
        'out.channel in ("web", "mobile")',
    ]
    assert [c.text for c in out.joint] == ["out.session == pay.session"]
    assert load(EITHER).anchor == "out"


def test_an_entry_may_ask_something_of_earlier_steps_of_its_own_event_alone() -> None:
    out = load(EITHER.replace("limit is not None", "limit >= pay.amount")).steps[2]

    assert out.own["payee_added"] == out.own["session_opened"] == out.where[1:]
    assert [c.text for c in out.joint_of("payee_added")] == [
        "out.limit >= pay.amount",
        "out.session == pay.session",
    ]
    assert [c.text for c in out.joint_of("session_opened")] == ["out.session == pay.session"]


def test_an_entry_names_no_step_that_comes_later() -> None:
    (mistake,) = mistakes(EITHER.replace("limit is not None", "limit >= later.amount"))

    assert "unknown step 'later'" in mistake


def test_later_conditions_name_only_what_all_types_have() -> None:
    (mistake,) = mistakes(EITHER.replace("session == pay.session", "limit is None"))

    assert "unknown name 'limit' in a condition on payee_added or session_opened" in mistake
    assert "fields: area, channel, person, session" in mistake


def test_fields_of_one_name_and_different_meaning_are_not_common() -> None:
    # Of a web visit and of an app, `category` has values of its own: any of them may stand there.
    either = (
        f"{RULE}  - as: other\n    either: [{{event: web_visit}}, {{event: app_install}}]\n"
        "    after: pay\n    within: 1h\n    where: [CONDITION]\n"
    )

    assert mistakes(either.replace("CONDITION", 'category == "other"')) == []
    assert mistakes(either.replace("CONDITION", 'category != "vpn"')) == []
    (mistake,) = mistakes(either.replace("CONDITION", 'category == "vpm"'))
    assert "values: authority, bank, finance, meeting, other, remote_control, …" in mistake
    other = either.replace("web_visit", "contact_blocked").replace("app_install", "transfer")
    (mistake,) = mistakes(other.replace("CONDITION", "direction is None"))
    assert "fields: area, payee_account, person" in mistake


def test_a_field_is_open_if_it_is_in_one_of_the_types() -> None:
    text = EITHER.replace("payee_added, where: [limit is not None]", "call_invitation")
    text = text.replace("session_opened", "screen_share").replace("session == pay.session", "X")
    text = text.replace('      - channel in ("web", "mobile")\n', "")
    rule = load(text.replace("X", "ended_at is None"))

    assert rule.steps[2].where[0].reads == (Field("out", "ended_at", Kind.MOMENT, open=True),)


def test_a_field_that_is_fixed_in_one_type_and_open_in_another_is_open() -> None:
    either = "{as: hits, either: [{event: transfer}, {event: alert}], during: pay"
    rule = load(f"{RULE}  - {either}, where: [area is None, person is None]}}\n")

    reads = [c.reads[0] for c in rule.steps[2].where]
    assert reads == [
        Field("hits", "area", Kind.TEXT, open=True),
        Field("hits", "person", Kind.PSEUDONYM, open=True),
    ]


# Exceptions and evidence -------------------------------------------------------------------

BOTH = f"""{RULE}unless:
  - {{event: official_call, around: call, within: 10m, where: [caller == call.caller]}}
  - {{each: transfer, before: pay, within: 1d, having: [count(transfer) >= few]}}
  - {{either: [{{event: transfer}}, {{event: payee_added}}], during: call}}
evidence:
  - {{event: official_call, before: pay, within: 6h, weight: 30}}
  - {{as: loan, event: loan_drawdown, before: [pay, call], within: 6h, weight: 1}}
"""


def test_exceptions_and_evidence_are_steps_with_names_of_their_own() -> None:
    rule = load(BOTH)

    assert [part.name for part in rule.parts] == [
        *("call", "pay"),
        *("official_call", "transfer", "transfer_2"),
        *("official_call_2", "loan"),
    ]
    assert [(part.each, part.weight) for part in rule.unless] == [
        (False, 0),
        (True, 0),
        (False, 0),
    ]
    assert [part.weight for part in rule.evidence] == [30, 1]
    assert rule.anchor == "pay"


def test_a_given_name_is_not_taken_away_by_one_that_is_made() -> None:
    text = BOTH.replace("as: loan,", "as: official_call,")

    assert [part.name for part in load(text).parts][2:] == [
        "official_call_2",
        "transfer",
        "transfer_2",
        "official_call_3",
        "official_call",
    ]


def test_exceptions_and_evidence_count_for_the_reach() -> None:
    assert load(RULE).span.reach_us == 8 * HOUR_US
    assert load(BOTH).span.reach_us > 24 * HOUR_US
    assert load(RULE).span.forward_us == 0
    assert load(BOTH).span.forward_us == 6 * HOUR_US + 10 * MINUTE_US


def test_what_a_match_may_do_without_ties_no_two_steps_closer() -> None:
    near = "{event: payee_added, around: [call, pay], within: 1m, weight: 5}"
    rule = load(f"{RULE}evidence: [{near}]\n")

    assert rule.span.ranges["call"] == load(RULE).span.ranges["call"]


# The second stage --------------------------------------------------------------------------


def test_rules_that_read_alerts_wait_for_the_longest_of_the_others() -> None:
    #   call  0 ........ 8h (settle 6h + within 2h) pay       settle 6h
    slow = RULE.replace("id: tried", "id: slow") + "anchor: call\n"
    quick = RULE.replace("id: tried", "id: quick")
    files = {"tried.yaml": ALERTS, "slow.yaml": slow, "quick.yaml": quick}

    rules = {rule.id: rule for rule in load_rules(files, TIMING).rules}

    assert [*rules] == ["quick", "slow", "tried"]
    assert rules["slow"].span.forward_us == 8 * HOUR_US
    assert [rule.settles_after_us for rule in rules.values()] == [0, 0, 14 * HOUR_US]
    assert rules["tried"].settles_at(0) == 14 * HOUR_US


def test_rules_that_read_alerts_wait_for_nothing_if_there_are_no_others() -> None:
    rule = load(ALERTS)

    assert rule.reads_alerts
    assert (rule.settles_after_us, rule.span.settle_us) == (0, 0)


def test_a_rule_that_reads_alerts_may_name_outside_events() -> None:
    rule = load(f"{ALERTS}evidence: [{{event: transfer, around: hits, within: 1h, weight: 5}}]\n")

    assert rule.span.settle_us == 6 * HOUR_US


def test_evidence_that_is_an_alert_makes_a_rule_one_of_the_second_stage() -> None:
    text = f"{RULE}evidence: [{{event: alert, around: pay, within: 1h, weight: 5}}]\n"

    assert load(text).reads_alerts
    unless = "unless: [{event: official_call, around: pay, within: 1h}]\n"
    (mistake,) = mistakes(text + unless)
    assert mistake.endswith("a rule that reads alerts has no 'unless'")


@pytest.mark.parametrize("timing", [Timing(), Timing(settle_us=HOUR_US)])
def test_every_rule_of_these_tests_can_be_built(timing: Timing) -> None:
    rules = [load(text, timing) for text in (SETS, ALERTS, EITHER, BOTH)]

    assert all(rule.span.reach_us > 0 for rule in rules)


def test_a_rule_has_no_more_steps_than_anybody_needs_exceptions_included() -> None:
    entries = ["{event: official_call, around: call, within: 10m}"] * 49
    unless = f"unless: [{', '.join(entries)}]\n"

    (mistake,) = mistakes(RULE + unless)
    assert "a rule has at most 50 steps, found 51" in mistake
