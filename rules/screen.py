"""Which records some step of some rule could use, judged from their fixed fields alone.

A record is dropped only if for every step of its type some condition is known to be false from
fixed fields: open fields may differ in a later record of the same event, and what another step's
event has is not known yet, so both count as undetermined here, also under `is None`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

from rules.condition import Condition, Emitter, Expression, Field, Unknown, walk
from rules.events import EVENTS, Kind, Value
from rules.rule import By, RuleSet, Step

Keeps = Callable[[Mapping[str, Value]], bool]


class Screen:
    """Compiled from a rule set: one function per event type and kind of key."""

    def __init__(self, rule_set: RuleSet) -> None:
        steps: dict[str, dict[By, list[Step]]] = defaultdict(lambda: defaultdict(list))
        for rule in rule_set.rules:
            for step in rule.steps:
                steps[step.event][rule.by].append(step)
        self._keeps: dict[str, tuple[tuple[By, Keeps], ...]] = {
            event: tuple((by, _compile(group)) for by, group in by_key.items())
            for event, by_key in steps.items()
        }

    def keys(self, event_type: str, fields: Mapping[str, Value]) -> tuple[By, ...]:
        """Return the kinds of key under which some step could use a record with these fields."""
        return tuple(by for by, keeps in self._keeps.get(event_type, ()) if keeps(fields))


def _compile(steps: list[Step]) -> Keeps:
    emitter = _ScreenEmitter(lambda field: f"b.get({field.name!r})", str)
    alternatives = [_possible(emitter, step) for step in steps]
    return emitter.compile(" or ".join(dict.fromkeys(alternatives)))


def _possible(emitter: "_ScreenEmitter", step: Step) -> str:
    """Return source that is true unless one of the step's own conditions is known to be false."""
    refuted = [f"{emitter.emit(c.expression)} is False" for c in step.own if _fixed(c, step)]
    return f"not ({' or '.join(refuted)})" if refuted else "True"


def _fixed(condition: Condition, step: Step) -> bool:
    reads = [r for r in condition.reads if isinstance(r, Field)]
    return any(_determined(r) for r in reads if r.step == step.name)


def _determined(field: Field) -> bool:
    # A caller that is withheld becomes unknown only when pseudonyms are made, so the screen,
    # which may run before, must not judge whether there is one.
    return not field.open and field.kind is not Kind.PSEUDONYM


class _ScreenEmitter(Emitter):
    """Emits what the fixed fields decide; everything else is undetermined."""

    def emit(self, node: Expression) -> str:
        if isinstance(node, Field) and not _determined(node):
            return "None"
        if isinstance(node, Unknown) and not all(
            _determined(part) for part in walk(node.item) if isinstance(part, Field)
        ):
            return "None"
        return super().emit(node)


def looked_at(rule_set: RuleSet) -> Mapping[str, frozenset[str]]:
    """Return for each event type the own fields that conditions need, derived ones resolved."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule in rule_set.rules:
        types = {step.name: step.event for step in rule.steps}
        reads = (read for step in rule.steps for c in step.where for read in c.reads)
        for read in reads:
            if isinstance(read, Field):
                found[types[read.step]] |= _own_fields(types[read.step], read.name)
    return {event: frozenset(names) for event, names in found.items()}


def _own_fields(event: str, name: str) -> set[str]:
    spec = EVENTS[event].fields[name]
    needs = set(spec.needs) if spec.derived else {name}
    return needs if spec.currency is None else needs | {spec.currency}
