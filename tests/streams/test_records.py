import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.events import EVENTS, FieldSpec, Kind, values_of
from rules.moment import DAY_US, HOUR_US, MINUTE_US, format_moment, parse_moment
from streams.wire.dead_letters import REASONS
from streams.wire.examples import example_of
from streams.wire.records import Record, Refusal, decode_record
from tests.strategies import FROM_OUTSIDE, SETTLE_US, records

TIME_US = parse_moment("2023-07-08T02:42:00Z")
STARTED = [event for event in FROM_OUTSIDE if EVENTS[event].start_field]
PERSONAL = [event for event in FROM_OUTSIDE if EVENTS[event].side != "everyone"]
TIMED = [event for event in FROM_OUTSIDE if event != "heartbeat"]


def decode(
    record: object, *, now_us: int | None = None, trust_recorded: bool = False
) -> Record | Refusal:
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    return decode_record(
        raw, settle_us=lambda _: SETTLE_US, now_us=now_us, trust_recorded=trust_recorded
    )


def accepted(record: object, *, now_us: int | None = None, trust_recorded: bool = False) -> Record:
    decoded = decode(record, now_us=now_us, trust_recorded=trust_recorded)
    assert isinstance(decoded, Record), decoded
    return decoded


def refused(record: object, *, now_us: int | None = None, trust_recorded: bool = False) -> Refusal:
    decoded = decode(record, now_us=now_us, trust_recorded=trust_recorded)
    assert isinstance(decoded, Refusal), decoded
    assert decoded.reason in REASONS
    return decoded


def with_data(event: str, **changes: object) -> dict[str, Any]:
    """The event's example with other data; a field set to `...` is left out."""
    record = example_of(event)
    data = record["data"] | changes
    return record | {"data": {name: value for name, value in data.items() if value is not ...}}


def own_fields(*kinds: Kind) -> list[Any]:
    """Every own field of these kinds of every event that comes from outside."""
    return [
        pytest.param(event, field, id=f"{event}.{field.name}")
        for event in FROM_OUTSIDE
        for field in EVENTS[event].fields.values()
        if not field.derived and field.kind in kinds
    ]


def assert_refused(event: str, field: FieldSpec, value: object, reason: str) -> Refusal:
    told = {field.name: value}
    if field.kind is Kind.MONEY:
        told["currency"] = "CNY"
    refusal = refused(with_data(event, **told))
    assert (refusal.reason, refusal.field) == (reason, f"data.{field.name}")
    assert refusal.moves_watermark == (event != "heartbeat")
    return refusal


@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_the_example_of_an_event_is_a_record(event: str) -> None:
    example = example_of(event)
    record = accepted(example)
    told = record.data | {"person": ""}
    assert (record.type, record.spec) == (event, EVENTS[event])
    assert (record.source, record.record_id) == (example["source"], example["id"])
    assert told.keys() >= example["data"].keys()


def test_a_record_is_told_in_normal_form() -> None:
    record = accepted(
        example_of("transfer")
        | {"sequence": "0007", "feed": "transactions", "partition": 3}
        | {"recordedtime": "2023-07-08T02:43:00Z", "traceparent": "ignored"}
    )
    assert (record.id, record.record_id, record.sequence) == ("p-1", "transfer-1", 7)
    assert (record.time_us, record.start_us) == (TIME_US, TIME_US)
    assert (record.feed, record.partition) == ("transactions", 3)
    assert record.recordedtime_us == TIME_US + MINUTE_US
    assert record.data["amount"] == "20000"
    assert record.data["initiated_at"] == TIME_US


def test_the_text_of_a_record_shows_no_identifier() -> None:
    assert "+12025550101" not in repr(accepted(example_of("transfer")))


@pytest.mark.parametrize(("event_id", "own_id"), [(None, "sim_swap-1"), ("e-1", "e-1")])
def test_a_record_without_an_id_field_is_named_by_event_id_else_by_its_own_id(
    event_id: str | None, own_id: str
) -> None:
    record = accepted(with_data("sim_swap", event_id=event_id))
    assert (record.id, record.record_id) == (own_id, "sim_swap-1")
    assert record.start_us == record.time_us


def test_a_heartbeat_counts_by_its_watermark_and_not_by_its_time() -> None:
    for time in ("2099-01-01T00:00:00Z", "no moment", 5, None):
        beat = accepted(example_of("heartbeat") | {"time": time}, now_us=TIME_US + HOUR_US)
        assert beat.time_us == beat.start_us == parse_moment("2023-07-08T02:59:00Z")


