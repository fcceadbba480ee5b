import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.wire.examples import example_of
from streams.wire.json_text import DEPTH_LIMIT, FIELD_LIMIT, SIZE_LIMIT, Mistake, read_object
from streams.wire.records import Record, Refusal, decode_record
from tests.strategies import FROM_OUTSIDE

RAW = json.dumps(example_of("transfer")).encode()


def reason_of(raw: bytes) -> str | None:
    """Why the bytes are refused, or None."""
    decoded = decode_record(raw, settle_us=lambda _: 0, now_us=None)
    if isinstance(decoded, Record):
        return None
    assert isinstance(decoded, Refusal)
    assert not decoded.moves_watermark
    return decoded.reason


def beside(member: str) -> bytes:
    """A good record with one more member."""
    return RAW[:-1] + b"," + member.encode() + b"}"


def nested(levels: int, opening: str = "[") -> str:
    return opening * levels + "0" + {"[": "]", '{"a":': "}"}[opening] * levels


@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_bytes_are_checked_in_the_contracts_order_for_every_event(event: str) -> None:
    raw = json.dumps(example_of(event)).encode()
    wide = ",".join(f'"x{number}":0' for number in range(FIELD_LIMIT + 1))
    # Each has all the later mistakes too.
    many = raw[:-1] + b"," + wide.encode() + b"}"
    twice = many[:-1] + b',"id":"x"}'
    broken = twice + b"x"
    deep = broken + b"[" * DEPTH_LIMIT + b"[{"
    foreign = deep + b"\xff"
    reasons = ["too_many_fields", "duplicate_key", "not_json", "too_deep", "not_utf8", "too_large"]
    large = foreign.ljust(SIZE_LIMIT + 1)
    assert [reason_of(one) for one in (many, twice, broken, deep, foreign, large)] == reasons


def test_a_record_has_at_most_64_kib() -> None:
    assert reason_of(RAW.ljust(SIZE_LIMIT)) is None
    assert reason_of(RAW.ljust(SIZE_LIMIT + 1)) == "too_large"
    assert reason_of(b"\xff" * (SIZE_LIMIT + 1)) == "too_large"


@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
)
def test_a_record_is_utf_8_wherever_it_is_looked_at(bad: bytes) -> None:
    assert reason_of(RAW[:-1] + b',"colour":"' + bad + b'"}') == "not_utf8"
    assert reason_of(b"[" * 99 + bad) == "not_utf8"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_brackets_are_at_most_16_deep(opening: str) -> None:
    # The record itself is the first level.
    assert reason_of(beside(f'"colour":{nested(DEPTH_LIMIT - 1, opening)}')) is None
    assert reason_of(beside(f'"colour":{nested(DEPTH_LIMIT, opening)}')) == "too_deep"


def test_depth_is_seen_before_json() -> None:
    assert reason_of(b"[" * (DEPTH_LIMIT + 1)) == "too_deep"
    assert reason_of(b"[" * DEPTH_LIMIT) == "not_json"


@pytest.mark.parametrize(
    "text",
    ["[" * 99, '\\"' + "{" * 99, "\\\\", "[" * 99 + "\\\\", '\\\\\\"' + "[" * 99, "{}" * 99],
)
def test_brackets_within_texts_do_not_count(text: str) -> None:
    assert reason_of(beside(f'"colour":"{text}"')) is None


def test_brackets_side_by_side_do_not_count() -> None:
    assert reason_of(beside(f'"colour":[{",".join(["[]"] * 99)}]')) is None


def test_brackets_after_a_text_with_escapes_count() -> None:
    deep = nested(DEPTH_LIMIT)
    assert reason_of(beside(f'"colour":"\\\\","shade":{deep}')) == "too_deep"


@pytest.mark.parametrize(
    "raw",
    [
        *[b"", b" ", b"{", b"nonsense", b"{'a':1}", b"\xef\xbb\xbf{}", RAW + b"x", RAW + RAW],
        *[beside(f'"colour":{bad}') for bad in ("NaN", "Infinity", "-Infinity", "01", "+1", ".5")],
        *[
            beside(f'"colour":{bad}')
            for bad in ("1.", "0x1", "True", "[1,]", '"\t"', '"\n"', '"\0"')
        ],
        *[beside(f'"colour":"{bad}"') for bad in ("\\x", "\\u12", "\\ud800", "\\udc00\\ud800")],
        *[
            beside(f'"colour":"{bad}"')
            for bad in ("\\ud83d\\\\\\ude00", "\\\\\\ud800", "\\uDBFF ")
        ],
        *[beside('"\\ud800":0'), beside('"colour":"\\ud800","colour":0')],
    ],
)
def test_what_is_no_json_text_is_refused(raw: bytes) -> None:
    assert reason_of(raw) == "not_json"


@pytest.mark.parametrize(
    "text", ["\\ud83d\\ude00", "\\uD83D\\uDE00\\ud83d\\ude00", "\\\\ud800", "\\u0000", "\\u00e9"]
)
def test_escapes_that_make_characters_are_accepted(text: str) -> None:
    assert reason_of(beside(f'"colour":"{text}"')) is None


@pytest.mark.parametrize("raw", [b"[]", b"5", b"1.5", b'"text"', b"true", b"null"])
def test_a_record_is_an_object(raw: bytes) -> None:
    assert reason_of(raw) == "wrong_type"


@pytest.mark.parametrize(
    "member",
    ['"id":"x"', '"colour":{"a":1,"a":1}', '"colour":[{"a":1,"b":2,"a":null}]', '"\\u0069d":"x"'],
)
def test_a_name_stands_once_in_an_object_at_any_depth(member: str) -> None:
    assert reason_of(beside(member)) == "duplicate_key"


def test_an_object_has_at_most_256_fields() -> None:
    members = [f'"x{number}":0' for number in range(FIELD_LIMIT)]
    assert reason_of(beside(f'"colour":{{{",".join(members)}}}')) is None
    wider = ",".join([*members, '"y":0'])
    assert reason_of(beside(f'"colour":{{{wider}}}')) == "too_many_fields"
    assert reason_of(beside(",".join(members))) == "too_many_fields"
    twice = ",".join([*members, '"x0":0'])
    assert reason_of(beside(f'"colour":{{{twice}}}')) == "duplicate_key"


def test_numbers_of_any_length_are_read() -> None:
    digits = "9" * 60_000
    for number in (digits, f"-{digits}", f"0.{digits}", f"1e{digits}", f"1e-{digits}"):
        assert reason_of(beside(f'"colour":{number}')) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_an_object_or_a_mistake(raw: bytes) -> None:
    assert isinstance(read_object(raw), dict | Mistake)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(), JSON, max_size=5), ascii_only=st.booleans())
def test_an_object_is_read_as_it_was_written(
    value: dict[str, object], *, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    read = read_object(text.encode())
    assert read == value or (isinstance(read, Mistake) and read.reason == "too_deep")
