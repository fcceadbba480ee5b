"""What a lane knows between two batches: of an outside partition, and of a facts partition."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from rules.alert import Alert
from rules.engine import Correlator
from rules.fact import Fact, Mark
from rules.row import Sealed
from rules.rule import RuleSet
from rules.stages import Claims, passed_on
from rules.timing import Timing
from rules.watermark import NEVER_US, FeedClock, Partition
from streams.epoch import Epoch, FactsTopic, offset_of
from streams.failures import OutsideFailure
from streams.lanes import Row
from streams.metrics import BELOW_HORIZON, CUT_SHORT, DROPPED, UNKNOWN, Key
from streams.reaches import Reach
from streams.wire.commits import MOST_SKIPPED, Point
from streams.wire.facts import decode_row, decode_sealed

_OF_ENGINE = {
    "dropped_by_cap": DROPPED.name,
    "cut_short": CUT_SHORT.name,
    "below_horizon": BELOW_HORIZON.name,
}
_Decode = Callable[[bytes | None, bytes], Fact | Sealed | Mark]
NOTE_EVERY = 1_000
MARK_EVERY_S = 1.0


class Told:
    """How far time has come in one partition, and how far a facts log has been told so.

    A mark is due at most once a second, and only for what the broker has acknowledged.
    """

    def __init__(self, watermark_us: int = NEVER_US) -> None:
        self._acknowledged_us = watermark_us
        self._marked_us = NEVER_US
        self._marked_at_s = float("-inf")

    def acknowledge(self, watermark_us: int) -> None:
        """Note that all facts below a watermark are in the facts log."""
        self._acknowledged_us = watermark_us

    def mark_due(self, now_s: float) -> int | None:
        """Return the watermark to tell now, or None; whoever tells it says so afterwards."""
        if self._acknowledged_us <= self._marked_us:
            return None
        if now_s - self._marked_at_s < MARK_EVERY_S:
            return None
        self._marked_at_s = now_s
        return self._acknowledged_us

    def marked(self, watermark_us: int) -> None:
        """Note that the broker has acknowledged a mark in every partition of the log.

        Not before: a lane may be taken away in between, and its state live on with the next.
        """
        self._marked_us = max(self._marked_us, watermark_us)


class FeedState:
    """An outside partition: how far it has come, and which watermark the facts log has been told.

    Attributes:
        reach: Its clock, and what follows from it.
    """

    def __init__(self, partition: Partition, clock: FeedClock) -> None:
        self.reach = Reach(partition, clock)
        self.told = Told(clock.watermark_us)

    @property
    def watermark_us(self) -> int:
        """The watermark as its records so far have it."""
        self.reach.catch_up()
        return self.reach.clock.watermark_us

    def acknowledge(self) -> None:
        """Note that all facts below the clock's watermark are in the facts log."""
        self.told.acknowledge(self.watermark_us)


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


@dataclass(frozen=True)
class Stage:
    """Rules of one stage with their facts log, and the stage that reads their alerts, if any.

    From `since_us` on every event is in the log.
    """

    log: FactsTopic
    rules: RuleSet
    reader: "Stage | None" = None
    since_us: int = NEVER_US

    def passes_on(self, minimum_us: int) -> int:
        """Return how far the reader may go: no alert that starts before can still change."""
        return minimum_us if self.reader is None else passed_on(minimum_us, self.reader.rules)


def stages_of(epoch: Epoch, rule_set: RuleSet) -> tuple[Stage, ...]:
    """Return the stages of an epoch, the first one first."""
    first, since_us = rule_set.first_stage, epoch.since_us
    if epoch.second is None:
        return (Stage(epoch.first, first, since_us=since_us),)
    # No alert of an earlier anchor is there.
    later_us = NEVER_US if since_us == NEVER_US else since_us + first.reach_us
    second = Stage(epoch.second, rule_set.second_stage, since_us=later_us)
    return (Stage(epoch.first, first, second, since_us), second)


class Implied(NamedTuple):
    """What rows of a facts log imply: alert records, and facts of the stage that reads alerts."""

    alerts: Sequence[Alert]
    facts: Sequence[Fact]


