"""The agent that turns the facts log into alerts."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from rules.alert import Alert, encode_alert
from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams.epoch import Epoch
from streams.lanes import Channel, Commit, Opening, RecordBatch, Row
from streams.producer import Message, Sender
from streams.settings import Settings
from streams.states import FactsState
from streams.wire.commits import Point, decode_point, encode_point


class FactsLog(Protocol):
    """The facts log, read without a group."""

    def rows(self, partition: Partition, start: int, end: int) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows from one offset up to another, in order.

        Raises:
            OutsideFailure: They are not all there any more.
        """


class CorrelateStation:
    """Facts → alerts acknowledged → acknowledgement; the log of facts is the only state."""

    contiguous = True

    def __init__(
        self,
        channel: Channel,
        *,
        settings: Settings,
        epoch: Epoch,
        rule_set: RuleSet,
        sender: Sender,
        facts_log: FactsLog,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._epoch = epoch
        self._rule_set = rule_set
        self.channel = channel
        self._sender = sender
        self._facts_log = facts_log

    async def open(
        self, partition: Partition, committed: Commit | None, kept: FactsState | None
    ) -> Opening[FactsState]:
        """Begin at the commit, with the state that all rows before it make."""
        offset = 0 if committed is None else committed.offset
        if kept is not None and kept.next_offset == offset:
            return Opening(kept, offset)
        state = self._begin(committed)
        begin = state.next_offset
        await self.rebuild(state, partition, offset)
        return Opening(state, offset, rebuilt_rows=offset - begin)

    async def rebuild(self, state: FactsState, partition: Partition, offset: int) -> None:
        """Observe the rows up to an offset; what they imply was written by whoever committed."""
        async for rows in self._facts_log.rows(partition, state.next_offset, offset):
            state.observe(rows)

    def _begin(self, committed: Commit | None) -> FactsState:
        point = Point(0, dict.fromkeys(self._epoch.partitions, NEVER_US))
        if committed is not None:
            point, spread = decode_point(committed.metadata, self._epoch.partitions)
            self._epoch.check_spread(spread)
        return FactsState(self._rule_set, self._settings.timing, point)

    def close(self, partition: Partition) -> None:
        """Nothing is to be done: the lane's state goes with the lane."""

    async def tick(self) -> None:
        """Nothing is ever due: facts and marks alone move this agent."""

    async def take(self, batch: RecordBatch[FactsState]) -> None:
        """Do all that a batch implies, and acknowledge it."""
        alerts = batch.state.observe(batch.rows)
        self.counts["alert_records"] += len(alerts)
        await self._sender.send_all([self._message(alert) for alert in alerts])
        batch.ack(encode_point(batch.state.commit_point(), self._epoch.facts_partitions))

    def _message(self, alert: Alert) -> Message:
        return Message(self._settings.alerts_topic, alert.alert_id.encode(), encode_alert(alert))
