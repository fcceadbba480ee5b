"""What conditions mean: examples, and an independent reading of them."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.moment import parse_moment
from rules.money import Money
from rules.timing import Timing
from tests.rules.language.texts import Fields, condition, evaluate, refusals


@pytest.mark.parametrize(
    ("text", "pay", "verdict"),
    [
        ("amount >= floor", {"amount": Money(Decimal(3000), "CNY")}, True),
        ("amount >= floor", {"amount": Money(Decimal("2999.99"), "CNY")}, False),
        ("amount >= floor", {"amount": Money(Decimal(9000), "JPY")}, None),
        ("floor <= amount", {"amount": Money(Decimal(400), "EUR")}, True),
        ("amount >= floor * 2", {"amount": Money(Decimal(800), "EUR")}, True),
        ("amount >= floor * 2", {"amount": Money(Decimal(799), "EUR")}, False),
        ("amount >= floor / 0", {"amount": Money(Decimal(799), "EUR")}, None),
        ("amount >= floor + one", {"amount": Money(Decimal(799), "EUR")}, None),
        ("amount >= floor + '1 EUR'", {"amount": Money(Decimal(401), "EUR")}, True),
        ("amount - one >= one", {"amount": Money(Decimal(10), "USD")}, True),
        ("amount - floor >= one", {"amount": Money(Decimal(10), "USD")}, None),
        ("2 * amount >= '8 USD'", {"amount": Money(Decimal(4), "USD")}, True),
        ("amount * some == one", {"amount": Money(Decimal(20), "USD")}, True),
        ("amount / 4 == '5 USD'", {"amount": Money(Decimal(20), "USD")}, True),
        ("amount in ('5 USD', '5 EUR')", {"amount": Money(Decimal(5), "EUR")}, True),
        ("amount in ('5 USD', '5 EUR')", {"amount": Money(Decimal(6), "EUR")}, None),
        ("amount not in ('5 USD', '6 USD')", {"amount": Money(Decimal(7), "USD")}, True),
        ("amount not in ('5 USD',)", {"amount": Money(Decimal(5), "USD")}, False),
        ("number(amount) % 100 == 0", {"amount": Money(Decimal(300), "USD")}, True),
        ("number(amount) % 0.1 == 0", {"amount": Money(Decimal("0.3"), "USD")}, True),
        ("number(floor) > payee_times_paid", {"payee_times_paid": 3}, None),
        ("ratio(amount, floor) >= some", {"amount": Money(Decimal(100), "EUR")}, True),
        ("ratio(floor, amount) > 1", {"amount": Money(Decimal(0), "EUR")}, None),
        ("(0 - payee_times_paid) % few == 1", {"payee_times_paid": 5}, True),
        ("(0.5 - payee_times_paid) % few == 1.5", {"payee_times_paid": 5}, True),
        ("payee_times_paid % 0 == 0", {"payee_times_paid": 5}, None),
        ("1 / payee_times_paid > 1", {"payee_times_paid": 0}, None),
        ("payee_times_paid in (-1, 2, 3.0)", {"payee_times_paid": 3}, True),
        ("payee_times_paid > -2.5", {"payee_times_paid": 0}, True),
        ("0 < payee_times_paid <= few", {"payee_times_paid": 3}, True),
        ("0 < payee_times_paid <= few", {"payee_times_paid": 0}, False),
        ("0 < payee_times_paid <= few", {}, None),
        ("first or payee_is_new", {"first": True}, True),
        ("first or payee_is_new", {"first": False}, None),
        ("first and payee_is_new", {"first": False}, False),
        ("first and payee_is_new", {"first": True}, None),
        ("not first", {}, None),
        ("not first", {"first": False}, True),
        ("first == payee_is_new", {"first": False, "payee_is_new": False}, True),
        ("session is None", {}, True),
        ("session is not None", {}, False),
        ("(amount + balance_before) is None", {"amount": Money(Decimal(1), "CNY")}, True),
        ("session not in ('a', 'b')", {"session": "c"}, True),
        ("session not in ('a', 'b')", {}, None),
        ("startswith(session, 'web-')", {"session": "web-1"}, True),
        ("startswith(session, 'web-')", {}, None),
        ("session > 'a'", {"session": "b"}, True),
        ("initiated_at >= '2023-07-08T08:00:00+08:00'", {"initiated_at": 1688774400000000}, True),
        ("initiated_at >= opened", {"initiated_at": 1688774399999999}, False),
        ("initiated_at - payee_added_at < '1h'", {"initiated_at": 5, "payee_added_at": 4}, True),
        ("opened < initiated_at", {}, None),
        ("hour(initiated_at) == 0", {"initiated_at": 1688774400000000}, True),
        ("weekday(initiated_at) == 5", {"initiated_at": 1688774400000000}, True),
        ("hour(initiated_at) > 3", {}, None),
        ("weekday(initiated_at) > 3", {}, None),
    ],
)
def test_a_condition_means(text: str, pay: Fields, verdict: bool | None) -> None:  # noqa: FBT001 - the third column
    assert evaluate(condition(text), pay) is verdict


def test_a_text_parameter_is_typed_by_what_it_meets() -> None:
    judged = condition("call.relationship == wanted or session == wanted")

    assert evaluate(judged, {"session": "stranger"}) is True
    assert evaluate(judged, {}, {"relationship": "stranger"}) is True
    assert "is never a value of media" in refusals("call.media == wanted")[0]


def test_hours_and_weekdays_are_those_of_the_settings_timezone() -> None:
    judged = condition(
        "hour(initiated_at) == 1 and weekday(initiated_at) == 6",
        Timing(timezone="Asia/Shanghai"),
    )

    assert evaluate(judged, {"initiated_at": parse_moment("2023-07-08T17:30:00Z")}) is True


def test_the_gap_of_two_steps_does_not_depend_on_their_order() -> None:
    judged = condition("gap(call, pay) == gap(pay, call) and gap(pay, call) <= '5s'")

    assert evaluate(judged, {}, gap_us=5_000_000) is True
    assert evaluate(judged, {}, gap_us=5_000_001) is False


# An independent reading ---------------------------------------------------------------------

World = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """An expression as text, and what it is in a world by an interpreter of this file's own."""

    text: str
    value: Callable[[World], Any]


