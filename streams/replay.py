"""Recorded logs in, alerts out: the engine with no bus, in one process."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from rules.alert import Alert
from rules.authoring.blindness import People, Sightings
from rules.events import EVENTS
from rules.fact import Fact, Mark
from rules.rule import RuleSet
from rules.stages import Engine
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.ingest import Ingest, Read, Taken
from streams.logs import Log
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.first_look import Dropped
from streams.wire.pseudonyms import comparable
from streams.wire.records import Record, Refusal

_LONGEST_HEAD = 10_000


@dataclass
class Summary:
    """What a replay counted.

    `people` are those with calls, with a bank and with both; `blindness` says which rules could
    not match because something was never known. `alerts` counts the last records by rule and
    state; `joined_late` the partitions that were first met after others had been heard, below
    whose start everything counts as late.
    """

    lines: int = 0
    empty: int = 0
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    late: int = 0
    facts: int = 0
    below_horizon: int = 0
    partitions: int = 0
    joined_late: int = 0
    alert_records: int = 0
    alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    people: tuple[int, int, int] = (0, 0, 0)
    blindness: tuple[str, ...] = ()

    def as_json(self, seconds: float) -> dict[str, object]:
        """Return the counts as JSON values; `seconds` is how long the replay took."""
        by_rule: dict[str, dict[str, int]] = {}
        for (rule, state), count in sorted(self.alerts.items()):
            by_rule.setdefault(rule, {})[state] = count
        return {
            "lines": self.lines,
            "empty": self.empty,
            "records": self.records,
            "refused": dict(sorted(self.refused.items())),
            "late": self.late,
            "facts": self.facts,
            "below_horizon": self.below_horizon,
            "partitions": self.partitions,
            "joined_late": self.joined_late,
            "alert_records": self.alert_records,
            "alerts": by_rule,
            "people": dict(zip(("calls", "bank", "both"), self.people, strict=True)),
            "blind": list(self.blindness),
            "seconds": round(seconds, 3),
            "events_per_second": round(self.records / seconds) if seconds else 0,
        }

    def as_lines(self, seconds: float) -> list[str]:
        """Return the counts as sentences for a person."""
        rate = round(self.records / seconds) if seconds else 0
        refused = ", ".join(f"{reason} {n:,}" for reason, n in sorted(self.refused.items()))
        records = f"{self.records:,} records in {seconds:.1f} s ({rate:,}/s)"
        lines = [
            f"{records} from {self.partitions} feed partitions; {self.facts:,} facts kept",
            f"refused {self.refused.total():,}" + (f": {refused}" if refused else ""),
            f"late {self.late:,}; below the horizon {self.below_horizon:,}",
        ]
        if self.joined_late:
            lines.append(
                f"feed partitions first met after others had been heard: {self.joined_late}; what"
                " lay below them counted as late (name them with --feeds)"
            )
        lines += [
            f"{rule}: {count:,} {state}" for (rule, state), count in sorted(self.alerts.items())
        ]
        calls, bank, both = self.people
        lines.append(f"people: {calls:,} with calls, {bank:,} with a bank, {both:,} with both")
        lines += self.blindness
        return lines if self.alerts else [*lines, "no alerts"]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line that has been read: where it stands and what it came to; None if it is empty."""

    number: int
    raw: bytes
    read: Read | None


class _Source:
    """One log while it is replayed: its next line, and the event time at which that stands."""

    def __init__(self, place: int, log: Log, read: Callable[[bytes], Read]) -> None:
        self.place = place
        self.log = log
        self.time_us = NEVER_US
        self._lines = (
            _Line(number, raw, read(raw) if raw.strip() else None)
            for number, raw in enumerate(log.lines())
        )
        self._waiting: deque[_Line] = deque()

    def head(self) -> list[Record]:
        """Return the heartbeats that the log begins with; they are replayed all the same."""
        beats: list[Record] = []
        for line in islice(self._lines, _LONGEST_HEAD):
            self._waiting.append(line)
            if isinstance(line.read, Record) and line.read.type == "heartbeat":
                beats.append(line.read)
            elif line.read is not None:
                break
        self._note_time()
        return beats

    def next(self) -> _Line | None:
        """Return the next line, or None at the end."""
        if not self._waiting:
            return None
        line = self._waiting.popleft()
        if not self._waiting:
            self._waiting.extend(islice(self._lines, 1))
        self._note_time()
        return line

    def _note_time(self) -> None:
        read = self._waiting[0].read if self._waiting else None
        if read is not None and read.time_us is not None:
            self.time_us = read.time_us

    def partition_of(self, read: Read) -> Partition:
        """Return the feed partition that a record of this log comes from."""
        if read.feed is not None:
            return (read.feed, read.partition or 0)
        return (f"{read.source} in log {self.place + 1}", read.partition or 0)


