"""What a condition or relation that does not hold is said to fail on, and how far it is."""

import pytest

from rules.authoring.explain import explain
from rules.authoring.failures import FARTHEST, UNKNOWN, WHOLE, WRONG, Failure
from rules.authoring.stories import events_of
from rules.language import load_rules, load_stories
from rules.timing import Timing

TIMING = Timing()
HEAD = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
params:
  least: [3000 CNY, 400 EUR]
  some: 0.25
"""
STORY = "stories:\n  - {{title: one, alerts: [], events: {events}}}\n"


def misses(steps: str, events: str) -> tuple[Failure, ...]:
    """What a rule of these steps fails on, over the events of one story."""
    text = HEAD + steps + STORY.format(events=events)
    (rule,) = load_rules({"tried.yaml": text}, TIMING).rules
    (story,) = load_stories({"tried.yaml": text}, TIMING)["tried"]
    return explain(rule, events_of(story, TIMING)).misses


def of_transfer(condition: str, fields: str) -> tuple[Failure, ...]:
    """What a condition on a transfer with these fields fails on."""
    steps = f"steps:\n  - as: pay\n    event: transfer\n    where:\n      - '{condition}'\n"
    return misses(steps, f'[{{at: "10:00", transfer: p1, {fields}}}]')


@pytest.mark.parametrize(
    ("condition", "fields", "on", "says"),
    [
        ("amount >= least", "amount: 2900 CNY", "amount", "amount 2,900 CNY, wanted ≥ 3,000 CNY"),
        ("least <= amount", "amount: 2900 CNY", "amount", "amount 2,900 CNY, wanted ≥ 3,000 CNY"),
        (
            "not amount < least",
            "amount: 399.5 EUR",
            "amount",
            "amount 399.5 EUR, wanted ≥ 400 EUR",
        ),
        ("amount >= least", "amount: 9 JPY", "amount", "amount is in JPY, wanted CNY or EUR"),
        (
            '"100 CNY" < amount < "200 CNY"',
            "amount: 300 CNY",
            "amount",
            "amount 300 CNY, wanted < 200 CNY",
        ),
        (
            "amount <= balance_before",
            "amount: 3 CNY, balance_before: 2 CNY",
            "amount",
            "amount 3 CNY, wanted ≤ balance_before (2 CNY)",
        ),
        (
            "payee_is_new",
            "payee_times_paid: 3",
            "payee_is_new",
            "payee_is_new is false, wanted true",
        ),
        (
            "not payee_is_new",
            "payee_times_paid: 0",
            "payee_is_new",
            "payee_is_new is true, wanted false",
        ),
        ("payee_is_new", "area: a", "payee_is_new", "payee_is_new is unknown"),
        ('channel == "web"', "channel: atm", "channel", "channel is atm, wanted web"),
        ('channel != "web"', "channel: web", "channel", "channel is web, wanted other than web"),
        (
            "payee_times_paid == 0",
            "payee_times_paid: 3",
            "payee_times_paid",
            "payee_times_paid is 3, wanted 0",
        ),
        (
            'channel in ("web", "atm", "phone")',
            "channel: mobile",
            "channel",
            "channel is mobile, wanted web, atm or phone",
        ),
        (
            'status not in ("rejected", "recalled")',
            "status: recalled",
            "status",
            "status is recalled, wanted none of rejected, recalled",
        ),
        (
            'not status in ("rejected", "recalled")',
            "status: recalled",
            "status",
            "status is recalled, wanted none of rejected, recalled",
        ),
        ("area is None", "area: a", "area", "area is a, wanted it unknown"),
        ("area is not None", "channel: web", "area", "area is unknown"),
        ("not area is None", "channel: web", "area", "area is unknown"),
        ('startswith(area, "b")', "area: a", "area", "startswith(area, b) is false, wanted true"),
        (
            "ratio(amount, balance_before) >= some",
            "amount: 1 CNY, balance_before: 8 CNY",
            "amount",
            "ratio(amount, balance_before) 0.125, wanted ≥ 0.25",
        ),
        (
            "ratio(amount, balance_before) >= some",
            "amount: 1 CNY, balance_before: 0 CNY",
            "amount",
            "ratio(amount, balance_before) >= some is unknown",
        ),
        (
            "ratio(amount, balance_before) in (0.5, 0.25)",
            "amount: 1 CNY, balance_before: 0 CNY",
            "amount",
            "ratio(amount, balance_before) in (0.5, 0.25) is unknown",
        ),
        (
            'initiated_at - payee_added_at <= "2h"',
            'payee_added_at: "07:00"',
            "initiated_at",
            "initiated_at - payee_added_at 3h, wanted ≤ 2h",
        ),
        (
            "hour(initiated_at) >= 22",
            "area: a",
            "initiated_at",
            "hour(initiated_at) 10, wanted ≥ 22",
        ),
        (
            'initiated_at < "2023-07-08T00:00:00Z"',
            "area: a",
            "initiated_at",
            "initiated_at 2023-07-08T10:00:00Z, wanted < 2023-07-08T00:00:00Z",
        ),
        (
            "payee_times_paid * 2 + 1 >= 8",
            "payee_times_paid: 3",
            "payee_times_paid",
            "(payee_times_paid * 2) + 1 7, wanted ≥ 8",
        ),
    ],
)
def test_a_condition_says_what_it_found_and_wanted(
    condition: str, fields: str, on: str, says: str
) -> None:
    (failure,) = of_transfer(condition, fields)
    assert (failure.step, failure.on, failure.says) == ("pay", on, says)


def test_of_and_every_part_that_fails_is_said_and_of_or_the_nearest() -> None:
    fields = "channel: web, area: a, amount: 2900 CNY"
    both = of_transfer('channel == "atm" and area is None and amount > "1 CNY"', fields)
    assert [failure.on for failure in both] == ["channel", "area"]
    (nearest,) = of_transfer('channel == "atm" or amount >= least or area is None', fields)
    assert nearest.on == "amount"
    # What `not` turns round: neither may hold, or one of them must not.
    neither = of_transfer('not (channel == "web" or area == "a")', fields)
    assert [failure.on for failure in neither] == ["channel", "area"]
    (one,) = of_transfer('not (channel == "web" and amount < least)', fields)
    assert one.on == "amount"


@pytest.mark.parametrize(
    ("condition", "fields", "distance"),
    [
        ("amount >= least", "amount: 1500 CNY", WHOLE // 2),
        ("amount >= least", "amount: 2999.999999 CNY", 1),
        ('amount < "100 CNY"', "amount: 90000 CNY", FARTHEST),
        ('amount > "0 CNY"', "amount: 0 CNY", 1),
        ("payee_times_paid <= 0", "payee_times_paid: 3", 3 * WHOLE),
        ('initiated_at < "2023-07-08T09:30:00Z"', "area: a", WHOLE // 2),
        ('initiated_at - payee_added_at <= "0s"', 'payee_added_at: "09:00"', WHOLE),
        ("payee_is_new", "area: a", UNKNOWN),
        ("payee_is_new", "payee_times_paid: 1", WRONG),
    ],
)
def test_a_bound_is_missed_by_a_share_of_itself_and_anything_else_by_a_constant(
    condition: str, fields: str, distance: int
) -> None:
    assert [failure.distance for failure in of_transfer(condition, fields)] == [distance]


CALL = 'call_invitation: c1, answered_at: "10:00", ended_at: "11:00"'


def of_relation(relation: str, at: str) -> tuple[Failure, ...]:
    """What a transfer then fails on, if it must lie so to a call from 10:00 to 11:00."""
    steps = f"""\
