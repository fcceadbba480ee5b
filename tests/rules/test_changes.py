"""What an expression becomes when its author errs in one thing."""

from dataclasses import replace

import pytest

from rules.authoring.changes import changes
from rules.condition import Condition
from rules.language import check_files
from rules.timing import Timing

TIMING = Timing()
RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
anchor: pay
params:
  floor: [3000 CNY, 400 EUR]
  share: 0.5
  few: 2
steps:
  - as: call
    event: call_invitation
  - as: pay
    event: transfer
    after: call
    within: 2h
    where:
      - CONDITION
  - as: sweeps
    each: funds_moved
    before: pay
    within: 2h
    having:
      - HAVING
"""


def condition(text: str, having: str = "count(sweeps) >= 1") -> Condition:
    whole = RULE.replace("CONDITION", text).replace("HAVING", having)
    (rule,) = check_files({"tried.yaml": whole}, TIMING)
    part = rule.parts.steps[1] if having == "count(sweeps) >= 1" else rule.parts.steps[2]
    return part.lines[0].condition


def says(text: str) -> list[str]:
    return [change.says for change in changes(condition(text).expression)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("payee_is_new", ["not payee_is_new instead"]),
        ('startswith(rail, "i")', ["not startswith(rail) instead"]),
        ("not payee_is_new", ["the 'not' is gone", "not payee_is_new instead"]),
        ('status == "held"', ["'!=' for '=='"]),
        ('status != "held"', ["'==' for '!='"]),
        ("purpose_class is None", ["purpose_class is not None instead"]),
        ("purpose_class is not None", ["purpose_class is None instead"]),
        ('status in ("held",)', ["'not in' instead"]),
        (
            'status not in ("held", "recalled")',
            ["'in' instead", "without 'held' in its list", "without 'recalled' in its list"],
        ),
        ("payee_times_paid >= 2", ["'>' for '>='", "1 for 2"]),
        ("payee_times_paid > 2", ["'>=' for '>'", "1 for 2"]),
        ("payee_times_paid <= 2", ["'<' for '<='", "3 for 2"]),
        ("2 >= payee_times_paid", ["'>' for '>='", "3 for 2"]),
        ("payee_times_paid < few", ["'<=' for '<'", "3 for 2"]),
        ('amount >= "500 CNY"', ["'>' for '>='", "499 CNY for 500 CNY"]),
        (
            "amount >= floor",
            [
                "'>' for '>='",
                "2999 CNY for 3000 CNY",
                "399 EUR for 400 EUR",
                "no amount in CNY",
                "no amount in EUR",
            ],
        ),
        ("ratio(amount, balance_before) >= share", ["'>' for '>='", "0.4 for 0.5"]),
        ("gap(call, pay) <= '30m'", ["'<' for '<='", "30m1s for 30m"]),
        ("call.talk_time <= gap(call, pay)", ["'<' for '<='"]),
        (
            "number(amount) % 100 == 0",
            ["'!=' for '=='", "101 for 100", "99 for 100"],
        ),
        (
            "amount >= balance_before * 0.5 - balance_before / 4",
            ["'>' for '>='", "0.6 for 0.5", "0.4 for 0.5", "5 for 4", "3 for 4"],
        ),
        (
            'payee_is_new and first and direction == "out"',
            [
                "'or' for 'and'",
                "without its part on payee_is_new",
                "not payee_is_new instead",
                "without its part on first",
                "not first instead",
                "without its part on direction",
                "'!=' for '=='",
            ],
        ),
        (
            "payee_is_new or not (first or irrevocable_at is None)",
            [
                "'and' for 'or'",
                "without its part on payee_is_new",
                "not payee_is_new instead",
                "without its part on first and irrevocable_at",
                "the 'not' is gone",
                "'and' for 'or'",
                "without its part on first",
                "not first instead",
                "without its part on irrevocable_at",
                "irrevocable_at is not None instead",
            ],
        ),
        ("initiated_at >= call.invited_at", ["'>' for '>='"]),
        ("initiated_at >= '2023-07-08T00:00:00Z'", ["'>' for '>='"]),
        ("session == rail", ["'!=' for '=='"]),
    ],
)
def test_each_part_of_an_expression_is_changed_once(text: str, expected: list[str]) -> None:
    assert says(text) == expected


def test_what_is_asked_of_a_set_is_changed_too() -> None:
    having = condition("payee_is_new", "sum(sweeps.amount) * share <= pay.amount")
    assert [change.says for change in changes(having.expression)] == [
        "'<' for '<='",
        "0.6 for 0.5",
        "0.4 for 0.5",
    ]


def test_a_change_leaves_an_expression_of_the_same_kind_that_is_another() -> None:
    whole = condition("payee_is_new and amount >= floor and number(amount) % 100 == 0")
    for change in changes(whole.expression):
        assert change.expression != whole.expression
        assert change.expression.kind is whole.expression.kind
        # It can be evaluated.
        replace(whole, expression=change.expression)


def test_what_would_show_a_change_speaks_of_what_was_changed() -> None:
    shown = {c.says: c.shown_by for c in changes(condition("amount >= floor").expression)}
    assert shown["2999 CNY for 3000 CNY"] == "amount just beyond 3000 CNY"
    assert shown["no amount in EUR"] == "amount in EUR that fits"
    assert shown["'>' for '>='"] == "amount at its limit exactly"
