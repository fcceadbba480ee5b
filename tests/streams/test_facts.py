"""Tests of the rows of the facts log."""

import json
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.events import KEYS
from rules.fact import Event, Fact, Identity, Mark, make_event
from rules.row import Sealed, decode_event
from rules.timing import Timing
from streams.wire.facts import RowError, decode_row, decode_sealed, encode_fact, encode_mark

TIMING = Timing()
MICROSECONDS = st.integers(-(2**53), 2**53)
SCALARS = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.booleans())


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """Facts of a type without a start field of its own, with any data beside their key."""
    by = draw(st.sampled_from(sorted(KEYS)))
    value = draw(st.text(min_size=1))
    data = {**draw(st.dictionaries(st.text(), SCALARS)), KEYS[by]: value}
    event = make_event(
        Identity(draw(st.text()), "contact_blocked", draw(st.text())),
        record_id=draw(st.text()),
        sequence=draw(st.integers(0, 2**63 - 1)),
        time_us=draw(MICROSECONDS),
        data=data,
        late=draw(st.booleans()),
        timing=TIMING,
    )
    return Fact(f"{by}:{value}", event)


def told(event: Event) -> tuple[object, ...]:
    """Return all that an event says."""
    return (
        *(event.identity, event.record_id, event.sequence, event.time_us, event.start_us),
        *(event.end_us, event.open, event.late, dict(event.data), dict(event.fields)),
    )


@given(facts())
def test_a_fact_is_read_back_as_it_was_written(fact: Fact) -> None:
    key, value = encode_fact(fact)
    read = decode_row(key, value, TIMING)
    assert isinstance(read, Fact)
    assert read.key == fact.key
    assert told(read.event) == told(fact.event)
    assert encode_fact(read) == (key, value)


@given(facts(), st.booleans())
def test_a_fact_that_is_not_read_yet_is_the_same_fact(fact: Fact, gone: bool) -> None:  # noqa: FBT001 - drawn
    event = msgspec.structs.replace(fact.event, gone=gone)
    key, value = encode_fact(Fact(fact.key, event))
    unread = decode_sealed(key, value)
    assert isinstance(unread, Sealed)
    assert (unread.key, unread.by) == (fact.key, fact.key.partition(":")[0])
    assert (unread.type, unread.start_us) == (event.identity.type, event.start_us)
    assert msgspec.json.decode(unread.data) == event.data
    read = decode_event(unread.row, TIMING)
    assert (told(read), read.gone) == (told(event), gone)


@given(st.text(), st.integers(0, 2**31), MICROSECONDS, st.dictionaries(st.text(), st.integers(1)))
def test_a_mark_is_read_back_as_it_was_written(
    feed: str, partition: int, watermark_us: int, roster: dict[str, int]
) -> None:
    mark = Mark(feed, partition, watermark_us)
    assert decode_row(None, encode_mark(mark, roster), TIMING) == mark


def test_a_row_is_an_array_that_begins_with_its_kind() -> None:
    event = make_event(
        Identity("//bank.example", "transfer", "p-1"),
        record_id="r-1",
        sequence=2,
        time_us=5,
        data={"person": "3f", "initiated_at": 4, "amount": "20", "currency": "CNY"},
        late=False,
        timing=TIMING,
    )
    key, value = encode_fact(Fact("person:3f", event))
    assert key == b"person:3f"
    assert json.loads(value) == [
        *("fact", "//bank.example", "transfer", "p-1", "r-1", 2, 5, False, False),
        {"amount": "20", "currency": "CNY", "initiated_at": 4, "person": "3f"},
    ]
    assert encode_mark(Mark("calls", 1, 7), {"calls": 2}) == b'["mark","calls",1,7,{"calls":2}]'


GOOD = ["fact", "s", "transfer", "p", "r", 0, 5, False, False, {"person": "3f", "initiated_at": 4}]


@pytest.mark.parametrize(
    ("key", "row"),
    [
        (b"person:3f", "no array"),
        (b"person:3f", ["gossip", "s"]),
        (b"person:3f", GOOD[:-1]),
        (b"person:3f", [*GOOD, "more"]),
        (b"person:3f", [*GOOD[:5], "0", *GOOD[6:]]),
        (b"person:3f", [*GOOD[:2], "unheard_of", *GOOD[3:]]),
        (b"person:3f", [*GOOD[:9], {"person": "3f"}]),
        (b"person:3f", [*GOOD[:9], {"person": "3f", "initiated_at": 4.5}]),
        (b"person:3f", [*GOOD[:9], {"person": "3f", "initiated_at": "noon"}]),
        (b"person:4f", GOOD),
        (b"payee:3f", GOOD),
        (b"shoe:3f", GOOD),
        (b"3f", GOOD),
        (b"\xff:3f", GOOD),
        (None, GOOD),
        (b"calls", ["mark", "calls", 0, 5, {}]),
        (None, ["mark", "calls", "0", 5, {}]),
    ],
)
def test_a_row_that_no_worker_wrote_is_refused_without_a_word_of_it(
    key: bytes | None, row: object
) -> None:
    for decode in (partial(decode_row, timing=TIMING), decode_sealed):
        with pytest.raises(RowError) as caught:
            decode(key, json.dumps(row).encode())
        assert "3f" not in str(caught.value)


def test_the_row_that_the_refused_ones_were_made_from_is_read() -> None:
    read = decode_row(b"person:3f", json.dumps(GOOD).encode(), TIMING)
    unread = decode_sealed(b"person:3f", json.dumps(GOOD).encode())
    assert isinstance(read, Fact)
    assert isinstance(unread, Sealed)
    assert unread.start_us == read.event.start_us == 4
