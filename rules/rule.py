"""A rule as the engine needs it: checked steps and conditions, and how long to remember."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from rules.condition import Aggregate, Condition, Expression, Field
from rules.reach import Relation, Span
from rules.timing import MAX_HISTORY

By = Literal["person", "payee", "caller", "meeting", "area"]
Severity = Literal["info", "low", "medium", "high", "critical"]
Action = Literal["none", "warn", "review", "hold", "block", "recall"]
Raise = Literal["at_once", "when_final"]


@dataclass(frozen=True)
class Option:
    """One type of event that a step can bind, and what must be true of such an event besides."""

    event: str
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Step:
    """One part of a pattern: an event, or the set of all events, that fits.

    Attributes:
        name: What conditions call it.
        options: The types it can bind; more than one only for `either`.
        where: Conditions on whichever event it is, and on earlier steps' events.
        relations: How each of its events lies to earlier steps' events.
        each: Whether it binds the set of all events that fit.
        having: Of a set: conditions over the set; without any it must have a member.
        window_us: Of the set that is the anchor: how far before the anchor its members can lie
            (the gap), in microseconds; None for every other step.
        weight: Of evidence: what it adds to the score.
    """

    name: str
    options: tuple[Option, ...]
    where: tuple[Condition, ...] = ()
    relations: tuple[Relation, ...] = ()
    each: bool = False
    having: tuple[Condition, ...] = ()
    window_us: int | None = None
    weight: int = 0

    @cached_property
    def own(self) -> Mapping[str, tuple[Condition, ...]]:
        """For each type it can bind, the conditions that such an event alone decides."""
        return {
            option.event: tuple(c for c in (*option.where, *self.where) if self._is_own(c))
            for option in self.options
        }

    def joint_of(self, event: str) -> tuple[Condition, ...]:
        """Return the conditions on one type of event that name another step too."""
        of_type = next(option.where for option in self.options if option.event == event)
        return tuple(c for c in (*of_type, *self.where) if not self._is_own(c))

    @cached_property
    def joint(self) -> tuple[Condition, ...]:
        """The conditions that name another step too, of all types."""
        found: list[Condition] = []
        for option in self.options:
            found += [c for c in self.joint_of(option.event) if c not in found]
        return tuple(found)

    def _is_own(self, condition: Condition) -> bool:
        return condition.steps <= {self.name}

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """All its conditions, in the order of the file."""
        of_options = tuple(c for option in self.options for c in option.where)
        return of_options + self.where + self.having


@dataclass(frozen=True)
class Band:
    """What a score of at least `floor` means."""

    floor: int
    severity: Severity
    action: Action


@dataclass(frozen=True)
class Message:
    """A sentence with values in it: pieces of text and expressions, in order."""

    pieces: tuple[str | Expression, ...]


@dataclass(frozen=True)
class Rule:
    """A checked rule with its effective parameters.

    Attributes:
        anchor: The name of the step that its alerts are about.
        unless: Steps that no binding may satisfy.
        evidence: Steps that add to the score of a binding.
        digest: SHA-256 of all that can change what it raises.
        span: How far its events can lie from each other.
        settles_after_us: What a rule that reads alerts waits beyond its own span, since those
            alerts may still change: the greatest forward + settle of the rules read; else 0.
    """

    id: str
    version: str
    title: str
    status: str
    typology: str
    stage: str
    tags: tuple[str, ...]
    advice: str
    by: By
    steps: tuple[Step, ...]
    anchor: str
    base: int
    bands: tuple[Band, ...]
    message: Message | None
    digest: str
    span: Span
    unless: tuple[Step, ...] = ()
    evidence: tuple[Step, ...] = ()
    raises: Raise = "at_once"
    settles_after_us: int = 0

    @cached_property
    def parts(self) -> tuple[Step, ...]:
        """Steps, then `unless`, then evidence: every step that reads events."""
        return self.steps + self.unless + self.evidence

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The place of each part, by name."""
        return {step.name: n for n, step in enumerate(self.parts)}

    @cached_property
    def looked_at(self) -> Mapping[str, tuple[Field, ...]]:
        """For each step the fields that the rule's conditions look at, in their order."""
        found: dict[str, dict[Field, None]] = {}
        for part in self.parts:
            for condition in part.conditions:
                for read in condition.reads:
                    field = read.field if isinstance(read, Aggregate) else read
                    if isinstance(field, Field):
                        found.setdefault(field.step, {})[field] = None
        return {step: tuple(fields) for step, fields in found.items()}

    @cached_property
    def reads_alerts(self) -> bool:
        """Whether it belongs to the second stage: some step of it reads alerts."""
        return any(option.event == "alert" for step in self.parts for option in step.options)

    @cached_property
    def is_signal(self) -> bool:
        """Whether it only feeds other rules: no band of it asks for anything."""
        return all((b.severity, b.action) == ("info", "none") for b in self.bands)

    @property
    def keep_us(self) -> int:
        """How long after an event's start it may still be needed, in event time."""
        return self.span.reach_us + self.span.forward_us + self.span.settle_us

    def closes_at(self, anchor_start_us: int) -> int:
        """Return the moment that its own stage's watermarks must pass to close an anchor."""
        return anchor_start_us + self.span.forward_us + self.span.settle_us

    def settles_at(self, anchor_start_us: int) -> int:
        """Return the moment that all watermarks must pass before an anchor's alert is final."""
        return self.closes_at(anchor_start_us) + self.settles_after_us

    def band(self, score: int) -> Band:
        """Return the highest band that a score reaches."""
        return max((b for b in self.bands if b.floor <= score), key=lambda b: b.floor)


@dataclass(frozen=True)
class RuleSet:
    """All rules of one folder, by id in ascending order.

    `max_history` is the most events of one type that their engine remembers under one key.
    """

    rules: tuple[Rule, ...]
    max_history: int = MAX_HISTORY

    @cached_property
    def first_stage(self) -> "RuleSet":
        """The rules that read outside events only."""
        return replace(self, rules=tuple(r for r in self.rules if not r.reads_alerts))

    @cached_property
    def second_stage(self) -> "RuleSet":
        """The rules that read the alerts of the first stage."""
        return replace(self, rules=tuple(r for r in self.rules if r.reads_alerts))

    @cached_property
    def lag_us(self) -> int:
        """How long the alerts that these rules read may still change, at most."""
        return max((rule.settles_after_us for rule in self.rules), default=0)

    @cached_property
    def reach_us(self) -> int:
        """How far before an anchor the outside events can lie that count, at most.

        What a rule that reads alerts rests on is the alerts, and what those rest on.
        """
        return sum(
            max((rule.span.reach_us for rule in stage.rules), default=0)
            for stage in (self.first_stage, self.second_stage)
        )

    @cached_property
    def settled_us(self) -> int:
        """How long after its anchor's start the last of all alerts becomes final."""
        return max((rule.settles_at(0) for rule in self.rules), default=0)
