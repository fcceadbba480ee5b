"""The agent that turns the records of outside topics into facts, and tells how far they came."""

import asyncio
from collections import Counter
from typing import Final, Protocol

import structlog

from rules.fact import Mark
from rules.watermark import NEVER_US, FeedClock, Partition
from streams.clock import now_us
from streams.epoch import Epoch
from streams.ingest import Ingest, Taken
from streams.lanes import Channel, Commit, Opening, RecordBatch, Row
from streams.producer import Message, Sender
from streams.settings import Settings
from streams.states import FeedState
from streams.wire.binary_mode import envelope_from_headers
from streams.wire.commits import decode_watermark, encode_watermark
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.facts import encode_fact, encode_mark
from streams.wire.records import Refusal

log: Final = structlog.get_logger("ringfence")


class Offsets(Protocol):
    """Where an outside partition stands on the broker."""

    async def start_of(self, partition: Partition, start: str | int) -> int:
        """Return the offset where a reader without commits begins."""


class IngestStation:
    """Raw batch → facts acknowledged → marker → acknowledgement, in this order."""

    contiguous = False

    def __init__(
        self,
        channel: Channel,
        *,
        settings: Settings,
        epoch: Epoch,
        ingest: Ingest,
        sender: Sender,
        offsets: Offsets,
    ) -> None:
        self._settings = settings
        self._epoch = epoch
        self._ingest = ingest
        self.channel = channel
        self._sender = sender
        self._offsets = offsets
        self.counts: Counter[str] = Counter()
        self._states: dict[Partition, FeedState] = {}

    async def open(
        self, partition: Partition, committed: Commit | None, kept: FeedState | None
    ) -> Opening[FeedState]:
        """Begin at the commit, and tell its watermark; the kept state knows nothing more."""
        del kept
        watermark_us = NEVER_US if committed is None else decode_watermark(committed.metadata)
        state = FeedState(FeedClock(self._settings.lateness_us(partition[0]), watermark_us))
        self._states[partition] = state
        await self._mark(partition, state)
        if committed is not None:
            return Opening(state, committed.offset)
        offset = await self._offsets.start_of(partition, self._settings.start)
        # Committed at once: what comes before a first batch must not move a start at `latest`.
        return Opening(state, offset, commit=Commit(offset, encode_watermark(NEVER_US)))

    def close(self, partition: Partition) -> None:
        """Tell no more marks of a partition that is not ours."""
        self._states.pop(partition, None)

    async def take(self, batch: RecordBatch[FeedState]) -> None:
        """Do all that a batch implies, and acknowledge it."""
        messages: list[Message] = []
        for row in batch.rows:
            messages += self._messages(batch.partition, batch.state.clock, row)
        await self._sender.send_all(messages)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        batch.ack(encode_watermark(batch.state.clock.watermark_us))

    async def tick(self) -> None:
        """Send the marks that were held back because the last ones had only just gone out."""
        for partition, state in list(self._states.items()):
            await self._mark(partition, state)

    def _messages(self, partition: Partition, clock: FeedClock, row: Row) -> list[Message]:
        if row.value is None:
            self.counts["without_value"] += 1
            return []
        raw = envelope_from_headers(row.headers, row.value)
        taken = self._take(raw, clock)
        self.counts["late"] += taken.late
        if taken.refusal is not None:
            return [self._dead_letter(partition, row.offset, raw, taken.refusal)]
        return [Message(self._epoch.facts_topic, *encode_fact(fact)) for fact in taken.facts]

    def _take(self, raw: bytes, clock: FeedClock) -> Taken:
        try:
            return self._ingest.take(raw, clock, now_us=now_us())
        # One record must not stop the stream, whatever bug it meets; it is named in the open.
        except Exception as error:  # noqa: BLE001 - see above
            # The error's own text stays out: it could hold what the record holds.
            return Taken(refusal=Refusal("internal", f"{type(error).__name__} in ingest"))

    def _dead_letter(
        self, partition: Partition, offset: int, raw: bytes, refusal: Refusal
    ) -> Message:
        topic, number = partition
        self.counts["refused"] += 1
        if refusal.reason == "internal":
            log.error("bug_met", topic=topic, partition=number, offset=offset, what=refusal.detail)
        letter = dead_letter(raw, refusal, topic, number, offset)
        # The coordinates as key: whoever reads letters can tell a repeat from another one.
        key = f"{topic}:{number}:{offset}".encode()
        return Message(self._settings.dead_letters_topic, key, encode_dead_letter(letter))

    async def _mark(self, partition: Partition, state: FeedState) -> None:
        watermark_us = state.mark_due(asyncio.get_running_loop().time())
        if watermark_us is None:
            return
        value = encode_mark(Mark(*partition, watermark_us), self._epoch.roster)
        topic = self._epoch.facts_topic
        await self._sender.send_all(
            [Message(topic, None, value, n) for n in range(self._epoch.facts_partitions)]
        )
