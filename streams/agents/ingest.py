"""The agent that turns the records of outside topics into facts, and tells how far they came."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from rules.fact import Fact, Mark, split_key
from rules.screen import Screen
from rules.watermark import NEVER_US, FeedClock, Partition
from streams.clock import now_us
from streams.ingest import Ingest
from streams.lanes import LONGEST_S, Channel, Commit, Opening, RecordBatch, Row
from streams.metrics import DEAD_LETTERS, FACTS, LATE, RECORDS, SKIPPED, WITHOUT_VALUE, Key
from streams.outbox import Headers, Message, appended_at
from streams.producer import Sender
from streams.settings import Settings
from streams.states import FeedState, Stage
from streams.wire.binary_mode import envelope_from_headers
from streams.wire.commits import decode_watermark, encode_watermark
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.facts import encode_fact, encode_mark
from streams.wire.records import Refusal

log: Final = structlog.get_logger("ringfence")

_IDLE_STEPS: Final = 30
"""A quiet partition follows the clock in this many steps per `idle_after`, not row by row."""
_MICROSECOND: Final = timedelta(microseconds=1)


class Offsets(Protocol):
    """Where an outside partition stands on the broker."""

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset that retention has left."""


class IngestStation:
    """Raw batch → facts acknowledged → marker → acknowledgement, in this order.

    Each stage's facts log gets the facts that its rules name, and the first one the marks.
    """

    contiguous = False

    def __init__(
        self,
        channel: Channel,
        *,
        settings: Settings,
        stages: Sequence[Stage],
        starts: Mapping[Partition, int],
        ingest: Ingest,
        sender: Sender,
        offsets: Offsets,
        clock_us: Callable[[], int] = now_us,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._longest_s = longest_s
        self._settings = settings
        self._idle_after_us = settings.idle_after // _MICROSECOND
        self._starts = starts
        self._log = stages[0].log
        self._screens = [(stage.log, Screen(stage.rules)) for stage in stages]
        self._clock_us = clock_us
        self._ingest = ingest
        self.channel = channel
        self._sender = sender
        self._offsets = offsets
        self.counts: Counter[Key] = Counter()
        self._states: dict[Partition, FeedState] = {}

    async def open(
        self, partition: Partition, committed: Commit | None, kept: FeedState | None
    ) -> Opening[FeedState]:
        """Begin at the commit, and tell its watermark; the kept state knows nothing more.

        An operator who sets an offset commits no watermark: then time begins anew here, and
        facts that are written again change nothing.
        """
        del kept
        metadata = "" if committed is None else committed.metadata
        if committed is not None and not metadata:
            topic, number = partition
            log.warning(
                "commit_without_watermark",
                topic=topic,
                partition=number,
                offset=committed.offset,
            )
        watermark_us = decode_watermark(metadata) if metadata else NEVER_US
        state = FeedState(
            partition, FeedClock(self._settings.lateness_us(partition[0]), watermark_us)
        )
        await self._mark(partition, state)
        self._states[partition] = state
        if committed is not None:
            return Opening(state, committed.offset)
        offset = self._starts.get(partition)
        if offset is None:
            offset = await self._offsets.begin_of(partition)
        # Committed at once: retention must not move a start before the first batch.
        return Opening(state, offset, commit=Commit(offset, encode_watermark(NEVER_US)))

    def close(self, partition: Partition) -> None:
        """Tell no more marks of a partition that is not ours."""
        self._states.pop(partition, None)

    def opened_so_far(self, partition: Partition) -> int:
        """Return 0: an outside partition opens in one step."""
        del partition
        return 0

    def watermarks(self) -> Mapping[Partition, int]:
        """Return the watermark of each partition that is ours."""
        return {partition: state.watermark_us for partition, state in self._states.items()}

    async def take(self, batch: RecordBatch[FeedState]) -> None:
        """Do all that a batch implies, or as much as is due of a slow one, and acknowledge it."""
        messages, rows = self._implied(batch)
        await self._sender.send_all(messages)
        batch.state.acknowledge()
        await self._mark(batch.partition, batch.state)
        batch.ack(encode_watermark(batch.state.watermark_us), len(rows))
        self.counts[RECORDS.name, batch.partition[0]] += len(rows)

    async def tick(self) -> None:
        """Send the marks that were held back because the last ones had only just gone out."""
        for partition, state in list(self._states.items()):
            await self._mark(partition, state)

    def follow(self, state: FeedState, read_to_end_us: int, heard_us: int) -> int | None:
        """Return the watermark that a quiet partition has come to by the clock, if it is news.

        Args:
            state: the partition's.
            read_to_end_us: when a fetch last showed that there was nothing more in it.
            heard_us: when it last brought something.
        """
        after_us = self._idle_after_us
        if after_us == 0 or read_to_end_us - heard_us < after_us:
            return None
        watermark_us = read_to_end_us - after_us
        is_news = watermark_us - state.watermark_us >= after_us // _IDLE_STEPS
        return watermark_us if is_news else None

    def followed(self, state: FeedState, watermark_us: int) -> None:
        """Raise a quiet partition's watermark; the group has accepted it with a commit."""
        state.reach.raise_to(watermark_us)
        state.acknowledge()

    def _implied(self, batch: RecordBatch[FeedState]) -> tuple[list[Message], Sequence[Row]]:
        """Return the facts and dead letters that rows imply, and which rows.

        What is large and broken can take milliseconds each, and a worker that is silent for too
        many of them is no member of its group any more: what is left then comes again.
        """
        clock_s = asyncio.get_running_loop().time
        until_s = clock_s() + self._longest_s
        topic, rows, done = batch.partition[0], batch.rows, batch.rows
        raws = [row.value or b"" for row in rows]
        headers = [row.headers for row in rows]
        # Nearly always each row's value is all there is to it.
        is_plain = not self._settings.skip and not any(headers) and all(raws)
        if not is_plain:
            rows = self._to_read(batch)
            raws = [_structured(row) for row in rows]
        messages: list[Message] = []
        found = self._ingest.take_all(raws, batch.state.reach, now_us=self._clock_us())
        for at, taken in found:
            self.counts[LATE.name, topic] += taken.late
            if taken.refusal is not None:
                offset = rows[at].offset
                messages.append(
                    self._dead_letter(batch.partition, offset, raws[at], taken.refusal)
                )
            if taken.facts:
                appended = appended_at(rows[at].timestamp)
                for fact in taken.facts:
                    messages += self._placed(fact, appended)
            if clock_s() >= until_s:
                done = [row for row in batch.rows if row.offset <= rows[at].offset]
                break
        if not is_plain:
            messages += self._passed_over(batch.partition, done)
        return messages, done

    def _to_read(self, batch: RecordBatch[FeedState]) -> Sequence[Row]:
        skipped = self._settings.skipped(batch.partition)
        return [r for r in batch.rows if r.value is not None and r.offset not in skipped]

    def _passed_over(self, partition: Partition, rows: Sequence[Row]) -> list[Message]:
        """Return the dead letters of rows that are stepped over; count those without a value."""
        skipped = self._settings.skipped(partition)
        letters = [self._skip(partition, r) for r in rows if r.offset in skipped]
        empty = sum(r.value is None and r.offset not in skipped for r in rows)
        self.counts[SKIPPED.name, partition[0]] += len(letters)
        self.counts[WITHOUT_VALUE.name, partition[0]] += empty
        return letters

    def _skip(self, partition: Partition, row: Row) -> Message:
        topic, number = partition
        log.warning("row_skipped", topic=topic, partition=number, offset=row.offset)
        skipped = Refusal("internal", "stepped over: RINGFENCE_SKIP names it")
        return self._dead_letter(partition, row.offset, _structured(row), skipped)

    def _placed(self, fact: Fact, headers: Headers) -> Iterator[Message]:
        """Yield a fact for each stage that can use it."""
        key, value = encode_fact(fact)
        by, _ = split_key(fact.key)
        for into, screen in self._screens:
            # With one stage only there is nothing that it could not use.
            if len(self._screens) == 1 or by in screen.keys(
                fact.event.identity.type, fact.event.fields
            ):
                self.counts[FACTS.name, into.name] += 1
                yield Message(into.name, key, value, into.partition_of(key), headers)

    def _dead_letter(
        self, partition: Partition, offset: int, raw: bytes, refusal: Refusal
    ) -> Message:
        topic, number = partition
        self.counts[DEAD_LETTERS.name, refusal.reason] += 1
        if refusal.reason == "internal":
            log.error("bug_met", topic=topic, partition=number, offset=offset, what=refusal.detail)
        letter = dead_letter(raw, refusal, topic, number, offset)
        # The coordinates as key: whoever reads letters can tell a repeat from another one.
        key = f"{topic}:{number}:{offset}".encode()
        return Message(self._settings.dead_letters_topic, key, encode_dead_letter(letter))

    async def _mark(self, partition: Partition, state: FeedState) -> None:
        watermark_us = state.told.mark_due(asyncio.get_running_loop().time())
        if watermark_us is None:
            return
        into = self._log
        value = encode_mark(Mark(*partition, watermark_us), into.roster)
        await self._sender.send_all([Message(into.name, None, value, n) for n in range(into.size)])
        state.told.marked(watermark_us)


def _structured(row: Row) -> bytes:
    return envelope_from_headers(row.headers, row.value or b"")
