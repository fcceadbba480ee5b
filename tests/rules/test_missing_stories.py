"""Which stories a stable rule wants, and that `check` is told of those it does not have."""

from pathlib import Path

import pytest

from rules.authoring.missing import missing_stories
from rules.timing import Timing
from tests.rules.language.texts import RULE

TIMING = Timing()
GOLDEN = Path(__file__).parent / "golden"


def missing(text: str, name: str = "tried") -> list[str]:
    """Return what is missing in a file, each as it is shown."""
    return [str(mistake) for mistake in missing_stories({f"{name}.yaml": text}, TIMING)]


def test_what_is_missing_is_named_at_its_place() -> None:
    name = "missing_stories"
    text = (GOLDEN / f"{name}.yml").read_text()

    found = "\n".join(missing(text, name)) + "\n"

    assert found == (GOLDEN / f"{name}.txt").read_text()


def test_a_rule_that_is_not_stable_may_lack_stories() -> None:
    text = (GOLDEN / "missing_stories.yml").read_text()

    assert missing(text.replace("status: stable", "status: test"), "missing_stories") == []


def bounds(condition: str, *stories: str, step: str = "where") -> list[str]:
    """Return which sides of a transfer's condition the transfers of these stories leave out."""
    told = "".join(
        f"  - {{title: s{n}, alerts: [{{anchor: p1}}], events: [{events}]}}\n"
        for n, events in enumerate(stories)
    )
    text = RULE.replace("status: test", "status: stable").replace("within: 2h\n", "during: call\n")
    text = text.replace("    after: call\n", "")
    found = missing(f"{text}    {step}: ['{condition}']\nstories:\n{told}")
    return [line.split("no story has ")[1].split(": ")[0] for line in found]


def paid(times: int) -> str:
    """Return a transfer to a payee that was paid so often."""
    return f'{{at: "10:00", transfer: p1, payee_times_paid: {times}}}'


@pytest.mark.parametrize(
    ("condition", "inside", "outside"),
    [
        ("payee_times_paid >= few", 3, 2),
        ("payee_times_paid > few", 4, 3),
        ("payee_times_paid <= few", 3, 4),
        ("payee_times_paid < few", 2, 3),
        ("3 <= payee_times_paid", 3, 2),
        ("3 < payee_times_paid", 4, 3),
        ("3 >= payee_times_paid", 3, 4),
        ("3 > payee_times_paid", 2, 3),
        ("not (payee_times_paid > few - 1)", 2, 3),
        ("payee_times_paid is None or payee_times_paid > 2.5", 3, 2),
        ("payee_times_paid < 2.5", 2, 3),
        ("payee_times_paid <= 2.5", 2, 3),
        ("payee_times_paid >= 2.5", 3, 2),
    ],
)
def test_a_bound_wants_its_last_value_inside_and_its_first_outside(
    condition: str, inside: int, outside: int
) -> None:
    assert bounds(condition, paid(inside), paid(outside)) == []
    assert len(bounds(condition, paid(inside))) == 1
    assert len(bounds(condition, paid(outside))) == 1
    assert len(bounds(condition, paid(inside + 10), paid(outside + 20))) == 2


def amount(money: str, balance: str = "100 CNY") -> str:
    """Return a transfer of so much."""
    return f'{{at: "10:00", transfer: p1, amount: {money}, balance_before: {balance}}}'


def test_of_several_currencies_each_is_a_bound() -> None:
    stories = [amount("3000 CNY"), amount("2999.99 CNY"), amount("400 EUR", "1 EUR")]

    assert bounds("amount >= floor", *stories) == ["amount from 399 EUR to less than 400 EUR"]
    assert bounds("amount >= floor", *stories, amount("399 EUR", "1 EUR")) == []
    assert len(bounds("amount >= floor", *stories, amount("398.99 EUR", "1 EUR"))) == 1


def test_a_number_has_steps_of_its_last_digit() -> None:
    near = [amount("25 CNY"), amount("24.5 CNY")]

    assert bounds("ratio(amount, balance_before) >= some", *near) == []
    assert bounds("ratio(amount, balance_before) >= some", near[0], amount("23.9 CNY")) == [
        "ratio(amount, balance_before) from 0.24 to less than 0.25"
    ]


@pytest.mark.parametrize(
    "condition",
    [
        "payee_times_paid == 3",
        "payee_times_paid in (3, 4)",
        "payee_times_paid != 3",
        "amount >= balance_before",
        "initiated_at > opened",
        'session > "a"',
        "payee_is_new",
        "payee_times_paid > 1 / 0 or first",
    ],
)
def test_what_is_no_bound_wants_no_story(condition: str) -> None:
    assert bounds(condition, paid(0)) == []


