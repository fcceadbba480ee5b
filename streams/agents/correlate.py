"""The agent that turns a facts log into alerts, and alerts into facts of the second stage."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

import structlog

from rules.alert import Alert, encode_alert
from rules.fact import Fact, Mark
from rules.watermark import NEVER_US, Partition
from streams.clock import now_us
from streams.epoch import offset_of
from streams.lanes import LONGEST_S, Channel, Commit, Opening, RecordBatch, Row
from streams.metrics import (
    ALERTS,
    FACTS,
    REBUILDS,
    REBUILT_ROWS,
    RECORDS,
    SKIPPED,
    TRUNCATED,
    Key,
    Spread,
)
from streams.outbox import Message, appended_ms
from streams.producer import Sender
from streams.settings import Settings
from streams.states import FactsState, Implied, Stage
from streams.wire.commits import Point, decode_point, encode_point
from streams.wire.facts import encode_fact, encode_mark

log: Final = structlog.get_logger("ringfence")

_MILLISECOND_US: Final = 1_000
_SECOND_US: Final = 1_000_000


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
        clock_us: Callable[[], int] = now_us,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._longest_s = longest_s
        self.counts: Counter[Key] = Counter()
        self.decisions = Spread()
        self.rebuild_s = 0.0
        self.topic = stage.log.name
        self._settings = settings
        self._stage = stage
        self._alerts_topic = alerts_topic
        self.channel = channel
        self._sender = sender
        self._facts_log = facts_log
        self._clock_us = clock_us
        self._states: dict[Partition, FactsState] = {}
        self._opening: dict[Partition, FactsState] = {}
        self._counted: dict[Partition, Counter[Key]] = {}

    async def open(
        self, partition: Partition, committed: Commit | None, kept: FactsState | None
    ) -> Opening[FactsState]:
        """Begin at the commit, with the state that all rows before it make."""
        offset = 0 if committed is None else committed.offset
        if kept is not None and kept.next_offset == offset:
            return await self._opened(partition, kept, offset, rebuilt_rows=0)
        state = FactsState(
            self._stage, self._settings.timing, await self._point(partition, committed)
        )
        begin, begun_us = state.next_offset, self._clock_us()
        self._opening[partition] = state
        try:
            await self.rebuild(state, partition, offset)
        finally:
            del self._opening[partition]
        if offset > begin:
            self.counts[REBUILDS.name, self.topic] += 1
            self.counts[REBUILT_ROWS.name, self.topic] += offset - begin
            took_us = self._clock_us() - begun_us
            self.rebuild_s += took_us / _SECOND_US
        return await self._opened(partition, state, offset, rebuilt_rows=offset - begin)

    async def _opened(
        self, partition: Partition, state: FactsState, offset: int, *, rebuilt_rows: int
    ) -> Opening[FactsState]:
        state.step_over(self._settings.skipped(partition))
        # All that the rows before a commit imply is there, so this may be told again.
        state.acknowledge()
        await self._mark(partition, state)
        self._states[partition] = state
        # What a rebuild has counted was counted before, by whoever took those rows first.
        self._counted[partition] = state.counts()
        return Opening(state, offset, rebuilt_rows=rebuilt_rows)

    async def rebuild(self, state: FactsState, partition: Partition, offset: int) -> None:
        """Observe the rows up to an offset; what they imply was written by whoever committed."""
        clock_s = asyncio.get_running_loop().time
        until_s = clock_s() + self._longest_s
        async for rows in self._facts_log.rows(partition, state.next_offset, offset):
            for row in rows:
                state.catch_up(row)
                if clock_s() >= until_s:
                    # The group is told that this worker is there; see `_observe`.
                    await asyncio.sleep(0)
                    until_s = clock_s() + self._longest_s

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
        self._count_on(partition)
        self._states.pop(partition, None)

    def opened_so_far(self, partition: Partition) -> int:
        """Return how far the rebuild of a partition has come, as an offset."""
        state = self._opening.get(partition)
        return 0 if state is None else state.next_offset

    def count_on(self) -> None:
        """Take what states have counted since the last time into `counts`."""
        for partition in self._states:
            self._count_on(partition)

    def _count_on(self, partition: Partition) -> None:
        if partition in self._states:
            found = self._states[partition].counts()
            self.counts.update(found - self._counted[partition])
            self._counted[partition] = found

    def remembered(self) -> tuple[int, int]:
        """Return how many keys have a history here, and how many events those hold together."""
        held = [state.remembered for state in self._states.values()]
        return sum(keys for keys, _ in held), sum(events for _, events in held)

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
        """Do all that a batch implies, or as much as is due of a slow one, and acknowledge it."""
        implied, rows = self._observe(batch)
        self._tell_skipped(batch.partition, rows)
        await self._sender.send_all(self._messages(rows, implied))
        self._count(rows, implied.alerts)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        batch.ack(encode_point(batch.state.commit_point(), self._stage.log.size), len(rows))

    def _observe(self, batch: RecordBatch[FactsState]) -> tuple[Implied, Sequence[Row]]:
        """Observe rows for as long as everything else can wait; return what which rows imply.

        A flood of one key can make each row take a second. A worker that is silent for so many
        of them is no member of its group any more, and whoever comes after it fares no better.
        """
        clock_s = asyncio.get_running_loop().time
        until_s = clock_s() + self._longest_s
        alerts: list[Alert] = []
        facts: list[Fact] = []
        done = 0
        for done, row in enumerate(batch.rows, 1):  # noqa: B007 - how many is wanted afterwards
            implied = batch.state.observe([row])
            alerts += implied.alerts
            facts += implied.facts
            if clock_s() >= until_s:
                break
        return Implied(alerts, facts), batch.rows[:done]

    def _messages(self, rows: Sequence[Row], implied: Implied) -> list[Message]:
        """Return what rows imply as records, each with the headers of the row it follows from."""
        # Signals feed other rules only; the topic is for what asks for something.
        messages = [self._alert(alert) for alert in implied.alerts if not alert.is_signal]
        # An alert's sequence as an event is its revision.
        facts = [self._fact(fact, _cause(rows, fact.event.sequence)) for fact in implied.facts]
        return [*messages, *facts]

    def _alert(self, alert: Alert) -> Message:
        return Message(self._alerts_topic, alert.alert_id.encode(), encode_alert(alert))

    def _fact(self, fact: Fact, cause: Row) -> Message:
        assert self._stage.reader is not None, "without a reader alerts are no facts"
        into = self._stage.reader.log
        key, value = encode_fact(fact)
        self.counts[FACTS.name, into.name] += 1
        return Message(into.name, key, value, into.partition_of(key), list(cause.headers))

    def _count(self, rows: Sequence[Row], alerts: Sequence[Alert]) -> None:
        self.counts[RECORDS.name, self.topic] += len(rows)
        done_us = self._clock_us()
        for alert in alerts:
            if not alert.is_signal:
                rule, final = alert.content["rule"]["id"], str(alert.final).lower()
                self.counts[ALERTS.name, rule, alert.state, final] += 1
                if alert.final and "truncated" in alert.content:
                    self.counts[TRUNCATED.name, rule] += 1
                # What only a mark has caused was decided long before, and has no such header.
                appended = appended_ms(_cause(rows, alert.revision).headers)
                if appended is not None:
                    self.decisions.observe((done_us - appended * _MILLISECOND_US) / _SECOND_US)

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

    def _tell_skipped(self, partition: Partition, rows: Sequence[Row]) -> None:
        topic, number = partition
        for offset in self._settings.skipped(partition):
            if rows[0].offset <= offset <= rows[-1].offset:
                self.counts[SKIPPED.name, topic] += 1
                log.warning("row_skipped", topic=topic, partition=number, offset=offset)


def _cause(rows: Sequence[Row], revision: int) -> Row:
    """Return the row that has caused a revision, of rows that follow one another."""
    return rows[offset_of(revision) - rows[0].offset]
