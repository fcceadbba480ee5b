"""The choice of events that comes nearest to fulfilling a rule, and how each part of it fares.

A choice binds each `event` step to an event of a type that it can bind, no event twice; a step is
left empty only while there are fewer events than steps that could take them. Everything else
follows from these: each set, each `unless`, each evidence. A step is fulfilled if all its own
conditions, relations and `having` are true (a check that names an empty step counts for neither
side), an `unless` if it is not there.

**The nearest choice is the one with the fewest parts not fulfilled, steps and `unless` taken
together; of these the one with the least distance**, which is the sum over all that fails
(`rules.authoring.failures`; a set without members counts as missing); of these the one with the
greatest events, the anchor compared first, then the other steps in file order, each by (start,
source, type, id). Nothing in this looks at the order in which records came.

The search goes depth first, the nearest event of each step first, and turns back where what is
chosen already costs more than the best choice so far. After `MAX_TRIED` events tried it stops with
what it has found by then, which is marked as cut short.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules.authoring.failures import MISSING, WRONG, Chosen, Failure, distance_of
from rules.authoring.fitting import Choice, Events
from rules.condition import Condition
from rules.fact import Event, Place
from rules.reach import Relation

MAX_TRIED: Final = 50_000

_UNFULFILLED: Final = 10**12
"""What a part that is not fulfilled costs: more than any distance."""

_EMPTY: Final = _UNFULFILLED + MISSING

_Places = tuple[Place, ...]
_NOWHERE: Final = Place(-1, "", "", "")


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest choice, what it costs and where its events stand, and if the search ended early.

    Of two, the one with the lesser cost is nearer, then the one with the greater places.
    """

    choice: Choice
    cost: int
    places: _Places
    cut_short: bool


def nearest(events: Events, anchors: Sequence[Event]) -> Nearest:
    """Return the nearest choice with one of these anchors; without one if there are none."""
    return _Search(events, anchors).nearest()


def _cost(failures: Sequence[Failure]) -> int:
    return _UNFULFILLED + distance_of(failures) if failures else 0