# The envelope


@pytest.mark.parametrize("event", FROM_OUTSIDE)
@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize(
    ("found", "reason"),
    [(None, "missing_field"), (1, "wrong_type"), ([], "wrong_type"), ("", "bad_value")],
    ids=["null", "number", "list", "empty"],
)
def test_an_envelope_names_itself(event: str, attribute: str, found: object, reason: str) -> None:
    refusal = refused(example_of(event) | {attribute: found})
    assert (refusal.reason, refusal.field) == (reason, attribute)
    assert not refusal.moves_watermark


def test_attributes_are_checked_in_the_contracts_order() -> None:
    record: dict[str, Any] = {"data": 5, "sequence": "x", "time": "x"}
    for attribute, value, reason in [
        ("specversion", "1.0", "missing_field"),
        ("id", "r-1", "missing_field"),
        ("source", "//bank.example/core", "missing_field"),
        ("type", "ringfence.transfer.v2", "missing_field"),
        ("type", "ringfence.transfer.v1", "unknown_type"),
        ("time", "2023-07-08T02:42:00Z", "bad_time"),
        ("sequence", 1, "bad_value"),
        ("data", {}, "wrong_type"),
        ("data", {"person": "+12025550101"}, "no_person"),
    ]:
        refusal = refused(record)
        assert refusal.reason == reason
        assert refusal.field is not None
        assert refusal.field.split(".")[0] == attribute
        record[attribute] = value


@pytest.mark.parametrize("version", ["1", "1.0.0", "0.3"])
def test_another_version_of_cloudevents_is_refused(version: str) -> None:
    refusal = refused(example_of("transfer") | {"specversion": version})
    assert (refusal.reason, refusal.field) == ("bad_value", "specversion")


@pytest.mark.parametrize(
    "wire_type", ["transfer", "ringfence.transfer", "ringfence.transfer.v2", "ringfence.x.v1"]
)
def test_a_type_or_version_that_the_contract_does_not_have_is_refused(wire_type: str) -> None:
    refusal = refused(example_of("transfer") | {"type": wire_type})
    assert (refusal.reason, refusal.type) == ("unknown_type", wire_type)
    assert not refusal.moves_watermark


def test_an_alert_from_outside_is_refused() -> None:
    refusal = refused(example_of("transfer") | {"type": "ringfence.alert.v1"})
    assert refusal.reason == "reserved_type"
    assert not refusal.moves_watermark


@pytest.mark.parametrize("event", TIMED)
@pytest.mark.parametrize("time", [None, 5, "", "2023-07-08T10:42:00", "1969-12-31T23:59:59Z"])
def test_a_record_has_a_time(event: str, time: object) -> None:
    refusal = refused(example_of(event) | {"time": time})
    assert (refusal.reason, refusal.field) == ("bad_time", "time")
    assert refusal.time_us is None
    assert not refusal.moves_watermark


def test_a_sequence_is_an_integer_or_its_digits() -> None:
    greatest = 2**63 - 1
    read = {None: 0, 0: 0, 7: 7, "7": 7, "0007": 7, "0" * 5000: 0, greatest: greatest}
    read[str(greatest)] = greatest
    for sequence, number in read.items():
        assert accepted(example_of("transfer") | {"sequence": sequence}).sequence == number


@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_another_sequence_is_refused(event: str) -> None:
    bad_values = [-1, 2**63, "", "-1", "1.0", "٣", str(2**63), "9" * 5000]
    wrong_types = [1.5, True, [], {}]
    for sequence in bad_values + wrong_types:
        refusal = refused(example_of(event) | {"sequence": sequence})
        assert refusal.reason == ("wrong_type" if sequence in wrong_types else "bad_value")
        assert refusal.field == "sequence"
        assert not refusal.moves_watermark


@pytest.mark.parametrize("event", FROM_OUTSIDE)
@pytest.mark.parametrize("data", [5, "text", [], True], ids=str)
def test_data_is_an_object(event: str, data: object) -> None:
    refusal = refused(example_of(event) | {"data": data})
    assert (refusal.reason, refusal.field) == ("wrong_type", "data")


def test_data_that_is_missing_is_all_unknown() -> None:
    assert refused(example_of("transfer") | {"data": None}).reason == "no_person"
    assert refused(example_of("heartbeat") | {"data": None}).reason == "missing_field"
    assert accepted(example_of("outcome") | {"data": None}).data == {}


