"""Reading whole at once must give what the models give, and refuse nothing by itself."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from rules.moment import HOUR_US, parse_moment
from streams.wire.examples import example_of
from streams.wire.plain import plain_record
from streams.wire.records import decode_record
from tests.strategies import record_objects

LATER_US = parse_moment("2261-01-01T00:00:00Z")
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")])
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", 0, -1, 1.5, True, [], {}, "x", "1e3", "2023-07-08 10:00:00Z", 2**63, "CNY", '":'],
)


def judge(raw: bytes, *, trust_recorded: bool = True, now_us: int = LATER_US) -> bool:
    """Assert that a plain record is what the models make of it; tell whether it was plain."""
    plain = plain_record(
        raw, settle_us=lambda _: 6 * HOUR_US, now_us=now_us, trust_recorded=trust_recorded
    )
    whole = decode_record(
        raw, settle_us=lambda _: 6 * HOUR_US, now_us=now_us, trust_recorded=trust_recorded
    )
    assert plain is None or plain == whole
    return plain is not None


@given(record_objects(), SEPARATORS, st.booleans())
def test_what_is_plain_is_what_the_models_make_of_it(
    record: dict[str, Any],
    separators: tuple[str, str],
    trust_recorded: bool,  # noqa: FBT001 - Hypothesis gives it by place
) -> None:
    raw = json.dumps(record, separators=separators).encode()
    judge(raw, trust_recorded=trust_recorded)


@given(record_objects(), st.data())
@example({"specversion": "1.0", "data": {}}, None)
def test_a_mistake_anywhere_is_left_to_the_models(
    record: dict[str, Any], data: st.DataObject | None
) -> None:
    if data is not None:
        place = data.draw(st.sampled_from([record, record["data"]]))
        place[data.draw(st.sampled_from(sorted(place) or ["id"]))] = data.draw(ODD)
    judge(json.dumps(record, separators=(",", ":")).encode())


@given(record_objects("call_invitation"), st.integers(0, 400), st.integers(0, 255))
def test_broken_bytes_are_left_to_the_models(record: dict[str, Any], at: int, byte: int) -> None:
    raw = bytearray(json.dumps(record, separators=(",", ":")).encode())
    raw[at % len(raw)] = byte
    judge(bytes(raw))


def ordinary() -> bytes:
    return json.dumps(example_of("call_invitation"), separators=(",", ":")).encode()


def test_the_ordinary_is_plain() -> None:
    assert judge(ordinary())


def test_a_name_that_is_there_twice_is_never_plain() -> None:
    for name in (b'"person":', b'"id":', b'"media":'):
        twice = ordinary().replace(name, name + b'"x",' + name, 1)
        assert not judge(twice)
        # Neither is one whose colon stands apart.
        assert not judge(twice.replace(name, name[:-1] + b" :", 1))


def test_an_unknown_name_and_a_null_are_left_to_the_models() -> None:
    assert not judge(ordinary().replace(b'"person":', b'"x":1,"person":', 1))
    assert not judge(ordinary().replace(b'"data":', b'"sequence":null,"data":', 1))


def test_a_record_of_the_future_is_never_plain() -> None:
    time_us = parse_moment(str(example_of("call_invitation")["time"]))
    assert judge(ordinary(), now_us=time_us - 5 * HOUR_US // 60)
    assert not judge(ordinary(), now_us=time_us - 5 * HOUR_US // 60 - 1)