class FactsState:
    """A facts partition: its correlator, the next offset, and where a rebuild would begin.

    A pure function of the rows observed, from the point where it began. `told` is how far the
    stage that reads its alerts has been told that this partition has come.
    """

    def __init__(self, stage: Stage, timing: Timing, point: Point) -> None:
        self.next_offset = point.offset
        self.told = Told()
        self._stage = stage
        self._read = partial(decode_row, timing=timing)
        self._correlator = Correlator(
            stage.rules, point.watermarks, timing=timing, since_us=stage.since_us
        )
        self._claims = None if stage.reader is None else Claims(stage.reader.rules)
        self._notes = Notes(point)
        self._to_skip = set(point.skipped)
        self._skipped = deque(point.skipped)

    @property
    def watermarks(self) -> Mapping[Partition, int]:
        """The watermark of each partition of the roster as it stands."""
        return self._correlator.watermarks.as_mapping()

    def cut_off(self, revision: int) -> Sequence[Alert]:
        """Return a final record of each open alert; nothing is observed afterwards."""
        return self._correlator.cut_off(revision)

    @property
    def remembered(self) -> tuple[int, int]:
        """How many keys have a history, and how many events those hold together."""
        return self._correlator.remembered()

    def counts(self) -> Counter[Key]:
        """Return what has been counted over all rows so far, those of a rebuild included."""
        topic, counts = self._stage.log.name, self._correlator.counts
        found = Counter[Key]({(name, topic): counts[key] for key, name in _OF_ENGINE.items()})
        lost = self._correlator.lost()
        for rule in self._stage.rules.rules:
            for part, by_event in zip(rule.parts, lost[rule.id], strict=True):
                for event, by_fields in by_event.items():
                    for fields, count in by_fields.items():
                        label = (rule.id, part.name, event, ",".join(fields))
                        found[UNKNOWN.name, *label] += count
        return found

    def acknowledge(self) -> None:
        """Note that all that the rows so far imply is acknowledged."""
        self.told.acknowledge(self._stage.passes_on(self._correlator.watermarks.minimum_us))

    def step_over(self, offsets: Iterable[int]) -> None:
        """Skip some rows when they come; those before the next one have been observed."""
        self._to_skip |= {offset for offset in offsets if offset >= self.next_offset}

    def observe(self, rows: Sequence[Row]) -> Implied:
        """Take in the next rows of the log, each a step, and return what they imply.

        Raises:
            RowError: A row cannot be read.
            OutsideFailure: These are not the next rows.
        """
        alerts: list[Alert] = []
        for row in rows:
            alerts += self._step(row, self._read)
        return Implied(alerts, self._claimed(alerts))

    def catch_up(self, row: Row) -> None:
        """Take in the next row of the log, whose effects are all there already.

        Of most facts no more is read than where to put them away. What such a one counts for
        was counted by whoever took it first.

        Raises:
            RowError: It cannot be read.
            OutsideFailure: It is not the next row.
        """
        self._claimed(self._step(row, decode_sealed))

    def _claimed(self, alerts: Sequence[Alert]) -> Sequence[Fact]:
        """Return the facts of the stage that reads alerts; keys are remembered for the next."""
        claims = self._claims
        return () if claims is None else [fact for a in alerts for fact in claims.facts(a)]

    def _step(self, row: Row, decode: _Decode) -> Sequence[Alert]:
        if row.offset != self.next_offset:
            raise OutsideFailure(
                f"the facts log goes on at offset {row.offset}, wanted {self.next_offset}"
            )
        if self._notes.is_due(row.offset):
            self._notes.add(Point(row.offset, self.watermarks))
        if row.offset in self._to_skip:
            self._skip(row.offset)
            return ()
        assert row.value is not None, "no worker writes a row without a value to the facts log"
        told = decode(row.key, row.value)
        self.next_offset += 1
        return self._correlator.observe([told], self._stage.log.revision_at(row.offset))

    def _skip(self, offset: int) -> None:
        self.next_offset += 1
        if offset in self._skipped:
            return
        self._skipped.append(offset)
        if len(self._skipped) > MOST_SKIPPED:
            raise OutsideFailure(
                f'more than {MOST_SKIPPED} rows of topic "{self._stage.log.name}" are stepped'
                " over in one partition: its log is not what a worker wrote"
            )

    def commit_point(self) -> Point:
        """Return where a rebuild of this state begins: no later than all that is remembered."""
        oldest = self._correlator.oldest_revision()
        if oldest is None:
            # Nothing older is needed, so the notes begin anew.
            self._notes = Notes(Point(self.next_offset, self.watermarks))
        point = self._notes.latest_until(self.next_offset if oldest is None else offset_of(oldest))
        while self._skipped and self._skipped[0] < point.offset:
            self._to_skip.discard(self._skipped.popleft())
        return replace(point, skipped=tuple(self._skipped))
