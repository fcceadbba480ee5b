"""Tests of what an operator can do to a worker: have it step over a row, set its offset."""

import pytest
import structlog

from rules.watermark import NEVER_US
from streams.failures import OutsideFailure
from streams.lanes import Commit
from streams.states import FactsState, stages_of
from streams.wire.commits import MOST_SKIPPED, Point, decode_point, encode_watermark
from streams.wire.facts import RowError
from tests.streams.test_agents import CALLS, FACTS, Desk
from tests.streams.worker_parts import (
    SECOND_US,
    TEN_O_CLOCK,
    MemoryRow,
    call,
    epoch_for_tests,
    rules_for_tests,
    settings_for_tests,
    transfer,
)

EPOCH = epoch_for_tests(1)
(STAGE,) = stages_of(EPOCH, rules_for_tests())
UNHEARD = dict.fromkeys(EPOCH.first.feed_partitions, NEVER_US)


async def test_a_row_of_the_facts_log_is_stepped_over_in_the_open_and_for_good() -> None:
    desk = Desk(skip=f"{FACTS[0]}:0:1")
    await desk.take_in(call(1, TEN_O_CLOCK))
    log = desk.bus.logs[FACTS]
    log[1:] = [MemoryRow(1, None, b"no row of ours: cust-7")]
    with structlog.testing.capture_logs() as logs:
        commit = (await desk.work_off()).to_commit()
    assert [(e["event"], e["offset"]) for e in logs] == [("row_skipped", 1)]
    assert commit is not None
    assert decode_point(commit.metadata, EPOCH.first.feed_partitions)[0].skipped == (1,)
    # The commit says what the state is made of, whatever the setting says later.
    later = Desk(bus=desk.bus)
    await later.take_in(transfer(1, TEN_O_CLOCK + SECOND_US))
    await later.work_off(commit)
    assert len(desk.bus.values("ringfence.alerts")) == 1


async def test_a_row_that_has_been_observed_is_not_stepped_over_afterwards() -> None:
    desk = Desk(skip=f"{FACTS[0]}:0:0")
    before = Desk(bus=desk.bus)
    await before.take_in(call(1, TEN_O_CLOCK))
    commit = (await before.work_off()).to_commit()
    await before.take_in(transfer(1, TEN_O_CLOCK + SECOND_US))
    await desk.work_off(commit)
    assert len(desk.bus.values("ringfence.alerts")) == 1


async def test_a_record_that_is_stepped_over_becomes_a_dead_letter() -> None:
    desk = Desk(skip="calls:0:0")
    with structlog.testing.capture_logs() as logs:
        await desk.take_in(call(1, TEN_O_CLOCK), call(2, TEN_O_CLOCK))
    (letter,) = desk.bus.values("ringfence.dead-letters")
    assert (letter["reason"], letter["offset"]) == ("internal", 0)
    assert letter["detail"] == "stepped over: RINGFENCE_SKIP names it"
    assert "row_skipped" in [entry["event"] for entry in logs]
    facts = [row for row in desk.bus.values(FACTS[0]) if row[0] == "fact"]
    assert len(facts) == 1


def test_more_rows_than_a_commit_can_tell_are_not_stepped_over() -> None:
    state = FactsState(STAGE, settings_for_tests().timing, Point(0, UNHEARD))
    state.step_over(range(MOST_SKIPPED + 1))
    rows = [MemoryRow(n, None, b"no row") for n in range(MOST_SKIPPED + 1)]
    state.observe(rows[:-1])
    with pytest.raises(OutsideFailure, match=f"more than {MOST_SKIPPED} rows"):
        state.observe(rows[-1:])


def test_what_lies_before_the_point_of_a_rebuild_is_no_longer_told() -> None:
    state = FactsState(STAGE, settings_for_tests().timing, Point(0, UNHEARD))
    state.step_over([0])
    state.observe([MemoryRow(0, None, b"no row")])
    # Nothing is remembered, so a rebuild would begin behind it.
    assert state.commit_point() == Point(1, UNHEARD)
    with pytest.raises(RowError):
        state.observe([MemoryRow(1, None, b"no row")])


async def test_an_offset_that_an_operator_has_set_is_taken_with_all_rows_before_it() -> None:
    desk = Desk()
    await desk.take_in(call(1, TEN_O_CLOCK))
    await desk.take_in(transfer(1, TEN_O_CLOCK + SECOND_US))
    # What kafka-consumer-groups --reset-offsets writes has no metadata.
    with structlog.testing.capture_logs() as logs:
        opening = await desk.correlate.open(FACTS, Commit(2, ""), None)
    assert (opening.offset, opening.rebuilt_rows) == (2, 2)
    assert [entry["event"] for entry in logs] == ["commit_without_point"]
    await desk.work_off(Commit(2, ""))
    assert len(desk.bus.values("ringfence.alerts")) == 1


async def test_an_outside_offset_that_an_operator_has_set_begins_time_anew() -> None:
    desk = Desk()
    with structlog.testing.capture_logs() as logs:
        opening = await desk.ingest.open(CALLS, Commit(7, ""), None)
    assert opening.offset == 7
    assert opening.state.watermark_us == NEVER_US
    assert [entry["event"] for entry in logs] == ["commit_without_watermark"]
    assert desk.bus.batches == []
    known = await desk.ingest.open(CALLS, Commit(7, encode_watermark(5)), None)
    assert known.state.watermark_us == 5
