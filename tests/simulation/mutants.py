"""Workers with one safety rule switched off each, which the simulation has to notice."""

# What is switched off lies behind underscores.
# ruff: noqa: SLF001

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rules.watermark import NEVER_US, Partition
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.intake import Intake
from streams.lanes import Commit, Lane, LaneStage, Opening, RecordBatch, Row
from streams.states import FactsState, FeedState, Stage, Told
from streams.wire.commits import Point, encode_point, encode_watermark

Mutant = Callable[[pytest.MonkeyPatch], None]


def mark_before_facts(patch: pytest.MonkeyPatch) -> None:
    """Tell how far a feed has come before its facts are acknowledged."""

    async def take(self: IngestStation, batch: RecordBatch[FeedState]) -> None:
        messages, rows = self._implied(batch)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        await self._sender.send_all(messages)
        batch.ack(encode_watermark(batch.state.watermark_us), len(rows))

    patch.setattr(IngestStation, "take", take)


def commit_before_facts(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge records before their facts and dead letters are acknowledged."""

    async def take(self: IngestStation, batch: RecordBatch[FeedState]) -> None:
        messages, rows = self._implied(batch)
        batch.ack(encode_watermark(batch.state.watermark_us), len(rows))
        await self._sender.send_all(messages)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)

    patch.setattr(IngestStation, "take", take)


def commit_before_alerts(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge facts before the alerts that follow from them are acknowledged."""

    async def take(self: CorrelateStation, batch: RecordBatch[FactsState]) -> None:
        implied = batch.state.observe(batch.rows)
        batch.ack(encode_point(batch.state.commit_point(), self._stage.log.size))
        await self._sender.send_all(self._messages(batch.rows, implied))
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)

    patch.setattr(CorrelateStation, "take", take)


def second_mark_before_alerts(patch: pytest.MonkeyPatch) -> None:
    """Tell the second stage how far the first has come before it has its alerts."""

    async def take(self: CorrelateStation, batch: RecordBatch[FactsState]) -> None:
        implied = batch.state.observe(batch.rows)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        await self._sender.send_all(self._messages(batch.rows, implied))
        batch.ack(encode_point(batch.state.commit_point(), self._stage.log.size))

    patch.setattr(CorrelateStation, "take", take)


def no_rebuild(patch: pytest.MonkeyPatch) -> None:
    """Take a committed offset at its word, with no state for the rows before it."""

    async def rebuild(
        self: CorrelateStation, state: FactsState, partition: Partition, offset: int
    ) -> None:
        del self, partition
        state.next_offset = offset

    patch.setattr(CorrelateStation, "rebuild", rebuild)


def kept_state_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Go on with the state that an earlier lane left, wherever the group has come since."""
    real = CorrelateStation.open

    async def open_lane(
        self: CorrelateStation,
        partition: Partition,
        committed: Commit | None,
        kept: FactsState | None,
    ) -> Opening[FactsState]:
        if kept is not None and committed is not None:
            kept.next_offset = committed.offset
        return await real(self, partition, committed, kept)

    patch.setattr(CorrelateStation, "open", open_lane)


def continuity_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Take the rows of the facts log as they are delivered."""
    real = FactsState._step

    def hold(self: Lane[Any], rows: Sequence[Row]) -> bool:
        if self.stage is LaneStage.OPEN:
            self._held.extend(rows)
            self.expected = rows[-1].offset + 1
            self.changed.set()
        return True

    def step(self: FactsState, row: Row, decode: Any) -> Sequence[Any]:  # noqa: ANN401 - theirs
        self.next_offset = row.offset
        return real(self, row, decode)

    patch.setattr(Lane, "hold", hold)
    patch.setattr(FactsState, "_step", step)


def watermark_left_behind(patch: pytest.MonkeyPatch) -> None:
    """Begin a feed's time anew with each lane: the watermark does not travel with the offset."""
    patch.setattr("streams.agents.ingest.decode_watermark", lambda _: NEVER_US)


def vector_left_behind(patch: pytest.MonkeyPatch) -> None:
    """Rebuild without the watermarks as they stood where the rebuild begins."""
    real = CorrelateStation._point

    async def point(
        self: CorrelateStation, partition: Partition, committed: Commit | None
    ) -> Point:
        found = await real(self, partition, committed)
        return Point(found.offset, dict.fromkeys(found.watermarks, NEVER_US), found.skipped)

    patch.setattr(CorrelateStation, "_point", point)


