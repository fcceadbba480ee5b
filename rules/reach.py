"""How far apart the events of one match can lie: relations, and the ranges that follow from them.

Each relation of a step E to a step X bounds start(E) - start(X). These are difference constraints:
the shortest paths over them give the range of every step relative to every other (Cormen,
Leiserson, Rivest and Stein, Introduction to Algorithms, "Difference constraints and shortest
paths"; Floyd and Warshall's algorithm, since rules have a handful of steps).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from rules.condition import gap_us
from rules.events import EVENTS
from rules.fact import Event
from rules.timing import Timing
from rules.window import BEFORE_US, Limits

RelationKind = Literal["after", "before", "around", "during"]

_TURNED: Final[Mapping[RelationKind, RelationKind]] = {
    "after": "before",
    "before": "after",
    "around": "around",
    "during": "during",
}


@dataclass(frozen=True)
class Relation:
    """How a step's event must lie to the event of an earlier step, bounds inclusive.

    `within_us` bounds the gap of the two, in microseconds; it is 0 for `during`. `text` is how
    the rule says it, such as `within 2h after call`.
    """

    kind: RelationKind
    other: str
    within_us: int
    text: str

    def holds(self, event: Event, other: Event) -> bool:
        """Tell whether `event`, of the step that has this relation, lies so to `other`."""
        if self.kind == "after" and event.start_us < other.start_us:
            return False
        if self.kind == "before" and event.start_us > other.start_us:
            return False
        return gap_us(event, other) <= self.within_us

    def limits(self, other: Event) -> Limits:
        """Return where every event lies of which `holds` is true, and no other event does."""
        return Limits(
            other.start_us if self.kind == "after" else BEFORE_US,
            other.start_us if self.kind == "before" else other.end_us + self.within_us,
            BEFORE_US if self.kind == "after" else other.start_us - self.within_us,
        )

    @property
    def turned(self) -> "Relation":
        """How the other event then lies to this step's, if that is what `other` names."""
        return replace(self, kind=_TURNED[self.kind])

    def bounds(self, own_longest_us: int, other_longest_us: int) -> tuple[int, int]:
        """Return the least and greatest start(own) - start(other), in microseconds.

        Args:
            own_longest_us: the longest that the own event counts as; 0 if it is an instant.
            other_longest_us: the same of the other event.
        """
        least_us = 0 if self.kind == "after" else -self.within_us - own_longest_us
        greatest_us = 0 if self.kind == "before" else self.within_us + other_longest_us
        return least_us, greatest_us


@dataclass(frozen=True)
class Span:
    """How far the events of a match can lie from each other, in microseconds.

    `ranges` gives for each step the least and greatest start relative to the anchor's start (of
    the set that is the anchor: that of its members); `reach_us` is the greatest distance of any
    two starts, `forward_us` the greatest distance after the anchor's start (at least 0),
    `settle_us` the greatest settle of the types read.
    """

    ranges: Mapping[str, tuple[int, int]]
    reach_us: int
    forward_us: int
    settle_us: int


@dataclass(frozen=True)
class Reading:
    """A step as far as the span needs it: what it can bind and how that lies to other steps.

    `optional` says that a match may do without it, as it does without `unless` and evidence.
    """

    name: str
    events: tuple[str, ...]
    relations: Sequence[Relation] = ()
    each: bool = False
    window_us: int | None = None
    optional: bool = False

    def longest_us(self, timing: Timing) -> int:
        """Return the longest that an event of this step counts as, in microseconds."""
        return max(timing.settle(e) if EVENTS[e].interval else 0 for e in self.events)


def span_of(readings: Sequence[Reading], anchor: str, timing: Timing) -> Span:
    """Return the span of a rule's steps, `unless` and evidence included.

    Raises:
        ValueError: some step is tied to the anchor by no chain of relations; it names the step.
    """
    longest = {reading.name: reading.longest_us(timing) for reading in readings}
    members = next((_members(r) for r in readings if r.name == anchor and r.each), None)
    names = [*longest, *([] if members is None else [members.name])]
    upper: dict[tuple[str, str], float] = {
        (a, b): 0 if a == b else math.inf for a in names for b in names
    }
    if members is not None:
        # The anchor is one event; what else its set holds starts no later.
        longest[members.name] = longest[anchor]
        upper[anchor, members.name] = 0
        if members.window_us is not None:
            upper[members.name, anchor] = members.window_us + longest[anchor]
    for reading in (*readings, *([] if members is None else [members])):
        for relation in reading.relations:
            least, greatest = relation.bounds(longest[reading.name], longest[relation.other])
            forth, back = (relation.other, reading.name), (reading.name, relation.other)
            upper[forth] = min(upper[forth], greatest)
            upper[back] = min(upper[back], -least)
    # Two events are tied through a third only if every match has that one.
    always = [r.name for r in readings if r.name == anchor or not (r.each or r.optional)]
    _shorten(upper, names, always)
    for name in names:
        if math.inf in (upper[anchor, name], upper[name, anchor]):
            raise ValueError(name)
    ranges = {name: (int(-upper[name, anchor]), int(upper[anchor, name])) for name in names}
    if members is not None:
        ranges[anchor] = ranges.pop(members.name)
    return Span(
        ranges=ranges,
        reach_us=int(max(upper.values())),
        forward_us=max(0, *(high for _, high in ranges.values())),
        settle_us=max(_settle_us(event, timing) for r in readings for event in r.events),
    )


def _members(anchor: Reading) -> Reading:
    return replace(anchor, name=f"members of {anchor.name}")


def _settle_us(event: str, timing: Timing) -> int:
    # An alert is what ringfence itself says; nobody sends records of it later.
    return 0 if event == "alert" else timing.settle(event)


def _shorten(
    upper: dict[tuple[str, str], float], names: Sequence[str], through: Sequence[str]
) -> None:
    for via in through:
        for a in names:
            for b in names:
                upper[a, b] = min(upper[a, b], upper[a, via] + upper[via, b])
