"""A log while it is replayed: where its next line stands, and who may be passed over."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from rules.watermark import NEVER_US, Partition
from streams.ingest import Ingest, Read
from streams.logs import Log
from streams.reaches import Reach
from streams.skim import Key, Part, Skimmed
from streams.wire.first_look import Batch, to_us
from streams.wire.records import Record

_LONGEST_HEAD: Final = 10_000

Piece = tuple[Batch, Read | None]
"""Lines, and what the only one of them is if it has been read whole already."""


class Source:
    """One log while it is replayed: its next line, and the event time at which that stands.

    Attributes:
        place: Where the log stands on the command line, from 0.
        time_us: The time of the next line; of one without, that of the last line that had one.
        number: The next line's number in the log, from 0.
        late: How many of the records passed over were late.
    """

    def __init__(
        self,
        place: int,
        log: Log,
        ingest: Ingest,
        as_of_us: int,
        parts: Iterable[Part] | None = None,
    ) -> None:
        """Begin at the log's first line.

        Args:
            place: where the log stands on the command line, from 0.
            log: the log.
            ingest: reads its lines.
            as_of_us: the moment after which a record without `recordedtime` is of the future.
            parts: what the log's parts came to, if that is worked out elsewhere.
        """
        self.place = place
        self.log = log
        self.time_us = NEVER_US
        self.number = 0
        self.late = 0
        self._ingest = ingest
        self._as_of_us = as_of_us
        self._chunks = log.chunks()
        self._ahead: deque[Batch] = deque()
        self._pieces = self._batches() if parts is None else self._from_parts(parts)
        self._batch = Batch(())
        self._at = 0
        self._passed = 0
        self._read: Read | None = None
        self._reaches: dict[Key, Reach] = {}

    def head(self) -> list[Record]:
        """Return the heartbeats that the log begins with; they are replayed all the same."""
        beats: list[Record] = []
        for line in islice(self._look_ahead(), _LONGEST_HEAD):
            read = self._ingest.read_whole(line, now_us=self._as_of_us, trust_recorded=True)
            if isinstance(read, Record) and read.type == "heartbeat":
                beats.append(read)
            elif line.strip():
                break
        return beats

    def _look_ahead(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            batch = self._ingest.first_look.batch(chunk)
            self._ahead.append(batch)
            for at in range(len(batch.records)):
                yield batch.line(at)

    def _batches(self) -> Iterator[Piece]:
        while self._ahead:
            yield self._ahead.popleft(), None
        for chunk in self._chunks:
            yield self._ingest.first_look.batch(chunk), None

    def _from_parts(self, parts: Iterable[Part]) -> Iterator[Piece]:
        """Pass over what has been skimmed, where that was right, and yield all other lines."""
        look = self._ingest.first_look
        for part in parts:
            self._ingest.people.take(part.people)
            for skimmed in part.skimmed:
                if self._may_skim(skimmed):
                    look.add_dropped(skimmed.dropped)
                    self.number += skimmed.count
                    self._passed += skimmed.count
                elif skimmed.count:
                    yield look.batch(self.log.piece(skimmed.begin, skimmed.end)), None
                if skimmed.line:
                    yield look.batch(skimmed.line), skimmed.read

    def _may_skim(self, skimmed: Skimmed) -> bool:
        """Pass over what has been skimmed if that was right; tell whether it was."""
        spans: dict[Reach, tuple[datetime, datetime]] = {}
        for key, (least, greatest) in skimmed.spans.items():
            reach = self._reaches.get(key)
            if reach is None:
                return False
            # A feed's partition 0 can be told in two ways.
            held = spans.get(reach, (least, greatest))
            spans[reach] = min(least, held[0]), max(greatest, held[1])
        if not all(reach.covers(*span) for reach, span in spans.items()):
            return False
        for reach, (_, greatest) in spans.items():
            reach.move(greatest)
        return True

    def is_at_end(self) -> bool:
        """Tell whether there is no next line; the next batch is read where it is needed."""
        while self._at == len(self._batch.records):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._at = 0
            self._batch, self._read = piece
        return False

    def passed(self) -> int:
        """Return how many lines have been passed over since this was last asked."""
        passed, self._passed = self._passed, 0
        return passed

    def is_at_batch_end(self) -> bool:
        """Tell whether the next line is in another batch, if there is one."""
        return self._at == len(self._batch.records)

    @property
    def record(self) -> Any:  # noqa: ANN401 - a Struct made for these rules
        """The next line as first looked at; None if it was not plainly in order."""
        return self._batch.records[self._at]

    @property
    def line(self) -> bytes:
        """The next line as it came."""
        return self._batch.line(self._at)

    def read(self) -> Read:
        """Return what the next line is: dropped at first look, or read whole."""
        if self._read is None:
            self._read = self._ingest.read(
                self.line, self.record, now_us=self._as_of_us, trust_recorded=True
            )
        return self._read

    def note_time(self) -> None:
        """Note the time at which the next line stands, if it has one."""
        if self.is_at_end():
            return
        if self.record is not None:
            self.time_us = to_us(self.record.time)
        elif self.line.strip():
            read = self.read()
            self.time_us = self.time_us if read.time_us is None else read.time_us

    def skip(self) -> None:
        """Go on to the line after the next."""
        self._at += 1
        self.number += 1
        self._read = None

    def partition_of(self, read: Read) -> Partition:
        """Return the feed partition that a record of this log comes from."""
        if read.feed is not None:
            return (read.feed, read.partition or 0)
        return (f"{read.source} in log {self.place + 1}", read.partition or 0)

    def know(self, reach: Reach) -> None:
        """Let records like the next line be passed over as far as a reach allows."""
        record = self.record
        if record.feed is not None:
            self._reaches[record.feed, record.partition] = reach
        elif record.partition is None:
            self._reaches[record.source] = reach

    def pass_over(self, until: datetime | None) -> None:
        """Pass over records that no rule needs; `passed` then says how many there were.

        Stops at the end of the batch, before a record that is to be read whole, and before one
        that is dated after `until`.
        """
        looks, reaches = self._ingest.first_look.looks, self._reaches
        late, begun, at = 0, self._at, self._at
        for r in islice(self._batch.records, begun, None):
            if r is None:
                break
            t = r.time
            if r.feed is not None:
                reach = reaches.get((r.feed, r.partition))
            else:
                reach = reaches.get(r.source) if r.partition is None else None
            if reach is None or t > reach.ceiling or (until is not None and t > until):
                break
            n = r.recordedtime
            if n is not reach.recorded and (
                n is None or reach.recorded is None or n < reach.recorded
            ):
                break
            if t <= reach.top and t < reach.safe:
                if t < reach.epoch or looks[r.__class__](r.data, t, reach.earliest):
                    break
                late += t < reach.top - reach.lateness
            elif looks[r.__class__](r.data, t, reach.earliest):
                break
            elif t > reach.top:
                reach.top = t
            at += 1
        self._at = at
        self.number += at - begun
        self.late += late
        self._passed += at - begun
