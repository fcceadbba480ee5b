"""Lines of a recorded log: a replay reads of them what a worker read of the records."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.moment import DAY_US, MINUTE_US, format_moment
from streams.wire.json_text import SIZE_LIMIT, Mistake
from streams.wire.log_lines import LogLine, first_heartbeat, log_line
from streams.wire.records import Record, decode_record
from tests.streams.worker_parts import SECOND_US, TEN_O_CLOCK, call, heartbeat, transfer

PLACE = ("calls", 3)


def text_of(raw: bytes, recorded_us: int = TEN_O_CLOCK) -> bytes:
    """The line of a record that can be one."""
    line = log_line(raw, PLACE, recorded_us)
    assert isinstance(line, LogLine), line
    assert b"\n" not in line.text
    return line.text


def read(raw: bytes, now_us: int | None = None) -> Any:  # noqa: ANN401 - a record or a refusal
    return decode_record(raw, settle_us=lambda _: DAY_US, now_us=now_us, trust_recorded=True)


@pytest.mark.parametrize("raw", [call(1, TEN_O_CLOCK), transfer(1, TEN_O_CLOCK), heartbeat(7)])
def test_a_line_is_the_record_with_its_coordinates(raw: bytes) -> None:
    before, after = read(raw), read(text_of(raw))
    assert isinstance(before, Record)
    recorded = {"feed": "calls", "partition": 3, "recordedtime_us": TEN_O_CLOCK}
    assert after == msgspec.structs.replace(before, **recorded)


@given(
    st.dictionaries(
        st.sampled_from(["id", "time", "feed", "partition", "recordedtime", "x", "données"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            st.lists,
            max_leaves=5,
        ),
    ),
    st.sampled_from([None, 2]),
    st.sampled_from(["ascii", "utf-8"]),
)
def test_any_object_keeps_all_that_a_recorder_does_not_say(
    told: dict[str, Any], indent: int | None, encoding: str
) -> None:
    raw = json.dumps(told, indent=indent, ensure_ascii=encoding == "ascii").encode(
        errors="surrogatepass"
    )
    line = log_line(raw, PLACE, TEN_O_CLOCK)
    if isinstance(line, Mistake):
        # Text with a half of a surrogate pair is no UTF-8, and escaped no JSON of the contract.
        assert line.reason in {"not_utf8", "not_json"}
        return
    assert line is not None
    added = {"feed": "calls", "partition": 3, "recordedtime": format_moment(TEN_O_CLOCK)}
    assert json.loads(line.text) == told | added
    assert line.text.count(b'"feed":') == 1
    assert b"\n" not in line.text


def test_numbers_and_names_told_twice_stay_as_they_are() -> None:
    raw = b'{"id":"r","data":{"amount":20000.10,"amount":1E2}}'
    assert text_of(raw).endswith(b',"id":"r","data":{"amount":20000.10,"amount":1E2}}')
    twice = log_line(b'{"feed":"a","feed":"b"}', PLACE, TEN_O_CLOCK)
    assert isinstance(twice, Mistake)
    assert twice.reason == "duplicate_key"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not_json"),
        (b"[]", "wrong_type"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", "too_deep"),
        (b'{"a":"' + b"a" * SIZE_LIMIT + b'"}', "too_large"),
        (b'{"a":"' + b"a" * (SIZE_LIMIT - 10) + b'"}', "too_large"),
    ],
)
def test_what_no_replay_could_read_is_no_line(raw: bytes, reason: str) -> None:
    mistake = log_line(raw, PLACE, TEN_O_CLOCK)
    assert isinstance(mistake, Mistake)
    assert mistake.reason == reason


def test_an_alert_is_left_out_and_an_empty_object_is_not() -> None:
    assert log_line(b'{"type":"ringfence.alert.v1"}', PLACE, TEN_O_CLOCK) is None
    assert json.loads(text_of(b"{}"))["partition"] == 3


def test_a_record_that_a_replay_takes_for_the_future_is_told_apart() -> None:
    for late_us, is_ahead in ((5 * MINUTE_US, False), (5 * MINUTE_US + 1, True)):
        line = log_line(call(1, TEN_O_CLOCK), PLACE, TEN_O_CLOCK - late_us)
        assert isinstance(line, LogLine)
        assert line.is_ahead == is_ahead
    untimed = log_line(b'{"time":7}', PLACE, TEN_O_CLOCK)
    assert isinstance(untimed, LogLine)
    assert not untimed.is_ahead


def test_a_timestamp_that_is_no_moment_is_left_out() -> None:
    line = log_line(call(1, TEN_O_CLOCK), PLACE, -1_000)
    assert isinstance(line, LogLine)
    assert b"recordedtime" not in line.text
    assert not line.is_ahead


def test_the_head_of_a_log_names_a_partition_and_makes_nothing_late() -> None:
    beat = read(first_heartbeat(PLACE), now_us=SECOND_US)
    assert isinstance(beat, Record)
    assert (beat.type, beat.time_us, beat.feed, beat.partition) == ("heartbeat", 0, "calls", 3)
