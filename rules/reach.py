"""How far apart the events of one match can lie: relations, and the ranges that follow from them.

Each relation of a step E to a step X bounds start(E) - start(X). These are difference constraints:
the shortest paths over them give the range of every step relative to every other (Cormen,
Leiserson, Rivest and Stein, Introduction to Algorithms, "Difference constraints and shortest
paths"; Floyd and Warshall's algorithm, since rules have a handful of steps).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rules.condition import gap_us
from rules.events import EVENTS
from rules.fact import Event
from rules.timing import Timing

RelationKind = Literal["after", "before", "around", "during"]


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

    `ranges` gives for each step the least and greatest start relative to the anchor's start;
    `reach_us` is the greatest distance of any two starts, `forward_us` the greatest distance
    after the anchor's start (at least 0), `settle_us` the greatest settle of the types read.
    """

    ranges: Mapping[str, tuple[int, int]]
    reach_us: int
    forward_us: int
    settle_us: int


def span_of(
    steps: Sequence[tuple[str, str, Sequence[Relation]]], anchor: str, timing: Timing
) -> Span:
    """Return the span of steps given as (name, event type, relations).

    Raises:
        ValueError: some step is tied to the anchor by no chain of relations.
    """
    types = {name: event for name, event, _ in steps}
    longest = {name: _longest_us(event, timing) for name, event in types.items()}
    upper: dict[tuple[str, str], float] = {
        (a, b): 0 if a == b else math.inf for a in types for b in types
    }
    for name, _, relations in steps:
        for relation in relations:
            least, greatest = relation.bounds(longest[name], longest[relation.other])
            upper[relation.other, name] = min(upper[relation.other, name], greatest)
            upper[name, relation.other] = min(upper[name, relation.other], -least)
    _shorten(upper, list(types))
    for name in types:
        if math.inf in (upper[anchor, name], upper[name, anchor]):
            raise ValueError(name)
    ranges = {name: (int(-upper[name, anchor]), int(upper[anchor, name])) for name in types}
    return Span(
        ranges=ranges,
        reach_us=int(max(upper.values())),
        forward_us=max(0, *(high for _, high in ranges.values())),
        settle_us=max(timing.settle(event) for event in types.values()),
    )


def _longest_us(event: str, timing: Timing) -> int:
    return timing.settle(event) if EVENTS[event].interval else 0


def _shorten(upper: dict[tuple[str, str], float], names: list[str]) -> None:
    for via in names:
        for a in names:
            for b in names:
                upper[a, b] = min(upper[a, b], upper[a, via] + upper[via, b])