def _known(function: Callable[..., Any], *parts: Said) -> Callable[[World], Any]:
    """Return a function of the world that is unknown where a part is, or where it fails."""

    def value(world: World) -> Any:  # noqa: ANN401 - of any kind
        values = [part.value(world) for part in parts]
        return None if any(v is None for v in values) else function(*values)

    return value


def _field(name: str) -> Said:
    return Said(name, lambda world: world[name])


def _joined(op: str, function: Callable[..., Any]) -> Callable[[Said, Said], Said]:
    return lambda a, b: Said(f"({a.text} {op} {b.text})", _known(function, a, b))


def _divided(a: Any, b: Any) -> Any:  # noqa: ANN401 - a number
    return None if b == 0 else Decimal(a) / Decimal(b)


def _same_currency(function: Callable[..., Any]) -> Callable[[Money, Money], Any]:
    return lambda a, b: function(a, b) if a.currency == b.currency else None


def _kleene_and(a: Any, b: Any) -> Any:  # noqa: ANN401 - True, False or None
    return min((a, b), key=[False, None, True].index)


def _kleene_or(a: Any, b: Any) -> Any:  # noqa: ANN401 - True, False or None
    return max((a, b), key=[False, None, True].index)


def _not(part: Said) -> Said:
    return Said(f"(not {part.text})", _known(operator.not_, part))


_NUMBER_FIELDS = st.just(_field("payee_times_paid"))
_MONEY_FIELDS = st.sampled_from([_field("amount"), _field("balance_before")])
_TRUTHS = st.sampled_from([_field("first"), _field("payee_is_new")])
_DIGITS = st.sampled_from(["0", "1", "3", "7", "0.5", "2.25", "100"]).map(
    lambda digits: Said(digits, lambda _: Decimal(digits))
)
_PRICES = st.sampled_from(["1 CNY", "3000 CNY", "0.5 EUR"]).map(
    lambda text: Said(
        f'"{text}"', lambda _: Money(Decimal(text.split(" ")[0]), text.split(" ")[1])
    )
)
_COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _numbers(inner: st.SearchStrategy[Said]) -> st.SearchStrategy[Said]:
    joined = [
        _joined("+", operator.add),
        _joined("-", operator.sub),
        _joined("*", operator.mul),
        _joined("/", _divided),
    ]
    return st.builds(
        lambda join, a, b: join(a, b), st.sampled_from(joined), inner, inner | _DIGITS
    )


