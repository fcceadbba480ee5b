"""The agent that turns the facts log into alerts."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import faust

from rules.alert import Alert, encode_alert
from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams.epoch import Epoch
from streams.failures import OutsideFailure
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
        state = self._begin(partition, committed)
        begin = state.next_offset
        await self.rebuild(state, partition, offset)
        return Opening(state, offset, rebuilt_rows=offset - begin)

    async def rebuild(self, state: FactsState, partition: Partition, offset: int) -> None:
        """Observe the rows up to an offset; what they imply was written by whoever committed."""
        async for rows in self._facts_log.rows(partition, state.next_offset, offset):
            state.observe(rows)

    def _begin(self, partition: Partition, committed: Commit | None) -> FactsState:
        point = Point(0, dict.fromkeys(self._epoch.partitions, NEVER_US))
        if committed is not None:
            point, spread = decode_point(committed.metadata, self._epoch.partitions)
            check_spread(partition[0], spread, self._epoch.facts_partitions)
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


def check_spread(topic: str, committed: int, found: int) -> None:
    """Make sure that keys are spread over the facts log as they were.

    Raises:
        OutsideFailure: The number of its partitions has been changed.
    """
    if committed != found:
        raise OutsideFailure(
            f'topic "{topic}" has {found} partitions and its committed state was made with'
            f" {committed}; delete the topic and the group to begin anew, or restore the number"
        )


async def correlate(station: CorrelateStation, batches: faust.StreamT[Any]) -> None:
    """Take in batches for as long as there are any."""
    async for batch in batches:
        await station.take(batch)