steps:
  - {{as: call, event: call_invitation}}
  - {{as: pay, event: transfer, {relation}}}
"""
    return misses(steps, f'[{{at: "10:00", {CALL}}}, {{at: "{at}", transfer: p1}}]')


@pytest.mark.parametrize(
    ("relation", "at", "on", "says", "distance"),
    [
        #   10:00 |------------- call -------------| 11:00 ........ 2h ........ 13:00
        (
            "after: call, within: 2h",
            "13:03:12",
            "within",
            "came 3m12s after the window (within 2h after call)",
            26_666,
        ),
        ("after: call, within: 2h", "09:59", "after", "came 1m before call", 8_333),
        ("before: call, within: 2h", "10:01", "before", "came 1m after call", 8_333),
        (
            "before: call, within: 2h",
            "07:59",
            "within",
            "came 1m before the window (within 2h before call)",
            8_333,
        ),
        (
            "around: call, within: 10m",
            "11:20",
            "within",
            "came 10m after the window (within 10m around call)",
            WHOLE,
        ),
        (
            "around: call, within: 10m",
            "09:49",
            "within",
            "came 1m before the window (within 10m around call)",
            WHOLE // 10,
        ),
        ("during: call", "11:30", "during", "came 30m after call", WHOLE // 2),
        ("during: call", "09:30", "during", "came 30m before call", WHOLE // 2),
        ("after: call, within: 1s", "20:00", "within", None, FARTHEST),
    ],
)
def test_a_relation_says_by_how_much_it_was_missed(
    relation: str, at: str, on: str, says: str | None, distance: int
) -> None:
    (failure,) = of_relation(relation, at)
    assert (failure.on, failure.distance) == (on, distance)
    assert says in (None, failure.says)


@pytest.mark.parametrize(
    ("condition", "on", "says"),
    [
        ('gap(call, pay) <= "5m"', "gap", "gap(call, pay) 10m, wanted ≤ 5m"),
        ("area == call.area", "area", "area is a, wanted call.area (b)"),
        ('call.talk_time >= "2h"', "talk_time", "call.talk_time 1h, wanted ≥ 2h"),
        (
            "(area is None) == first",
            "area",
            "(area is None) is false, wanted first (true)",
        ),
        (
            "(not first) == call.camera_on",
            "first",
            "(not first) is false, wanted call.camera_on (true)",
        ),
        (
            '(area in ("c", "d")) == first',
            "area",
            "(area in (c, d)) is false, wanted first (true)",
        ),
        (
            "(first and area is None) == first",
            "first",
            "(first and (area is None)) is false, wanted first (true)",
        ),
    ],
)
def test_a_condition_on_two_steps_names_the_own_field_first(
    condition: str, on: str, says: str
) -> None:
    steps = f"""\
