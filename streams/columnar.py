"""A Parquet log replayed by its columns: only what could be part of an alert is read whole.

It gives the same alert records and dead letters as reading every row would (`streams.replay`), at
the same revisions: a revision is the number of a row, whether that was read or passed over. The
summary is the same too; people of a long log are counted in another sample.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

from rules.alert import Alert
from rules.authoring.blindness import Sightings
from rules.events import BY_WIRE_TYPE
from rules.fact import Fact, Mark, split_key
from rules.rule import RuleSet
from rules.stages import Engine
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.failures import OutsideFailure
from streams.ingest import Ingest, Taken
from streams.logs import Log
from streams.parquet import course
from streams.parquet.candidates import KEPT, ROWS, TABLE, Candidates
from streams.parquet.checks import Checks
from streams.parquet.course import Course
from streams.parquet.headcount import Headcount
from streams.parquet.log import Assembly, ParquetLog
from streams.parquet.remainder import Alike, Remainder
from streams.settings import Settings
from streams.summary import Summary
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.pseudonyms import comparable
from streams.wire.records import FUTURE_LIMIT_US, Record, Refusal

_ROWS_PER_READ: Final = 8
"""How many rows are passed over in the time in which one is read, about."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row that is read: its number, its record as JSON and read, and whether it was odd."""

    number: int
    raw: bytes = field(repr=False)
    read: Record | Refusal
    is_odd: bool

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is a heartbeat in order."""
        return isinstance(self.read, Record) and self.read.type == "heartbeat"


@contextmanager
def _named(log: ParquetLog) -> Iterator[None]:
    """Tell of a log that turns out to be broken which one it is."""
    try:
        yield
    except log.faults as error:
        reason = str(error).partition("\n")[0]
        raise OutsideFailure(f'log "{log.path}" cannot be read to its end: {reason}') from error


class ColumnarReplay:
    """Replays one Parquet log; what it emits goes to the two callables as it comes."""

    def __init__(
        self,
        log: ParquetLog,
        rule_set: RuleSet,
        ingest: Ingest,
        settings: Settings,
        *,
        as_of_us: int,
        feeds: Sequence[Partition] = (),
    ) -> None:
        """Prepare a replay; see `streams.replay.Replay`.

        Raises:
            OutsideFailure: the log cannot be read to its end.
        """
        self._log = log
        self.summary = Summary()
        self._rule_set = rule_set
        self._ingest = ingest
        self._lateness_us = settings.lateness_us
        self._as_of_us = as_of_us
        self._feeds = feeds
        self._clocks: dict[Partition, FeedClock] = {}
        self._told: dict[Partition, int] = {}
        self._joined = 0
        self._raised: defaultdict[Partition, list[tuple[int, int]]] = defaultdict(list)
        self._sightings = Sightings(rule_set)
        self._seen: Counter[str] = Counter()
        self._last: dict[str, tuple[str, str]] = {}
        self._timing = settings.timing
        with _named(log):
            self._look_over(settings)

    def _look_over(self, settings: Settings) -> None:
        """Learn which rows are to be read."""
        log, rule_set = self._log, self._rule_set
        self._checks = Checks(
            log, settings.timing, as_of_us=self._as_of_us, ahead_us=FUTURE_LIMIT_US
        )
        withheld = {word.lower() for word in settings.withheld_values}
        self._candidates = Candidates(log, rule_set, self._checks, withheld)
        self._course = Course(log, self._candidates.odd_rows, place=0)
        odd_us = self._candidates.odd_us(course.ROWS, self._as_of_us + FUTURE_LIMIT_US)
        self._candidates.keep(self._course.ends_us(odd_us), course.ROWS)

    @property
    def is_worth_it(self) -> bool:
        """Whether so few rows are to be read that the columns are the quicker way."""
        kept = int(self._log.scalar(f"SELECT count(*) FROM {KEPT}"))
        return kept * _ROWS_PER_READ <= self._log.rows

    def _set_course(self) -> None:
        """Learn all at once how far partitions come where that will matter."""
        self._places = self._course.partitions
        self._place_of = {partition: place for place, partition in enumerate(self._places)}
        moments = self._candidates.closings()
        passed = self._course.expect_limits(
            (place, moment_us + self._lateness_us(feed))
            for place, (feed, _) in enumerate(self._places)
            for moment_us in moments
        )
        kept = [row for (row,) in self._log.query(f"FROM {KEPT}")]
        stops = {*self._course.first_rows, *passed}
        self._course.expect_rows({*kept, *stops, *(row + 1 for row in stops), self._log.rows})

    def run(
        self,
        _logs: Sequence[Log],
        on_alert: Callable[[Alert], None],
        on_dead_letter: Callable[[bytes], None],
        _parts: object = None,
    ) -> Summary:
        """Replay the log to its end, after which everything is final.

        Raises:
            OutsideFailure: the log cannot be read to its end.
        """
        with _named(self._log):
            return self._run(on_alert, on_dead_letter)

    def _run(
        self, on_alert: Callable[[Alert], None], on_dead_letter: Callable[[bytes], None]
    ) -> Summary:
        self._on_alert, self._on_dead_letter = on_alert, on_dead_letter
        self._set_course()
        rows = self._kept_rows()
        head = self._head(rows)
        beats = [kept for n, kept in enumerate(head) if kept.number == n and kept.is_heartbeat]
        met = [self._partition_of(beat.read) for beat in beats]
        roster = list(dict.fromkeys([*self._feeds, *met]))
        self._engine = Engine(self._rule_set, dict.fromkeys(roster, NEVER_US), timing=self._timing)
        for partition in roster:
            self._clocks[partition] = FeedClock(self._lateness_us(partition[0]))
        for kept in chain(head, rows):
            self._pass_over(kept.number)
            self._step(kept)
        self._pass_over(self._log.rows)
        ends = [Mark(*partition, END_US) for partition in self._clocks]
        self._emit(self._engine.observe(ends, self._log.rows + 1))
        return self._closed()

    # -- what is read ------------------------------------------------------------------------

    def _kept_rows(self) -> Iterator[_Kept]:
        for number, raw, is_odd in self._read(f"row IN (FROM {KEPT})"):
            yield _Kept(number, raw, self._read_whole(raw), is_odd)

    def _read(self, which: str) -> Iterator[tuple[int, bytes, bool]]:
        """Yield candidates in the file's order: the row, its record, and whether it was odd."""
        picked = ", ".join(column.as_json for column in self._log.columns)
        assemble = Assembly(self._log.columns)
        told = self._log.query(
            f"SELECT row, is_odd, {picked} FROM {ROWS} JOIN (SELECT row, is_odd FROM {TABLE})"
            f" USING (row) WHERE {which} ORDER BY row"
        )
        for number, is_odd, *values in told:
            yield number, assemble(values), is_odd

    def _read_whole(self, raw: bytes) -> Record | Refusal:
        return self._ingest.read_whole(raw, now_us=self._as_of_us, trust_recorded=True)

    def _head(self, rows: Iterator[_Kept]) -> list[_Kept]:
        """Return the rows with the heartbeats that the log begins with, and the one after."""
        head: list[_Kept] = []
        for kept in rows:
            head.append(kept)
            if kept.number >= len(head) or not kept.is_heartbeat:
                break
        return head

    def _partition_of(self, read: Record | Refusal) -> Partition:
        if read.feed is not None:
            return (read.feed, read.partition or 0)
        return (f"{read.source} in log 1", read.partition or 0)

    # -- the way through the rows ------------------------------------------------------------

    def _pass_over(self, end: int) -> None:
        """Go on to a row; on the way partitions join, and watermarks pass what is due."""
        while True:
            due, joining = self._due_row(), self._joining_row()
            row = min(due, joining)
            if row >= end:
                break
            if row == joining:
                self._come_to(row)
                self._join(self._places[self._joined], row)
                self._joined += 1
            self._come_to(row + 1)
            self._observe(self._marks(), row)
        self._come_to(end)

    def _come_to(self, row: int) -> None:
        """Set the clocks to how far each partition had come before a row."""
        for partition, top_us in zip(self._places, self._course.tops_before(row), strict=True):
            if top_us != NEVER_US and partition in self._clocks:
                self._clocks[partition].observe(top_us)

    def _joining_row(self) -> int:
        """Return the row that brings the next partition that is not on the roster."""
        while self._joined < len(self._places) and self._places[self._joined] in self._clocks:
            self._joined += 1
        if self._joined == len(self._places):
            return self._log.rows
        return self._course.first_rows[self._joined]

    def _due_row(self) -> int:
        """Return the row with which every watermark has passed the next moment that is due."""
        due_us = self._engine.next_due_us
        behind = [p for p, clock in self._clocks.items() if clock.watermark_us <= due_us]
        if due_us == END_US or any(partition not in self._place_of for partition in behind):
            return self._log.rows
        limits = [(self._place_of[p], due_us + self._clocks[p].lateness_us) for p in behind]
        return max((self._course.row_above(*limit) for limit in limits), default=self._log.rows)

    def _join(self, partition: Partition, number: int) -> FeedClock:
        # The minimum at which it starts is the one that all rows before have brought.
        self._observe(self._marks(), number)
        start_us = self._engine.join(partition)
        self.summary.joined_late += start_us != NEVER_US
        clock = FeedClock(self._lateness_us(partition[0]), start_us)
        self._clocks[partition], self._told[partition] = clock, start_us
        self._raised[partition].append((number, start_us))
        return clock

    def _marks(self) -> list[Fact | Mark]:
        """Return a mark for each partition that has moved since the engine was told."""
        moved = [
            (partition, clock.watermark_us)
            for partition, clock in self._clocks.items()
            if clock.watermark_us != self._told.get(partition, NEVER_US)
        ]
        self._told.update(moved)
        return [Mark(*partition, watermark_us) for partition, watermark_us in moved]

    def _step(self, kept: _Kept) -> None:
        """Let the engine observe what a row comes to that has been read."""
        read = kept.read
        rows: list[Fact | Mark] = []
        if isinstance(read, Refusal):
            self._refuse(kept, read)
        if not isinstance(read, Refusal) or read.moves_watermark:
            partition = self._partition_of(read)
            clock = self._clocks.get(partition) or self._join(partition, kept.number)
            rows += self._marks()
            taken = self._ingest.admit(read, clock)
            if isinstance(read, Record):
                self._note(kept, read, taken)
            if kept.is_odd:
                self._raised[partition].append((kept.number, clock.watermark_us))
            rows += [*taken.facts, *self._marks()]
        self._observe(rows, kept.number)

    def _observe(self, rows: Sequence[Fact | Mark], number: int) -> None:
        self._emit(self._engine.observe(rows, number + 1))

    # -- what is said of it ------------------------------------------------------------------

    def _refuse(self, kept: _Kept, refusal: Refusal) -> None:
        self.summary.refused[refusal.reason] += 1
        letter = dead_letter(kept.raw, refusal, str(self._log.path), 0, kept.number)
        self._on_dead_letter(encode_dead_letter(letter))

    def _note(self, kept: _Kept, record: Record, taken: Taken) -> None:
        self.summary.facts += len(taken.facts)
        if kept.is_odd:
            self.summary.late += taken.late
            self._seen[record.type] += 1
        for fact in taken.facts[:1]:
            self._sightings.note(record.type, fact.event.fields)

    def _count_remainder(self) -> None:
        """Count the candidates that were not read, and what rules lose of them."""
        groups = {
            alike.row: alike
            for alike in Remainder(self._log, self._rule_set, self._candidates).alike()
        }
        if not groups:
            return
        for number, raw, _ in self._read(f"row IN ({', '.join(map(str, groups))})"):
            read = self._read_whole(raw)
            assert isinstance(read, Record), "what is in order is not refused"
            self._count_alike(read, groups[number])

    def _count_alike(self, record: Record, alike: Alike) -> None:
        facts = self._ingest.admit(record, FeedClock(0)).facts
        self.summary.facts += len(facts) * alike.records
        for fact in facts[:1]:
            self._sightings.note(record.type, fact.event.fields, alike.records)
        for fact in facts:
            if split_key(fact.key)[0] in alike.stand:
                self._engine.count(fact, alike.records)

    def _emit(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self.summary.alert_records += 1
            self._last[alert.alert_id] = (alert.content["rule"]["id"], alert.state)
            self._on_alert(alert)

    def _closed(self) -> Summary:
        summary, log = self.summary, self._log
        summary.lines = summary.records = log.rows
        summary.late += self._count_late()
        summary.partitions = len(self._clocks)
        summary.below_horizon = self._engine.first.counts["below_horizon"]
        summary.alerts.update(self._last.values())
        self._count_remainder()
        for wire_type, count in self._candidates.in_order(self._checks.counts).items():
            self._seen[BY_WIRE_TYPE[wire_type].name] += count
        if summary.records:
            blindness = self._sightings.sentences(self._seen, self._engine.lost())
            summary.blindness = tuple(blindness)
        headcount = Headcount(log, partial(comparable, "person"))
        read = {name: side.held for name, side in self._ingest.people.sides.items()}
        summary.people = headcount.counts(self._candidates.odd_rows, read)
        summary.people_are_sampled = headcount.is_sample
        return summary

    def _count_late(self) -> int:
        """Count the late ones among the rows that are plainly in order."""
        lateness_us = [self._lateness_us(feed) for feed, _ in self._places]
        raised = [self._raised[partition] for partition in self._places]
        return sum(1 for _ in self._course.late(lateness_us, raised))
