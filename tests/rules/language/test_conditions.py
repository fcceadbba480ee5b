"""Conditions: what is accepted, what it means, and that nothing else gets through."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rules.condition import Condition, compile_expression
from rules.events import EVENTS, Kind
from rules.moment import parse_moment
from rules.money import Money
from rules.timing import Timing
from tests.rules.language.texts import condition, mistakes, quoted, refusals, with_condition

# Anything at all -------------------------------------------------------------------------

_TOKENS = st.sampled_from(
    [
        *("amount", "first", "call", "gap", "hour", "floor", "wanted", "None", "True", "lambda"),
        *("and", "or", "not", "in", "is", "if", "else", "for", '"2h"', "'a", '"3000 CNY"', "#"),
        *"()[]{}.,:;=<>+-*/%&|^~!@`$?\\",
        *("==", "**", "//", "<<", "...", "1", "0.5", "1e9", "0x1f", " ", "  ", "\t", "é", "ﬁrst"),
        *("f'", 'b"', '"""', "((((((((", "not not not ", "- - - "),
    ]
)


@given(st.lists(_TOKENS, max_size=40).map("".join) | st.text(max_size=40))
@example("first" + " or first" * 250)
@example("not " * 25 + "first")
@example("(" * 25 + "first" + ")" * 25)
@example("-" * 1500 + "amount")
@example("amount" + ".x" * 900)
@example("first" + "()" * 900)
@example("amount" + " + amount" * 200)
@example("startswith(" * 30 + "session" + ', "a")' * 30)
def test_any_text_as_a_condition_is_a_condition_or_mistakes(text: str) -> None:
    assume("\n" not in text)

    for mistake in mistakes(with_condition(text)):
        assert mistake.startswith("tried.yaml:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first and " * 200 + "first", "a condition has at most 2000 characters, found 2005"),
        ("not " * 26 + "first", "a condition nests at most 25 deep"),
        ("(" * 26 + "first" + ")" * 26, "a condition nests at most 25 deep"),
        ("amount" + " + amount" * 30 + " >= floor", "a condition nests at most 25 deep"),
        ("amount >= " + "-" * 1900 + "5", "a condition nests at most 25 deep"),
        ("", "found nothing, wanted a condition"),
        ("  ", "found an empty condition, wanted an expression"),
    ],
)
def test_a_condition_is_short_and_flat(text: str, message: str) -> None:
    if not text:
        assert refusals("") == ["found an empty condition, wanted an expression"]
    else:
        assert [refusal.split("\n")[0] for refusal in refusals(text)] == [message]


def test_a_condition_may_be_as_long_and_as_deep_as_that() -> None:
    text = "first" + " or payee_is_new" * 120

    assert evaluate(condition(text), {"payee_is_new": True}) is True
    assert evaluate(condition("not (" * 11 + "first" + ")" * 11), {"first": True}) is False


@pytest.mark.parametrize(
    "text",
    [
        "lambda: first",
        "[first]",
        "{first}",
        "first if first else first",
        "(first for first in first)",
        "session[0] == 'a'",
        'f"{session}" == "a"',
        'b"a" == session',
        "session.__class__ == session",
        "call.media.upper == session",
        "().__class__ == session",
        "first := first",
        "await first",
        "amount ** amount > floor",
        "payee_times_paid // 2 > 1",
        "payee_times_paid << 2 > 1",
        "payee_times_paid | 2 > 1",
        "~payee_times_paid > 1",
        "+payee_times_paid > 1",
        "-payee_times_paid > -1",
        "first == True",
        "... == session",
        "session == 1j",
        "payee_times_paid == 0x10",
        "payee_times_paid == 1_000",
        "payee_times_paid == 1e3",
        "payee_times_paid == 007",
        "print(session)",
        "hour(*initiated_at) == 3",
        "hour() == 3",
        "hour(initiated_at, initiated_at) == 3",
        "first # a comment",
        'session == "a" "b"',
        'session == """a"""',
        'session == "a\\n"',
        "ﬁrst",
        "first first",
        "(first, first)",
        "first, first",
        "None",
        "floor",
        '"2h"',
        "3",
        "session",
        "call",
        "not amount",
        "first and amount",
        "amount is True",
        "amount is not 3",
        "session == None",
        "None == session",
        "session is session",
        "wanted is None",
        "floor is None",
        "floor >= floor",
        "floor >= '3000 CNY'",
        "'a' == 'a'",
        "wanted == 'stranger'",
        "3 < few",
        "ratio(floor, floor) > 1",
        "number(floor) > 1",
        "hour('2023-07-08T00:00:00Z') == 3",
        "amount == amount",
        "amount >= 3000",
        "3000 <= amount",
        "amount >= '3000'",
        "amount >= '3000 XXQ'",
        "amount >= '2h'",
        "amount >= wanted",
        "amount >= while_on",
        "amount + 1 >= floor",
        "amount * amount >= floor",
        "amount / amount > 1",
        "1 / amount > 1",
        "amount % 100 == 0",
        "initiated_at + while_on > payee_added_at",
        "initiated_at + payee_added_at > payee_added_at",
        "call.talk_time % while_on > '1s'",
        "call.talk_time / while_on > 1",
        "session + session == 'a'",
        "'a' * payee_times_paid == 'b'",
        "call.talk_time >= 60",
        "call.talk_time >= 'an hour'",
        "channel < 'web'",
        "channel == 'webb'",
        "channel == session",
        "channel == payee_kind",
        "first < payee_is_new",
        "first == 'true'",
        "payee_account < call.caller",
        "payee_account == call.caller",
        "payee_account == 'acc'",
        "payee_account in ('acc',)",
        "payee_account == session",
        "channel in 'web'",
        "channel in ('web')",
        "channel in ()",
        "channel in [ 'web' ]",
        "channel in ('web', wanted)",
        "channel in ('web', channel)",
        "channel in ('web', 'webb')",
        "channel in ('web', None)",
        "payee_times_paid in ('1', 2)",
        "'web' in ('web',)",
        "startswith(channel, 'w')",
        "startswith(session, session)",
        "startswith('a', 'a')",
        "startswith(payee_account, 'a')",
        "gap(call, call) > while_on",
        "gap(call, 'pay') > while_on",
        "gap(call, payy) > while_on",
        "gap(call.media, pay) > while_on",
        "gap > while_on",
        "pay.first",
        "call.firts",
        "cal.first",
        "amuont > floor",
        "ratio(amount, payee_times_paid) > 1",
        "ratio(amount, 'x') > 1",
        "number(amount) > '3000 CNY'",
        "ratio(amount, balance_before) > 0.1234567890123",
        "few.one > 1",
        "(first == channel) == (first and channel)",
        "(firts and amuont) == (frist or amonut)",
    ],
)
def test_what_is_no_condition_is_refused_with_a_reason(text: str) -> None:
    assert refusals(text)


