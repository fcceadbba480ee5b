import json

from hypothesis import given
from hypothesis import strategies as st

from streams.wire.binary_mode import envelope_from_headers
from streams.wire.examples import example_of
from streams.wire.records import Record, Refusal, decode_record

TRANSFER = example_of("transfer")
VALUE = json.dumps(TRANSFER["data"]).encode()
HEADERS = [
    ("content-type", b"application/json"),
    *[(f"ce_{name}", str(text).encode()) for name, text in TRANSFER.items() if name != "data"],
]


def decode(headers: list[tuple[str, bytes]], value: bytes) -> Record | Refusal:
    raw = envelope_from_headers(headers, value)
    return decode_record(raw, settle_us=lambda _: 0, now_us=None)


def reason_of(headers: list[tuple[str, bytes]], value: bytes) -> str:
    decoded = decode(headers, value)
    assert isinstance(decoded, Refusal)
    return decoded.reason


def test_attributes_in_headers_make_the_same_record() -> None:
    structured = decode([], json.dumps(TRANSFER).encode())
    assert isinstance(structured, Record)
    assert decode(HEADERS, VALUE) == structured


def test_a_sequence_in_a_header_is_its_digits() -> None:
    decoded = decode([*HEADERS, ("ce_sequence", b"7")], VALUE)
    assert isinstance(decoded, Record)
    assert decoded.sequence == 7


def test_a_record_without_such_headers_is_left_as_it_is() -> None:
    assert envelope_from_headers([("content-type", b"x")], b"anything") == b"anything"


def test_headers_win_over_an_envelope_in_the_value() -> None:
    assert reason_of(HEADERS, json.dumps(TRANSFER).encode()) == "no_person"


def test_a_value_cannot_reach_out_of_its_place() -> None:
    assert reason_of(HEADERS, b'{"person":"x"},"sequence":9') == "not_json"
    assert reason_of(HEADERS, b"{}{") == "not_json"
    assert reason_of(HEADERS, b"[" * 50_000) == "too_deep"


def test_a_value_is_checked_like_any_record() -> None:
    assert reason_of(HEADERS, b" " * 70_000) == "too_large"
    assert reason_of(HEADERS, '{"person":"é"}'.encode("utf-16-le")) == "not_utf8"
    assert reason_of(HEADERS, b"\xef\xbb\xbf" + VALUE) == "not_json"
    assert reason_of(HEADERS, b'{"colour":NaN}') == "not_json"


def test_a_long_number_in_a_value_is_no_mistake() -> None:
    value = VALUE[:-1] + b', "colour": ' + b"9" * 5000 + b"}"
    assert isinstance(decode(HEADERS, value), Record)


def test_what_is_wrong_with_headers_is_wrong_with_the_record() -> None:
    assert reason_of([*HEADERS, ("ce_id", b"again")], VALUE) == "duplicate_key"
    assert reason_of([*HEADERS, ("ce_data", b"again")], VALUE) == "duplicate_key"
    assert reason_of([*HEADERS, ("ce_subject", b"\xff")], VALUE) == "not_utf8"
    assert reason_of(HEADERS[:2], VALUE) == "missing_field"


def test_a_value_that_is_not_there_is_all_unknown() -> None:
    assert reason_of(HEADERS, b"") == "no_person"


@given(st.lists(st.tuples(st.text(), st.binary())), st.binary())
def test_no_headers_and_no_value_make_it_raise(
    headers: list[tuple[str, bytes]], value: bytes
) -> None:
    assert isinstance(decode([("ce_id", b"x"), *headers], value), Refusal)
