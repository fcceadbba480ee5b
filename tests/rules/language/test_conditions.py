"""Conditions: what is accepted, what is refused and why, and that nothing else gets through."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rules.condition import Field, Parameter
from rules.events import EVENTS, Kind
from rules.language.tokens import ConditionError, look_at
from tests.rules.language.texts import (
    condition,
    evaluate,
    mistakes,
    refusals,
    with_condition,
)

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


@pytest.mark.parametrize("text", ["not " * 26 + "first", "(" * 26 + "first" + ")" * 26])
def test_what_is_too_deep_never_reaches_the_parser(text: str) -> None:
    with pytest.raises(ConditionError, match="nests at most 25 deep"):
        look_at(text)


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


def test_what_has_lost_parts_to_mistakes_is_not_judged_as_well() -> None:
    found = refusals("(firts and amuont) == (frist or amonut)")

    assert [refusal.partition(" in ")[0] for refusal in found] == [
        "unknown name 'firts'",
        "unknown name 'amuont'",
        "unknown name 'frist'",
        "unknown name 'amonut'",
    ]


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

    named = [part.name for part in read.reads if isinstance(part, Field | Parameter)]
    assert named == ["amount", "floor", "answered"]
    assert read.steps == {"pay", "call"}
    assert condition("gap(call, pay) > while_on").steps == {"pay", "call"}


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
        if event.name not in ("heartbeat", "outcome")
        for name in event.fields
        if name != "alert_id"
    ],
)
def test_every_field_of_the_contract_can_stand_in_a_condition(event: str, name: str) -> None:
    field = EVENTS[event].fields[name]
    lines = [f"{name} is None", f"{name} is not None"]
    if field.kind is Kind.BOOL:
        lines += [name, f"not {name}"]
    elif field.kind is Kind.CLASS:
        lines += [f'{name} == "{choice}"' for choice in field.classes]
        lines += [f"{name} not in ({', '.join(map(repr, field.classes[1:]))},)"]
    elif field.kind is not Kind.PSEUDONYM:
        lines += [f"{name} != {_AGAINST[field.kind]}"]

    for line in lines:
        text = with_condition(line).replace("event: transfer", f"event: {event}")
        assert mistakes(text) == []
