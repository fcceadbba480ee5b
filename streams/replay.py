"""Recorded logs in, alerts out: the engine with no bus, in one process."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from rules.alert import Alert
from rules.authoring.blindness import Sightings
from rules.fact import Fact, Mark
from rules.moment import LATEST_US
from rules.rule import RuleSet
from rules.stages import Engine
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.ingest import Ingest, Read, Taken
from streams.logs import Log
from streams.reaches import Reach
from streams.skim import Part
from streams.sources import Source
from streams.summary import Summary
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.first_look import to_moment
from streams.wire.records import Record, Refusal

MakeEngine = Callable[[Mapping[Partition, int]], Engine]


class Replay:
    """Replays logs through the engine; what it emits goes to the two callables as it comes.

    Most lines are passed over: what no rule needs moves its partition's clock, and that is all.
    Every other line is a step: read whole, checked, screened and observed by the engine, with the
    marks of all partitions that have moved before. A mark alone is a step only where it could
    cause an alert record (`Engine.next_due_us`), so the same lines cause the same records as if
    every line were a step.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        ingest: Ingest,
        lateness_us: Callable[[str], int],
        *,
        as_of_us: int,
        feeds: Sequence[Partition] = (),
        make_engine: MakeEngine | None = None,
    ) -> None:
        """Prepare a replay.

        Args:
            rule_set: the rules.
            ingest: checks and screens with the same rules.
            lateness_us: how far a feed's watermark stays behind, in microseconds, by name.
            as_of_us: the moment after which a record without `recordedtime` is of the future.
            feeds: partitions that are there from the beginning, besides those that logs declare.
            make_engine: makes the engine, given the watermarks that it begins with; one that
                simply runs these rules if None.
        """
        self.summary = Summary()
        self._ingest = ingest
        self._lateness_us = lateness_us
        self._as_of_us = as_of_us
        self._feeds = feeds
        self._make_engine = make_engine or partial(Engine, rule_set, timing=ingest.timing)
        self._reaches: dict[Partition, Reach] = {}
        self._due_us = END_US
        self._sightings = Sightings(rule_set)
        self._seen: Counter[str] = Counter()
        self._last: dict[str, tuple[str, str]] = {}

    def run(
        self,
        logs: Sequence[Log],
        on_alert: Callable[[Alert], None],
        on_dead_letter: Callable[[bytes], None],
        parts: Iterable[Part] | None = None,
    ) -> Summary:
        """Replay the logs to their end, after which everything is final.

        Args:
            logs: the logs.
            on_alert: is told each alert record.
            on_dead_letter: is told each refusal, as a line of JSON.
            parts: of a single log, what its parts came to, if that is worked out elsewhere.

        Raises:
            OutsideFailure: a log cannot be read to its end.
        """
        self._on_alert, self._on_dead_letter = on_alert, on_dead_letter
        sources = [
            Source(n, log, self._ingest, self._as_of_us, parts) for n, log in enumerate(logs)
        ]
        roster = self._roster(sources)
        self._engine = self._make_engine(dict.fromkeys(roster, NEVER_US))
        for partition in roster:
            self._reaches[partition] = Reach(partition, self._new_clock(partition, NEVER_US))
        waiting = list(sources)
        while waiting:
            source = min(waiting, key=lambda s: (s.time_us, s.place))
            if source.is_at_end():
                waiting.remove(source)
            else:
                self._go_on(source, [other for other in waiting if other is not source])
        ends = [Mark(*partition, END_US) for partition in self._reaches]
        self._emit(self._engine.observe(ends, self.summary.lines + 1))
        return self._closed(sources)

    @property
    def now_us(self) -> int:
        """How far event time has come: the greatest time of any partition, in microseconds."""
        return max((reach.time_us for reach in self._reaches.values()), default=NEVER_US)

    def _roster(self, sources: Sequence[Source]) -> list[Partition]:
        met = [source.partition_of(beat) for source in sources for beat in source.head()]
        return list(dict.fromkeys([*self._feeds, *met]))

    def _new_clock(self, partition: Partition, start_us: int) -> FeedClock:
        return FeedClock(self._lateness_us(partition[0]), start_us)

    def _go_on(self, source: Source, others: Sequence[Source]) -> None:
        """Take lines of one source as long as it is the furthest behind in event time."""
        bound = min(((s.time_us, s.place) for s in others), default=None)
        until = None if bound is None else _until(*bound, source.place)
        while not source.is_at_end():
            source.pass_over(until)
            self._count(source.passed())
            if source.is_at_batch_end():
                self._ingest.people.thin()
                continue
            source.note_time()
            if bound is not None and (source.time_us, source.place) > bound:
                return
            self._step(source)
        self._count(source.passed())
        source.note_time()

    def _count(self, passed: int) -> None:
        self.summary.lines += passed
        self.summary.records += passed

    def _step(self, source: Source) -> None:
        """Read the next line whole and let the engine observe what it comes to."""
        self.summary.lines += 1
        if source.record is None and not source.line.strip():
            self.summary.empty += 1
            source.skip()
            return
        self.summary.records += 1
        read = source.read()
        rows: list[Fact | Mark] = [
            mark for reach in self._reaches.values() if (mark := reach.catch_up()) is not None
        ]
        if isinstance(read, Refusal):
            self._refuse(source, read)
        if not isinstance(read, Refusal) or read.moves_watermark:
            partition = source.partition_of(read)
            if partition not in self._reaches:
                # It starts at the minimum as it stands, so the engine must know of that first.
                self._emit(self._engine.observe(rows, self.summary.lines))
                rows.clear()
            rows += self._admit(source, read, self._reach(partition))
        self._emit(self._engine.observe(rows, self.summary.lines))
        if self._engine.next_due_us != self._due_us:
            self._due_us = self._engine.next_due_us
            for each in self._reaches.values():
                each.look_ahead(self._due_us, self._ingest.first_look.settle)
        source.skip()

    def _refuse(self, source: Source, refusal: Refusal) -> None:
        self.summary.refused[refusal.reason] += 1
        letter = dead_letter(source.line, refusal, source.log.name, 0, source.number)
        self._on_dead_letter(encode_dead_letter(letter))

    def _admit(self, source: Source, read: Read, reach: Reach) -> list[Fact | Mark]:
        before_us = reach.clock.watermark_us
        taken = self._ingest.admit(read, reach.clock)
        self.summary.late += taken.late
        if isinstance(read, Record):
            self._note(read, taken)
        self._follow(source, read, reach)
        if reach.clock.watermark_us == before_us:
            return list(taken.facts)
        return [*taken.facts, Mark(*reach.partition, reach.clock.watermark_us)]

    def _follow(self, source: Source, read: Read, reach: Reach) -> None:
        """Let records like this one be passed over as far as its partition has now come."""
        record = source.record
        if record is not None:
            source.know(reach)
            if read.type != "heartbeat" and reach.has_room_for(record):
                return
            reach.follow(record.time, record.recordedtime, self._as_of_us)
        else:
            reach.rest()
        reach.look_ahead(self._due_us, self._ingest.first_look.settle)

    def _reach(self, partition: Partition) -> Reach:
        reach = self._reaches.get(partition)
        if reach is None:
            start_us = self._engine.join(partition)
            self.summary.joined_late += start_us != NEVER_US
            reach = Reach(partition, self._new_clock(partition, start_us))
            self._reaches[partition] = reach
        return reach

    def _note(self, record: Record, taken: Taken) -> None:
        self.summary.facts += len(taken.facts)
        self._seen[record.type] += 1
        for fact in taken.facts[:1]:
            self._sightings.note(record.type, fact.event.fields)

    def _emit(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self.summary.alert_records += 1
            self._last[alert.alert_id] = (alert.content["rule"]["id"], alert.state)
            self._on_alert(alert)

    def _closed(self, sources: Sequence[Source]) -> Summary:
        self.summary.partitions = len(self._reaches)
        self.summary.late += sum(source.late for source in sources)
        self.summary.below_horizon = self._engine.first.counts["below_horizon"]
        self.summary.alerts.update(self._last.values())
        self.summary.people = self._ingest.people.counts()
        self.summary.people_are_sampled = self._ingest.people.is_sample
        self._seen.update(self._ingest.first_look.dropped_by_type())
        if self.summary.records:
            blindness = self._sightings.sentences(self._seen, self._engine.lost())
            self.summary.blindness = tuple(blindness)
        return self.summary


def _until(time_us: int, place: int, own_place: int) -> datetime:
    """Return the latest time at which a source's next line comes before another's."""
    last_us = time_us if own_place < place else time_us - 1
    return to_moment(max(0, min(last_us, LATEST_US)))
