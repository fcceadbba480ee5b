"""The first look may save work; it must never change what a record comes to."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.events import EVENTS, values_of
from rules.moment import MINUTE_US, parse_moment
from rules.rule import RuleSet
from rules.screen import Screen, looked_at
from rules.timing import Timing
from streams.rule_files import read_rules
from streams.wire.first_look import Dropped, FirstLook
from streams.wire.records import Record, Refusal, decode_record
from tests.strategies import record_objects

TIMING = Timing()
LATER_US = parse_moment("2261-01-01T00:00:00Z")
RULES = read_rules(None, TIMING)

# Looks at every kind of field: text, class, bool, integer, money, moment, pseudonym, derived.
CURIOUS = """
id: curious
version: 1.0.0
title: Looks at every kind of field
status: experimental
typology: test
stage: contact
steps:
  - as: call
    event: call_invitation
    where:
      - service == "facetime" and number_validation == "failed"
      - answered_at is not None and camera_on
      - caller is None or area == "a"
  - as: added
    event: payee_added
    around: call
    within: 1h
    where:
      - limit >= "100 CNY"
      - payee_name_check == "no_match"
  - as: visit
    event: web_visit
    around: call
    within: 1h
    where: [domain_age_days < 30, form_posted]
  - as: pay
    event: transfer
    after: call
    within: 2h
    where:
      - payee_is_new
      - balance_before >= amount
      - payee_added_at is None or hour(payee_added_at) < 12
      - payee_account == added.payee_account
