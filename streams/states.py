"""What a lane knows between two batches: of an outside partition, and of a facts partition."""

from collections import deque
from collections.abc import Mapping, Sequence

from rules.alert import Alert
from rules.engine import Correlator
from rules.rule import RuleSet
from rules.timing import Timing
from rules.watermark import NEVER_US, FeedClock, Partition
from streams.epoch import offset_of, revision_at
from streams.failures import OutsideFailure
from streams.lanes import Row
from streams.wire.commits import Point
from streams.wire.facts import decode_row

NOTE_EVERY = 1_000
MARK_EVERY_S = 1.0


class FeedState:
    """An outside partition: its clock, and which watermark the facts log has been told.

    A mark is due at most once a second, and only for facts that the broker has acknowledged.
    """

    def __init__(self, clock: FeedClock) -> None:
        self.clock = clock
        self._acknowledged_us = clock.watermark_us
        self._marked_us = NEVER_US
        self._marked_at_s = float("-inf")

    def acknowledge(self) -> None:
        """Note that all facts below the clock's watermark are in the facts log."""
        self._acknowledged_us = self.clock.watermark_us

    def mark_due(self, now_s: float) -> int | None:
        """Return the watermark to tell now, or None; what is returned counts as told."""
        if self._acknowledged_us <= self._marked_us:
            return None
        if now_s - self._marked_at_s < MARK_EVERY_S:
            return None
        self._marked_us, self._marked_at_s = self._acknowledged_us, now_s
        return self._marked_us


class Notes:
    """The watermarks as they stood before some rows of a facts partition, oldest first."""

    def __init__(self, first: Point) -> None:
        self._points = deque([first])

    def is_due(self, offset: int) -> bool:
        """Tell whether the row at an offset wants a note before it is observed."""
        return offset - self._points[-1].offset >= NOTE_EVERY

    def add(self, point: Point) -> None:
        """Note the watermarks at a point that is later than all before."""
        self._points.append(point)

    def latest_until(self, offset: int) -> Point:
        """Return the latest note at or before an offset, and let go of those before it."""
        while len(self._points) > 1 and self._points[1].offset <= offset:
            self._points.popleft()
        return self._points[0]


class FactsState:
    """A facts partition: its correlator, the next offset, and where a rebuild would begin.

    A pure function of the rows observed, from the point where it began.
    """

    def __init__(self, rule_set: RuleSet, timing: Timing, point: Point) -> None:
        self.next_offset = point.offset
        self._timing = timing
        self._correlator = Correlator(rule_set, point.watermarks)
        self._notes = Notes(point)

    @property
    def watermarks(self) -> Mapping[Partition, int]:
        """The watermark of each partition of the roster as it stands."""
        return self._correlator.watermarks.as_mapping()

    def observe(self, rows: Sequence[Row]) -> list[Alert]:
        """Take in the next rows of the log, each a step, and return the alert records they cause.

        Raises:
            RowError: A row cannot be read.
            OutsideFailure: These are not the next rows.
        """
        alerts: list[Alert] = []
        for row in rows:
            alerts += self._step(row)
        return alerts

    def _step(self, row: Row) -> list[Alert]:
        if row.offset != self.next_offset:
            raise OutsideFailure(
                f"the facts log goes on at offset {row.offset}, wanted {self.next_offset}"
            )
        assert row.value is not None, "no worker writes a row without a value to the facts log"
        fact_or_mark = decode_row(row.key, row.value, self._timing)
        if self._notes.is_due(row.offset):
            self._notes.add(Point(row.offset, self.watermarks))
        self.next_offset += 1
        alerts = self._correlator.observe([fact_or_mark], revision_at(row.offset))
        # Signals feed other rules only; the topic is for what asks for something.
        return [alert for alert in alerts if not alert.is_signal]

    def commit_point(self) -> Point:
        """Return where a rebuild of this state begins: no later than all that is remembered."""
        oldest = self._correlator.oldest_revision()
        if oldest is None:
            # Nothing older is needed, so the notes begin anew.
            self._notes = Notes(Point(self.next_offset, self.watermarks))
        return self._notes.latest_until(self.next_offset if oldest is None else offset_of(oldest))