steps:
  - {{as: call, event: call_invitation}}
  - as: pay
    event: transfer
    after: call
    within: 2h
    where:
      - '{condition}'
"""
    call = f'{{at: "10:00", {CALL}, area: b, camera_on: true}}'
    (failure,) = misses(steps, f'[{call}, {{at: "11:10", transfer: p1, area: a, first: true}}]')
    assert (failure.on, failure.says) == (on, says)


@pytest.mark.parametrize(
    ("having", "on", "says"),
    [
        ("count(hits) >= 4", "count", "count(hits) 2, wanted ≥ 4"),
        (
            "sum(hits.amount) >= least",
            "amount",
            "sum(hits.amount) 1,000 CNY or 300 EUR, wanted ≥ 3,000 CNY or 400 EUR",
        ),
        ("count(hits.area) >= 2", "area", "count(hits.area) is unknown"),
        (
            'sum(hits.amount) >= "5 JPY"',
            "amount",
            "sum(hits.amount) is in CNY and EUR, wanted JPY",
        ),
    ],
)
def test_a_set_says_what_it_came_to(having: str, on: str, says: str) -> None:
    steps = f"""\
steps:
  - as: hits
    each: transfer
    within: 2h
    having: ['{having}']
anchor: hits
"""
    small = '{at: "10:00", transfer: p1, amount: 300 EUR}'
    large = '{at: "10:05", transfer: p2, amount: 1000 CNY}'
    (failure,) = misses(steps, f"[{small}, {large}]")
    assert (failure.step, failure.on, failure.says) == ("hits", on, says)


def test_what_an_entry_asks_of_an_earlier_step_is_asked_of_its_own_type_only() -> None:
    steps = """\
steps:
  - as: pay
    event: transfer
  - as: before
    before: pay
    within: 1h
    either:
      - event: funds_moved
        where: [amount >= pay.amount]
      - event: session_opened
anchor: pay
"""
    pay = '{at: "10:30", transfer: p1, amount: 500 CNY}'
    moved = '{at: "10:00", funds_moved: m1, kind: own_sweep, amount: 400 CNY}'
    opened = '{at: "08:00", session_opened: s1}'
    assert [f.on for f in misses(steps, f"[{moved}, {pay}]")] == ["amount"]
    assert [f.on for f in misses(steps, f"[{opened}, {pay}]")] == ["within"]