class Replay:
    """Replays logs through the engine; what it emits goes to the two callables as it comes."""

    def __init__(
        self,
        rule_set: RuleSet,
        ingest: Ingest,
        lateness_us: Callable[[str], int],
        *,
        as_of_us: int,
        feeds: Sequence[Partition] = (),
    ) -> None:
        """Prepare a replay.

        Args:
            rule_set: the rules.
            ingest: checks and screens with the same rules.
            lateness_us: how far a feed's watermark stays behind, in microseconds, by name.
            as_of_us: the moment after which a record without `recordedtime` is of the future.
            feeds: partitions that are there from the beginning, besides those that logs declare.
        """
        self.summary = Summary()
        self._rule_set = rule_set
        self._ingest = ingest
        self._lateness_us = lateness_us
        self._as_of_us = as_of_us
        self._feeds = feeds
        self._clocks: dict[Partition, FeedClock] = {}
        self._sightings = Sightings(rule_set)
        self._people = People()
        self._last: dict[str, tuple[str, str]] = {}

    def run(
        self,
        logs: Sequence[Log],
        on_alert: Callable[[Alert], None],
        on_dead_letter: Callable[[bytes], None],
    ) -> Summary:
        """Replay the logs to their end, after which everything is final.

        Raises:
            OutsideFailure: a log cannot be read to its end.
        """
        sources = [_Source(n, log, self._read) for n, log in enumerate(logs)]
        roster = self._roster(sources)
        engine = Engine(self._rule_set, dict.fromkeys(roster, NEVER_US))
        self._clocks = {p: FeedClock(self._lateness_us(p[0])) for p in roster}
        while source := min(sources, key=lambda s: (s.time_us, s.place), default=None):
            line = source.next()
            if line is None:
                sources.remove(source)
                continue
            self.summary.lines += 1
            if line.read is None:
                self.summary.empty += 1
                continue
            rows = self._rows(source, line, line.read, engine, on_dead_letter)
            self._emit(engine.observe(rows, self.summary.lines), on_alert)
        ends = [Mark(*partition, END_US) for partition in self._clocks]
        self._emit(engine.observe(ends, self.summary.lines + 1), on_alert)
        return self._closed(engine)

    def _read(self, raw: bytes) -> Read:
        return self._ingest.read(raw, now_us=self._as_of_us, trust_recorded=True)

    def _roster(self, sources: Sequence[_Source]) -> list[Partition]:
        declared = [(s, beat) for s in sources for beat in s.head()]
        met = [source.partition_of(beat) for source, beat in declared]
        return list(dict.fromkeys([*self._feeds, *met]))

    def _rows(
        self,
        source: _Source,
        line: _Line,
        read: Read,
        engine: Engine,
        on_dead_letter: Callable[[bytes], None],
    ) -> list[Fact | Mark]:
        self.summary.records += 1
        if isinstance(read, Refusal):
            self.summary.refused[read.reason] += 1
            letter = dead_letter(line.raw, read, source.log.name, 0, line.number)
            on_dead_letter(encode_dead_letter(letter))
            if not read.moves_watermark:
                return []
        partition = source.partition_of(read)
        clock = self._clock(partition, engine)
        before_us = clock.watermark_us
        taken = self._ingest.admit(read, clock)
        self._note(read, taken)
        self.summary.late += taken.late
        self.summary.facts += len(taken.facts)
        if clock.watermark_us == before_us:
            return list(taken.facts)
        return [*taken.facts, Mark(*partition, clock.watermark_us)]

    def _clock(self, partition: Partition, engine: Engine) -> FeedClock:
        clock = self._clocks.get(partition)
        if clock is None:
            start_us = engine.join(partition)
            self.summary.joined_late += start_us != NEVER_US
            clock = FeedClock(self._lateness_us(partition[0]), start_us)
            self._clocks[partition] = clock
        return clock

    def _note(self, read: Read, taken: Taken) -> None:
        if taken.values is None or isinstance(read, Refusal):
            return
        self._sightings.note(read.type, taken.values)
        # Before pseudonyms, a person is told by the text that both sides have to agree on.
        told = read.values if isinstance(read, Dropped) else read.data
        person, side = told.get("person"), EVENTS[read.type].side
        if person is not None and side != "everyone":
            self._people.note(side, comparable("person", str(person)))

    def _emit(self, alerts: Sequence[Alert], on_alert: Callable[[Alert], None]) -> None:
        for alert in alerts:
            self.summary.alert_records += 1
            self._last[alert.alert_id] = (alert.content["rule"]["id"], alert.state)
            on_alert(alert)

    def _closed(self, engine: Engine) -> Summary:
        self.summary.partitions = len(self._clocks)
        self.summary.below_horizon = engine.first.counts["below_horizon"]
        self.summary.alerts.update(self._last.values())
        self.summary.people = self._people.counts()
        blindness = self._sightings.sentences() if self.summary.records else []
        self.summary.blindness = tuple(blindness)
        return self.summary
