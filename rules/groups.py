"""Rules of one shape, asked together which of their matches an event that changes could touch.

Of most events nothing can follow, whatever the number of rules: there is no anchor near, or a
step that every match needs has nothing to bind. Rules whose anchors and needed steps bind the
same types of events make a group, and both questions are asked once for all of it, with the
widest range of the parts that the event fits; what is left is asked of each rule with its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rules.fact import Event
from rules.history import History
from rules.judging import Mask
from rules.plan import Plan

_MOST_KNOWN = 4_096


class _Part(NamedTuple):
    """A part of a rule, or of several: where its events start, from the start of the anchor."""

    rules: Mask
    least_us: int
    greatest_us: int

    def beside(self, other: "_Part") -> "_Part":
        """Return both as one, with the widest of their ranges."""
        return _Part(
            self.rules | other.rules,
            min(self.least_us, other.least_us),
            max(self.greatest_us, other.greatest_us),
        )


class _Table:
    """Which rules have a part of one type of event that fits, by the signatures that do.

    Attributes:
        all: All of the parts.
    """

    all: _Part

    def __init__(self) -> None:
        self._parts: list[tuple[_Part, Mask]] = []
        self._signatures: Mask = 0
        self._known: dict[Mask, _Part | None] = {}

    def add(self, part: _Part, signature: Mask) -> None:
        """Take in a part, and its signature."""
        self.all = self.all.beside(part) if self._parts else part
        self._parts.append((part, signature))
        self._signatures |= signature

    def fitting(self, fits: Mask) -> _Part | None:
        """Return the parts that have one of these signatures, if there are any."""
        fits &= self._signatures
        if fits in self._known:
            return self._known[fits]
        found: _Part | None = None
        for part, signature in self._parts:
            if signature & fits:
                found = part if found is None else found.beside(part)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[fits] = found
        return found

    def rules(self, fits: Mask) -> Mask:
        """Return the rules of which some part has one of these signatures."""
        found = self.fitting(fits)
        return 0 if found is None else found.rules


_Tables = Mapping[str, _Table]
"""A table for each type of event."""


class Group:
    """Plans whose anchors and needed steps bind the same types of events."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.by = plans[0].rule.by
        self._plans = tuple(plans)
        self._anchors = self._tables([[plan.anchor] for plan in plans])
        self._parts = self._tables([range(len(plan.rule.parts)) for plan in plans])
        needs = zip(*(_needed(plan) for plan in plans), strict=True)
        self._needs = [self._tables([[part] for part in parts]) for parts in needs]

    def _tables(self, parts: Sequence[Sequence[int]]) -> _Tables:
        found: dict[str, _Table] = defaultdict(_Table)
        for number, (plan, own) in enumerate(zip(self._plans, parts, strict=True)):
            for part in own:
                for event_type, signature in plan.signatures[part].items():
                    found[event_type].add(_Part(1 << number, *plan.ranges[part]), signature)
        return dict(found)

    @property
    def types(self) -> Sequence[str]:
        """The types of events that some part of some rule can bind."""
        return tuple(self._parts)

    def touched(self, history: History, event: Event, fits: Mask) -> Iterator[tuple[Event, Mask]]:
        """Yield the anchors that could be touched, each with the rules for which that may be.

        Args:
            history: what is remembered under the key.
            event: the event that has changed.
            fits: the signatures that it fits, or did before.
        """
        own_type, start_us = event.identity.type, event.start_us
        parts = self._parts[own_type].fitting(fits)
        if parts is None:
            return
        for event_type, anchors in self._anchors.items():
            if event_type == own_type and (found := anchors.rules(fits)):
                yield event, found
            among = history.of_type(event_type)
            if among is None:
                continue
            for kind, rows in among.kinds(start_us - parts.greatest_us, start_us - parts.least_us):
                if found := parts.rules & anchors.rules(kind):
                    yield from ((row[2], found) for row in rows if row[2] is not event)

    def possible(self, history: History, anchor: Event, rules: Mask) -> Mask:
        """Return of these rules those that could match: every step has something to bind."""
        start_us = anchor.start_us
        for tables in self._needs:
            found = 0
            for event_type, table in tables.items():
                among = history.of_type(event_type)
                if among is not None:
                    least_us, greatest_us = table.all.least_us, table.all.greatest_us
                    found |= table.rules(among.fitted(start_us + least_us, start_us + greatest_us))
            rules &= found
            if not rules:
                break
        return rules

    def plans(self, rules: Mask) -> Iterator[Plan]:
        """Yield the plans of these rules."""
        while rules:
            least = rules & -rules
            yield self._plans[least.bit_length() - 1]
            rules ^= least


def group_plans(plans: Sequence[Plan]) -> list[Group]:
    """Return the plans by what their anchors and their needed steps can bind."""
    shapes: dict[object, list[Plan]] = defaultdict(list)
    for plan in plans:
        anchor = frozenset(plan.signatures[plan.anchor])
        needs = tuple(tuple(sorted(plan.signatures[part])) for part in _needed(plan))
        shapes[plan.rule.by, anchor, needs].append(plan)
    return [Group(found) for found in shapes.values()]


def _needed(plan: Plan) -> Sequence[int]:
    """Return the parts, besides the anchor, without an event for which there is no match."""
    steps = plan.rule.steps
    needed = (n for n, s in enumerate(steps) if n != plan.anchor and not (s.each and s.having))
    return sorted(needed, key=lambda part: sorted(plan.signatures[part]))
