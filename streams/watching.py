"""What a backtest takes from logs besides alerts: outcomes, anchors, when money is gone."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import msgspec

from rules.alert import alert_id
from rules.authoring.outcomes import Outcomes, outcome_of
from rules.events import BY_WIRE_TYPE, EVENTS, EventSpec
from rules.fact import Event, Identity, greatest
from rules.moment import parse_moment
from rules.rule import Rule, RuleSet
from rules.watermark import FeedClock
from streams.ingest import Ingest, Read, Taken
from streams.logs import Log, open_log
from streams.settings import Settings
from streams.wire.pseudonyms import Pseudonyms
from streams.wire.records import Refusal, decode_record

_OUTCOME: Final = EVENTS["outcome"].wire_type.encode()


class _Head(msgspec.Struct):
    """As much of a record as tells when it was, and what event it is of."""

    id: str
    source: str
    type: str
    time: str
    data: dict[str, msgspec.Raw] = {}


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(str).decode


class Watch:
    """Notes what passes by: outcomes in logs and files, the first moment, when money is gone."""

    def __init__(self, settings: Settings) -> None:
        self.outcomes = Outcomes()
        self.begins_us: int | None = None
        self.ends_us: int | None = None
        self.refused = 0
        self._settle = settings.timing.settle
        self._anchors: dict[Identity, Event] = {}

    @property
    def gone_at_us(self) -> Mapping[Identity, int]:
        """When the money of each kept transfer can no longer be called back, if that is known."""
        moments = {i: e.fields.get("irrevocable_at") for i, e in self._anchors.items()}
        return {i: us for i, us in moments.items() if isinstance(us, int)}

    def log(self, log: Log) -> Log:
        """Return a log of which nothing that is to be noted passes unseen."""
        held = {field.name: getattr(log, field.name) for field in fields(Log)}
        return _WatchedLog(**held, note=self._chunk)

    def _chunk(self, chunk: bytes) -> None:
        lines = chunk.split(b"\n")
        for ends in (lines, lines[::-1]):
            time_us = next(filter(None, map(_time_us, ends)), None)
            if time_us is not None:
                self.begins_us = min(time_us, self.begins_us or time_us)
                self.ends_us = max(time_us, self.ends_us or time_us)
        if _OUTCOME in chunk:
            for line in lines:
                if _OUTCOME in line:
                    self.outcome(line)

    @property
    def span_us(self) -> int:
        """How much event time lies between the first and the last record, in microseconds.

        Many lines are read at a time, and of these the first and the last count. Heartbeats and
        outcomes do not: they come from after what they speak of.
        """
        return (self.ends_us or 0) - (self.begins_us or 0)

    def outcome(self, line: bytes) -> Refusal | None:
        """Note a line if it is an outcome; return why it is refused, if it is."""
        read = decode_record(line.rstrip(b"\r"), settle_us=self._settle, now_us=None)
        if isinstance(read, Refusal):
            self.refused += 1
            return read
        if read.type == "outcome":
            identity = Identity(read.source, read.type, read.id)
            record = (read.record_id, read.sequence, read.time_us, read.data)
            self.outcomes.note(outcome_of(identity, *record))
        return None

    def event(self, event: Event) -> None:
        """Note a kept event if its money can be gone."""
        if "irrevocable_at" in EVENTS[event.identity.type].fields:
            held = self._anchors.get(event.identity)
            self._anchors[event.identity] = event if held is None else greatest(held, event)

    def ingest(self, rule_set: RuleSet, settings: Settings, pseudonyms: Pseudonyms) -> Ingest:
        """Return an ingest whose kept events are noted."""
        validates_all = settings.validates == "all"
        return _WatchedIngest(
            rule_set, settings.timing, pseudonyms, validates_all=validates_all
        ).tell(self.event)


def _time_us(line: bytes) -> int | None:
    """Return when a record was that people's days are made of; None of any other line."""
    try:
        head = _decode_head(line)
        time_us = parse_moment(head.time)
    # The errors of msgspec and of moments are all ValueErrors.
    except ValueError:
        return None
    spec = BY_WIRE_TYPE.get(head.type)
    return None if spec is None or spec.side == "everyone" else time_us


@dataclass(frozen=True)
class _WatchedLog(Log):
    """A log that tells what it hands out."""

    note: Callable[[bytes], None] = lambda _chunk: None

    def chunks(self) -> Iterator[bytes]:
        for chunk in super().chunks():
            self.note(chunk)
            yield chunk


class _WatchedIngest(Ingest):
    """An ingest that tells which events it keeps."""

    def tell(self, note: Callable[[Event], None]) -> Ingest:
        """Tell this of each kept event from now on."""
        self._note = note
        return self

    def admit(self, read: Read, clock: FeedClock) -> Taken:
        taken = super().admit(read, clock)
        for fact in taken.facts[:1]:
            self._note(fact.event)
        return taken


# Alerts that were not raised -------------------------------------------------------------------


def owners(ids: Collection[str], rules: Sequence[Rule], logs: Sequence[str]) -> dict[str, str]:
    """Return of some alert ids the rule that could raise them over these logs.

    An id cannot be read backwards, so the ids of all events that could be an anchor are made.
    Alerts of rules that read alerts stay unknown: their keys are in the id.

    Raises:
        OutsideFailure: A log cannot be read.
    """
    asked: dict[str, list[Rule]] = {}
    for rule in rules:
        anchor = rule.parts[rule.index[rule.anchor]]
        for option in () if rule.reads_alerts else anchor.options:
            asked.setdefault(option.event, []).append(rule)
    specs = {EVENTS[event].wire_type: EVENTS[event] for event in asked}
    found: dict[str, str] = {}
    for identity in _identities(specs, logs):
        for rule in asked[identity.type]:
            own_id = alert_id(rule, identity, "")
            if own_id in ids:
                found[own_id] = rule.id
    return found


def _identities(specs: Mapping[str, EventSpec], logs: Sequence[str]) -> Iterator[Identity]:
    """Yield the identity of each event of some types, again for each record of it."""
    types = [wire_type.encode() for wire_type in specs]
    for name in logs:
        with open_log(name) as log:
            for line in log.lines():
                if any(wire_type in line for wire_type in types):
                    identity = _identity(line, specs)
                    if identity is not None:
                        yield identity


def _identity(line: bytes, specs: Mapping[str, EventSpec]) -> Identity | None:
    try:
        head = _decode_head(line)
        spec = specs[head.type]
        raw = head.data.get(spec.id_field or "event_id")
        own_id = head.id if raw is None else _decode_text(raw)
    except (ValueError, KeyError):
        return None
    return Identity(head.source, spec.name, own_id)
