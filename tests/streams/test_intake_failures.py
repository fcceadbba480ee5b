"""Tests of what stops the intake, and of what does not, with a group and a bus in memory."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    OffsetOutOfRangeError,
    UnknownError,
)

from streams import intake as intake_module
from streams.failures import OutsideFailure
from tests.streams.intake_desk import CALLS, Desk, crash_of, working
from tests.streams.worker_parts import (
    rows_of,
    until,
)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_COMMIT_EVERY_S", 0.01)
    monkeypatch.setattr(intake_module, "_CHECK_EVERY_S", 0.01)


async def test_nothing_is_committed_after_a_crash() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        await desk.intake.crash(KeyError("a bug in an agent"))
        batch.ack("m")
    assert desk.committed(CALLS) is None
    assert desk.member.stopped


async def test_a_commit_of_a_group_that_has_moved_on_is_no_trouble() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        desk.member.commit_failure = CommitFailedError()
        await desk.calls.work(1)
        await asyncio.sleep(0.05)
        assert crash_of(desk) is None
        desk.member.commit_failure = None
        await until(lambda: desk.committed(CALLS) == 1)


async def test_a_commit_that_fails_otherwise_stops_the_worker_by_name() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        desk.member.commit_failure = UnknownError()
        await desk.calls.work(1)
        await until(lambda: crash_of(desk))
    assert str(crash_of(desk)) == "committing has failed: UnknownError"


async def test_a_last_commit_that_fails_is_not_passed_over() -> None:
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        batch = await desk.calls.take()
        desk.member.commit_failure = UnknownError()
        asyncio.get_running_loop().call_later(0.05, batch.ack, "m")
    assert str(crash_of(desk)) == "committing has failed: UnknownError"
    assert desk.member.stopped


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            OffsetOutOfRangeError({TopicPartition("calls", 0): 7}),
            "retention has deleted rows not read yet (calls 0 at 7); see RINGFENCE_START",
        ),
        (KafkaConnectionError("cust-7"), "reading has failed: KafkaConnectionError"),
    ],
)
async def test_reading_that_fails_stops_the_worker_by_name(
    failure: Exception, sentence: str
) -> None:
    desk = Desk()
    async with working(desk):
        await desk.member.give(CALLS)
        desk.member.failure = failure
        await until(lambda: crash_of(desk))
    assert isinstance(crash_of(desk), OutsideFailure)
    assert str(crash_of(desk)) == sentence


async def test_a_topic_that_changes_stops_the_worker_once_it_has_been_seen_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "_CHECK_EVERY_S", 0.1)
    desk = Desk()
    async with working(desk):
        desk.member.changed = 'topic "calls" is gone'
        await asyncio.sleep(0.15)
        desk.member.changed = None
        await asyncio.sleep(0.15)
        assert crash_of(desk) is None
        desk.member.changed = 'topic "calls" is gone'
        await until(lambda: crash_of(desk))
    assert str(crash_of(desk)) == 'topic "calls" is gone'


async def test_a_batch_that_never_comes_back_stops_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "_LONGEST_BATCH_S", 0.02)
    desk = Desk()
    desk.bus.logs[CALLS] += rows_of(b"a")
    async with working(desk):
        await desk.member.give(CALLS)
        await until(lambda: crash_of(desk))
    assert isinstance(crash_of(desk), RuntimeError)


async def test_a_listener_that_fails_stops_the_worker() -> None:
    desk = Desk()
    async with working(desk):
        await desk.member.give(("unheard of", 0))
        assert isinstance(crash_of(desk), KeyError)
    revoked = Desk()
    revoked.bus.logs[CALLS] += rows_of(b"a")
    async with working(revoked):
        await revoked.member.give(CALLS)
        revoked.member.commit_failure = UnknownError()
        (await revoked.calls.take()).ack("m")
        await revoked.member.give(CALLS)
        assert isinstance(crash_of(revoked), OutsideFailure)