def point_too_late(patch: pytest.MonkeyPatch) -> None:
    """Commit a point for rebuilds that lies behind rows that are still needed."""
    patch.setattr(
        FactsState, "commit_point", lambda self: Point(self.next_offset, self.watermarks)
    )


def unguarded_assignment(patch: pytest.MonkeyPatch) -> None:
    """Neither pause new partitions nor keep rows from lanes that are not open."""

    def hold(self: Lane[Any], rows: Sequence[Row]) -> bool:
        if self.stage in (LaneStage.OPEN, LaneStage.OPENING):
            self._held.extend(rows)
            self.expected = rows[-1].offset + 1
            self.changed.set()
        return True

    def on_assigned(self: Intake, assigned: Sequence[Any]) -> None:
        for lane in list(self._lanes.values()):
            self._end(lane)
        for place in assigned:
            self._begin((place.topic, place.partition))

    patch.setattr(Lane, "hold", hold)
    patch.setattr(Intake, "on_assigned", on_assigned)


def several_batches_out(patch: pytest.MonkeyPatch) -> None:
    """Let a second batch of a partition out before the first is acknowledged."""

    def take(self: Lane[Any], limit: int, now_s: float) -> RecordBatch[Any] | None:
        if self._rests or not self._held or self.state is None:
            return None
        rows, self._held = self._held[:limit], self._held[limit:]
        self.out = RecordBatch(self.partition, rows, self.state, self, now_s)
        self.changed.set()
        return self.out

    def acknowledge(
        self: Lane[Any], batch: RecordBatch[Any], commit: Commit, undone: Sequence[Row]
    ) -> bool:
        del batch
        self._held[:0] = undone
        self.out = None
        self.done = commit
        self.changed.set()
        return True

    patch.setattr(Lane, "take", take)
    patch.setattr(Lane, "acknowledge", acknowledge)


def alerts_cut_short(patch: pytest.MonkeyPatch) -> None:
    """Pass time on to the second stage as if no alert could still change."""
    patch.setattr(Stage, "passes_on", lambda _, minimum_us: minimum_us)


def claims_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Rebuild a lane without the keys under which its alerts were passed on."""
    real = CorrelateStation.rebuild

    async def rebuild(
        self: CorrelateStation, state: FactsState, partition: Partition, offset: int
    ) -> None:
        claims, state._claims = state._claims, None
        await real(self, state, partition, offset)
        state._claims = claims

    patch.setattr(CorrelateStation, "rebuild", rebuild)


def told_before_acknowledged(patch: pytest.MonkeyPatch) -> None:
    """Count a mark as told when it is due, not when the broker has it."""
    real = Told.mark_due

    def mark_due(self: Told, now_s: float) -> int | None:
        due = real(self, now_s)
        if due is not None:
            self.marked(due)
        return due

    patch.setattr(Told, "mark_due", mark_due)


MUTANTS: Sequence[tuple[str, Mutant]] = (
    ("facts are acknowledged before the mark", mark_before_facts),
    ("facts are acknowledged before the commit", commit_before_facts),
    ("alerts are acknowledged before the commit", commit_before_alerts),
    ("alerts are facts of the second stage before its mark", second_mark_before_alerts),
    ("a lane is rebuilt", no_rebuild),
    ("a kept state is gone on with only if it is exact", kept_state_unchecked),
    ("rows of the facts log must follow each other", continuity_unchecked),
    ("a feed's watermark travels with the offset", watermark_left_behind),
    ("the watermark vector travels with the point", vector_left_behind),
    ("the point lies before all that is remembered", point_too_late),
    ("new partitions are paused, and closed lanes take nothing", unguarded_assignment),
    ("one batch of a partition is out at a time", several_batches_out),
    ("the second stage waits for what can still change", alerts_cut_short),
    ("a rebuild knows what was passed on under which key", claims_forgotten),
    ("a mark counts as told once it is acknowledged", told_before_acknowledged),
)
"""Each safety rule, and the worker that does without."""