def test_mistakes_that_do_not_hinder_each_other_are_all_named() -> None:
    found = refusals('medai == "video" and amount >= 3000 or not (channel == "webb")')

    assert [refusal.split(" ")[0] for refusal in found] == ["unknown", "'amount'", "'webb'"]


def test_what_names_a_mistaken_thing_is_not_judged_as_well() -> None:
    text = with_condition("amount >= ceiling and call.media == 'video'")
    text = text.replace("event: call_invitation", "event: call_invitatoin")
    text = text.replace("params:\n", "params:\n  ceiling: [3000]\n")

    assert [mistake.split(": ")[1].split("\n")[0] for mistake in mistakes(text)] == [
        "found '3000', wanted money such as 3000 CNY",
        "'call_invitatoin' is no event of a pattern",
    ]


# What is written in the alert --------------------------------------------------------------


def test_the_text_of_a_condition_names_the_step_of_each_field() -> None:
    text = "session == 'é first' and first and call.media == 'video' and amount >= floor"

    assert condition(text).text == (
        "pay.session == 'é first' and pay.first and call.media == 'video' and pay.amount >= floor"
    )


def test_what_a_condition_looks_at_stands_in_it_once_in_order() -> None:
    read = condition("amount >= floor and call.answered and amount < '9000 CNY'")

    assert [part.name for part in read.reads] == ["amount", "floor", "answered"]
    assert read.steps == {"pay", "call"}
    assert condition("gap(call, pay) > while_on").steps == {"pay", "call"}


# What it means -----------------------------------------------------------------------------

Fields = Mapping[str, object]


def evaluate(
    judged: Condition, pay: Fields, call: Fields | None = None, gap_us: int = 0
) -> object:
    """Evaluate a condition over what is known of two events and their gap."""
    function = compile_expression(
        judged.expression,
        lambda field: f"b[{field.step!r}].get({field.name!r})",
        lambda step: f"b['at {step}']",
    )
    ends = {
        "at call": SimpleNamespace(start_us=0, end_us=10),
        "at pay": SimpleNamespace(start_us=10 + gap_us, end_us=10 + gap_us),
    }
    return function({"pay": pay, "call": call or {}, **ends})


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


# Of every field of the contract ---------------------------------------------------------------

_AGAINST = {
    Kind.TEXT: '"some text"',
    Kind.INTEGER: "3",
    Kind.NUMBER: "0.5",
    Kind.MONEY: '"3000 CNY"',
    Kind.MOMENT: '"2023-07-08T00:00:00Z"',
    Kind.DURATION: '"2h"',
}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (event.name, name)
        for event in EVENTS.values()
        if event.name not in ("heartbeat", "outcome", "alert")
        for name in event.fields
    ],
)
def test_every_field_of_the_contract_can_stand_in_a_condition(event: str, name: str) -> None:
    field = EVENTS[event].fields[name]
    lines = [f"{name} is None", f"{name} is not None"]
    if field.kind is Kind.BOOL:
        lines += [name, f"not {name}"]
    elif field.kind is Kind.CLASS:
        lines += [f'{name} == "{choice}"' for choice in field.classes]
        lines += [f"{name} not in ({', '.join(map(repr, field.classes))},)"]
    elif field.kind is not Kind.PSEUDONYM:
        lines += [f"{name} != {_AGAINST[field.kind]}"]
    where = ", ".join(quoted(line) for line in lines)
    text = with_condition("first").replace("['first']", f"[{where}]")

    assert mistakes(text.replace("event: transfer", f"event: {event}")) == []
