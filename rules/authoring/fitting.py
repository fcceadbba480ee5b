"""The events of one key as one rule sees them, and how each part of the rule fares in a choice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rules.authoring.failures import (
    MISSING,
    WRONG,
    Chosen,
    Failure,
    Failures,
    distance_of,
    of_relation,
    place_of,
)
from rules.condition import Condition, gap_us
from rules.fact import Event, Identity, greatest
from rules.history import History
from rules.judging import Judging
from rules.matching import Match, match
from rules.plan import make_plan
from rules.reach import Relation
from rules.rule import Rule, Step

Role = Literal["step", "unless", "evidence"]

Bound = Event | tuple[Event, ...] | None
"""What one part of a rule binds: an event, the members of a set in order of place, or nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one part of a rule fares in a choice.

    Attributes:
        step: The step, `unless` or evidence.
        role: Which of these it is.
        bound: What it binds; of a part that is not there the nearest event, if there is one.
        is_there: Whether its conditions and relations hold; None if they name an empty step.
        failures: What keeps it from being there.
    """

    step: Step
    role: Role
    bound: Bound
    is_there: bool | None
    failures: tuple[Failure, ...] = ()

    @property
    def misses(self) -> tuple[Failure, ...]:
        """What of it keeps the rule from matching: a step that fails, an exception that holds."""
        if self.role == "step":
            return self.failures
        if self.role == "unless" and self.is_there:
            bound = self.bound if isinstance(self.bound, tuple) else (self.bound,)
            ids = ", ".join(event.identity.id for event in bound if event is not None)
            says = f"the exception was there: {ids}" if ids else "the exception was there"
            return (Failure(self.step.name, "unless", says, WRONG),)
        return ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What each part of a rule binds, the anchor's event, and how each part fares."""

    anchor: Event | None
    bound: tuple[Bound, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def misses(self) -> tuple[Failure, ...]:
        """Why the rule does not match, in file order; nothing if it does."""
        return tuple(failure for verdict in self.verdicts for failure in verdict.misses)


class Events:
    """The events of one key, as one rule sees them.

    Of several records of one event, the greatest is the event.
    """

    def __init__(self, rule: Rule, events: Iterable[Event]) -> None:
        self.rule = rule
        judging = Judging([rule])
        self.plan = make_plan(0, rule, judging)
        self.failures = Failures(rule)
        self._history = History()
        stands: dict[Identity, Event] = {}
        for event in events:
            held = stands.get(event.identity)
            stands[event.identity] = event if held is None else greatest(held, event)
        there = (event for event in stands.values() if not event.gone)
        greatest_first = sorted(there, key=lambda event: event.place, reverse=True)
        self._of_part = [
            [e for e in greatest_first if any(e.identity.type == o.event for o in part.options)]
            for part in rule.parts
        ]
        for event in greatest_first:
            own = judging.own.get((rule.by, event.identity.type))
            if own is not None:
                self._history.put(event, own.fits(event))
        self._fitting = [
            [event for event in of_part if self._fits(number, event)]
            for number, of_part in enumerate(self._of_part)
        ]

    def _fits(self, part: int, event: Event) -> bool:
        return self._history.fits(event, self.plan.signatures[part])

    @property
    def anchors(self) -> Sequence[Event]:
        """The events that the anchor's step could bind by their type, the greatest first."""
        return self._of_part[self.plan.anchor]

    def match(self, anchor: Event) -> Match | None:
        """Return what the engine would report at this anchor, if nothing were late or capped."""
        if not self._fits(self.plan.anchor, anchor):
            return None
        return match(self.plan, self._history, anchor).match

    def of_match(self, match: Match) -> Choice:
        """Return a match with how each part of the rule fares in it."""
        return self.judged((*match.bound, match.anchor))

    def judged(self, chosen: Chosen) -> Choice:
        """Return a choice of events for the single steps with how each part fares in it."""
        bound = list(chosen)
        for part in self.plan.sets:
            bound[part] = self.members(part, bound)
        verdicts = tuple(self._judged(part, bound) for part in range(len(self.rule.parts)))
        there = (verdict.bound if verdict.is_there else None for verdict in verdicts)
        for part, found in enumerate(there):
            if part not in self.plan.single:
                bound[part] = found
        return Choice(chosen[-1], tuple(bound[:-1]), verdicts)

    def of_part(self, part: int) -> Sequence[Event]:
        """Return the events that a part could bind by their type, the greatest first."""
        return self._of_part[part]

    def is_judgeable(self, part: int, chosen: Chosen) -> bool:
        """Tell whether every single step that a part names has an event."""
        step = self.rule.parts[part]
        named = {relation.other for relation in step.relations}
        named |= {name for c in (*step.joint, *step.having) for name in c.steps}
        return all(self.is_bound(name, chosen) for name in named - {step.name})

    def is_bound(self, step: str, chosen: Chosen) -> bool:
        """Tell whether a step that another one names has an event; sets always count as bound."""
        place = place_of(self.rule, step)
        is_set = place < len(self.rule.parts) and self.rule.parts[place].each
        return is_set or chosen[place] is not None

    def own_failures(self, part: int, event: Event) -> list[Failure]:
        """Return what keeps an event from fulfilling the conditions that it alone decides."""
        if self._fits(part, event):
            return []
        step = self.rule.parts[part]
        alone: list[Any] = [None] * (len(self.rule.parts) + 1)
        alone[part] = event
        return [
            failure
            for condition in step.own[event.identity.type]
            for failure in self.failures.of_condition(step.name, condition, alone)
        ]

    def tied_failures(self, part: int, chosen: Chosen) -> list[Failure]:
        """Return what fails of a part's relations and of its conditions that name others."""
        step = self.rule.parts[part]
        joint = step.joint_of(chosen[part].identity.type)
        checks: tuple[Relation | Condition, ...] = (*step.relations, *joint)
        return [f for check in checks for f in self.tied_failure(part, check, chosen)]

    def tied_failure(
        self, part: int, check: Relation | Condition, chosen: Chosen
    ) -> list[Failure]:
        """Return what fails of one of them; nothing if it names a step that is empty.

        Nor if it is asked of another type of event only.
        """
        step = self.rule.parts[part]
        if isinstance(check, Condition) and check not in step.joint_of(chosen[part].identity.type):
            return []
        others = {check.other} if isinstance(check, Relation) else check.steps - {step.name}
        if not all(self.is_bound(name, chosen) for name in others):
            return []
        if isinstance(check, Condition):
            return self.failures.of_condition(step.name, check, chosen)
        other = chosen[place_of(self.rule, check.other)]
        return of_relation(step.name, check, chosen[part], other)

    def members(self, part: int, chosen: Chosen) -> tuple[Event, ...]:
        """Return what fits a set, an `unless` or an evidence, in order of place."""
        if not self.is_judgeable(part, chosen):
            return ()
        taken = [chosen[step] for step in self.plan.single]
        trial = list(chosen)
        found: list[Event] = []
        for event in self._fitting[part]:
            if any(event is other for other in taken):
                continue
            if part == self.plan.anchor and not self._precedes(event, chosen[-1]):
                continue
            trial[part] = event
            if all(judge(trial) is True for judge in self.plan.checks[part]):
                found.append(event)
        return tuple(found[::-1])

    def _precedes(self, event: Event, anchor: Event | None) -> bool:
        window_us = self.rule.parts[self.plan.anchor].window_us
        if anchor is None or event.start_us > anchor.start_us:
            return False
        return window_us is None or gap_us(event, anchor) <= window_us

    def having_failures(
        self, part: int, members: tuple[Event, ...], chosen: Chosen
    ) -> list[Failure]:
        """Return what fails of the conditions over a set with these members."""
        step, trial = self.rule.parts[part], list(chosen)
        trial[part] = members
        return [
            failure
            for condition in step.having
            for failure in self.failures.of_condition(step.name, condition, trial)
        ]

    def is_there(self, part: int, chosen: Chosen) -> bool:
        """Tell whether an `unless` or an evidence is satisfied."""
        if not self.is_judgeable(part, chosen):
            return False
        members = self.members(part, chosen)
        if not self.rule.parts[part].having:
            return bool(members)
        return not self.having_failures(part, members, chosen)

    def _verdict(
        self, part: int, bound: Bound, failures: Sequence[Failure] = (), *, judged: bool = True
    ) -> Verdict:
        steps, unless = len(self.rule.steps), len(self.rule.unless)
        role: Role = "step" if part < steps else "unless" if part < steps + unless else "evidence"
        is_there = not failures if judged else None
        return Verdict(self.rule.parts[part], role, bound, is_there, tuple(failures))

    def _judged(self, part: int, chosen: Chosen) -> Verdict:
        """Return how a part fares for the events chosen; of sets, `chosen` has the members."""
        step = self.rule.parts[part]
        if part in self.plan.single:
            event = chosen[part]
            if event is None:
                return self._verdict(part, None, [self._missing(part)])
            found = [*self.own_failures(part, event), *self.tied_failures(part, chosen)]
            return self._verdict(part, event, found)
        if not self.is_judgeable(part, chosen):
            return self._verdict(part, None, judged=False)
        members = self.members(part, chosen)
        if part == self.plan.anchor and chosen[-1] not in members:
            return self._absent(part, chosen, [e for e in (chosen[-1],) if e is not None])
        if not (members or step.having):
            return self._absent(part, chosen, self._of_part[part])
        bound = members if step.each else members[-1]
        return self._verdict(part, bound, self.having_failures(part, members, chosen))

    def _absent(self, part: int, chosen: Chosen, events: Sequence[Event]) -> Verdict:
        """Return that nothing fits a part, with the nearest of these events."""
        found = self.nearest_of(part, chosen, events)
        if found is None:
            return self._verdict(part, None, [self._missing(part)])
        return self._verdict(part, *found)

    def nearest_of(
        self, part: int, chosen: Chosen, events: Sequence[Event]
    ) -> tuple[Event, list[Failure]] | None:
        """Return which of these events, the greatest first, comes nearest, and what it fails."""
        taken = [chosen[step] for step in self.plan.single]
        trial = list(chosen)
        nearest: tuple[Event, list[Failure]] | None = None
        for event in events:
            if any(event is other for other in taken):
                continue
            trial[part] = event
            found = [*self.own_failures(part, event), *self.tied_failures(part, trial)]
            if nearest is None or distance_of(found) < distance_of(nearest[1]):
                nearest = (event, found)
        return nearest

    def _missing(self, part: int) -> Failure:
        step = self.rule.parts[part]
        types = " or ".join(dict.fromkeys(option.event for option in step.options))
        left = " left" if self._of_part[part] else ""
        return Failure(step.name, "event", f"there is no {types}{left}", MISSING)
