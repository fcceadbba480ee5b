"""A window of topics: what lies between two bounds of each partition, read without a group."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from rules.moment import parse_moment
from rules.watermark import Partition
from streams.counting import show_count
from streams.failures import OutsideFailure, SettingsError
from streams.lanes import Row
from streams.refusals import why
from streams.security import client_options
from streams.settings import PLACE, Settings

MILLISECOND_US: Final = 1_000
_PATIENCE_S: Final = 30.0
_POLL_MS: Final = 500
_FETCH_WAIT_MS: Final = 20
_HELD: Final = 10_000
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T", re.ASCII | re.IGNORECASE)

Bound = Literal["earliest", "latest"] | int | Mapping[Partition, int]
"""The beginning or the end as it stands, a moment in microseconds, or offsets by partition."""


class Stored(Row, Protocol):
    """One record of a topic, with Kafka's own timestamp."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch: of appending, or what its producer says."""


class Span(NamedTuple):
    """Offsets of a partition, from `start` up to and without `end`."""

    start: int
    end: int


def parse_bound(option: str, text: str) -> Bound:
    """Return what a text of the command line bounds a window by.

    Raises:
        SettingsError: Nothing; the text names the option.
    """
    if text == "earliest":
        return "earliest"
    if text in {"latest", "now"}:
        return "latest"
    if not _MOMENT.match(text):
        places = [PLACE.fullmatch(part.strip()) for part in text.split(",")]
        found = {(m[1], int(m[2])): int(m[3]) for m in places if m is not None}
        if len(found) == len(places):
            return found
    try:
        return parse_moment(text)
    except ValueError as error:
        raise SettingsError(
            f"{option}: {error}, nor earliest, latest, now, or offsets like calls:0:1200,calls:1:0"
        ) from error


class Merge:
    """Puts the rows of several partitions in one order: by Kafka's timestamp, ties by partition.

    Within a partition the order of offsets stays. What comes out follows from the rows alone,
    whatever pieces they come in.
    """

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self._held: dict[Partition, deque[Stored]] = {p: deque() for p in sorted(partitions)}
        self._finished: set[Partition] = set()

    def hold(self, partition: Partition, rows: Sequence[Stored]) -> None:
        """Take in the next rows of a partition."""
        self._held[partition].extend(rows)

    def finish(self, partition: Partition) -> None:
        """Take note that a partition has no further rows."""
        self._finished.add(partition)

    @property
    def waiting_for(self) -> list[Partition]:
        """The partitions that have more to bring."""
        return [p for p in self._held if p not in self._finished]

    def is_full(self, partition: Partition) -> bool:
        """Tell whether a partition has brought far more than could come out so far."""
        return len(self._held[partition]) >= _HELD

    def ready(self) -> Iterator[tuple[Partition, Stored]]:
        """Yield what can come out: as long as nothing that is missing could come before it."""
        while True:
            first: tuple[int, Partition] | None = None
            for partition, rows in self._held.items():
                if not rows and partition not in self._finished:
                    return
                if rows:
                    place = (rows[0].timestamp, partition)
                    first = place if first is None else min(first, place)
            if first is None:
                return
            yield first[1], self._held[first[1]].popleft()


