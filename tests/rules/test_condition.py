"""Conditions as the engine runs them: nodes, what they look at, and how they are compiled."""

from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.condition import (
    Aggregate,
    Among,
    Arithmetic,
    Call,
    Compare,
    Condition,
    Constant,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
    compile_expression,
    gap_us,
    walk,
)
from rules.events import Kind
from rules.money import Money
from rules.operators import FUNCTIONS

AMOUNT = Field("pay", "amount", Kind.MONEY, open=False)
FIRST = Field("pay", "first", Kind.BOOL, open=False)
COUNT = Field("pay", "payee_times_paid", Kind.INTEGER, open=False)
MEDIA = Field("call", "media", Kind.CLASS, open=False)
FLOOR = Parameter("floor", {"CNY": Decimal(3000), "EUR": Decimal(400)}, Kind.MONEY)


def value(expression: Expression, **known: object) -> Any:  # noqa: ANN401 - of any kind
    """Evaluate an expression over the fields that are known, of whatever step."""
    return compile_expression(expression, lambda field: f"b.get({field.name!r})")(known)


def money(amount: str, currency: str = "CNY") -> Money:
    """Money of a test."""
    return Money(Decimal(amount), currency)


def test_the_parts_of_an_expression_come_from_left_to_right() -> None:
    one = Constant(1, Kind.INTEGER)
    parts: list[Expression] = [
        Compare(">", Arithmetic("+", COUNT, one, Kind.INTEGER), one),
        Among(MEDIA, ("audio",), negated=False),
        Negation(Unknown(FIRST, negated=False)),
        Compare(">=", Call("number", (AMOUNT,), Kind.NUMBER), one),
        Compare(">", Gap("call", "pay"), one),
    ]

    names = [part.name for part in walk(Junction("or", tuple(parts))) if isinstance(part, Field)]

    assert names == ["payee_times_paid", "media", "first", "amount"]


def test_a_condition_knows_what_it_reads_and_of_which_steps() -> None:
    condition = Condition(
        "as written",
        Junction(
            "and",
            (
                Compare(">=", AMOUNT, FLOOR),
                Compare("<", AMOUNT, FLOOR),
                Compare(">", Gap("call", "share"), Constant(0, Kind.DURATION)),
            ),
        ),
    )

    assert condition.reads == (AMOUNT, FLOOR, Gap("call", "share"))
    assert condition.steps == {"pay", "call", "share"}


@given(st.lists(st.sampled_from([True, False, None]), min_size=2, max_size=300))
def test_and_and_or_follow_kleene_however_many_they_join(values: list[bool | None]) -> None:
    fields = tuple(Field("s", f"f{n}", Kind.BOOL, open=False) for n in range(len(values)))
    known = {f"f{n}": v for n, v in enumerate(values)}

    both = False if False in values else None if None in values else True
    either = True if True in values else None if None in values else False
    assert value(Junction("and", fields), **known) is both
    assert value(Junction("or", fields), **known) is either


@pytest.mark.parametrize("known", [True, False, None])
def test_not_and_is_none_of_every_value(known: bool | None) -> None:  # noqa: FBT001 - the value
    assert value(Negation(FIRST), first=known) is (None if known is None else not known)
    assert value(Unknown(FIRST, negated=False), first=known) is (known is None)
    assert value(Unknown(FIRST, negated=True), first=known) is (known is not None)


def test_among_is_unknown_only_if_its_item_is() -> None:
    assert value(Among(MEDIA, ("audio", "video"), negated=False), media="video") is True
    assert value(Among(MEDIA, ("audio", "video"), negated=True), media="video") is False
    assert value(Among(MEDIA, ("audio", "video"), negated=True)) is None


def test_a_comparison_with_an_unknown_operand_is_unknown() -> None:
    one = Constant(1, Kind.INTEGER)

    assert value(Compare("==", COUNT, one)) is None
    assert value(Compare("==", one, COUNT)) is None
    assert value(Compare("!=", COUNT, one), payee_times_paid=0) is True
    assert value(Compare(">=", AMOUNT, FLOOR)) is None
    assert value(Compare(">=", FLOOR, AMOUNT)) is None


