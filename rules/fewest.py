"""How many events a match takes at the least, of the types that there are.

Most keys never have so many: then there is no need to look for a match.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from rules.condition import Aggregate, Compare, Condition, Constant, Parameter
from rules.plan import Plan
from rules.rule import Step

_MORE: Final = {">=": 0, "==": 0, ">": 1}

NEVER: Final = 2**31
"""More events than any key has."""


class Fewest:
    """The least number of events in any match of some rules."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self._known = cache(self._find)

    def events(self, by: str, types: frozenset[str]) -> int:
        """Return how many events of these types, all of one key, a match takes at the least."""
        return self._known(by, types)

    def _find(self, by: str, types: frozenset[str]) -> int:
        possible = (p for p in self._plans if p.rule.by == by and _is_possible(p, types))
        return min(map(_fewest, possible), default=NEVER)


def _is_possible(plan: Plan, types: frozenset[str]) -> bool:
    """Tell whether each step that has to bind something can bind one of these types."""
    return all(
        not types.isdisjoint(plan.signatures[part])
        for part, step in enumerate(plan.rule.steps)
        if part == plan.anchor or _of_step(step)
    )


def _fewest(plan: Plan) -> int:
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
