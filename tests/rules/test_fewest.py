"""How many events a match takes at the least."""

import msgspec
import pytest

from rules.condition import Condition
from rules.events import KEYS, Scalar
from rules.fewest import NEVER, Fewest
from rules.judging import Judging
from rules.plan import make_plan
from rules.row import Sealed
from rules.rule import Rule
from tests.rules.build import (
    CALL,
    TIMING,
    Op,
    among,
    build_rule,
    call_then_pay,
    compare,
    condition,
    count,
    field,
    many_called,
    relation,
    step_of,
    unknown,
)

CALLED, PAID = "call_invitation", "transfer"


def fewest(*rules: Rule) -> Fewest:
    judging = Judging(rules)
    return Fewest([make_plan(n, rule, judging) for n, rule in enumerate(rules)])


def test_a_match_takes_an_event_for_each_step() -> None:
    known = fewest(call_then_pay())
    assert known.of_plan == [2]
    assert known.events("person", frozenset({CALLED, PAID})) == 2
    assert known.events("person", frozenset({CALLED})) == NEVER
    assert known.events("person", frozenset({PAID})) == NEVER
    assert known.events("caller", frozenset({CALLED, PAID})) == NEVER


@pytest.mark.parametrize(
    ("op", "number", "least"),
    [(">=", 3, 3), (">", 3, 4), ("==", 3, 3), ("<", 3, 1), ("!=", 3, 1), (">=", 0, 1)],
)
def test_a_set_takes_as_many_as_its_condition_asks_for(op: Op, number: int, least: int) -> None:
    calls = step_of("calls", CALLED, each=True, having=(count("calls", op, number),), window_us=60)
    known = fewest(build_rule([calls], TIMING, by="caller"))
    assert known.events("caller", frozenset({CALLED})) == least
    assert known.events("caller", frozenset({PAID})) == NEVER


def test_a_set_has_no_event_of_another_step() -> None:
    around = (relation("around", "call", 60),)
    calls = step_of("calls", CALLED, (), around, each=True)
    assert fewest(build_rule([CALL, calls], TIMING, anchor="call")).of_plan == [2]
    three = step_of("calls", CALLED, (), around, each=True, having=(count("calls", ">=", 3),))
    assert fewest(build_rule([CALL, three], TIMING, anchor="call")).of_plan == [4]
    none = step_of("calls", PAID, (), around, each=True, having=(count("calls", "<", 3),))
    known = fewest(build_rule([CALL, none], TIMING, anchor="call"))
    assert known.events("person", frozenset({CALLED})) == 1


def test_a_set_that_counts_another_set_says_nothing_of_its_own() -> None:
    calls = step_of("calls", CALLED, each=True, window_us=60)
    paid = step_of(
        "paid",
        PAID,
        (),
        (relation("around", "calls", 60),),
        each=True,
        having=(count("calls", ">=", 5),),
    )
    assert fewest(build_rule([calls, paid], TIMING, anchor="calls")).of_plan == [1]


def test_of_several_rules_the_one_that_takes_fewest_counts_or_those_that_take_several() -> None:
    pay = step_of("pay", PAID)
    known = fewest(call_then_pay(), build_rule([pay], TIMING, name="rule_b"))
    both = frozenset({CALLED, PAID})
    assert known.events("person", both) == 1
    assert known.events("person", both, 2) == 2
    assert known.events("person", frozenset({PAID}), 2) == NEVER
    assert known.fits_alone("person", PAID) != 0
    assert known.fits_alone("person", CALLED) == known.fits_alone("payee", PAID) == 0


def sealed(**data: Scalar) -> Sealed:
    return Sealed("person:lin", "person", PAID, 0, msgspec.Raw(msgspec.json.encode(data)), b"")


def paid(*conditions: Condition) -> Fewest:
    return fewest(build_rule([step_of("pay", PAID, conditions)], TIMING))


STATUS = field("pay", PAID, "status")
NEW = field("pay", PAID, "payee_is_new")
AMOUNT = field("pay", PAID, "amount")


def test_an_unread_event_is_no_match_alone_if_what_stands_in_its_row_is_known_to_fail() -> None:
    known = paid(condition(among(STATUS, "rejected", negated=True)))
    assert not known.may_match_alone(sealed(status="rejected"))
    assert known.may_match_alone(sealed(status="settled"))
    assert known.may_match_alone(sealed())
    assert not fewest(call_then_pay()).may_match_alone(sealed(status="settled"))


def test_what_does_not_stand_in_the_row_as_conditions_see_it_is_not_judged_there() -> None:
    # All of them are false of a row without these fields, and none of an event.
    assert paid(condition(unknown(NEW, negated=True))).may_match_alone(sealed())
    assert paid(condition(compare(AMOUNT, ">=", 5))).may_match_alone(sealed(amount="7"))
    assert paid().may_match_alone(sealed())
    assert not paid(condition(unknown(STATUS, negated=True))).may_match_alone(sealed())


def test_every_kind_of_key_is_told_apart() -> None:
    known = fewest(many_called(), call_then_pay())
    found = {by: known.events(by, frozenset({CALLED, PAID})) for by in KEYS}
    assert found == {"person": 2, "caller": 3, "payee": NEVER, "meeting": NEVER, "area": NEVER}