_MONEY = st.recursive(
    _MONEY_FIELDS,
    lambda inner: (
        st.builds(
            _joined("+", _same_currency(lambda a, b: Money(a.amount + b.amount, a.currency))),
            inner,
            inner | _PRICES,
        )
        | st.builds(
            _joined("*", lambda a, factor: Money(a.amount * factor, a.currency)), inner, _DIGITS
        )
    ),
    max_leaves=3,
)
_FROM_MONEY = st.builds(
    lambda a: Said(f"number({a.text})", _known(lambda money: money.amount, a)), _MONEY
) | st.builds(
    lambda a, b: Said(
        f"ratio({a.text}, {b.text})",
        _known(_same_currency(lambda x, y: _divided(x.amount, y.amount)), a, b),
    ),
    _MONEY,
    _MONEY,
)
_NUMBERS = st.recursive(_NUMBER_FIELDS | _FROM_MONEY, _numbers, max_leaves=4)


def _compared(
    left: st.SearchStrategy[Said], right: st.SearchStrategy[Said], *, money: bool
) -> st.SearchStrategy[Said]:
    def build(op: str, a: Said, b: Said) -> Said:
        function: Callable[..., Any] = _COMPARISONS[op]
        if money:
            by_amount = _COMPARISONS[op]
            function = _same_currency(lambda x, y: by_amount(x.amount, y.amount))
        return Said(f"({a.text} {op} {b.text})", _known(function, a, b))

    pairs = st.tuples(left, right).filter(lambda pair: pair[0].text != pair[1].text)
    return st.builds(lambda op, pair: build(op, *pair), st.sampled_from([*_COMPARISONS]), pairs)


def _is_none(part: Said) -> Said:
    return Said(f"({part.text} is None)", lambda world: part.value(world) is None)


def _among(choices: tuple[str, ...]) -> Said:
    values = ", ".join(f'"{choice}"' for choice in choices)
    return Said(
        f"(channel in ({values},))", _known(lambda channel: channel in choices, _field("channel"))
    )


_CONDITIONS = st.recursive(
    _TRUTHS
    | _compared(_NUMBERS, _NUMBERS | _DIGITS, money=False)
    | _compared(_MONEY, _MONEY | _PRICES, money=True)
    | st.builds(_is_none, _NUMBERS | _MONEY | _TRUTHS)
    | st.lists(st.sampled_from(["web", "mobile", "atm"]), min_size=1).map(tuple).map(_among),
    lambda inner: (
        st.builds(
            lambda a, b: Said(
                f"({a.text} and {b.text})", lambda w: _kleene_and(a.value(w), b.value(w))
            ),
            inner,
            inner,
        )
        | st.builds(
            lambda a, b: Said(
                f"({a.text} or {b.text})", lambda w: _kleene_or(a.value(w), b.value(w))
            ),
            inner,
            inner,
        )
        | st.builds(_not, inner)
    ),
    max_leaves=6,
)
_AMOUNTS = st.none() | st.builds(
    Money,
    st.sampled_from([Decimal(0), Decimal(1), Decimal("0.5"), Decimal(3000)]),
    st.sampled_from(["CNY", "EUR"]),
)
_WORLDS = st.fixed_dictionaries(
    {
        "amount": _AMOUNTS,
        "balance_before": _AMOUNTS,
        "payee_times_paid": st.none() | st.sampled_from([0, 1, 3, 2**63 - 1]),
        "first": st.none() | st.booleans(),
        "payee_is_new": st.none() | st.booleans(),
        "channel": st.none() | st.sampled_from(["web", "mobile", "phone"]),
    }
)


@given(_CONDITIONS, _WORLDS)
def test_a_condition_evaluates_as_an_independent_interpreter_says(
    said: Said, world: World
) -> None:
    assert evaluate(condition(said.text), world) is said.value(world)
