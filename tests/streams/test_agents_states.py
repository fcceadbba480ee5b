"""Tests of what a lane knows between two batches, and of where a rebuild of it begins."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.alert import encode_alert
from rules.fact import Mark
from rules.watermark import NEVER_US, FeedClock
from streams.epoch import partitions_of
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.states import NOTE_EVERY, FactsState, FeedState, Notes, stages_of
from streams.wire.commits import Point
from streams.wire.facts import RowError, encode_fact, encode_mark
from streams.wire.pseudonyms import Pseudonyms
from tests.streams.worker_parts import (
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    MemoryRow,
    call,
    epoch_for_tests,
    rows_of,
    rules_for_tests,
    settings_for_tests,
    transfer,
)

TIMING = settings_for_tests().timing
RULES = rules_for_tests()
STAGES = stages_of(epoch_for_tests(1), RULES)
ROSTER = {"calls": 1, "transactions": 1}
START = Point(0, dict.fromkeys(partitions_of(ROSTER), NEVER_US))
INGEST = Ingest(RULES, TIMING, Pseudonyms(SECRET.encode(), frozenset()))
HOUR_US = 3600 * SECOND_US


def log_of(*pieces: bytes | Mark) -> list[MemoryRow]:
    """Return a facts log with the facts of these records, and these marks."""
    rows: list[MemoryRow] = []
    for piece in pieces:
        if isinstance(piece, Mark):
            rows.append(MemoryRow(len(rows), None, encode_mark(piece, ROSTER)))
            continue
        read = INGEST.read_whole(piece, now_us=TEN_O_CLOCK * 2)
        for fact in INGEST.admit(read, FeedClock(0)).facts:
            rows.append(MemoryRow(len(rows), *encode_fact(fact)))
    return rows


def state_at(point: Point = START) -> FactsState:
    """Return a state that begins at a point."""
    return FactsState(STAGES[0], TIMING, point)


PIECES = st.lists(
    st.one_of(
        st.builds(
            lambda n, minute: call(n, TEN_O_CLOCK + minute * 60 * SECOND_US),
            st.integers(0, 3),
            st.integers(0, 3000),
        ),
        st.builds(
            lambda n, minute, status, sequence: transfer(
                n, TEN_O_CLOCK + minute * 60 * SECOND_US, status, sequence
            ),
            st.integers(0, 3),
            st.integers(0, 3000),
            st.sampled_from(["attempted", "rejected"]),
            st.integers(0, 2),
        ),
        st.builds(
            lambda feed, minute: Mark(feed, 0, TEN_O_CLOCK + minute * 60 * SECOND_US),
            st.sampled_from(sorted(ROSTER)),
            st.integers(0, 5000),
        ),
    ),
    max_size=40,
)


@given(st.data(), PIECES)
def test_a_rebuilt_state_says_what_the_one_that_was_lost_would_have_said(
    data: st.DataObject, pieces: list[Any]
) -> None:
    rows = log_of(*pieces)
    committed = data.draw(st.integers(0, len(rows)))
    lost = state_at()
    with pytest.MonkeyPatch.context() as monkey:
        # Notes as dense as this make a short log long.
        monkey.setattr("streams.states.NOTE_EVERY", 3)
        lost.observe(rows[:committed])
        point = lost.commit_point()
    rebuilt = state_at(point)
    for row in rows[point.offset : committed]:
        rebuilt.catch_up(row)
    assert rebuilt.watermarks == lost.watermarks
    assert rebuilt.commit_point() == lost.commit_point()
    ahead = [encode_alert(alert) for alert in lost.observe(rows[committed:]).alerts]
    assert [encode_alert(alert) for alert in rebuilt.observe(rows[committed:]).alerts] == ahead


def test_a_rebuild_begins_at_the_latest_note_before_all_that_is_remembered() -> None:
    marks = [Mark("calls", 0, TEN_O_CLOCK - HOUR_US + n) for n in range(2 * NOTE_EVERY + 10)]
    rows = log_of(*marks, call(1, TEN_O_CLOCK), *marks)
    state = state_at()
    state.observe(rows)
    point = state.commit_point()
    assert point.offset == 2 * NOTE_EVERY
    assert point.watermarks["calls", 0] == marks[2 * NOTE_EVERY - 1].watermark_us


def test_a_rebuild_of_a_state_that_remembers_nothing_begins_with_the_next_row() -> None:
    state = state_at()
    state.observe(log_of(Mark("calls", 0, 5), Mark("calls", 0, 7)))
    point = state.commit_point()
    assert point == Point(2, {("calls", 0): 7, ("transactions", 0): NEVER_US})


def test_rows_that_are_not_the_next_ones_are_refused() -> None:
    rows = log_of(*[Mark("calls", 0, n) for n in range(3)])
    with pytest.raises(OutsideFailure, match="goes on at offset 2, wanted 1"):
        state_at().observe([rows[0], rows[2]])


def test_a_row_that_cannot_be_read_is_no_row_to_step_over() -> None:
    state = state_at()
    with pytest.raises(RowError):
        state.observe(rows_of(b"no row"))
    with pytest.raises(RowError):
        state.catch_up(rows_of(b"no row")[0])
    assert state.next_offset == 0


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=20), st.integers(0, 40_000))
def test_the_note_returned_is_never_later_than_wanted(steps: list[int], wanted: int) -> None:
    notes = Notes(Point(0, {}))
    noted = [0]
    offset = 0
    for step in steps:
        offset += step
        if notes.is_due(offset):
            notes.add(Point(offset, {}))
            noted.append(offset)
    assert notes.latest_until(wanted).offset == max(n for n in noted if n <= wanted)


def test_a_note_at_the_very_row_will_do_and_one_behind_it_will_not() -> None:
    notes = Notes(Point(0, {}))
    notes.add(Point(1_000, {}))
    assert notes.latest_until(999).offset == 0
    assert notes.latest_until(1_000).offset == 1_000


def test_a_mark_goes_out_once_a_second_and_the_last_one_too() -> None:
    state = FeedState(("calls", 0), FeedClock(0))
    told = state.told
    assert told.mark_due(0.0) is None
    state.reach.clock.observe(5)
    # Its facts are not in the log yet, so nothing may be said of what comes after them.
    assert told.mark_due(0.0) is None
    state.acknowledge()
    assert told.mark_due(0.0) == 5
    told.marked(5)
    state.reach.clock.observe(6)
    state.acknowledge()
    assert told.mark_due(0.9) is None
    assert told.mark_due(1.0) == 6
    told.marked(6)
    assert told.mark_due(2.0) is None


def test_a_mark_that_was_not_acknowledged_is_due_again() -> None:
    told = FeedState(("calls", 0), FeedClock(0, 7)).told
    assert told.mark_due(0.0) == 7
    assert told.mark_due(1.0) == 7


def test_a_committed_watermark_is_due_at_once() -> None:
    assert FeedState(("calls", 0), FeedClock(0, 7)).told.mark_due(0.0) == 7