class _Search:
    """One search for the nearest choice: what is chosen so far, and the best one yet.

    `failing` holds the steps that something chosen so far keeps from being fulfilled.
    """

    def __init__(self, events: Events, anchors: Sequence[Event]) -> None:
        self._events = events
        self._plan = events.plan
        self._chosen: list[Any] = [None] * (len(events.rule.parts) + 1)
        anchor = self._plan.anchor
        self._slots = (anchor, *(part for part in self._plan.single if part != anchor))
        self._candidates = [
            self._ordered(slot, anchors if slot == anchor else events.of_part(slot))
            for slot in self._slots
        ]
        self._may_be_empty = [self._is_scarce(candidates) for candidates in self._candidates]
        self._least = self._least_costs()
        self._ready = self._placed_checks()
        self._failing: set[int] = set()
        self._best: tuple[int, _Places, Chosen] | None = None
        self._tried = 0

    def _ordered(self, part: int, events: Sequence[Event]) -> list[tuple[int, Event]]:
        # Sorting keeps the greatest first among those that cost the same.
        priced = [(_cost(self._events.own_failures(part, event)), event) for event in events]
        return sorted(priced, key=lambda candidate: candidate[0])

    def _is_scarce(self, candidates: Sequence[tuple[int, Event]]) -> bool:
        """Tell whether the steps that could take any of these are more than what they could."""
        own = {event.identity for _, event in candidates}
        rivals = [{e.identity for _, e in theirs} for theirs in self._candidates[1:]]
        rivals = [theirs for theirs in rivals if theirs & own]
        return len(own.union(*rivals)) < len(rivals)

    def _least_costs(self) -> list[int]:
        """Return for each slot what it and all later ones cost at least."""
        least = [0]
        for candidates in self._candidates[::-1]:
            cheapest = candidates[0][0] if candidates else _EMPTY
            least.append(least[-1] + min(cheapest, _EMPTY))
        return least[::-1]

    def _placed_checks(self) -> list[list[tuple[int, Relation | Condition]]]:
        """Put each check that names two steps at the slot where both have been chosen."""
        order = {self._events.rule.parts[slot].name: at for at, slot in enumerate(self._slots)}
        placed: list[list[tuple[int, Relation | Condition]]] = [[] for _ in self._slots]
        for part in self._plan.single:
            step = self._events.rule.parts[part]
            for relation in step.relations:
                placed[max(order[step.name], order[relation.other])].append((part, relation))
            for condition in step.joint:
                at = max(order[name] for name in condition.steps)
                placed[at].append((part, condition))
        return placed

    def nearest(self) -> Nearest:
        self._extend(0, 0, ())
        assert self._best is not None, "a step with nothing left to take is left empty"
        cost, places, chosen = self._best
        cut_short = self._tried >= MAX_TRIED
        return Nearest(self._events.judged(chosen), cost, places, cut_short)

    def _extend(self, at: int, cost: int, places: _Places) -> None:
        if at == len(self._slots):
            self._complete(cost, places)
            return
        slot, least = self._slots[at], self._least[at + 1]
        free = [c for c in self._candidates[at] if not self._is_taken(c[1])]
        for own, event in free:
            if self._tried >= MAX_TRIED and self._best is not None:
                return
            if self._is_worse(cost + own + least, ()):
                break
            self._tried += 1
            self._bind(slot, event)
            failing, here = self._judge(at, own)
            so_far = (*places, event.place)
            if not self._is_worse(cost + here + least, so_far):
                self._extend(at + 1, cost + here, so_far)
            self._failing = failing
            self._bind(slot, None)
        if not free or (at and self._may_be_empty[at]):
            self._extend(at + 1, cost + _EMPTY, (*places, _NOWHERE))

    def _is_taken(self, event: Event) -> bool:
        taken = (self._chosen[-1], *(self._chosen[part] for part in self._plan.single))
        return any(event is other for other in taken)

    def _bind(self, slot: int, event: Event | None) -> None:
        if slot == self._plan.anchor:
            self._chosen[-1] = event
        # A set that is the anchor gets its members when all else is chosen.
        if slot in self._plan.single:
            self._chosen[slot] = event

    def _judge(self, at: int, own: int) -> tuple[set[int], int]:
        """Return which steps were failing before, and what the event just bound costs."""
        before, cost = self._failing, own
        self._failing = before | ({self._slots[at]} if own else set())
        for part, check in self._ready[at]:
            if self._chosen[part] is None:
                continue
            found = self._events.tied_failure(part, check, self._chosen)
            if found:
                cost += distance_of(found) + _UNFULFILLED * (part not in self._failing)
                self._failing = self._failing | {part}
        return before, cost

    def _is_worse(self, least: int, places: _Places) -> bool:
        """Tell whether what costs at least this, with events like these, cannot be the nearest."""
        if self._best is None:
            return False
        cost, best, _ = self._best
        return least > cost or (least == cost and places < best[: len(places)])

    def _complete(self, cost: int, places: _Places) -> None:
        """Add what sets and `unless` cost for the events chosen, and keep the better choice."""
        rule, chosen = self._events.rule, list(self._chosen)
        for part in self._plan.sets:
            chosen[part] = self._events.members(part, chosen)
        cost += sum(self._cost_of_set(part, chosen) for part in self._plan.sets)
        for part in range(len(rule.steps), len(rule.steps) + len(rule.unless)):
            if self._events.is_there(part, chosen):
                cost += _UNFULFILLED + WRONG
        if not self._is_worse(cost, places):
            self._best = (cost, places, tuple(self._chosen))

    def _cost_of_set(self, part: int, chosen: list[Any]) -> int:
        if not self._events.is_judgeable(part, chosen):
            return 0
        if part == self._plan.anchor and chosen[-1] not in chosen[part]:
            trial = list(chosen)
            trial[part] = chosen[-1]
            tied = [] if chosen[-1] is None else self._events.tied_failures(part, trial)
            # Its own conditions have been counted when it was chosen.
            return distance_of(tied) + _UNFULFILLED * (bool(tied) and part not in self._failing)
        if not (chosen[part] or self._events.rule.parts[part].having):
            return _EMPTY
        return _cost(self._events.having_failures(part, chosen[part], chosen))
