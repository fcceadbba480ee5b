"""How many events a match takes at the least, of the types that there are.

Most keys never have so many: then there is no need to look for a match, and of what nobody has
read yet no need to read it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from rules.condition import (
    Aggregate,
    Compare,
    Condition,
    Constant,
    Field,
    Parameter,
    compile_expression,
    walk,
)
from rules.events import EVENTS, Kind
from rules.judging import Mask
from rules.plan import Plan
from rules.row import Sealed
from rules.rule import Step

_MORE: Final = {">=": 0, "==": 0, ">": 1}
# What conditions see of these is what stands in the row.
_AS_WRITTEN: Final = (Kind.TEXT, Kind.CLASS, Kind.BOOL, Kind.INTEGER, Kind.MOMENT, Kind.PSEUDONYM)

NEVER: Final = 2**31
"""More events than any key has."""


class Fewest:
    """The least number of events in any match of some rules.

    Attributes:
        of_plan: That number of each rule, by its number.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self.of_plan = [_of_plan(plan) for plan in plans]
        self._known = cache(self._find)
        self._alone: dict[tuple[str, str], list[tuple[Mask, _Refute]]] = {}
        for plan, fewest in zip(plans, self.of_plan, strict=True):
            for event_type, signature in (
                plan.signatures[plan.anchor].items() if fewest == 1 else ()
            ):
                conditions = plan.rule.parts[plan.anchor].own[event_type]
                found = self._alone.setdefault((plan.rule.by, event_type), [])
                found.append((signature, _refute(event_type, conditions)))

    def events(self, by: str, types: frozenset[str], least: int = 1) -> int:
        """Return how many events of these types, all of one key, a match takes at the least.

        Of rules whose matches take fewer than `least` nothing is asked.
        """
        return self._known(by, types, least)

    def fits_alone(self, by: str, event_type: str) -> Mask:
        """Return the signatures of which one event is all that some rule needs."""
        return sum({signature for signature, _ in self._alone.get((by, event_type), ())})

    def may_match_alone(self, sealed: Sealed) -> bool:
        """Tell whether one event is all that some rule needs: False is certain."""
        for _, refute in self._alone.get((sealed.by, sealed.type), ()):
            if not refute(sealed.data):
                return True
        return False

    def _find(self, by: str, types: frozenset[str], least: int) -> int:
        possible = (
            fewest
            for plan, fewest in zip(self._plans, self.of_plan, strict=True)
            if plan.rule.by == by and fewest >= least and _is_possible(plan, types)
        )
        return min(possible, default=NEVER)


def _is_possible(plan: Plan, types: frozenset[str]) -> bool:
    """Tell whether each step that has to bind something can bind one of these types."""
    return all(
        not types.isdisjoint(plan.signatures[part])
        for part, step in enumerate(plan.rule.steps)
        if part == plan.anchor or _of_step(step)
    )


def _of_plan(plan: Plan) -> int:
    # A set has no event that another step has, but two sets may have the same.
    of_sets = [_of_step(plan.rule.steps[part]) for part in plan.sets]
    return max(1, len(plan.single) + max(of_sets, default=0))


def _of_step(step: Step) -> int:
    """Return how many events a step binds at the least."""
    if step.each and step.having:
        return max(_of_condition(condition, step.name) for condition in step.having)
    return 1


def _of_condition(condition: Condition, own: str) -> int:
    """Return how many members a set has for which a condition holds, as far as it says so."""
    match condition.expression:
        case Compare(op=op, left=Aggregate(function="count", step=step), right=right):
            # No more values of a field are counted than there are members.
            value = right.value if isinstance(right, Constant | Parameter) else None
            if step == own and op in _MORE and isinstance(value, int):
                return value + _MORE[op]
    return 0


_Refute = Callable[[msgspec.Raw], bool]
"""Tells whether an event is known to fail some condition, by what stands in its row."""


def _refute(event_type: str, conditions: Sequence[Condition]) -> _Refute:
    judges, names = [], set[str]()
    for condition in conditions:
        read = {node.name for node in walk(condition.expression) if isinstance(node, Field)}
        specs = [EVENTS[event_type].fields[name] for name in read]
        if all(spec.kind in _AS_WRITTEN and not spec.derived for spec in specs):
            names |= read
            judges.append(compile_expression(condition.expression, lambda f: f"b.{f.name}"))
    fields = [(name, Any, None) for name in sorted(names)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Read", fields, gc=False)).decode

    def refute(data: msgspec.Raw) -> bool:
        found = decode(data)
        for judge in judges:  # noqa: SIM110 - asked of every row, and a generator costs more
            if judge(found) is False:
                return True
        return False

    return refute
