"""A set of events while its limits move and events come and go: what it holds, kept up to date.

Every relation of a member to an event that is bound says of the member no more than that it
starts no earlier than one moment, no later than a second, and ends no earlier than a third. A
flood moves these limits a little with each event, so what leaves and what enters is found at the
ends of sorted lists, and the work does not grow with the members.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from rules.fact import Event, Identity
from rules.tally import Members, Row

BEFORE_US = -(2**62)
AFTER_US = 2**62
"""Moments before and after every event."""


class Limits(NamedTuple):
    """Where the members of a set lie, all bounds inclusive, in microseconds."""

    starts_from_us: int = BEFORE_US
    starts_to_us: int = AFTER_US
    ends_from_us: int = BEFORE_US

    def within(self, other: "Limits") -> "Limits":
        """Return the limits of what lies within both."""
        return Limits(
            max(self.starts_from_us, other.starts_from_us),
            min(self.starts_to_us, other.starts_to_us),
            max(self.ends_from_us, other.ends_from_us),
        )

    def hold(self, event: Event) -> bool:
        """Tell whether an event lies within."""
        return (
            self.starts_from_us <= event.start_us <= self.starts_to_us
            and self.ends_from_us <= event.end_us
        )


class Source(Protocol):
    """The events of one type under one key, as they stand."""

    longest_us: int

    def fitting(self, signature: int, least_us: int, greatest_us: int) -> Iterator[Row]:
        """Yield what fits and starts within the bounds."""
        ...

    def row(self, event: Event) -> Row | None:
        """Return an event's row."""
        ...


class Window:
    """The members of one set under one key."""

    def __init__(self, source: Source, signature: int, joins: Callable[[Event], bool]) -> None:
        """Begin with no members.

        Args:
            source: where the events are; it tells of every change with `replace`.
            signature: what an event has to fit by itself.
            joins: judges the conditions that name events of other steps.
        """
        self.members = Members()
        self._source = source
        self._signature = signature
        self._joins = joins
        self._limits = Limits(starts_to_us=BEFORE_US)
        self._taken: tuple[Event, ...] = ()
        self._held: dict[Identity, Row] = {}
        self._ends: list[tuple[int, Identity]] = []

    def move(self, limits: Limits, taken: tuple[Event, ...]) -> Members:
        """Return the members within these limits, without the events that are taken."""
        old, self._limits = self._limits, limits
        freed, self._taken = self._taken, taken
        if limits != old:
            self._let_go(limits)
            for row in self._entering(old, limits):
                self._let_in(row)
        if taken != freed:
            for event in taken:
                self._drop(event.identity)
            for event in freed:
                self.replace(None, self._source.row(event))
        return self.members

    def replace(self, old: Row | None, new: Row | None) -> None:
        """Take note that an event stands otherwise, has come, or is forgotten."""
        if old is not None:
            self._drop(old[1])
        if new is not None and new[3] & self._signature:
            self._let_in(new)

    def _let_go(self, limits: Limits) -> None:
        members = self.members
        while members and members.greatest.start_us > limits.starts_to_us:
            self._drop(members.greatest.identity)
        while members and members.least.start_us < limits.starts_from_us:
            self._drop(members.least.identity)
        while self._ends and self._ends[0][0] < limits.ends_from_us:
            self._drop(self._ends[0][1])

    def _entering(self, old: Limits, now: Limits) -> Iterator[Row]:
        """Yield what may lie within the limits now and did not before."""
        if now.starts_to_us > old.starts_to_us:
            yield from self._starting(old.starts_to_us + 1, AFTER_US)
        if now.starts_from_us < old.starts_from_us:
            yield from self._starting(BEFORE_US, old.starts_from_us - 1)
        if now.ends_from_us < old.ends_from_us:
            # What starts later ends later too.
            yield from self._starting(BEFORE_US, old.ends_from_us)

    def _starting(self, least_us: int, greatest_us: int) -> Iterable[Row]:
        from_us, to_us, ends_from_us = self._limits
        return self._source.fitting(
            self._signature,
            max(least_us, from_us, ends_from_us - self._source.longest_us),
            min(greatest_us, to_us),
        )

    def _let_in(self, row: Row) -> None:
        _, identity, event, _ = row
        if identity in self._held or not self._limits.hold(event) or not self._joins(event):
            return
        if any(identity == other.identity for other in self._taken):
            return
        self._held[identity] = row
        self.members.add(row)
        insort(self._ends, (event.end_us, identity))

    def _drop(self, identity: Identity) -> None:
        row = self._held.pop(identity, None)
        if row is not None:
            self.members.drop(row)
            del self._ends[bisect_left(self._ends, (row[2].end_us, identity))]
