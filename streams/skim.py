"""What a part of a log comes to before the clocks are known: worked out away from the engine.

A part is some megabytes of whole lines. What no rule needs is passed over here, in a process of
its own, with a note of the least and the greatest time of each partition. Whoever knows the
clocks sees from that whether passing over was right: that none of it was late, and that no
watermark passed what must not be passed unseen. Every other line is handed over as it came.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rules.authoring.people import Sample
from streams.ingest import Ingest, Read
from streams.logs import BOM
from streams.wire.first_look import LATEST, MICROSECOND, Batch, Dropped, to_moment
from streams.wire.records import FUTURE_LIMIT_US

Key = str | tuple[str, int | None]
"""What tells a log's records apart by partition: a `source`, or a `feed` and a `partition`."""

Bounds = tuple[int, int]
"""Where a part begins and ends, in bytes; each line is of the part in which it begins."""

PART_BYTES: Final = 4 << 20
_CHUNK: Final = 1 << 16
_AHEAD: Final = FUTURE_LIMIT_US * MICROSECOND
_STRIDE: Final = timedelta(minutes=10)


@dataclass(slots=True)
class Skimmed:
    """Consecutive lines that no rule needs, and the line after them.

    Attributes:
        begin: Where the lines begin in the file, in bytes.
        end: Where they end.
        count: How many they are.
        spans: For each partition the least and the greatest time among them.
        dropped: How many they are of each event type, in the order of `FirstLook.dropped`.
        line: The next line as it came, with its end; nothing at the end of the part.
        read: What that is, read whole, if it could be told here.
    """

    begin: int
    end: int
    count: int
    spans: dict[Key, list[datetime]]
    dropped: list[int]
    line: bytes
    read: Read | None


@dataclass(slots=True)
class Part:
    """What one part came to, and a sample of the people met in it, by side."""

    skimmed: list[Skimmed] = field(default_factory=list)
    people: dict[str, Sample] = field(default_factory=dict)


def parts_of(size: int) -> list[Bounds]:
    """Return the bounds of the parts of a file of some bytes."""
    return [(at, min(at + PART_BYTES, size)) for at in range(0, size, PART_BYTES)]


def skim(path: Path, bounds: Bounds, ingest: Ingest, as_of_us: int) -> Part:
    """Return what a part of a file comes to.

    Args:
        path: the file, JSON lines and not compressed.
        bounds: of the part.
        ingest: reads its lines; it has met nobody yet.
        as_of_us: the moment after which a record without `recordedtime` is of the future.

    Raises:
        OSError: the file cannot be read.
    """
    skimmer = _Skimmer(ingest, as_of_us)
    with path.open("rb") as stream:
        end = _line_begin(stream, bounds[1])
        begin = _line_begin(stream, bounds[0])
        stream.seek(begin)
        for at, chunk in _chunks(stream, begin, end):
            skimmer.go_on(at, ingest.first_look.batch(chunk))
            ingest.people.thin()
    skimmer.hand_over(end, end, b"")
    return Part(skimmer.skimmed, ingest.people.samples())


def _line_begin(stream: io.BufferedReader, at: int) -> int:
    """Return where the first line begins that begins here or later."""
    stream.seek(max(0, at - 1))
    if at:
        stream.readline()
    return stream.tell()


def _chunks(stream: io.BufferedReader, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines with their ends, many at a time, and where they begin."""
    at, held = begin, b""
    while at + len(held) < end:
        held += stream.read(min(_CHUNK, end - at - len(held)))
        whole = held.rfind(b"\n") + 1 if at + len(held) < end else len(held)
        if whole:
            mark = len(BOM) if at == 0 and held.startswith(BOM) else 0
            chunk = held[mark:whole]
            yield at + mark, chunk if chunk.endswith(b"\n") else chunk + b"\n"
            at, held = at + whole, held[whole:]


class _Skimmer:
    """Goes through batches of lines: what has been passed over since the last line handed over.

    `known` has for each partition met in this part the greatest time and the earliest start that
    need no closer look.
    """

    def __init__(self, ingest: Ingest, as_of_us: int) -> None:
        self.skimmed: list[Skimmed] = []
        self._ingest = ingest
        self._as_of_us = as_of_us
        self._look = look = ingest.first_look
        self._latest = min(to_moment(as_of_us) + _AHEAD, LATEST)
        self._known: dict[Key, tuple[datetime, datetime]] = {}
        self._begin = -1
        self._count = 0
        self._spans: dict[Key, list[datetime]] = {}
        self._dropped = look.dropped_so_far()

    def go_on(self, at: int, batch: Batch) -> None:
        """Take the lines of a batch that begins so far into the file."""
        if self._begin < 0:
            self._begin = at
        looks, known = self._look.looks, self._known
        for number, r in enumerate(batch.records):
            key = None if r is None else _key(r)
            needed = None
            if key is not None:
                t = r.time
                bounds = known.get(key)
                if bounds is None or t > bounds[0]:
                    bounds = self._know(key, t)
                n = r.recordedtime
                if bounds is not None and (n is None or t <= n or t <= n + _AHEAD):
                    if not looks[r.__class__](r.data, t, bounds[1]):
                        self._pass_over(key, t)
                        continue
                    needed = r
            begin, end = at + batch.begin(number), at + batch.begin(number + 1)
            self.hand_over(begin, end, batch.line(number), needed)

    def _pass_over(self, key: Key, time: datetime) -> None:
        self._count += 1
        span = self._spans.get(key)
        if span is None:
            self._spans[key] = [time, time]
        elif time > span[1]:
            span[1] = time
        elif time < span[0]:
            span[0] = time

    def _know(self, key: Key, time: datetime) -> tuple[datetime, datetime] | None:
        """Return the bounds from a time on; None for a partition's first line and the future.

        Of a partition's first line here only whoever knows the others can say what it means.
        """
        is_first = key not in self._known
        ceiling = min(time + _STRIDE, self._latest) if time <= self._latest else time
        self._known[key] = ceiling, ceiling - self._look.settle
        return None if is_first or time > self._latest else self._known[key]

    def hand_over(self, begin: int, end: int, line: bytes, record: Any = None) -> None:  # noqa: ANN401 - a Struct made for these rules
        """Note what has been passed over up to a line, and the line.

        Args:
            begin: where the line begins in the file.
            end: where it ends.
            line: the line as it came, without its end.
            record: as first looked at, if it is to be read whole here.
        """
        dropped = self._look.dropped_so_far()
        since = [now - before for now, before in zip(dropped, self._dropped, strict=True)]
        read: Read | None = None
        if record is not None:
            read = self._ingest.read(line, record, now_us=self._as_of_us, trust_recorded=True)
            if isinstance(read, Dropped):
                # Whoever knows the clocks drops it, and counts it then.
                read, dropped = None, self._look.dropped_so_far()
        begun, told = max(self._begin, 0), line + b"\n" if begin < end else b""
        self.skimmed.append(Skimmed(begun, begin, self._count, self._spans, since, told, read))
        self._begin, self._count, self._spans, self._dropped = end, 0, {}, dropped


def _key(record: Any) -> Key | None:  # noqa: ANN401 - a Struct made for these rules
    """Return what tells a record's partition; None if that is not told in the usual way."""
    if record.feed is not None:
        return (record.feed, record.partition)
    source: str = record.source
    return source if record.partition is None else None
