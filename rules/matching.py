"""Which choice of events, one for each step, fulfils a rule at an anchor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.condition import Condition, Field, compile_expression
from rules.fact import Event
from rules.history import History
from rules.rule import Rule

Judge = Callable[[Any], bool | None]

Binding = tuple[Event, ...]
"""One event for each step, in file order."""


@dataclass(frozen=True)
class Plan:
    """A rule made ready: its conditions compiled, each check at the step that completes it."""

    number: int
    rule: Rule
    own: tuple[tuple[Judge, ...], ...]
    checks: tuple[tuple[Judge, ...], ...]

    @property
    def anchor(self) -> int:
        """The anchor's place among the steps."""
        return self.rule.index[self.rule.anchor]

    def fits(self, step: int, event: Event) -> bool:
        """Tell whether an event fulfils the conditions of a step that it alone decides."""
        return all(judge(event) is True for judge in self.own[step])

    def match(self, history: History, anchor: Event) -> Binding | None:
        """Return the greatest holding binding with this anchor, or None.

        Bindings are compared step by step in file order, each step by its event's place: the
        search goes through them from the greatest down, so the first that holds is the answer.
        """
        chosen: list[Event | None] = [None] * len(self.rule.steps)
        chosen[self.anchor] = anchor
        return (
            self._extend(history, anchor, chosen, 0) if self._hold(self.anchor, chosen) else None
        )

    def _extend(
        self, history: History, anchor: Event, chosen: list[Event | None], step: int
    ) -> Binding | None:
        if step == len(chosen):
            return tuple(event for event in chosen if event is not None)
        if step == self.anchor:
            return self._extend(history, anchor, chosen, step + 1)
        least_us, greatest_us = self.rule.span.ranges[self.rule.steps[step].name]
        for event in history.greatest_first(
            (self.number, step), anchor.start_us + least_us, anchor.start_us + greatest_us
        ):
            if any(other is event for other in chosen):
                continue
            chosen[step] = event
            if self._hold(step, chosen):
                binding = self._extend(history, anchor, chosen, step + 1)
                if binding is not None:
                    return binding
            chosen[step] = None
        return None

    def _hold(self, step: int, chosen: Sequence[Event | None]) -> bool:
        return all(judge(chosen) is True for judge in self.checks[step])


def make_plan(number: int, rule: Rule) -> Plan:
    """Compile a rule; `number` tells it from the other rules of its set."""
    own = tuple(
        tuple(compile_expression(c.expression, _of_event) for c in step.own) for step in rule.steps
    )
    return Plan(number, rule, own, _place_checks(rule))


def _of_event(field: Field) -> str:
    return f"b.fields.get({field.name!r})"


def _place_checks(rule: Rule) -> tuple[tuple[Judge, ...], ...]:
    """Put each relation and joint condition at the first step with which all it names is bound."""
    waiting: list[tuple[frozenset[str], Judge]] = []
    for step in rule.steps:
        for relation in step.relations:
            pair = (rule.index[step.name], rule.index[relation.other])
            names = frozenset((step.name, relation.other))
            waiting.append((names, _relation_judge(relation.holds, *pair)))
        waiting += [(c.steps, _joint_judge(rule, c)) for c in step.joint]
    checks: dict[str, tuple[Judge, ...]] = {}
    bound: set[str] = set()
    for name in (rule.anchor, *(s.name for s in rule.steps if s.name != rule.anchor)):
        bound.add(name)
        checks[name] = tuple(judge for names, judge in waiting if names <= bound)
        waiting = [(names, judge) for names, judge in waiting if not names <= bound]
    return tuple(checks[step.name] for step in rule.steps)


def _relation_judge(holds: Callable[[Event, Event], bool], step: int, other: int) -> Judge:
    return lambda chosen: holds(chosen[step], chosen[other])


def _joint_judge(rule: Rule, condition: Condition) -> Judge:
    return compile_expression(
        condition.expression,
        lambda field: f"b[{rule.index[field.step]}].fields.get({field.name!r})",
        lambda step: f"b[{rule.index[step]}]",
    )
