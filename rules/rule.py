"""A rule as the engine needs it: checked steps and conditions, and how long to remember."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rules.condition import Condition, Expression
from rules.reach import Relation, Span

By = Literal["person", "payee", "caller", "meeting", "area"]
Severity = Literal["info", "low", "medium", "high", "critical"]
Action = Literal["none", "warn", "review", "hold", "block", "recall"]


@dataclass(frozen=True)
class Step:
    """One event of a pattern: its type, what must be true of it, how it lies to other steps."""

    name: str
    event: str
    where: tuple[Condition, ...] = ()
    relations: tuple[Relation, ...] = ()

    @cached_property
    def own(self) -> tuple[Condition, ...]:
        """The conditions that this step's event alone decides."""
        return tuple(c for c in self.where if c.steps <= {self.name})

    @cached_property
    def joint(self) -> tuple[Condition, ...]:
        """The conditions that name an earlier step too."""
        return tuple(c for c in self.where if not c.steps <= {self.name})


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

    `digest` is the SHA-256 of all that can change what it raises; `anchor` the name of the step
    that its alerts are about; `span` how far its events can lie from each other.
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

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Each step's place in file order, by name."""
        return {step.name: n for n, step in enumerate(self.steps)}

    @property
    def keep_us(self) -> int:
        """How long after an event's start it may still be needed, in event time."""
        return self.span.reach_us + self.span.forward_us + self.span.settle_us

    def settles_at(self, anchor_start_us: int) -> int:
        """Return the moment that all watermarks must pass before an anchor's alert is final."""
        return anchor_start_us + self.span.forward_us + self.span.settle_us

    def band(self, score: int) -> Band:
        """Return the highest band that a score reaches."""
        return max((b for b in self.bands if b.floor <= score), key=lambda b: b.floor)


@dataclass(frozen=True)
class RuleSet:
    """All rules of one folder, by id in ascending order."""

    rules: tuple[Rule, ...]
