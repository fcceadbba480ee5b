"""Tests of a lane: what it holds, what it lets out, and what it may commit."""

from hypothesis import given
from hypothesis import strategies as st

from streams.lanes import Commit, Lane, LaneStage, Opening
from tests.streams.worker_parts import MemoryRow, rows_of


def open_lane(offset: int = 0, *, contiguous: bool = True, room: int = 4) -> Lane[str]:
    """Return a lane that has just been opened."""
    lane: Lane[str] = Lane(("facts", 0), contiguous=contiguous, room=room)
    lane.open(Opening("state", offset))
    return lane


def at(*offsets: int) -> list[MemoryRow]:
    """Return rows at these offsets."""
    return [MemoryRow(offset, None, b"") for offset in offsets]


def test_what_is_left_of_a_batch_comes_before_what_came_after_it() -> None:
    lane = open_lane()
    assert lane.hold(at(0, 1, 2, 3))
    batch = lane.take(3, now_s=0.0)
    assert batch is not None
    assert batch.ack("m", 1)
    assert lane.to_commit() == Commit(1, "m")
    again = lane.take(9, now_s=0.0)
    assert again is not None
    assert [row.offset for row in again.rows] == [1, 2, 3]


def test_what_is_left_of_a_batch_does_not_come_again_once_a_lane_has_let_go() -> None:
    lane = open_lane()
    assert lane.hold(at(0, 1, 2))
    batch = lane.take(3, now_s=0.0)
    assert batch is not None
    lane.stop_taking()
    assert batch.ack("m", 1)
    assert lane.to_commit() == Commit(1, "m")
    assert lane.take(9, now_s=0.0) is None


def test_one_batch_is_out_at_a_time() -> None:
    lane = open_lane()
    assert lane.hold(rows_of(b"a", b"b", b"c"))
    batch = lane.take(2, now_s=0.0)
    assert batch is not None
    assert [row.value for row in batch.rows] == [b"a", b"b"]
    assert lane.take(2, now_s=0.0) is None
    assert batch.ack("m")
    assert lane.to_commit() == Commit(2, "m")
    last = lane.take(2, now_s=0.0)
    assert last is not None
    assert [row.value for row in last.rows] == [b"c"]


@given(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=10), st.booleans())
def test_whatever_is_delivered_the_rows_let_out_follow_each_other(
    deliveries: list[list[int]],
    contiguous: bool,  # noqa: FBT001 - Hypothesis draws it
) -> None:
    lane = open_lane(contiguous=contiguous)
    out: list[int] = []
    for offsets in deliveries:
        if lane.stage is LaneStage.OPENING:
            lane.open(Opening("state", out[-1] + 1 if out else 0))
        lane.hold(at(*offsets))
        while (batch := lane.take(3, now_s=0.0)) is not None:
            out += [row.offset for row in batch.rows]
            assert batch.ack("")
    assert out == sorted(set(out))
    if contiguous:
        assert out == list(range(len(out)))


def test_a_hole_in_the_facts_log_drops_what_is_held_and_wants_another_opening() -> None:
    lane = open_lane()
    assert not lane.hold(at(0, 1, 3))
    assert lane.stage is LaneStage.OPENING
    assert lane.take(9, now_s=0.0) is None


def test_an_outside_topic_may_have_gaps_and_never_goes_back() -> None:
    lane = open_lane(contiguous=False)
    assert lane.hold(at(0, 5, 7))
    assert not lane.hold(at(7))


def test_rows_for_a_lane_that_is_not_open_are_dropped() -> None:
    lane: Lane[str] = Lane(("facts", 0), contiguous=True, room=4)
    assert lane.hold(at(17))
    assert lane.take(9, now_s=0.0) is None


def test_a_batch_of_a_dead_lane_is_acknowledged_in_vain() -> None:
    lane = open_lane()
    lane.hold(at(0))
    batch = lane.take(1, now_s=0.0)
    assert batch is not None
    # Its state is in the hands of an agent, so nobody else may go on with it.
    assert lane.kill() is None
    assert not batch.ack("m")
    assert lane.to_commit() is None


def test_the_state_of_a_lane_that_ends_with_nothing_out_stands_still() -> None:
    lane = open_lane()
    lane.hold(at(0, 1))
    assert lane.kill() == "state"


def test_a_batch_that_is_out_is_acknowledged_while_the_lane_closes() -> None:
    lane = open_lane()
    lane.hold(at(0, 1))
    batch = lane.take(1, now_s=0.0)
    assert batch is not None
    lane.stop_taking()
    assert batch.ack("m")
    assert lane.to_commit() == Commit(1, "m")
    assert lane.take(1, now_s=0.0) is None


def test_an_acknowledgement_counts_once() -> None:
    lane = open_lane()
    lane.hold(at(0))
    batch = lane.take(1, now_s=0.0)
    assert batch is not None
    assert batch.ack("m")
    assert not batch.ack("m")


def test_a_full_lane_asks_for_a_pause_until_half_is_gone() -> None:
    lane = open_lane(room=4)
    seen = []
    for offset in range(4):
        lane.hold(at(offset))
        seen.append((lane.is_full, lane.is_low))
    lane.take(2, now_s=0.0)
    seen.append((lane.is_full, lane.is_low))
    assert seen == [(False, True), (False, True), (False, False), (True, False), (False, True)]


def test_what_an_opening_has_to_commit_is_committed() -> None:
    lane: Lane[str] = Lane(("calls", 0), contiguous=False, room=4)
    lane.open(Opening("state", 9, commit=Commit(9, "m")))
    assert lane.to_commit() == Commit(9, "m")
    lane.committed = Commit(9, "m")
    assert lane.to_commit() is None