class Reader:
    """Reads windows of partitions; `open_reader` gives one."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def spans(
        self, partitions: Sequence[Partition], begin: Bound, end: Bound
    ) -> dict[Partition, Span]:
        """Return the offsets of each partition between two bounds.

        An offset that is given for some partitions only leaves the others whole.

        Raises:
            OutsideFailure: An offset is not there any more, or not yet.
        """
        places = [TopicPartition(*partition) for partition in partitions]
        self._consumer.assign(places)
        for place in places:
            # A place to stand, before anything is awaited: else it asks for a commit in vain.
            self._consumer.seek(place, 0)
        self._consumer.pause(*places)
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        whole = {p: Span(firsts[TopicPartition(*p)], ends[TopicPartition(*p)]) for p in partitions}
        starts = await self._offsets(begin, whole, {p: s.start for p, s in whole.items()})
        limits = await self._offsets(end, whole, {p: s.end for p, s in whole.items()})
        return {p: Span(starts[p], max(starts[p], limits[p])) for p in partitions}

    async def _offsets(
        self, bound: Bound, whole: Mapping[Partition, Span], usual: Mapping[Partition, int]
    ) -> Mapping[Partition, int]:
        if bound == "earliest":
            return {p: span.start for p, span in whole.items()}
        if bound == "latest":
            return {p: span.end for p, span in whole.items()}
        if isinstance(bound, int):
            at_ms = -(-bound // MILLISECOND_US)
            asked = {TopicPartition(*p): at_ms for p in whole}
            found = {
                (place.topic, place.partition): offset
                for place, offset in (await self._consumer.offsets_for_times(asked)).items()
            }
            # Of a moment after the last record there is no offset yet.
            return {p: s.end if found[p] is None else found[p].offset for p, s in whole.items()}
        check_offsets(bound, whole)
        return {**usual, **bound}

    async def rows(
        self, spans: Mapping[Partition, Span]
    ) -> AsyncIterator[tuple[Partition, Stored]]:
        """Yield the rows of all spans in the order of `Merge`.

        Raises:
            OutsideFailure: They are not all there any more, or the broker brings no more.
        """
        total = sum(span.end - span.start for span in spans.values())
        with show_count(total, "records read") as advance:
            async for pieces in self._pieces(spans):
                for placed in pieces:
                    advance()
                    yield placed

    async def _pieces(
        self, spans: Mapping[Partition, Span]
    ) -> AsyncIterator[Iterator[tuple[Partition, Stored]]]:
        wanted = {TopicPartition(*p): span for p, span in spans.items() if span.start < span.end}
        merge = Merge([(place.topic, place.partition) for place in wanted])
        self._consumer.assign(list(wanted))
        for place, span in wanted.items():
            self._consumer.seek(place, span.start)
        loop = asyncio.get_running_loop()
        heard_at_s = loop.time()
        while merge.waiting_for:
            fetched = await self._fetch()
            for place, rows in fetched.items():
                inside = [row for row in rows if row.offset < wanted[place].end]
                merge.hold((place.topic, place.partition), inside)
            await self._settle(merge, wanted)
            if fetched:
                heard_at_s = loop.time()
            elif loop.time() - heard_at_s > _PATIENCE_S:
                waiting = ", ".join(f"{topic}:{n}" for topic, n in merge.waiting_for)
                raise OutsideFailure(f"the broker brings no more records of {waiting}")
            yield merge.ready()

    async def _fetch(self) -> Mapping[TopicPartition, Sequence[Stored]]:
        try:
            fetched: Mapping[TopicPartition, Sequence[Stored]] = await self._consumer.getmany(
                timeout_ms=_POLL_MS
            )
        except OffsetOutOfRangeError as error:
            raise OutsideFailure(
                "retention has deleted records while they were read; begin later with --from"
            ) from error
        return fetched

    async def _settle(self, merge: Merge, wanted: Mapping[TopicPartition, Span]) -> None:
        """Finish partitions that are read to their end, and read on where rows are needed."""
        for place, span in wanted.items():
            partition = (place.topic, place.partition)
            # Not by the last record: markers of transactions take offsets too.
            if await self._consumer.position(place) >= span.end:
                merge.finish(partition)
            is_done = partition not in merge.waiting_for
            # Paused partitions lose what has been fetched of them, so seldom.
            if is_done or merge.is_full(partition):
                self._consumer.pause(place)
            else:
                self._consumer.resume(place)


def check_offsets(bound: Mapping[Partition, int], whole: Mapping[Partition, Span]) -> None:
    """Make sure that the offsets of a bound are there.

    Raises:
        SettingsError: A partition is none of those that are read.
        OutsideFailure: An offset is not there.
    """
    for (topic, number), offset in bound.items():
        span = whole.get((topic, number))
        if span is None:
            known = ", ".join(f"{t}:{n}" for t, n in sorted(whole))
            raise SettingsError(f"{topic}:{number} is none of the partitions read: {known}")
        if not span.start <= offset <= span.end:
            raise OutsideFailure(
                f"{topic}:{number} holds the offsets from {span.start} up to {span.end}, and not"
                f" {offset}"
            )


@asynccontextmanager
async def open_reader(settings: Settings) -> AsyncIterator[Reader]:
    """Give a reader that is no member of any group, and commits nothing.

    Raises:
        OutsideFailure: The broker does not answer.
    """
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        # As the worker reads: what a transaction took back is not there.
        isolation_level="read_committed",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    try:
        await consumer.start()
        yield Reader(consumer)
    except KafkaError as error:
        raise OutsideFailure(f"the broker does not do what was asked: {why(error)}") from error
    finally:
        await consumer.stop()