@pytest.mark.parametrize(
    ("amount", "reaches"),
    [
        (money("3000"), True),
        (money("2999.99"), False),
        (money("400", "EUR"), True),
        (money("9999", "JPY"), None),
    ],
)
def test_money_is_compared_with_the_amount_of_its_own_currency(
    amount: Money,
    reaches: bool | None,  # noqa: FBT001 - the second column
) -> None:
    assert value(Compare(">=", AMOUNT, FLOOR), amount=amount) is reaches
    assert value(Compare("<=", FLOOR, AMOUNT), amount=amount) is reaches


def test_money_of_different_currencies_is_not_comparable() -> None:
    assert value(Compare("==", AMOUNT, Constant(money("1", "EUR"), Kind.MONEY))) is None
    assert FUNCTIONS["money =="](money("1", "EUR"), money("1")) is None
    assert FUNCTIONS["money !="](money("1", "EUR"), money("1")) is None
    assert FUNCTIONS["money <"](FLOOR.value, {"USD": Decimal(1)}) is None


@pytest.mark.parametrize(
    ("op", "left", "right", "result"),
    [
        ("+", money("1"), money("0.5"), money("1.5")),
        ("-", money("1"), money("1", "EUR"), None),
        ("-", money("1"), None, None),
        ("*", money("2"), 3, money("6")),
        ("*", Decimal("0.5"), money("3"), money("1.5")),
        ("/", money("3"), 2, money("1.5")),
        ("/", money("3"), 0, None),
        ("/", 3, 2, Decimal("1.5")),
        ("/", 3, 0, None),
        ("%", 3, 0, None),
        ("%", -1, 3, 2),
        ("%", Decimal("-0.5"), 3, Decimal("2.5")),
        ("%", Decimal("0.3"), Decimal("0.1"), Decimal(0)),
        ("+", {"CNY": Decimal(1)}, money("2"), money("3")),
        ("-", money("2"), {"EUR": Decimal(1)}, None),
        ("*", {"CNY": Decimal(1), "EUR": Decimal(2)}, 2, {"CNY": 2, "EUR": 4}),
        ("*", 2, {"CNY": Decimal(1)}, {"CNY": 2}),
        ("/", {"CNY": Decimal(1)}, 0, None),
        ("+", {"CNY": Decimal(1), "EUR": Decimal(2)}, {"CNY": Decimal(3)}, {"CNY": 4}),
    ],
)
def test_arithmetic(op: str, left: object, right: object, result: object) -> None:
    assert FUNCTIONS[f"arithmetic {op}"](left, right) == result


def test_ratio_and_number_know_nothing_of_money_without_one_currency() -> None:
    assert FUNCTIONS["ratio"](money("1"), money("4")) == Decimal("0.25")
    assert FUNCTIONS["ratio"](money("1"), money("0")) is None
    assert FUNCTIONS["ratio"](money("1"), None) is None
    assert FUNCTIONS["number"](money("1")) == 1
    assert FUNCTIONS["number"](FLOOR.value) is None
    assert FUNCTIONS["number"](None) is None


def test_hours_and_weekdays_of_unknown_moments_are_unknown() -> None:
    at = Field("pay", "initiated_at", Kind.MOMENT, open=False)
    late_saturday_us = 1_688_832_000_000_000

    for name, in_utc, in_shanghai in (("hour", 16, 0), ("weekday", 5, 6)):
        utc = Call(name, (at,), Kind.INTEGER)  # type: ignore[arg-type]  # hour or weekday
        shanghai = Call(name, (at,), Kind.INTEGER, "Asia/Shanghai")  # type: ignore[arg-type]  # the same
        assert value(utc) is None
        assert value(utc, initiated_at=late_saturday_us) == in_utc
        assert value(shanghai, initiated_at=late_saturday_us) == in_shanghai


