"""The agent that turns a facts log into alerts, and alerts into facts of the second stage."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

import structlog

from rules.alert import Alert, encode_alert
from rules.fact import Fact, Mark
from rules.watermark import NEVER_US, Partition
from streams.lanes import Channel, Commit, Opening, RecordBatch, Row
from streams.outbox import Message
from streams.producer import Sender
from streams.settings import Settings
from streams.states import FactsState, Stage
from streams.wire.commits import Point, decode_point, encode_point
from streams.wire.facts import encode_fact, encode_mark

log: Final = structlog.get_logger("ringfence")


class FactsLog(Protocol):
    """The facts log, read without a group."""

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset that retention has left."""

    def rows(self, partition: Partition, start: int, end: int) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows from one offset up to another, in order.

        Raises:
            OutsideFailure: They are not all there any more.
        """


class CorrelateStation:
    """Facts → what they imply acknowledged → marker → acknowledgement.

    The log of facts is the only state. The stage that reads alerts gets them as facts, and a
    mark of how far each partition of this stage has come.
    """

    contiguous = True

    def __init__(
        self,
        channel: Channel,
        *,
        settings: Settings,
        stage: Stage,
        alerts_topic: str,
        sender: Sender,
        facts_log: FactsLog,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._stage = stage
        self._alerts_topic = alerts_topic
        self.channel = channel
        self._sender = sender
        self._facts_log = facts_log
        self._states: dict[Partition, FactsState] = {}

    async def open(
        self, partition: Partition, committed: Commit | None, kept: FactsState | None
    ) -> Opening[FactsState]:
        """Begin at the commit, with the state that all rows before it make."""
        offset = 0 if committed is None else committed.offset
        if kept is not None and kept.next_offset == offset:
            return await self._opening(partition, kept, offset, rebuilt_rows=0)
        state = FactsState(
            self._stage, self._settings.timing, await self._point(partition, committed)
        )
        begin = state.next_offset
        await self.rebuild(state, partition, offset)
        return await self._opening(partition, state, offset, rebuilt_rows=offset - begin)

    async def _opening(
        self, partition: Partition, state: FactsState, offset: int, *, rebuilt_rows: int
    ) -> Opening[FactsState]:
        state.step_over(self._settings.skipped(partition))
        # All that the rows before a commit imply is there, so this may be told again.
        state.acknowledge()
        await self._mark(partition, state)
        self._states[partition] = state
        return Opening(state, offset, rebuilt_rows=rebuilt_rows)

    async def rebuild(self, state: FactsState, partition: Partition, offset: int) -> None:
        """Observe the rows up to an offset; what they imply was written by whoever committed."""
        async for rows in self._facts_log.rows(partition, state.next_offset, offset):
            state.observe(rows)

    async def _point(self, partition: Partition, committed: Commit | None) -> Point:
        """Return where the state of a commit begins."""
        unheard = dict.fromkeys(self._stage.log.feed_partitions, NEVER_US)
        if committed is None:
            return Point(0, unheard)
        if not committed.metadata:
            # An operator has set the offset. All marks that are left say what the vector was.
            begin = min(await self._facts_log.begin_of(partition), committed.offset)
            topic, number = partition
            log.warning(
                "commit_without_point",
                topic=topic,
                partition=number,
                offset=committed.offset,
                rebuilt_from=begin,
            )
            return Point(begin, unheard)
        point, spread = decode_point(committed.metadata, self._stage.log.feed_partitions)
        self._stage.log.check_spread(spread)
        return point

    def close(self, partition: Partition) -> None:
        """Tell no more marks of a partition that is not ours."""
        self._states.pop(partition, None)

    async def tick(self) -> None:
        """Send the marks that were held back because the last ones had only just gone out."""
        for partition, state in list(self._states.items()):
            await self._mark(partition, state)

    def follow(self, state: FactsState, read_to_end_us: int, heard_us: int) -> None:
        """Return None: the facts log has no clock but its marks."""
        del state, read_to_end_us, heard_us

    def followed(self, state: FactsState, watermark_us: int) -> None:
        """Never called, since `follow` has no watermark for anything."""

    async def take(self, batch: RecordBatch[FactsState]) -> None:
        """Do all that a batch implies, and acknowledge it."""
        self._tell_skipped(batch)
        alerts, facts = batch.state.observe(batch.rows)
        # Signals feed other rules only; the topic is for what asks for something.
        messages = [self._alert(alert) for alert in alerts if not alert.is_signal]
        self.counts["alert_records"] += len(messages)
        await self._sender.send_all([*messages, *map(self._fact, facts)])
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        batch.ack(encode_point(batch.state.commit_point(), self._stage.log.size))

    def _alert(self, alert: Alert) -> Message:
        return Message(self._alerts_topic, alert.alert_id.encode(), encode_alert(alert))

    def _fact(self, fact: Fact) -> Message:
        assert self._stage.reader is not None, "without a reader alerts are no facts"
        into = self._stage.reader.log
        key, value = encode_fact(fact)
        return Message(into.name, key, value, into.partition_of(key))

    async def _mark(self, partition: Partition, state: FactsState) -> None:
        if self._stage.reader is None:
            return
        watermark_us = state.told.mark_due(asyncio.get_running_loop().time())
        if watermark_us is not None:
            into = self._stage.reader.log
            (feed,) = into.roster
            value = encode_mark(Mark(feed, partition[1], watermark_us), into.roster)
            await self._sender.send_all(
                [Message(into.name, None, value, n) for n in range(into.size)]
            )
            state.told.marked(watermark_us)

    def _tell_skipped(self, batch: RecordBatch[FactsState]) -> None:
        topic, number = batch.partition
        for offset in self._settings.skipped(batch.partition):
            if batch.rows[0].offset <= offset <= batch.rows[-1].offset:
                self.counts["skipped"] += 1
                log.warning("row_skipped", topic=topic, partition=number, offset=offset)
