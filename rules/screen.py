"""Which records some step of some rule could use, judged from their fixed fields alone.

A record is dropped only if for every step of its type some condition is known to be false from
fixed fields: open fields may differ in a later record of the same event, and what another step's
event has is not known yet, so both count as undetermined here, also under `is None`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

from rules.condition import Aggregate, Condition, Emitter, Expression, Field, Unknown, walk
from rules.events import EVENTS, Kind, Value
from rules.rule import By, RuleSet

Keeps = Callable[[Mapping[str, Value]], bool]


class Screen:
    """Compiled from a rule set: one function per event type and kind of key."""

    def __init__(self, rule_set: RuleSet) -> None:
        wanted: dict[str, dict[By, list[tuple[Condition, ...]]]] = {}
        for rule in rule_set.rules:
            for part in rule.parts:
                for event, conditions in part.own.items():
                    by_key = wanted.setdefault(event, {})
                    by_key.setdefault(rule.by, []).append(conditions)
        self._keeps: dict[str, tuple[tuple[By, Keeps], ...]] = {
            event: tuple((by, _compile(alternatives)) for by, alternatives in by_key.items())
            for event, by_key in wanted.items()
        }

    def keys(self, event_type: str, fields: Mapping[str, Value]) -> tuple[By, ...]:
        """Return the kinds of key under which some step could use a record with these fields."""
        return tuple(by for by, keeps in self._keeps.get(event_type, ()) if keeps(fields))


def _compile(alternatives: list[tuple[Condition, ...]]) -> Keeps:
    emitter = _ScreenEmitter(lambda field: f"b.get({field.name!r})")
    possible = [_possible(emitter, conditions) for conditions in alternatives]
    return emitter.compile(" or ".join(dict.fromkeys(possible)))


def _possible(emitter: "_ScreenEmitter", own: tuple[Condition, ...]) -> str:
    """Return source that is true unless one of a step's own conditions is known to be false."""
    refuted = [f"{emitter.emit(c.expression)} is False" for c in own if _may_be_refuted(c)]
    return f"not ({' or '.join(refuted)})" if refuted else "True"


def _may_be_refuted(condition: Condition) -> bool:
    return any(isinstance(read, Field) and _determined(read) for read in condition.reads)


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
        types = {part.name: [option.event for option in part.options] for part in rule.parts}
        reads = (read for part in rule.parts for c in part.conditions for read in c.reads)
        for read in reads:
            field = read.field if isinstance(read, Aggregate) else read
            if isinstance(field, Field):
                for event in types[field.step]:
                    found[event] |= _own_fields(event, field.name)
    return {event: frozenset(names) for event, names in found.items()}


def _own_fields(event: str, name: str) -> set[str]:
    # Of `either`, a condition of one entry may look at what the other types do not have.
    spec = EVENTS[event].fields.get(name)
    if spec is None:
        return set()
    needs = set(spec.needs) if spec.derived else {name}
    return needs if spec.currency is None else needs | {spec.currency}
