"""Explanations as a person reads them, and what they choose to speak of."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rules.authoring import nearest
from rules.authoring.explain import (
    Explanation,
    NoAnchorError,
    explain,
    nearest_miss,
    nearest_misses,
)
from rules.authoring.stories import events_of
from rules.fact import Event
from rules.language import load_rules, load_stories
from rules.rule import Rule
from rules.timing import Timing

TIMING = Timing()
GOLDEN = Path(__file__).parent / "golden"
HEAD = """\
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: exfiltration
"""
WHOLE = f"""\
id: whole
{HEAD}
params:
  least: [3000 CNY, 400 EUR]
steps:
  - as: call
    event: call_invitation
    where: [media == "video", answered]
  - as: pay
    either:
      - {{event: transfer, where: [direction == "out", payee_is_new]}}
      - {{event: loan_drawdown}}
    after: call
    within: 2h
    where: [amount >= least]
  - as: added
    each: payee_added
    where: ['channel == "mobile"']
    before: pay
    within: 1d
    having: [count(added) >= 1]
  - as: visits
    each: web_visit
    before: pay
    within: 1h
unless:
  - event: official_call
    around: call
    within: 10m
    where: [caller == call.caller]
  - as: blocks
    each: contact_blocked
    before: pay
    within: 1h
    having: [count(blocks) >= 2]
evidence:
  - as: shared_screen
    event: screen_share
    during: call
    where: [app_category == "meeting"]
    weight: 40
  - as: swaps
    each: sim_swap
    before: pay
    within: 6h
    having: [count(swaps) >= 2]
    weight: 15
  - {{as: forwarded, each: call_forwarding, before: pay, within: 6h, weight: 10}}
anchor: pay
score:
  base: 40
  bands:
    - {{from: 40, severity: medium, action: warn}}
    - {{from: 70, severity: high, action: hold}}
"""
FAN_IN = f"""\
id: fan_in
{HEAD}
severity: high
action: hold
by: payee
steps:
  - as: hits
    each: transfer
    where: [direction == "in"]
    within: 2h
    having: [count(hits.person) >= 3]
anchor: hits
"""

CALL = '{at: "10:00", call_invitation: c1, answered_at: "10:01", ended_at: "11:10"}'
PAY = '{at: "10:42", transfer: p1, amount: 20000 CNY, payee_times_paid: 0}'
ADDED = '{at: "10:30", payee_added: a1, channel: mobile}'
VISIT = '{at: "10:20", web_visit: v1}'
MATCHING = [CALL, PAY, ADDED, VISIT]


def rule_of(text: str) -> Rule:
    name = text.split("\n", 1)[0].removeprefix("id: ")
    return load_rules({f"{name}.yaml": text}, TIMING).rules[0]


def events(text: str, told: Sequence[str]) -> list[Event]:
    """The events of a story with these entries."""
    name = text.split("\n", 1)[0].removeprefix("id: ")
    story = f"stories:\n  - {{title: one, alerts: [], events: [{', '.join(told)}]}}\n"
    return events_of(load_stories({f"{name}.yaml": text + story}, TIMING)[name][0], TIMING)


def explained(text: str, told: Sequence[str], anchor: str | None = None) -> Explanation:
    return explain(rule_of(text), events(text, told), anchor)


CALL_AND_LOANS = f"""\
id: call_and_loans
{HEAD}
severity: high
action: hold
steps:
  - {{as: call, event: call_invitation, where: [answered]}}
  - as: pay
    either:
      - {{event: transfer, where: [payee_is_new]}}
      - {{event: loan_drawdown}}
    after: call
    within: 2h