def test_extensions_that_say_nothing_readable_are_ignored() -> None:
    record = accepted(
        example_of("transfer") | {"feed": 5, "partition": "x", "recordedtime": "yesterday"}
    )
    assert (record.feed, record.partition, record.recordedtime_us) == (None, None, None)


# The clock


@pytest.mark.parametrize("event", TIMED)
def test_a_record_more_than_five_minutes_ahead_of_the_clock_is_of_the_future(event: str) -> None:
    example = example_of(event)
    time_us = parse_moment(example["time"])
    accepted(example, now_us=time_us - 5 * MINUTE_US)
    refusal = refused(example, now_us=time_us - 5 * MINUTE_US - 1)
    assert (refusal.reason, refusal.field) == ("future", "time")
    assert not refusal.moves_watermark


def test_a_heartbeat_is_of_the_future_by_its_watermark() -> None:
    watermark_us = parse_moment("2023-07-08T02:59:00Z")
    accepted(example_of("heartbeat"), now_us=watermark_us - 5 * MINUTE_US)
    refusal = refused(example_of("heartbeat"), now_us=watermark_us - 5 * MINUTE_US - 1)
    assert (refusal.reason, refusal.field) == ("future", "data.watermark")
    assert not refusal.moves_watermark


def test_a_recorded_log_brings_its_own_clock_where_it_is_trusted() -> None:
    recorded = example_of("transfer") | {"recordedtime": "2023-07-08T02:00:00Z"}
    accepted(recorded, now_us=TIME_US)
    assert refused(recorded, now_us=TIME_US, trust_recorded=True).reason == "future"
    later = recorded | {"recordedtime": "2023-07-08T02:42:01Z"}
    accepted(later, now_us=0, trust_recorded=True)
    assert refused(example_of("transfer"), now_us=0, trust_recorded=True).reason == "future"


# The person and the start


@pytest.mark.parametrize("event", PERSONAL)
@pytest.mark.parametrize("person", [None, ...], ids=["null", "missing"])
def test_an_event_says_whom_it_concerns(event: str, person: object) -> None:
    refusal = refused(with_data(event, person=person))
    assert (refusal.reason, refusal.field) == ("no_person", "data.person")
    assert refusal.moves_watermark


@pytest.mark.parametrize("event", STARTED)
def test_a_record_counts_for_settle_after_its_start(event: str) -> None:
    start = EVENTS[event].start_field
    assert start is not None
    time_us = parse_moment(example_of(event)["time"])
    cleared: dict[str, Any] = {"answered_at": ...}
    on_time = with_data(event, **cleared, **{start: format_moment(time_us - SETTLE_US)})
    too_late = with_data(event, **cleared, **{start: format_moment(time_us - SETTLE_US - 1)})
    assert accepted(on_time).start_us == time_us - SETTLE_US
    refusal = refused(too_late)
    assert (refusal.reason, refusal.field) == ("after_settle", f"data.{start}")
    assert refusal.moves_watermark


@pytest.mark.parametrize("event", STARTED)
def test_a_start_lies_hardly_after_its_record(event: str) -> None:
    spec = EVENTS[event]
    assert spec.start_field is not None
    time_us = parse_moment(example_of(event)["time"])
    ahead_us = DAY_US if event == "official_call" else 5 * MINUTE_US
    cleared: dict[str, Any] = {"answered_at": ..., spec.end_field or "colour": ...}
    told = cleared | {spec.start_field: format_moment(time_us + ahead_us)}
    assert accepted(with_data(event, **told)).start_us == time_us + ahead_us
    told[spec.start_field] = format_moment(time_us + ahead_us + 1)
    refusal = refused(with_data(event, **told))
    assert (refusal.reason, refusal.field) == ("bad_time", f"data.{spec.start_field}")


@pytest.mark.parametrize("event", STARTED)
def test_the_start_is_checked_before_the_fields_above_it(event: str) -> None:
    start = EVENTS[event].start_field
    assert start is not None
    refusal = refused(with_data(event, area=5, **{start: "2023-01-01T00:00:00Z"}))
    assert refusal.reason == "after_settle"
    assert refused(with_data(event, area=5, **{start: "yesterday"})).reason == "bad_time"
    assert refused(with_data(event, area=5, **{start: 5})).field == "data.area"


# The fields


