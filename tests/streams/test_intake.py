"""Tests of the intake, with a group and a bus in memory."""

import asyncio

import pytest
import structlog
from aiokafka import TopicPartition

from streams import intake as intake_module
from streams.failures import OutsideFailure
from streams.lanes import Commit
from tests.streams.intake_desk import CALLS, FACTS, Desk, crash_of, working
from tests.streams.worker_parts import (
    rows_of,
    until,
)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_COMMIT_EVERY_S", 0.01)
    monkeypatch.setattr(intake_module, "_CHECK_EVERY_S", 0.01)


async def test_rows_go_out_in_order_and_what_is_acknowledged_is_committed() -> None:
    desk = Desk()
    values = [b"%d" % n for n in range(20)]
    desk.bus.logs[CALLS] += rows_of(*values)
    async with working(desk):
        await desk.member.give(CALLS, FACTS)
        assert await desk.calls.work(20) == values
        await until(lambda: desk.committed(CALLS) == 20)
        assert desk.commits[CALLS].metadata == "m"
        await until(lambda: desk.calls.ticks and desk.facts.ticks)
    assert desk.member.stopped


async def test_nothing_is_committed_of_a_batch_that_is_out() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a", b"b", b"c")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        await asyncio.sleep(0.05)
        assert desk.committed(CALLS) is None
        assert desk.calls.channel.empty()
        batch.ack("m")
        await until(lambda: desk.committed(CALLS) == 2)
        await desk.calls.work(1)


async def test_partitions_are_paused_and_have_a_position_before_their_lane_is_open() -> None:
    desk = Desk()
    desk.calls.may_open.clear()
    async with working(desk):
        await desk.member.give(CALLS)
        place = TopicPartition(*CALLS)
        assert place in desk.member.paused
        assert desk.member.positions == {place: 0}
        desk.calls.may_open.set()
        await until(lambda: place not in desk.member.paused)


async def test_rows_of_a_new_assignment_that_come_before_its_lane_is_open_are_dropped() -> None:
    desk = Desk()
    desk.commits[FACTS] = Commit(1, "m")
    desk.bus.logs[FACTS] += rows_of(b"a", b"b")
    desk.facts.may_open.clear()
    async with working(desk):
        await desk.member.give(FACTS)
        desk.member.stray = {TopicPartition(*FACTS): rows_of(b"a", b"b")}
        await until(lambda: not desk.member.stray)
        desk.facts.may_open.set()
        assert await desk.facts.work(1) == [b"b"]


async def test_a_hole_in_delivery_opens_the_lane_again_and_no_row_is_lost() -> None:
    desk = Desk()
    desk.bus.logs[FACTS] += rows_of(b"a", b"b", b"c", b"d")
    async with working(desk):
        await desk.member.give(FACTS)
        assert await desk.facts.work(4) == [b"a", b"b", b"c", b"d"]
        desk.bus.logs[FACTS] += rows_of(b"e", b"f", first=4)
        desk.member.stray = {TopicPartition(*FACTS): rows_of(b"f", first=5)}
        assert await desk.facts.work(2) == [b"e", b"f"]
        # What was done before is committed first, so the state is found to be exact.
        assert [commit for _, commit, _ in desk.facts.opened] == [None, Commit(4, "m")]
        assert desk.facts.opened[1][2] is not None


async def test_a_hole_in_the_log_itself_stops_the_worker_by_name() -> None:
    desk = Desk()
    desk.bus.logs[FACTS] += rows_of(b"a", b"b", first=5)
    async with working(desk):
        await desk.member.give(FACTS)
        await until(lambda: crash_of(desk))
    assert isinstance(crash_of(desk), OutsideFailure)
    assert str(crash_of(desk)) == 'topic "facts" partition 0 has a hole at offset 0'


async def test_a_lane_that_is_taken_away_finishes_its_batch_and_commits() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a", b"b", b"c", b"d")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        asyncio.get_running_loop().call_later(0.05, batch.ack, "m")
        await desk.member.give(FACTS)
        assert desk.committed(CALLS) == 2
        assert desk.calls.closed == [CALLS]
        assert desk.calls.channel.empty()


async def test_a_batch_that_takes_too_long_is_left_behind_and_acknowledged_in_vain() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        await desk.member.give(CALLS)
        assert not batch.ack("m")
        # The state in that agent's hands is not gone on with.
        await until(lambda: len(desk.calls.opened) == 2)
        assert desk.calls.opened[1][2] is None
        assert await desk.calls.work(1) == [b"a"]


async def test_the_state_of_a_partition_that_comes_back_is_offered_again() -> None:
    desk = Desk()
    desk.bus.logs[FACTS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(FACTS)
        batch = await desk.facts.take()
        batch.ack("m")
        await desk.member.give(FACTS)
        await until(lambda: len(desk.facts.opened) == 2)
        assert desk.facts.opened[1] == (FACTS, Commit(1, "m"), batch.state)
        assert desk.facts.opened[1][2] is batch.state
        await desk.member.give(CALLS)
        await desk.member.give(FACTS)
        await until(lambda: len(desk.facts.opened) == 3)
        assert desk.facts.opened[2][2] is None


async def test_an_opening_that_ends_while_its_lane_closes_comes_to_nothing() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    desk.facts.may_open.clear()
    async with working(desk):
        await desk.member.give(CALLS, FACTS)
        batch = await desk.calls.take()
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, desk.facts.may_open.set)
        loop.call_later(0.06, batch.ack, "m")
        await desk.member.give()
        assert len(desk.facts.opened) == 1
        assert TopicPartition(*FACTS) not in desk.member.assigned


async def test_lanes_that_nobody_took_away_end_when_others_are_given() -> None:
    desk = Desk()
    async with working(desk):
        await desk.member.give(CALLS)
        assert desk.member.listener is not None
        await desk.member.listener.on_partitions_assigned({TopicPartition(*CALLS)})
        assert desk.calls.closed == [CALLS]
        await until(lambda: desk.calls.opened)


async def test_stopping_finishes_batches_commits_and_leaves() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a", b"b")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        asyncio.get_running_loop().call_later(0.05, batch.ack, "m")
    assert desk.committed(CALLS) == 2
    assert desk.member.stopped
    assert crash_of(desk) is None


async def test_a_rebalance_that_comes_while_stopping_is_nobody_s_business() -> None:
    desk = Desk()
    async with working(desk):
        await desk.member.give(CALLS)
    await desk.member.give(CALLS)
    assert desk.calls.closed == [CALLS]


async def test_the_worker_says_when_all_that_it_was_given_is_open() -> None:
    desk = Desk()
    desk.facts.may_open.clear()
    with structlog.testing.capture_logs() as logs:
        async with working(desk):
            await desk.member.give()
            await desk.member.give(CALLS, FACTS)
            await until(lambda: desk.calls.opened)
            desk.facts.may_open.set()
            await until(lambda: len(logs) == 4)
    assert [(e["event"], e.get("partitions", e.get("topic"))) for e in logs] == [
        ("worker_ready", 0),
        ("lane_opened", "calls"),
        ("lane_opened", "facts"),
        ("worker_ready", 2),
    ]