severity: low
action: review
"""


@pytest.fixture(scope="module")
def curious(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    """Give a rule that looks at more than the catalogue does."""
    path = tmp_path_factory.mktemp("rules") / "curious.yaml"
    path.write_text(CURIOUS, encoding="utf-8")
    return read_rules(path, TIMING)


def is_moment_spelt_oddly(raw: bytes, field: str) -> bool:
    """Tell whether a moment is clear and yet none of the contract: no T, or an offset as +0800."""
    found = json.loads(raw)
    for name in field.split("."):
        found = found[name]
    return re.fullmatch(r"[\d-]+[Tt ][\d:.]+([Zz]|[+-]\d\d:?\d\d)", found) is not None


def dropped(look: FirstLook, raw: bytes, now_us: int) -> Dropped | None:
    record = look.decode(raw)
    if record is None:
        return None
    return look.judge(record, now_us=now_us, trust_recorded=True)


def judge(rule_set: RuleSet, raw: bytes, now_us: int = LATER_US) -> None:
    """Assert that what the first look drops is of no use, and not refused for what it looks at."""
    look = dropped(FirstLook(rule_set, TIMING), raw, now_us)
    whole = decode_record(raw, settle_us=TIMING.settle, now_us=now_us, trust_recorded=True)
    if look is None:
        return
    if isinstance(whole, Refusal):
        if whole.reason == "bad_time" and is_moment_spelt_oddly(raw, whole.field or ""):
            return
        fields = {"person", *looked_at(rule_set).get(look.type, ())}
        spec = EVENTS[look.type]
        fields |= {spec.start_field or "", spec.end_field or "", "answered_at"}
        assert whole.field is None or whole.field.removeprefix("data.") not in fields
        assert whole.reason in {
            "duplicate_key",
            "missing_field",
            "wrong_type",
            "bad_value",
            "bad_time",
        }
        assert whole.moves_watermark or whole.reason == "duplicate_key"
        return
    # Of a dropped record finer fractions are rounded, not cut.
    assert 0 <= look.time_us - whole.time_us <= 1
    assert look == Dropped(whole.source, whole.type, look.time_us, whole.feed, whole.partition)
    assert not Screen(rule_set).keys(whole.type, values_of(whole.spec, whole.data))


@given(record_objects())
def test_what_the_first_look_drops_no_rule_could_use(record: dict[str, Any]) -> None:
    judge(RULES, json.dumps(record).encode())


@given(record_objects())
def test_so_too_when_every_kind_of_field_is_looked_at(
    curious: RuleSet, record: dict[str, Any]
) -> None:
    judge(curious, json.dumps(record, ensure_ascii=False).encode())


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", 0, -1, 1.5, True, [], {}, "x", "video", "1e3", "2023-07-08 10:00:00Z", 2**63, "CNY"]
)


@given(record_objects(), st.data())
def test_a_mistake_in_a_looked_at_field_is_never_dropped_silently(
    curious: RuleSet, record: dict[str, Any], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([record, record["data"]]))
    place[data.draw(st.sampled_from(sorted(place) or ["id"]))] = data.draw(ODD)
    judge(curious, json.dumps(record).encode())


@given(record_objects("call_invitation"), st.integers(0, 400), st.integers(0, 255))
@example({"specversion": "1.0", "id": "\ud800"}, 0, 0)
def test_broken_bytes_are_never_dropped(record: dict[str, Any], at: int, byte: int) -> None:
    raw = bytearray(json.dumps(record).encode())
    raw[at % len(raw)] = byte
    judge(RULES, bytes(raw))


def ordinary(**data: object) -> dict[str, Any]:
    """Return a call by a contact, which the catalogue has no use for."""
    call = {
        "call_id": "c-1",
        "person": "customer-1",
        "caller": "friend@mail.example",
        "service": "facetime",
        "media": "video",
        "direction": "incoming",
        "relationship": "contact",
        "invited_at": "2023-07-08T10:00:00Z",
        "answered_at": "2023-07-08T10:01:00Z",
        "ended_at": "2023-07-08T10:02:00Z",
        **data,
    }
    return {
        "specversion": "1.0",
        "id": "r-1",
        "source": "//telecom.example/ott",
        "type": "ringfence.call_invitation.v1",
        "time": "2023-07-08T10:02:00Z",
        "data": {name: value for name, value in call.items() if value is not None},
    }


def payment(**data: object) -> dict[str, Any]:
    """Return a payment to a shop, which the catalogue has no use for."""
    transfer = {
        "transfer_id": "p-1",
        "person": "customer-1",
        "payee_account": "acc-shop",
        "amount": "12.50",
        "currency": "CNY",
        "direction": "out",
        "payee_kind": "merchant",
        "initiated_at": "2023-07-08T10:02:00Z",
        **data,
    }
    return ordinary() | {
        "type": "ringfence.transfer.v1",
        "data": {name: value for name, value in transfer.items() if value is not None},
    }


def look(record: dict[str, Any], now_us: int = LATER_US) -> Dropped | None:
    """Return what the first look makes of a record."""
    raw = json.dumps(record).encode()
    return dropped(FirstLook(RULES, TIMING), raw, now_us)


def test_most_of_the_ordinary_is_dropped_at_first_look() -> None:
    assert look(ordinary()) == Dropped(
        "//telecom.example/ott",
        "call_invitation",
        parse_moment("2023-07-08T10:02:00Z"),
        None,
        None,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"relationship": "stranger"},
        {"relationship": "neighbour"},
        {"person": None},
        {"invited_at": None},
        {"answered_at": "2023-07-08T09:59:59Z"},
        {"ended_at": "2023-07-08T10:00:30Z"},
        {"invited_at": "2023-07-08T04:01:59Z"},
        {"invited_at": "2023-07-08T10:07:01Z", "answered_at": None, "ended_at": None},
    ],
)
def test_what_may_matter_or_be_wrong_is_read_whole(change: dict[str, object]) -> None:
    assert look(ordinary(**change)) is None


@pytest.mark.parametrize(
    "money", [{"currency": "YUAN"}, {"currency": None}, {"amount": None}, {"amount": "-1"}]
)
def test_money_that_is_out_of_order_is_read_whole(money: dict[str, object]) -> None:
    assert look(payment()) is not None
    assert look(payment(**money)) is None


def test_a_record_of_the_future_is_read_whole_to_be_refused() -> None:
    time_us = parse_moment("2023-07-08T10:02:00Z")
    assert look(ordinary(), time_us - 5 * MINUTE_US) is not None
    assert look(ordinary(), time_us - 5 * MINUTE_US - 1) is None
    recorded = ordinary() | {"recordedtime": "2023-07-08T10:02:05Z"}
    assert look(recorded, time_us - 5 * MINUTE_US - 1) is not None


def test_limits_of_size_and_depth_are_left_to_the_whole_reading() -> None:
    for padding in ({"x": "y" * 70_000}, {"x": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}):
        assert look(ordinary() | padding) is None
    # How many names there are is asked only of what a rule could use.
    assert look(ordinary() | {f"x{n}": n for n in range(260)}) is not None
    whole = decode_record(json.dumps(ordinary()).encode(), settle_us=TIMING.settle, now_us=None)
    assert isinstance(whole, Record)
