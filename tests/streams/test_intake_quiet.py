"""Tests of partitions that bring nothing: their watermark follows the clock, commit first."""

import asyncio

import pytest
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.errors import CommitFailedError

from rules.moment import MINUTE_US
from rules.watermark import NEVER_US, FeedClock
from streams import intake as intake_module
from streams.lanes import Commit, Lane, Opening
from streams.states import FeedState
from streams.wire.commits import encode_watermark
from tests.streams.intake_desk import CALLS, FACTS, Desk, crash_of, working
from tests.streams.test_agents import Desk as Agents
from tests.streams.worker_parts import rows_of, until

HALF_AN_HOUR_US = 30 * MINUTE_US


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_COMMIT_EVERY_S", 0.01)


def at_the_end(desk: Desk) -> None:
    """Let every fetch from now on show that there is nothing more."""
    for place in (CALLS, FACTS):
        desk.member.polled_ms[TopicPartition(*place)] = 9


async def test_a_quiet_partition_is_committed_at_its_offset_and_only_then_moves_on() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS, FACTS)
        await desk.calls.work(1)
        await until(lambda: desk.committed(CALLS) == 1)
        desk.calls.follows = lambda read_us, _: 77 if read_us == 9_000 else None
        at_the_end(desk)
        await until(lambda: desk.calls.risen)
        assert desk.commits[CALLS] == Commit(1, encode_watermark(77))
        assert set(desk.calls.risen) == {77}
        assert desk.facts.risen == []


async def test_a_commit_that_is_refused_moves_no_watermark_and_the_lane_goes_on() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        await desk.calls.work(1)
        await until(lambda: desk.committed(CALLS) == 1)
        desk.member.commit_failure = CommitFailedError()
        desk.calls.follows = lambda *_: 77
        at_the_end(desk)
        await asyncio.sleep(0.05)
        assert desk.calls.risen == []
        assert desk.commits[CALLS] == Commit(1, "m")
        desk.calls.follows = lambda *_: None
        desk.bus.logs[CALLS] += rows_of(b"b", first=1)
        assert await desk.calls.work(1) == [b"b"]


async def test_nothing_follows_the_clock_that_a_fetch_has_not_shown_to_be_at_its_end() -> None:
    desk = Desk()
    asked: list[int] = []

    def follows(read_us: int, _: int) -> int | None:
        asked.append(read_us)
        return 77

    desk.calls.follows = follows
    async with working(desk):
        await desk.member.give(CALLS)
        await until(lambda: desk.committed(CALLS) is None and desk.calls.ticks > 3)
        # It has not been fetched at all yet.
        assert asked == []
        desk.member.behind = True
        at_the_end(desk)
        ticks = desk.calls.ticks
        await until(lambda: desk.calls.ticks > ticks + 3)
        assert asked == []


async def test_a_batch_waits_while_a_quiet_partition_is_committed() -> None:
    lane: Lane[str] = Lane(CALLS, contiguous=False, room=9)
    lane.open(Opening("state", 0, commit=Commit(0, "m")))
    lane.committed = Commit(0, "m")
    assert lane.is_quiet
    lane.rest(Commit(0, "later"))
    lane.hold(rows_of(b"a"))
    assert lane.take(9, 0.0) is None
    lane.committed = lane.to_commit()
    assert lane.rise()
    assert lane.take(9, 0.0) is not None
    assert not lane.is_quiet


def test_a_lane_that_is_taken_away_while_it_rests_does_not_rise() -> None:
    lane: Lane[str] = Lane(CALLS, contiguous=False, room=9)
    lane.open(Opening("state", 0, commit=Commit(0, "m")))
    lane.committed = Commit(0, "m")
    lane.rest(Commit(0, "later"))
    lane.committed = lane.to_commit()
    lane.kill()
    assert not lane.rise()


@pytest.mark.parametrize(
    ("quiet_us", "expected_us"),
    [
        (HALF_AN_HOUR_US - 1, None),
        (HALF_AN_HOUR_US, 1_000),
        (HALF_AN_HOUR_US + 5, 1_005),
    ],
)
def test_a_partition_is_quiet_once_it_brought_nothing_for_half_an_hour(
    quiet_us: int, expected_us: int | None
) -> None:
    state = FeedState(("calls", 0), FeedClock(0))
    station = Agents().ingest
    assert station.follow(state, 1_000 + quiet_us, 1_000) == expected_us


def test_a_quiet_partition_moves_on_in_steps_and_never_back() -> None:
    station = Agents().ingest
    state = FeedState(("calls", 0), FeedClock(0))
    station.followed(state, 1_000)
    assert state.told.mark_due(0.0) == 1_000
    step_us = HALF_AN_HOUR_US // 30
    read_us = 1_000 + HALF_AN_HOUR_US + step_us
    assert station.follow(state, read_us - 1, 0) is None
    assert station.follow(state, read_us, 0) == 1_000 + step_us
    station.followed(state, 999)
    assert state.watermark_us == 1_000


def test_with_no_time_set_no_partition_is_ever_quiet() -> None:
    station = Agents(idle_after="0s").ingest
    assert station.follow(FeedState(("calls", 0), FeedClock(0)), 2**60, 0) is None


async def test_the_facts_log_follows_no_clock_but_its_marks() -> None:
    desk = Agents()
    opening = await desk.correlate.open(("facts.0123abcd", 0), None, None)
    desk.correlate.follow(opening.state, 2**60, 0)
    desk.correlate.followed(opening.state, 7)
    assert set(opening.state.watermarks.values()) == {NEVER_US}


async def test_a_partition_that_is_taken_away_while_its_position_is_asked_for_is_left_alone() -> (
    None
):
    desk = Desk()
    desk.calls.follows = lambda *_: 77
    async with working(desk):
        await desk.member.give(CALLS)
        await until(lambda: desk.calls.opened)
        await desk.member.commit({TopicPartition(*CALLS): OffsetAndMetadata(0, "m")})
        at_the_end(desk)
        desk.member.unassigned = True
        await until(lambda: desk.calls.ticks > 3)
        assert desk.calls.risen == []
        assert crash_of(desk) is None
