import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.events import EVENTS
from rules.moment import HOUR_US
from streams.wire.examples import example_of
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms, comparable
from streams.wire.records import Record, decode_record
from tests.strategies import FROM_OUTSIDE, records

KEY = b"a key for tests, long enough"
WITHHELD = frozenset({"anonymous", "Unknown"})
KINDS = ["person", "handle", "account", "device", "meeting", "package", "domain"]
PSEUDONYMS = Pseudonyms(KEY, WITHHELD)


def read(raw: bytes) -> Record:
    record = decode_record(raw, settle_us=lambda _: 6 * HOUR_US, now_us=None)
    assert isinstance(record, Record), record
    return record


def example_call(caller: str) -> bytes:
    record = example_of("call_invitation")
    return json.dumps(record | {"data": record["data"] | {"caller": caller}}).encode()


@pytest.mark.parametrize(
    ("text", "common"),
    [
        ("+1 (202) 555-01.01", "+12025550101"),
        ("+1\u00a0202", "+1\u00a0202"),
        ("2025550101", "2025550101"),
        ("(202) 555-0101", "(202) 555-0101"),
        ("00 1 202", "00 1 202"),
        ("Service@Institution.Example", "service@institution.example"),
        ("+1 (202) A@B", "+1202a@b"),
        ("Cust-4711", "Cust-4711"),
        (" +1", " +1"),
    ],
)
@pytest.mark.parametrize("kind", ["person", "handle"])
def test_writings_of_one_person_or_handle_become_comparable(
    kind: str, text: str, common: str
) -> None:
    assert comparable(kind, text) == common
    assert PSEUDONYMS.of(kind, text) == PSEUDONYMS.of(kind, common)


@pytest.mark.parametrize("kind", ["account", "device", "meeting", "package", "domain"])
def test_other_identifiers_are_taken_as_they_stand(kind: str) -> None:
    for text in ("+1 (202)", "A@B", " x "):
        assert comparable(kind, text) == text


def test_a_pseudonym_is_a_keyed_hash_of_kind_and_text() -> None:
    digest = hmac.new(KEY, b"person\0+12025550101", hashlib.sha256).hexdigest()
    assert PSEUDONYMS.of("person", "+1 202 555 0101") == digest[:32]


@given(st.sampled_from(KINDS), st.text(min_size=1), st.sampled_from(KINDS), st.text(min_size=1))
def test_pseudonyms_are_equal_for_equals_of_one_kind_only(
    kind: str, text: str, other_kind: str, other: str
) -> None:
    same = (kind, comparable(kind, text)) == (other_kind, comparable(other_kind, other))
    assert (PSEUDONYMS.of(kind, text) == PSEUDONYMS.of(other_kind, other)) == same


def test_another_key_makes_everybody_somebody_else() -> None:
    assert Pseudonyms(PUBLISHED_KEY, WITHHELD).of("person", "x") != PSEUDONYMS.of("person", "x")


@pytest.mark.parametrize("length", [0, 15])
def test_a_short_key_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"has {length} characters, wanted 16 or more"):
        Pseudonyms(b"k" * length, WITHHELD)
    Pseudonyms(b"k" * 16, WITHHELD)


@given(st.sampled_from(FROM_OUTSIDE).flatmap(records))
def test_no_identifier_is_left_in_a_record_and_nothing_else_is_touched(raw: bytes) -> None:
    record = read(raw)
    replaced = PSEUDONYMS.apply(record.type, record.data)
    for name, value in record.data.items():
        kind = EVENTS[record.type].fields[name].pseudonym
        wanted = value if kind is None else PSEUDONYMS.of(kind, str(value))
        assert replaced[name] == wanted


@pytest.mark.parametrize("caller", ["anonymous", "Anonymous", "ANONYMOUS", "unknown"])
def test_a_withheld_caller_is_unknown_and_not_one_caller_for_everybody(caller: str) -> None:
    call = read(example_call(caller))
    assert "caller" not in PSEUDONYMS.apply(call.type, call.data)
    other = read(example_call("anonymous coward"))
    assert "caller" in PSEUDONYMS.apply(other.type, other.data)


def test_only_a_caller_can_be_withheld() -> None:
    raw = example_call("+12025550199").replace(b"+12025550101", b"anonymous")
    record = read(raw)
    replaced = PSEUDONYMS.apply(record.type, record.data)
    assert replaced["person"] == PSEUDONYMS.of("person", "anonymous")