def test_events_of_two_people_are_not_taken_together() -> None:
    text = RULE.replace("status: test", "status: stable")
    story = (
        "stories:\n  - {title: a, alerts: [{anchor: p1}], events: [{at: '10:00',"
        " call_invitation: c1}, {at: '12:00', transfer: p1}, {at: '12:00:01', transfer: p2}]}\n"
    )

    assert missing(text + story) == []
    assert len(missing((text + story).replace("transfer: p2", "transfer: p2, person: q"))) == 1


def test_an_event_that_names_no_key_is_no_part_of_a_story() -> None:
    text = RULE.replace("status: test", "status: stable") + "by: meeting\n"
    text = text.replace("event: transfer", "event: screen_share")
    story = (
        "stories:\n  - {title: a, alerts: [{anchor: s1}], events: [{at: '10:00',"
        " call_invitation: c1, meeting: m}, {at: '12:00', screen_share: s1, meeting: m},"
        " {at: '12:00:01', screen_share: s2}]}\n"
    )

    (mistake,) = missing(text + story)
    assert "no story has a gap of more than 2h, up to 2h1s" in mistake


def test_a_story_that_cannot_be_run_tells_nothing() -> None:
    text = RULE.replace("status: test", "status: stable")
    story = (
        "stories:\n  - {title: a, alerts: [{anchor: p1}], events: [{at: '10:00',"
        " call_invitation: c1, time: '18:00'}, {at: '12:00', transfer: p1}]}\n"
    )

    assert len(missing(text + story)) == 2


SETS = f"""{RULE.replace("status: test", "status: stable").replace("within: 2h", "within: 0s")}\
  - as: moves
    each: funds_moved
    before: pay
    within: 1h
    where:
      - kind == "own_sweep"
      - amount < pay.amount
    having:
      - count(moves) >= 2
      - sum(moves.amount) >= pay.amount * 1 and sum(moves.amount) >= floor
      - gap(call, pay) < "1s"
stories:
  - title: one
    alerts: [{{anchor: p1}}]
    events:
      - {{at: "10:00", call_invitation: c1, answered_at: "10:00", ended_at: "10:00"}}
      - {{at: "10:00", transfer: p1, amount: 5000 CNY}}
      - {{at: "10:00:01", transfer: p2, amount: 5000 CNY}}
MOVES
"""


def swept(*moves: str) -> list[str]:
    """Return what is missing with these moves of money in the one story."""
    lines = "".join(f"      - {{{move}}}\n" for move in moves)
    return [line.split("no story has ")[1] for line in missing(SETS.replace("MOVES\n", lines))]


def test_a_set_is_what_it_would_be_beside_the_events_chosen() -> None:
    first = 'at: "09:00", funds_moved: m1, amount: 1500 CNY'
    second = 'at: "08:59:59", funds_moved: m2, amount: 1500 CNY'
    other = 'at: "09:30", funds_moved: m3, amount: 1499.5 CNY'
    wrong = 'at: "09:30", funds_moved: m4, amount: 9 CNY, kind: term_to_current'
    too_much = 'at: "09:30", funds_moved: m5, amount: 5000 CNY'
    euros = [
        'at: "09:30", funds_moved: m6, amount: 400 EUR',
        'at: "09:30", funds_moved: m7, amount: 399 EUR',
    ]

    assert any("count(moves) of exactly 2" in line for line in swept(first, second))
    assert not any("count(moves)" in line for line in swept(first, other, wrong, too_much))
    assert any("sum(moves.amount) of exactly 3000 CNY" in line for line in swept(first, other))
    assert not any("1h" in line for line in swept(first, second, *euros))


def test_no_event_stands_for_two_steps_at_once() -> None:
    text = RULE.replace("status: test", "status: stable").replace("within: 2h", "within: 0s")
    text = text.replace("event: call_invitation", "event: transfer")
    story = "stories: [{title: a, alerts: [{anchor: p}], events: [{at: '10:00', transfer: p}]}]\n"

    assert len(missing(text + story)) == 2


def test_an_event_of_a_step_is_no_member_of_a_set() -> None:
    text = RULE.replace("status: test", "status: stable").replace("within: 2h\n", "during: call\n")
    text = text.replace("    after: call\n", "")
    more = "  - {as: more, each: transfer, during: pay, having: [count(more) >= 1]}\n"
    story = "stories: [{title: a, alerts: [{anchor: p}], events: [{at: '10:00', transfer: p}]}]\n"

    (mistake,) = missing(text + more + story)
    assert "no story has count(more) of exactly 1" in mistake


def test_a_set_that_is_the_anchor_ends_with_it() -> None:
    text = RULE.partition("params:")[0].replace("status: test", "status: stable") + (
        "anchor: hits\nsteps: [{as: hits, each: alert, within: 1h, having: [count(hits) >= 2]}]\n"
        "stories: [{title: a, alerts: [{anchor: a2}], events: [{at: '10:00', alert: a1},"
        " {at: '11:00', alert: a2}, {at: '12:00:01', alert: a3}, {at: '12:00:01', alert: a4}]}]\n"
    )

    assert missing(text) == []