@pytest.mark.parametrize(("event", "field"), own_fields(*Kind))
def test_a_required_field_is_there(event: str, field: FieldSpec) -> None:
    for value in (None, ...):
        decoded = decode(with_data(event, **{field.name: value}))
        if field.name == "person" and field.required:
            assert isinstance(decoded, Refusal)
            assert decoded.reason == "no_person"
        elif field.required:
            assert isinstance(decoded, Refusal)
            assert (decoded.reason, decoded.field) == ("missing_field", f"data.{field.name}")
            assert decoded.detail.endswith(", found nothing")


@pytest.mark.parametrize(("event", "field"), own_fields(*Kind))
def test_a_value_of_another_type_is_refused(event: str, field: FieldSpec) -> None:
    wrong: list[object] = [[], {}]
    wrong.append("text" if field.kind in {Kind.BOOL, Kind.INTEGER} else True)
    wrong.append(1.0 if field.kind in {Kind.BOOL, Kind.INTEGER} else [None])
    for value in wrong:
        refusal = assert_refused(event, field, value, "wrong_type")
        assert refusal.detail.startswith("wanted ")


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.CLASS))
def test_an_unlisted_class_is_refused_with_the_list(event: str, field: FieldSpec) -> None:
    refusal = assert_refused(event, field, "secret-4711", "bad_value")
    assert refusal.detail == f"wanted one of {', '.join(field.classes)}"


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.CLASS))
def test_every_listed_class_is_accepted(event: str, field: FieldSpec) -> None:
    for value in field.classes:
        assert accepted(with_data(event, **{field.name: value})).data[field.name] == value


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.PSEUDONYM))
def test_an_identifier_has_1_to_256_characters(event: str, field: FieldSpec) -> None:
    assert_refused(event, field, "", "bad_value")
    assert_refused(event, field, "é" * 257, "bad_value")
    longest = accepted(with_data(event, **{field.name: "é" * 256}))
    assert longest.data[field.name] == "é" * 256


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.MOMENT))
def test_a_moment_is_one(event: str, field: FieldSpec) -> None:
    for value in ("", "yesterday", "2023-07-08T10:42:00", "2262-01-01T00:00:00Z"):
        assert_refused(event, field, value, "bad_time")


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.INTEGER))
def test_an_integer_lies_from_0_to_the_limit(event: str, field: FieldSpec) -> None:
    for value in (-1, 2**63, 10**5000 // 10**900):
        assert_refused(event, field, value, "bad_value")
    for value in (0, 2**63 - 1):
        assert accepted(with_data(event, **{field.name: value})).data[field.name] == value


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.MONEY))
@pytest.mark.parametrize(
    ("literal", "amount"),
    [
        *[("0", "0"), ('"0.5"', "0.5"), ("1e3", "1000"), ("1.5E1", "15"), ("0.1", "0.1")],
        *[("999999999999999.999999", "999999999999999.999999"), ("-0", "0"), ("1E-6", "0.000001")],
    ],
)
def test_an_amount_is_read_to_the_last_digit(
    event: str, field: FieldSpec, literal: str, amount: str
) -> None:
    record = with_data(event, **{field.name: "HERE", "currency": "CNY"})
    raw = json.dumps(record).replace('"HERE"', literal).encode()
    assert accepted(raw).data[field.name] == amount


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.MONEY))
@pytest.mark.parametrize(
    "literal",
    [
        *['""', '"-1"', '"1e3"', '"1,5"', '"1 "', "-1", "-0.5", "1e15", "1e-7", "0.1234567"],
        *["1234567890123456", '"0.1234567"', "1e999999999", "1e-99999999999999999999"],
        *["1e99999999999999999999", '"NaN"'],
    ],
)
def test_another_amount_is_refused(event: str, field: FieldSpec, literal: str) -> None:
    record = with_data(event, **{field.name: "HERE", "currency": "CNY"})
    refusal = refused(json.dumps(record).replace('"HERE"', literal).encode())
    assert (refusal.reason, refusal.field) == ("bad_value", f"data.{field.name}")


@pytest.mark.parametrize(("event", "field"), own_fields(Kind.MONEY))
def test_an_amount_has_its_currency(event: str, field: FieldSpec) -> None:
    without = with_data(event, **{field.name: 5, "currency": None})
    refusal = refused(without)
    assert (refusal.reason, refusal.field) == ("missing_field", "data.currency")
    for currency in ("cny", "XYZ", ""):
        refusal = refused(with_data(event, **{field.name: 5, "currency": currency}))
        assert (refusal.reason, refusal.field) == ("bad_value", "data.currency")


