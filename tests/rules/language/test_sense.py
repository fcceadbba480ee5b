"""What is called impossible never is true, and what is called empty never is false."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.condition import Condition, Field, compile_expression
from rules.events import EVENTS
from rules.language.sense import contradictions, empty_term
from rules.money import Money
from tests.rules.language.texts import condition, mistakes, with_condition

TRANSFER = EVENTS["transfer"].fields


def classes(field: Field) -> Sequence[str]:
    """Return the values of a class of a transfer."""
    return TRANSFER[field.name].classes


def impossible(lines: Sequence[Condition]) -> list[tuple[int, int | None, str]]:
    """Return the lines found impossible, each with the line beside it and what it is about."""
    found = contradictions([line.expression for line in lines], classes)
    return [(c.line, c.beside, c.term) for c in found]


def is_empty(text: str) -> bool:
    """Tell whether a line is found to be true of all known values."""
    return empty_term(condition(text).expression, classes) is not None


# Laws --------------------------------------------------------------------------------------

_OPS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_COUNTS = st.sampled_from(["0", "1", "2", "3", "2.5", "-1", "few"])
_AMOUNTS = st.sampled_from(['"0 CNY"', '"3000 CNY"', '"3000.01 CNY"', '"400 EUR"', "floor", "one"])
_TEXTS = st.sampled_from(['"a"', '"b"', '"ab"', '""'])
_CHANNELS = st.sampled_from(["mobile", "web", "branch", "atm", "phone", "other"])
_MOMENTS = st.sampled_from(['"2023-07-08T00:00:00Z"', '"1970-01-01T00:00:00Z"', "opened"])
_RATIOS = st.sampled_from(["0", "0.25", "0.5", "1", "some"])


def _compared(term: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    forth = st.builds(lambda op, value: f"{term} {op} {value}", _OPS, values)
    back = st.builds(lambda op, value: f"{value} {op} {term}", _OPS, values)
    between = st.builds(lambda low, high: f"{low} < {term} <= {high}", values, values)
    return forth | back | between


def _among(term: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tuples = st.lists(values, min_size=1, max_size=6).map(lambda v: f"({', '.join(v)},)")
    return st.builds(
        lambda word, choices: f"{term} {word} {choices}",
        st.sampled_from(["in", "not in"]),
        tuples,
    )


_ATOMS = st.one_of(
    _compared("payee_times_paid", _COUNTS),
    _compared("(payee_times_paid - 1)", _COUNTS),
    _among("payee_times_paid", st.sampled_from(["0", "1", "2.0", "-1"])),
    _compared("amount", _AMOUNTS),
    _among("amount", st.sampled_from(['"3000 CNY"', '"400 EUR"'])),
    _compared("session", _TEXTS),
    _among("session", _TEXTS),
    _compared("initiated_at", _MOMENTS),
    _compared("hour(initiated_at)", st.sampled_from(["0", "5", "6", "22", "23", "24"])),
    _compared("weekday(initiated_at)", st.sampled_from(["0", "5", "6", "7"])),
    _compared("ratio(amount, balance_before)", _RATIOS),
    _compared("number(amount) % 100", st.sampled_from(["0", "1", "99"])),
    _compared("gap(call, pay)", st.sampled_from(['"0s"', '"1s"', "while_on"])),
    _among("channel", _CHANNELS.map(lambda channel: f'"{channel}"')),
    _CHANNELS.map(lambda channel: f'channel == "{channel}"'),
    st.sampled_from(["first", "payee_is_new", "startswith(session, 'a')"]),
    st.sampled_from(["payee_times_paid", "amount", "channel", "first", "device", "session"]).map(
        lambda name: f"{name} is None"
    ),
    st.just("device is not None"),
)
_LINES = st.recursive(
    _ATOMS,
    lambda inner: (
        st.builds(lambda a, b: f"({a}) and ({b})", inner, inner)
        | st.builds(lambda a, b: f"({a}) or ({b})", inner, inner)
        | inner.map(lambda a: f"not ({a})")
    ),
    max_leaves=4,
)
_PAY = st.fixed_dictionaries(
    {
        "payee_times_paid": st.none() | st.sampled_from([0, 1, 2, 3, 4, 2**63 - 1]),
        "amount": st.none()
        | st.builds(
            Money,
            st.sampled_from(["0", "1", "3000", "3000.005", "3000.01", "399", "400", "5"]).map(
                Decimal
            ),
            st.sampled_from(["CNY", "EUR", "USD", "JPY"]),
        ),
        "balance_before": st.none() | st.just(Money(Decimal(6000), "CNY")),
        "session": st.none() | st.sampled_from(["", "a", "aa", "ab", "abc", "b", "z"]),
        "initiated_at": st.none() | st.sampled_from([0, 1688774400000000, 1688799600000000]),
        "channel": st.none() | _CHANNELS,
        "first": st.none() | st.booleans(),
        "payee_is_new": st.none() | st.booleans(),
        "device": st.none() | st.just("device-1"),
    }
)


def _verdict(line: Condition, pay: dict[str, Any], gap_us: int) -> bool | None:
    call = type("Call", (), {"start_us": 0, "end_us": 0})
    transfer = type("Pay", (), {"start_us": gap_us, "end_us": gap_us})
    function = compile_expression(
        line.expression, lambda f: f"b[0].get({f.name!r})", lambda step: f"b[1][{step!r}]"
    )
    verdict: bool | None = function((pay, {"call": call, "pay": transfer}))
    return verdict


@given(st.lists(_LINES, min_size=1, max_size=4), _PAY, st.sampled_from([0, 1, 10**6, 10**10]))
@example(['amount >= "3000 CNY"', 'amount < "3000.01 CNY"'], {"amount": None}, 0)
def test_what_is_called_impossible_is_never_true(
    texts: list[str], pay: dict[str, Any], gap_us: int
) -> None:
    lines = [condition(text) for text in texts]

    for line, _, _ in impossible(lines):
        assert not all(_verdict(part, pay, gap_us) is True for part in lines[: line + 1])


@given(_LINES, _PAY, st.sampled_from([0, 1, 10**6, 10**10]))
def test_what_is_called_empty_is_never_false(text: str, pay: dict[str, Any], gap_us: int) -> None:
    if is_empty(text):
        assert _verdict(condition(text), pay, gap_us) is not False


@given(st.lists(_LINES, min_size=1, max_size=4))
def test_a_line_named_beside_another_comes_before_it(texts: list[str]) -> None:
    lines = [condition(text) for text in texts]

    for line, beside, _ in impossible(lines):
        assert beside is None or beside < line


# Examples ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["channel == 'web'", "channel != 'web'"],
        ["channel in ('web', 'atm')", "channel == 'phone'"],
        ["channel is None", "channel not in ('web',)"],
        ["payee_times_paid < 0"],
        ["2 < payee_times_paid < 3"],
        ["payee_times_paid in (1, 2)", "payee_times_paid > 2"],
        ["payee_times_paid > few", "payee_times_paid <= few"],
        ["amount < '0 CNY'"],
        ["amount >= floor", "amount < '400 EUR' and amount < '3000 CNY'"],
        ["amount >= '1 CNY'", "amount >= '1 EUR'"],
        ["session == 'a'", "session == 'b'"],
        ["session < ''"],
        ["session > 'a'", "session < 'a'"],
        ["initiated_at < '1970-01-01T00:00:00Z'"],
        ["hour(initiated_at) >= 22", "hour(initiated_at) < 6"],
        ["weekday(initiated_at) > 6"],
        ["ratio(amount, balance_before) > 0.5", "ratio(amount, balance_before) <= 0.5"],
        ["first and not first"],
        ["device is None and device is not None"],
        ["not (payee_times_paid >= 0)"],
        ["gap(call, pay) < '0s'"],
        ["session > 'a' and session < 'a'"],
        ["amount > 1 / 0 * floor"],
    ],
)
def test_lines_that_nothing_fulfils_are_found(lines: list[str]) -> None:
    assert impossible([condition(line) for line in lines])


@pytest.mark.parametrize(
    "lines",
    [
        ["hour(initiated_at) >= 22 or hour(initiated_at) < 6"],
        ["amount >= floor", "amount < '3001 CNY'"],
        ["amount == '3000 CNY' or amount == '400 EUR'", "amount > '1 CNY'"],
        ["channel is None or channel == 'web'", "channel not in ('atm',)"],
        ["2 < payee_times_paid <= 3"],
        ["payee_times_paid > few - 1", "payee_times_paid < few + 1"],
        ["session > 'a' and session < 'b'"],
        ["session >= '' and session <= ''"],
        ["amount > '1 CNY' and amount < '1.000001 CNY'"],
        ["ratio(amount, balance_before) > 0.5", "ratio(amount, balance_before) < 0.500000000001"],
        ["first", "payee_is_new", "device is not None"],
        ["amount > balance_before", "amount < balance_before"],
        ["startswith(session, 'a')", "session == 'b'"],
        ["gap(call, pay) == '0s'"],
        ["amount * 2 >= '1 CNY'", "amount * 2 < '1 CNY'"],
        ["ratio(amount, floor) > 1"],
    ],
)
def test_lines_that_something_fulfils_or_that_are_too_hard_are_let_pass(lines: list[str]) -> None:
    assert not impossible([condition(line) for line in lines])


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("payee_times_paid >= 0", True),
        ("payee_times_paid >= 0 and first or payee_times_paid >= 0 and not first", False),
        ("payee_times_paid >= 0 and (first or not first)", True),
        ("not (payee_times_paid < 0)", True),
        ("payee_times_paid > 0", False),
        ("payee_times_paid is not None", False),
        ("payee_times_paid is None or payee_times_paid >= 0", True),
        ("payee_times_paid is None or payee_times_paid > 0", False),
        ("amount >= '0 CNY'", False),
        ("amount >= '0 CNY' or amount < '0 CNY'", False),
        ("channel in ('mobile', 'web', 'branch', 'atm', 'phone', 'other')", True),
        ("channel != 'web' or channel != 'atm'", True),
        ("session >= ''", True),
        ("hour(initiated_at) < 24", True),
        ("gap(call, pay) >= '0s'", True),
        ("initiated_at >= '1970-01-01T00:00:00Z'", True),
        ("ratio(amount, balance_before) >= 0", False),
        ("first == payee_is_new", False),
    ],
)
def test_a_line_that_all_known_values_fulfil_is_empty(
    text: str,
    empty: bool,  # noqa: FBT001 - the second column
) -> None:
    assert is_empty(text) is empty


def test_the_line_beside_is_the_one_that_contradicts() -> None:
    lines = [
        condition(text)
        for text in ("channel != 'atm'", "channel != 'web'", "first", "channel == 'atm'")
    ]

    assert impossible(lines) == [(3, 0, "channel")]


def test_of_several_lines_that_contradict_only_together_the_nearest_is_named() -> None:
    texts = ("channel in ('web', 'atm')", "channel != 'web'", "first", "channel != 'atm'")

    assert impossible([condition(text) for text in texts]) == [(3, 1, "channel")]


def test_a_line_may_contradict_itself_in_its_parts() -> None:
    lines = [condition("first"), condition("channel == 'web' and channel == 'atm'")]

    assert impossible(lines) == [(1, None, "channel")]


def test_numbers_too_far_apart_for_exact_arithmetic_are_let_pass() -> None:
    digits = "9999999999999999999"
    huge = " * ".join([digits] * 9)
    line = f"ratio(amount, balance_before) > 0 and ratio(amount, balance_before) > {huge}"

    assert not impossible([condition(line)])
    assert not impossible([condition(f"amount > floor * {huge}")])


def test_more_than_can_be_tried_is_let_pass() -> None:
    lines = [condition(f"payee_times_paid != {n}") for n in range(400)]

    assert not impossible([*lines, condition("payee_times_paid < 0")])


def test_a_rule_with_an_impossible_line_is_refused_at_its_place() -> None:
    text = with_condition("payee_times_paid < 0")

    assert mistakes(text) == ["tried.yaml:24:13: this can never be true: no payee_times_paid fits"]