def test_startswith_of_unknown_text_is_unknown() -> None:
    session = Field("pay", "session", Kind.TEXT, open=False)
    call = Call("startswith", (session, Constant("web-", Kind.TEXT)), Kind.BOOL)

    assert value(call) is None
    assert value(call, session="web-1") is True
    assert value(call, session="app-1") is False


@given(*(st.integers(0, 100) for _ in range(4)))
def test_a_gap_is_what_lies_between_two_events_and_nothing_if_they_overlap(
    start_us: int, length_us: int, other_start_us: int, other_length_us: int
) -> None:
    first = SimpleNamespace(start_us=start_us, end_us=start_us + length_us)
    other = SimpleNamespace(start_us=other_start_us, end_us=other_start_us + other_length_us)
    between = [m for m in range(300) if first.end_us <= m < other.start_us]
    between += [m for m in range(300) if other.end_us <= m < first.start_us]

    assert gap_us(first, other) == gap_us(other, first) == len(between)
    gap = Gap("first", "other")
    judged = compile_expression(gap, lambda field: field.name, lambda step: f"b[{step!r}]")
    assert judged({"first": first, "other": other}) == len(between)


# Sets --------------------------------------------------------------------------------------


def over(function: str, field: Field | None, *members: Mapping[str, object]) -> Any:  # noqa: ANN401 - of any kind
    """Evaluate what `having` says of a set whose members have these fields."""
    kind = Kind.INTEGER if field is None or function == "count" else field.kind
    node = Aggregate(function, "pays", field, kind)  # type: ignore[arg-type]  # one of the four
    compute = compile_expression(node, str, str, lambda step: f"b[{step!r}]")
    return compute({"pays": [SimpleNamespace(fields=fields) for fields in members]})


def test_of_an_empty_set_only_its_size_is_known() -> None:
    assert over("count", None) == 0
    for function in ("count", "sum", "least", "greatest"):
        assert over(function, COUNT) is None
        assert over(function, COUNT, {}, {"first": True}) is None
    assert over("sum", AMOUNT) is None


def test_members_whose_field_is_unknown_are_left_out() -> None:
    members: tuple[dict[str, int], ...] = (
        {"payee_times_paid": 3},
        {},
        {"payee_times_paid": 5},
        {"payee_times_paid": 3},
    )

    assert over("count", None, *members) == 4
    assert over("count", COUNT, *members) == 2
    assert over("sum", COUNT, *members) == 11
    assert over("least", COUNT, *members) == 3
    assert over("greatest", COUNT, *members) == 5


def test_money_of_a_set_is_one_amount_in_each_currency() -> None:
    members = tuple({"amount": m} for m in (money("5"), money("3"), money("2", "EUR")))

    assert over("sum", AMOUNT, *members) == {"CNY": Decimal(8), "EUR": Decimal(2)}
    assert over("least", AMOUNT, *members) == {"CNY": Decimal(3), "EUR": Decimal(2)}
    assert over("greatest", AMOUNT, *members) == {"CNY": Decimal(5), "EUR": Decimal(2)}
    assert over("count", AMOUNT, *members, {"amount": money("5.0")}) == 3


@pytest.mark.parametrize(
    ("sums", "reaches"),
    [
        ({"CNY": Decimal(3000), "EUR": Decimal(1)}, True),
        ({"CNY": Decimal(2999), "EUR": Decimal(1)}, False),
        ({"CNY": Decimal(2999), "JPY": Decimal(10**6)}, False),
        ({"JPY": Decimal(10**6)}, None),
    ],
)
def test_sums_are_compared_currency_by_currency(
    sums: dict[str, Decimal],
    reaches: bool | None,  # noqa: FBT001 - the second column
) -> None:
    assert FUNCTIONS["money >="](sums, FLOOR.value) is reaches


def test_a_remainder_is_exact_however_many_digits_the_quotient_has() -> None:
    remainder = FUNCTIONS["arithmetic %"]
    assert remainder(Decimal("20000.50"), 100) == Decimal("0.50")
    assert remainder(Decimal("1" + "0" * 70 + "3E-50"), Decimal("2E-50")) == Decimal("1E-50")
    assert remainder(Decimal(-7), 3) == 2