@pytest.mark.parametrize("event", ["payee_added", "loan_drawdown", "funds_moved", "outcome"])
def test_a_currency_has_its_amount(event: str) -> None:
    amounts = [n for n, field in EVENTS[event].fields.items() if field.kind is Kind.MONEY]
    refusal = refused(with_data(event, **dict.fromkeys(amounts), currency="CNY"))
    assert (refusal.reason, refusal.field) == ("missing_field", f"data.{amounts[0]}")
    assert refusal.detail == "a currency needs its amount"


@pytest.mark.parametrize("event", [event for event in STARTED if EVENTS[event].end_field])
def test_an_end_does_not_lie_before_its_start(event: str) -> None:
    spec = EVENTS[event]
    assert spec.start_field is not None
    assert spec.end_field is not None
    start_us = accepted(example_of(event)).start_us
    told = {spec.end_field: format_moment(start_us), "answered_at": None}
    assert accepted(with_data(event, **told)).data[spec.end_field] == start_us
    told[spec.end_field] = format_moment(start_us - 1)
    refusal = refused(with_data(event, **told))
    assert (refusal.reason, refusal.field) == ("bad_value", f"data.{spec.end_field}")
    assert refusal.detail == f"wanted a moment not before {spec.start_field}"


def test_an_answer_lies_between_start_and_end() -> None:
    ended = "2023-07-08T10:30:00+08:00"
    for answered in ("2023-07-08T09:59:59+08:00", "2023-07-08T10:30:00.000001+08:00"):
        refusal = refused(with_data("call_invitation", answered_at=answered, ended_at=ended))
        assert (refusal.reason, refusal.field) == ("bad_value", "data.answered_at")
    accepted(with_data("call_invitation", answered_at=ended, ended_at=ended))


@pytest.mark.parametrize("own_id", ["", None])
@pytest.mark.parametrize("event", [event for event in FROM_OUTSIDE if EVENTS[event].id_field])
def test_an_own_id_is_not_empty(event: str, own_id: str | None) -> None:
    name = EVENTS[event].id_field
    refusal = refused(with_data(event, **{str(name): own_id}))
    assert refusal.reason == ("missing_field" if own_id is None else "bad_value")
    assert refusal.field == f"data.{name}"


@pytest.mark.parametrize(("event_id", "reason"), [("", "bad_value"), (5, "wrong_type")])
def test_an_event_id_is_checked_like_an_own_id(event_id: object, reason: str) -> None:
    refusal = refused(with_data("sim_swap", event_id=event_id))
    assert (refusal.reason, refusal.field) == (reason, "data.event_id")


def test_the_first_mistake_on_the_page_is_the_one_reported() -> None:
    told = {"amount": "x", "currency": "x", "direction": "x", "status": "x"}
    for name in ("amount", "currency", "direction", "status"):
        assert refused(with_data("transfer", **told)).field == f"data.{name}"
        told[name] = example_of("transfer")["data"][name]


# The laws


@given(records())
def test_a_record_that_keeps_the_contract_is_accepted_and_stays_the_same(raw: bytes) -> None:
    record = accepted(raw)
    carried = json.loads(json.dumps(record.data))
    assert carried == record.data
    assert values_of(record.spec, carried) == values_of(record.spec, record.data)
    assert decode(raw) == record


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    refused(raw)


@given(st.data())
def test_no_damage_to_a_record_makes_it_raise(data: st.DataObject) -> None:
    raw = data.draw(records())
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, min(len(raw), begin + 8)))
    piece = data.draw(
        st.sampled_from([b"", b"0", b'"', b"{", b"]", b"\\", b"-", b"e9", b"null", b"\xff", b"1."])
    )
    decoded = decode(raw[:begin] + piece + raw[end:], now_us=0)
    assert isinstance(decoded, Record) or decoded.reason in REASONS.keys() - {"internal"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_no_value_in_a_field_makes_it_raise_and_none_is_quoted(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(FROM_OUTSIDE))
    name = data.draw(st.sampled_from([*EVENTS[event].fields, "event_id"]))
    decoded = decode(with_data(event, **{name: data.draw(JSON | st.just("secret-4711"))}))
    if isinstance(decoded, Refusal):
        assert decoded.reason in REASONS.keys() - {"internal"}
        assert "secret-4711" not in decoded.detail
