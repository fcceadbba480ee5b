"""The facts of one key as they stand in a live facts log, and what the worker made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rules.alert import Alert
from rules.engine import Correlator
from rules.events import EVENTS
from rules.fact import Event, Fact, Identity, greatest, key_of
from rules.moment import format_duration, format_moment
from rules.rule import Rule
from rules.timing import Timing
from rules.watermark import NEVER_US, Partition
from streams.failures import OutsideFailure
from streams.lanes import Row
from streams.letters import Letter, read_letters
from streams.settings import Settings
from streams.states import Stage
from streams.windows import Span, open_reader
from streams.wire.facts import RowError, decode_row

_SHOWN: Final = 5
_SCREENED: Final = (
    "records that no rule could use and records that were refused never become facts; the former"
    " are in a recorded log only: ringfence record, then ringfence explain LOG"
)


class KeyFacts:
    """Observes one partition of a facts log as the worker does, for one key and one rule.

    Facts of other keys are passed over: the state of a key follows from its own facts and from
    the marks.
    """

    def __init__(self, stage: Stage, rule: Rule, value: str, timing: Timing) -> None:
        self.rows = 0
        self.facts = 0
        self.alerts: dict[str, Alert] = {}
        self._key = key_of(rule.by, value).encode()
        self._rule = rule
        self._timing = timing
        unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
        self._correlator = Correlator(stage.rules, unheard, timing=timing, since_us=stage.since_us)
        self._events: dict[Identity, Event] = {}
        self._too_late: set[Identity] = set()
        self._names: set[tuple[str, str, str]] = set()

    def take(self, row: Row) -> None:
        """Take in the next row of the log.

        Raises:
            RowError: It is this key's, or a mark, and cannot be read.
        """
        self.rows += 1
        if row.value is None or row.key not in (None, self._key):
            return
        fact_or_mark = decode_row(row.key, row.value, self._timing)
        if isinstance(fact_or_mark, Fact):
            self._note(fact_or_mark.event)
        for alert in self._correlator.observe([fact_or_mark], row.offset):
            if alert.content["rule"]["id"] == self._rule.id:
                self.alerts[alert.alert_id] = alert

    def _note(self, event: Event) -> None:
        self.facts += 1
        source, event_type, own_id = identity = event.identity
        wire_type = EVENTS[event_type].wire_type
        self._names |= {(source, wire_type, own_id), (source, wire_type, event.record_id)}
        held = self._events.get(identity)
        if held is None and self._is_forgettable(event):
            self._too_late.add(identity)
        self._events[identity] = event if held is None else greatest(held, event)

    def _is_forgettable(self, event: Event) -> bool:
        return event.start_us + self._rule.keep_us < self._correlator.watermarks.minimum_us

    @property
    def events(self) -> Sequence[Event]:
        """The events of the key as they stand, in no particular order."""
        return [event for event in self._events.values() if not event.gone]

    def is_about(self, letter: Letter, anchor: str | None) -> bool:
        """Tell whether a dead letter names a record of one of the key's events, or the anchor."""
        return (letter.source, letter.type, letter.id) in self._names or (
            anchor is not None and letter.id == anchor
        )

    def notes(self) -> Iterator[str]:
        """Yield what the worker made of these facts, in sentences."""
        for alert in self.alerts.values():
            yield f"the worker's alert {alert.alert_id}: {_standing(alert)}"
        if not self.alerts:
            yield "of these facts the worker has made no alert of this rule"
        if self._too_late:
            yield (
                "counted for nothing, since all that they could matter to was final before they"
                f" came: {_ids(self._too_late)}"
            )
        known = [e for e in self.events if e.identity not in self._too_late]
        forgotten = {event.identity for event in known if self._is_forgettable(event)}
        if forgotten:
            kept = format_duration(self._rule.keep_us)
            yield f"let go by now, more than {kept} after they started: {_ids(forgotten)}"
        dropped = self._correlator.counts["dropped_by_cap"]
        if dropped:
            yield f"dropped by the flood limit of the worker: {dropped:,} events of this key"
        if self._correlator.counts["cut_short"]:
            yield "the worker's search for a match ended early at the flood limit"
        yield self._time()

    def _time(self) -> str:
        watermarks = self._correlator.watermarks
        least_us = watermarks.minimum_us
        behind = [p for p, us in sorted(watermarks.as_mapping().items()) if us == least_us]
        names = ", ".join(f"{feed}:{number}" for feed, number in behind[:_SHOWN])
        names += ", …" * (len(behind) > _SHOWN)
        if least_us == NEVER_US:
            return f"nothing becomes final before {names} has been heard"
        return f"event time has come to {format_moment(least_us)}, held up by {names}"


def _standing(alert: Alert) -> str:
    words = [alert.state, "final" if alert.final else "not final"]
    words += [name for name in ("late", "truncated") if alert.content.get(name)]
    words += ["a signal for other rules"] * alert.is_signal
    return f"{', '.join(words)}, about {alert.content['anchor']['id']}"


def _ids(identities: set[Identity]) -> str:
    ids = sorted(identity.id for identity in identities)
    return ", ".join(ids[:_SHOWN]) + ", …" * (len(ids) > _SHOWN)


@dataclass(frozen=True)
class Reading:
    """What was read of a facts log for one key: where, from which offset on, and the letters."""

    partition: Partition
    span: Span
    facts: KeyFacts
    letters: Sequence[Letter] = field(default_factory=tuple)

    @property
    def where(self) -> str:
        """Where it was read, in words."""
        topic, number = self.partition
        return f"topic {topic} partition {number}"

    @property
    def rows(self) -> str:
        """How much was read, in words."""
        return f"{self.facts.rows:,} rows"

    def notes(self) -> Iterator[str]:
        """Yield what there is to know beside the explanation, in sentences."""
        yield f"{self.rows} read from {self.where}, {self.facts.facts:,} of them of this key"
        if self.span.start:
            yield f"the rows before offset {self.span.start:,} are deleted, whatever they held"
        yield from self.facts.notes()
        yield _SCREENED
        for letter in self.letters[:_SHOWN]:
            at = "" if letter.field is None else f" {letter.field}"
            feed, number, offset = letter.place
            yield f"refused: {letter.id} at {feed}:{number}:{offset}, {letter.reason}{at}"
        if len(self.letters) > _SHOWN:
            yield f"refused: {len(self.letters) - _SHOWN:,} more; see ringfence dead-letters list"


async def read_key_facts(
    settings: Settings, stage: Stage, rule: Rule, value: str, anchor: str | None
) -> Reading:
    """Read the one partition of a facts log that a key lies in, to its end as it stands.

    Raises:
        OutsideFailure: The broker or a topic is not there, or a row cannot be read.
    """
    number = stage.log.partition_of(key_of(rule.by, value).encode())
    partition = (stage.log.name, number)
    facts = KeyFacts(stage, rule, value, settings.timing)
    skipped = settings.skipped(partition)
    async with open_reader(settings) as reader:
        spans = await reader.spans([partition], "earliest", "latest")
        async for _, row in reader.rows(spans):
            try:
                if row.offset not in skipped:
                    facts.take(row)
            except RowError as error:
                raise OutsideFailure(f"{partition[0]}:{number}:{row.offset}: {error}") from error
    letters = (await read_letters(settings)).all()
    about = [letter for letter in letters if facts.is_about(letter, anchor)]
    return Reading(partition, spans[partition], facts, about)
