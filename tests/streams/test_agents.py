"""Tests of the two agents, each over a bus in memory."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import structlog

from rules.moment import MINUTE_US
from rules.watermark import NEVER_US, Partition
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.epoch import Epoch
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.lanes import Commit, Lane, Opening, RecordBatch, Row
from streams.metrics import DEAD_LETTERS, LATE, RECORDS, WITHOUT_VALUE
from streams.metrics import FACTS as FACTS_WRITTEN
from streams.states import FactsState, stages_of
from streams.wire.commits import Point, encode_point, encode_watermark
from streams.wire.pseudonyms import Pseudonyms
from streams.wire.records import Record, Refusal
from tests.streams.worker_parts import (
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    MemoryBus,
    MemoryRow,
    call,
    epoch_for_tests,
    heartbeat,
    rows_of,
    rules_for_tests,
    settings_for_tests,
    transfer,
)

RULES = rules_for_tests()
CALLS = ("calls", 0)
FACTS = ("facts.0123abcd", 0)


class BrokenIngest(Ingest):
    """Has a bug that some record meets."""

    def read_whole(
        self, raw: bytes, *, now_us: int, trust_recorded: bool = False
    ) -> Record | Refusal:
        """Fail, and tell in the error what the record says."""
        if b"meets a bug" in raw:
            raise KeyError(raw)
        return super().read_whole(raw, now_us=now_us, trust_recorded=trust_recorded)


@dataclass
class Desk:
    """Both stations over one bus, and hands that do what an intake does."""

    skip: str = ""
    idle_after: str = "30m"
    longest_s: float = 60.0
    ingest_longest_s: float = 60.0
    epoch: Epoch = field(default_factory=lambda: epoch_for_tests(facts_partitions=1))
    bus: MemoryBus = field(default_factory=MemoryBus)

    def __post_init__(self) -> None:
        """Set up the stations."""
        settings = settings_for_tests(
            RINGFENCE_SKIP=self.skip,
            RINGFENCE_IDLE_AFTER=self.idle_after,
        )
        pseudonyms = Pseudonyms(SECRET.encode(), frozenset())
        self.stages = stages_of(self.epoch, RULES)
        channel: asyncio.Queue[Any] = asyncio.Queue()
        self.ingest = IngestStation(
            channel,
            settings=settings,
            stages=self.stages,
            starts=self.epoch.starts,
            ingest=BrokenIngest(RULES, settings.timing, pseudonyms),
            sender=self.bus,
            offsets=self.bus,
            longest_s=self.ingest_longest_s,
        )
        self.correlate = CorrelateStation(
            channel,
            settings=settings,
            stage=self.stages[0],
            alerts_topic=self.epoch.alerts_topic,
            sender=self.bus,
            facts_log=self.bus,
            longest_s=self.longest_s,
        )

    async def take_in(self, *values: bytes | None, committed: Commit | None = None) -> Lane[Any]:
        """Put records through the ingest agent."""
        return await self.take_rows(rows_of(*values), committed=committed)

    async def take_rows(self, rows: Sequence[Row], committed: Commit | None = None) -> Lane[Any]:
        """Put rows of an outside topic through the ingest agent."""
        opening = await self.ingest.open(CALLS, committed, None)
        return await self._take(self.ingest, CALLS, opening, rows)

    async def work_off(self, committed: Commit | None = None) -> Lane[Any]:
        """Put the facts log through the correlate agent."""
        opening = await self.correlate.open(FACTS, committed, None)
        rows = self.bus.logs[FACTS][opening.offset :]
        return await self._take(self.correlate, FACTS, opening, rows)

    async def _take(
        self,
        station: IngestStation | CorrelateStation,
        partition: tuple[str, int],
        opening: Opening[Any],
        rows: Sequence[Row],
    ) -> Lane[Any]:
        lane: Lane[Any] = Lane(partition, contiguous=station.contiguous, room=99)
        lane.open(opening)
        assert lane.hold(rows)
        batch: RecordBatch[Any] | None = lane.take(99, 0.0)
        assert batch is not None
        await station.take(batch)
        return lane


async def test_facts_are_acknowledged_then_marked_then_committed() -> None:
    desk = Desk()
    lane = await desk.take_in(call(1, TEN_O_CLOCK))
    kinds = [[row[0] for row in desk.bus.values(FACTS[0])]]
    assert kinds == [["fact", "mark"]]
    assert [len(batch) for batch in desk.bus.batches] == [1, 1]
    watermark_us = TEN_O_CLOCK - 15 * MINUTE_US
    assert desk.bus.values(FACTS[0])[1] == ["mark", *CALLS, watermark_us, desk.epoch.roster]
    assert lane.to_commit() == Commit(1, encode_watermark(watermark_us))


async def test_an_envelope_in_headers_comes_to_the_same_fact_beside_one_in_the_value() -> None:
    structured, binary = Desk(), Desk()
    raws = [call(1, TEN_O_CLOCK), call(2, TEN_O_CLOCK)]
    await structured.take_in(*raws)
    envelope = json.loads(raws[1])
    value = json.dumps(envelope.pop("data")).encode()
    headers = [(f"ce_{name}", str(told).encode()) for name, told in envelope.items()]
    await binary.take_rows([*rows_of(raws[0]), MemoryRow(1, None, value, headers)])
    facts = binary.bus.values(FACTS[0])
    assert [row[0] for row in facts] == ["fact", "fact", "mark"]
    assert facts == structured.bus.values(FACTS[0])


async def test_nothing_is_marked_or_acknowledged_if_the_facts_are_not() -> None:
    desk = Desk()
    desk.bus.refuses = FACTS[0]
    with pytest.raises(OutsideFailure):
        await desk.take_in(call(1, TEN_O_CLOCK))
    assert desk.bus.values(FACTS[0]) == []


async def test_a_mark_goes_to_every_partition_of_the_facts_log() -> None:
    desk = Desk(epoch=epoch_for_tests(facts_partitions=3))
    await desk.take_in(heartbeat(TEN_O_CLOCK))
    assert sorted(desk.bus.logs) == [(FACTS[0], 0), (FACTS[0], 1), (FACTS[0], 2)]


async def test_a_mark_that_was_held_back_follows_with_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    opening = await desk.ingest.open(CALLS, None, None)
    await desk.take_in(heartbeat(TEN_O_CLOCK))
    assert len(desk.bus.values(FACTS[0])) == 1
    state = opening.state
    state.reach.raise_to(TEN_O_CLOCK + SECOND_US)
    await desk.ingest.tick()
    assert len(desk.bus.values(FACTS[0])) == 1
    monkeypatch.setattr("streams.states.MARK_EVERY_S", 0.0)
    await desk.take_in(heartbeat(TEN_O_CLOCK + SECOND_US))
    await desk.ingest.tick()
    assert len(desk.bus.values(FACTS[0])) == 2


async def test_a_lane_begins_by_telling_its_committed_watermark() -> None:
    desk = Desk()
    opening = await desk.ingest.open(CALLS, Commit(7, encode_watermark(TEN_O_CLOCK)), None)
    assert opening.offset == 7
    assert opening.commit is None
    assert desk.bus.values(FACTS[0]) == [["mark", *CALLS, TEN_O_CLOCK, desk.epoch.roster]]


async def test_a_watermark_goes_on_from_the_commit() -> None:
    desk = Desk()
    committed = Commit(0, encode_watermark(TEN_O_CLOCK + SECOND_US))
    await desk.take_in(call(1, TEN_O_CLOCK), committed=committed)
    late = [row[7] for row in desk.bus.values(FACTS[0]) if row[0] == "fact"]
    assert late == [True]
    assert desk.ingest.counts[LATE.name, "calls"] == 1


@pytest.mark.parametrize(("starts", "offset"), [({}, 1), ({CALLS: 2}, 2)])
async def test_a_group_without_commits_begins_where_the_epoch_does_and_commits_that(
    starts: dict[Partition, int], offset: int
) -> None:
    desk = Desk(epoch=replace(epoch_for_tests(), starts=starts))
    desk.bus.logs[CALLS] += rows_of(b"a", b"b", first=1)
    opening = await desk.ingest.open(CALLS, None, None)
    assert opening.offset == offset
    assert opening.commit == Commit(offset, encode_watermark(NEVER_US))


async def test_a_lane_that_is_closed_tells_nothing_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.states.MARK_EVERY_S", 0.0)
    desk = Desk()
    opening = await desk.ingest.open(CALLS, None, None)
    opening.state.reach.raise_to(TEN_O_CLOCK)
    opening.state.acknowledge()
    desk.ingest.close(CALLS)
    await desk.ingest.tick()
    assert desk.bus.values(FACTS[0]) == []


async def test_records_that_are_none_become_dead_letters_and_empty_ones_are_counted() -> None:
    desk = Desk()
    with structlog.testing.capture_logs() as logs:
        lane = await desk.take_in(b"{", None, b'{"meets a bug": "cust-7"}', call(1, TEN_O_CLOCK))
    letters = desk.bus.values("ringfence.dead-letters")
    assert [(letter["reason"], letter["offset"]) for letter in letters] == [
        ("not_json", 0),
        ("internal", 2),
    ]
    keys = [row.key for row in desk.bus.logs["ringfence.dead-letters", 0]]
    assert keys == [b"calls:0:0", b"calls:0:2"]
    counts = {key: count for key, count in desk.ingest.counts.items() if count}
    assert counts == {
        (DEAD_LETTERS.name, "internal"): 1,
        (DEAD_LETTERS.name, "not_json"): 1,
        (FACTS_WRITTEN.name, FACTS[0]): 1,
        (RECORDS.name, "calls"): 4,
        (WITHOUT_VALUE.name, "calls"): 1,
    }
    assert lane.to_commit() == Commit(4, encode_watermark(TEN_O_CLOCK - 15 * MINUTE_US))
    assert [entry["event"] for entry in logs] == ["bug_met"]
    assert "cust-7" not in f"{letters} {logs}"


async def test_alerts_are_acknowledged_before_the_facts_they_follow_from() -> None:
    desk = Desk()
    await desk.take_in(call(1, TEN_O_CLOCK), transfer(1, TEN_O_CLOCK + SECOND_US))
    lane = await desk.work_off()
    (alert,) = desk.bus.values("ringfence.alerts")
    row = desk.bus.logs["ringfence.alerts", 0][0]
    assert row.key == alert["data"]["alert_id"].encode()
    commit = lane.to_commit()
    assert commit is not None
    assert commit.offset == 3
    desk.bus.refuses = "ringfence.alerts"
    with pytest.raises(OutsideFailure):
        await desk.work_off()


async def test_of_rows_that_take_long_only_so_many_are_done_as_others_can_wait_for() -> None:
    desk = Desk(longest_s=0.0)
    await desk.take_in(call(1, TEN_O_CLOCK), transfer(1, TEN_O_CLOCK + SECOND_US))
    lane = await desk.work_off()
    commit = lane.to_commit()
    assert commit is not None
    assert commit.offset == 1
    assert desk.bus.values("ringfence.alerts") == []
    for _ in range(2):
        batch = lane.take(99, 0.0)
        assert batch is not None
        await desk.correlate.take(batch)
    assert len(desk.bus.values("ringfence.alerts")) == 1
    commit = lane.to_commit()
    assert commit is not None
    assert commit.offset == 3


async def test_of_records_that_take_long_the_rest_comes_again_and_nothing_is_told_twice() -> None:
    values = [call(1, TEN_O_CLOCK), b"stepped over", None, b"no record", call(2, TEN_O_CLOCK + 1)]
    at_once = Desk(skip="calls:0:1")
    whole = await at_once.take_in(*values)
    desk = Desk(skip="calls:0:1", ingest_longest_s=0.0)
    lane = await desk.take_in(*values)
    offsets = [commit.offset for commit in [lane.to_commit()] if commit is not None]
    while (batch := lane.take(99, 0.0)) is not None:
        await desk.ingest.take(batch)
        offsets += [commit.offset for commit in [lane.to_commit()] if commit is not None]
    assert offsets == [1, 4, 5]
    assert lane.to_commit() == whole.to_commit()
    assert desk.ingest.counts == at_once.ingest.counts
    letters = [
        sorted(each.bus.logs["ringfence.dead-letters", 0], key=lambda letter: letter.key or b"")
        for each in (desk, at_once)
    ]
    assert [letter.value for letter in letters[0]] == [letter.value for letter in letters[1]]
    assert len(letters[0]) == 2


async def test_others_get_their_turn_while_a_lane_is_rebuilt_for_long() -> None:
    desk = Desk(longest_s=0.0)
    await desk.take_in(*(call(n, TEN_O_CLOCK) for n in range(9)))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(take_turns())
    stage = desk.stages[0]
    unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
    state = FactsState(stage, settings_for_tests().timing, Point(0, unheard))
    await desk.correlate.rebuild(state, FACTS, 9)
    task.cancel()
    assert turns > 9


async def test_a_lane_with_a_commit_is_rebuilt_in_silence() -> None:
    desk = Desk()
    await desk.take_in(call(1, TEN_O_CLOCK))
    commit = (await desk.work_off()).to_commit()
    await desk.take_in(transfer(1, TEN_O_CLOCK + SECOND_US))
    batches = len(desk.bus.batches)
    opening = await desk.correlate.open(FACTS, commit, None)
    assert (opening.offset, opening.rebuilt_rows) == (2, 2)
    assert len(desk.bus.batches) == batches
    await desk.work_off(commit)
    assert len(desk.bus.values("ringfence.alerts")) == 1


async def test_a_state_that_is_still_exact_is_not_rebuilt() -> None:
    desk = Desk()
    await desk.take_in(call(1, TEN_O_CLOCK))
    lane = await desk.work_off()
    commit = lane.to_commit()
    kept = await desk.correlate.open(FACTS, commit, lane.state)
    assert kept.state is lane.state
    assert kept.rebuilt_rows == 0
    before = Commit(1, commit.metadata if commit else "")
    other = await desk.correlate.open(FACTS, before, lane.state)
    assert other.state is not lane.state
    assert other.state.next_offset == 1


async def test_a_commit_over_other_facts_partitions_is_refused() -> None:
    desk = Desk()
    point = Point(0, dict.fromkeys(desk.epoch.first.feed_partitions, NEVER_US))
    with pytest.raises(OutsideFailure, match="was made with 5"):
        await desk.correlate.open(FACTS, Commit(0, encode_point(point, 5)), None)


async def test_correlating_needs_no_tick_and_no_goodbye() -> None:
    desk = Desk()
    await desk.correlate.tick()
    desk.correlate.close(FACTS)
    assert desk.bus.batches == []


def test_a_row_in_memory_is_a_row() -> None:
    row: Row = MemoryRow(1, None, b"")
    assert row.offset == 1