"""
GOLDENS = {
    "match": (
        WHOLE,
        [
            *MATCHING,
            "{at: '10:15', screen_share: s1, app_category: meeting}",
            "{at: '10:16', screen_share: s2, app_category: other}",
            "{at: '09:00', sim_swap: w1}",
            "{at: '09:50', contact_blocked: b1}",
            "{at: '08:00', official_call: o1, valid_to: '08:10'}",
        ],
    ),
    "nearest_miss": (
        WHOLE,
        [
            CALL,
            "{at: '13:11', transfer: p1, amount: 2900 CNY}",
            "{at: '12:55', payee_added: a1, channel: web}",
        ],
    ),
    "exception": (
        WHOLE,
        [
            *MATCHING,
            "{at: '10:02', official_call: o1, valid_to: '10:20', caller: caller-1}",
            "{at: '10:35', contact_blocked: b1}",
            "{at: '10:36', contact_blocked: b2}",
        ],
    ),
    "without_a_call": (WHOLE, [PAY, ADDED]),
    "without_an_anchor": (WHOLE, [CALL]),
    "set_that_is_too_small": (
        FAN_IN,
        [
            "{at: '10:00', transfer: p1, direction: in, person: lin}",
            "{at: '10:10', transfer: p2, direction: in, person: wei}",
            "{at: '07:00', transfer: p3, direction: in, person: han}",
        ],
    ),
    "set_without_its_anchor": (FAN_IN, ["{at: '10:00', transfer: p1, direction: out}"]),
    "two_matches": (
        CALL_AND_LOANS,
        [CALL, PAY, "{at: '10:50', loan_drawdown: l1, amount: 500 EUR}"],
    ),
}


@pytest.mark.parametrize("golden", GOLDENS)
def test_an_explanation_reads_as_it_always_did(golden: str) -> None:
    lines = explained(*GOLDENS[golden]).as_lines()
    assert "\n".join(lines) + "\n" == (GOLDEN / f"explain_{golden}.txt").read_text()


def test_an_explanation_as_json_says_the_same() -> None:
    told = [*MATCHING, "{at: '10:15', screen_share: s1, app_category: other}"]
    said = json.dumps(explained(WHOLE, told).as_json(), indent=2, ensure_ascii=False) + "\n"
    assert said == (GOLDEN / "explain_match.json").read_text()


def test_the_match_at_the_greatest_event_is_explained_unless_another_is_asked_for() -> None:
    told = [*MATCHING, "{at: '10:50', transfer: p2, amount: 3000 CNY, payee_times_paid: 0}"]
    found = explained(WHOLE, told)
    assert found.anchor is not None
    assert (found.anchor.identity.id, [e.identity.id for e in found.others]) == ("p2", ["p1"])
    asked = explained(WHOLE, told, "p1")
    assert asked.anchor is not None
    assert (asked.anchor.identity.id, asked.others) == ("p1", ())


def test_an_anchor_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NoAnchorError) as raised:
        explained(WHOLE, MATCHING, "c1")
    said = "no transfer or loan_drawdown under this key has the id 'c1'; there are p1"
    assert str(raised.value) == said
    with pytest.raises(NoAnchorError, match="; there is none at all"):
        explained(WHOLE, [CALL], "p1")


def test_the_choice_with_the_fewest_unfulfilled_steps_is_the_nearest() -> None:
    # The call of yesterday fits by itself, that of today fails twice: one step either way.
    old = '{at: "10:00", call_invitation: c1, answered_at: "10:01", ended_at: "11:10"}'
    new = '{at: "1d 10:00", call_invitation: c2, direction: outgoing}'
    pay = '{at: "1d 10:10", transfer: p1, payee_times_paid: 0}'
    text = CALL_AND_LOANS.replace("[answered]", "[answered, direction == 'incoming']")
    found = nearest_misses(rule_of(text), events(text, [old, new, pay]))
    assert [(miss.step, miss.on) for miss in found] == [
        ("call", "answered"),
        ("call", "direction"),
    ]
    # A bound that is missed by three times its size is nearer than two wrong values.
    nearer = '{at: "02:00", call_invitation: c1, answered_at: "02:01", ended_at: "02:10"}'
    pay = '{at: "10:10", transfer: p1, payee_times_paid: 0}'
    new = '{at: "10:00", call_invitation: c2, direction: outgoing}'
    found = nearest_misses(rule_of(text), events(text, [nearer, new, pay]))
    assert [(miss.step, miss.on) for miss in found] == [("pay", "within")]


def test_the_nearest_miss_is_sought_under_every_key() -> None:
    rule = rule_of(WHOLE)
    known = events(
        WHOLE,
        [
            PAY,
            "{at: '10:42', transfer: p2, person: wei, payee_times_paid: 1}",
            "{at: '10:00', call_invitation: c1, person: wei, answered_at: '10:01'}",
            "{at: '10:30', payee_added: a1, channel: mobile, person: wei}",
            "{at: '10:31', web_visit: v1, person: wei}",
        ],
    )
    miss = nearest_miss(rule, known)
    assert miss is not None
    assert (miss.step, miss.on) == ("pay", "payee_is_new")


def test_where_no_event_could_be_the_anchor_that_is_the_nearest_miss() -> None:
    miss = nearest_miss(rule_of(WHOLE), events(WHOLE, [CALL]))
    assert miss is not None
    assert (miss.step, miss.on) == ("pay", "event")


def test_there_is_no_nearest_miss_where_nothing_happened_or_everything_matched() -> None:
    assert nearest_miss(rule_of(WHOLE), []) is None
    assert nearest_miss(rule_of(WHOLE), events(WHOLE, MATCHING)) is None
    # An event without the key counts for nobody.
    by_meeting = WHOLE.replace("id: whole", "id: tried").split("params:")[0] + (
        "by: meeting\nseverity: low\naction: warn\nsteps:\n"
        "  - {as: call, event: call_invitation, where: [media == 'screen']}\n"
    )
    assert nearest_miss(rule_of(by_meeting), events(by_meeting, [CALL])) is None


def test_a_search_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "MAX_TRIED", 1)
    # It ends with the first choice, however many others there are.
    others = [f"{{at: '09:00', call_invitation: c{n}, answered_at: '09:01'}}" for n in (2, 3)]
    found = explained(WHOLE, [CALL, PAY, *others])
    assert found.cut_short
    assert "  the search ended early, so something nearer may be there" in found.as_lines()
    assert found.as_json()["cut_short"] is True


def test_of_many_events_a_line_names_the_latest_twenty() -> None:
    told = [f"{{at: '10:{n:02}', transfer: p{n}, direction: in}}" for n in range(25)]
    lines = explained(FAN_IN, told).as_lines()
    (line,) = [line for line in lines if line.startswith("hits: 25 of transfer: p24, p23")]
    assert line.endswith("p5 and 5 more")
