"""Which records some step of some rule could use, judged from their fixed fields alone.

A record is dropped only if for every step of its type some condition is known to be false from
fixed fields: open fields may differ in a later record of the same event, and what another step's
event has is not known yet, so both count as undetermined here, also under `is None`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from rules.alternatives import Alternative, alternative_of, factored, weakest
from rules.condition import (
    Access,
    Aggregate,
    Among,
    Compare,
    Constant,
    Emitter,
    Expression,
    Field,
    Junction,
    Parameter,
    Unknown,
    walk,
)
from rules.events import EVENTS, Kind, Value
from rules.rule import By, RuleSet

Keeps = Callable[[Mapping[str, Value]], bool]


class Screen:
    """Compiled from a rule set: one function per event type and kind of key."""

    def __init__(self, rule_set: RuleSet) -> None:
        wanted: dict[str, dict[By, list[Alternative]]] = {}
        for rule in rule_set.rules:
            for part in rule.parts:
                for event, own in part.own.items():
                    by_key = wanted.setdefault(event, {})
                    asked = alternative_of(c.expression for c in own)
                    by_key.setdefault(rule.by, []).append(_refutable(asked))
        self._wanted = wanted
        self._keeps: dict[str, tuple[tuple[By, Keeps], ...]] = {
            event: tuple((by, _compile(alternatives)) for by, alternatives in by_key.items())
            for event, by_key in wanted.items()
        }

    def keys(self, event_type: str, fields: Mapping[str, Value]) -> tuple[By, ...]:
        """Return the kinds of key under which some step could use a record with these fields."""
        return tuple(by for by, keeps in self._keeps.get(event_type, ()) if keeps(fields))

    def source(self, event_type: str, emitter: "ScreenEmitter") -> str:
        """Return source that is true if some step could use a record, under whatever key."""
        by_key = self._wanted.get(event_type, {})
        return _source([each for asked in by_key.values() for each in asked], emitter)


def _compile(alternatives: Iterable[Alternative]) -> Keeps:
    emitter = ScreenEmitter(lambda field: f"b.get({field.name!r})")
    return emitter.compile(_source(alternatives, emitter))


def _source(alternatives: Iterable[Alternative], emitter: "ScreenEmitter") -> str:
    return factored(weakest(alternatives), emitter.passes)


def _refutable(alternative: Alternative) -> Alternative:
    """Return the conditions that fixed fields can show to be false."""
    return {
        shape: node
        for shape, node in alternative.items()
        if any(isinstance(part, Field) and _determined(part) for part in walk(node))
    }


def _determined(field: Field) -> bool:
    # A caller that is withheld becomes unknown only when pseudonyms are made, so the screen,
    # which may run before, must not judge whether there is one.
    return not field.open and field.kind is not Kind.PSEUDONYM


class ScreenEmitter(Emitter):
    """Emits what the fixed fields decide; everything else is undetermined.

    `known` are the fields that are never unknown.
    """

    def __init__(self, access: Access, known: Collection[str] = ()) -> None:
        super().__init__(access)
        self._known = known

    def emit(self, node: Expression) -> str:
        """Return the source of an expression's value; None where fixed fields do not decide."""
        if isinstance(node, Field) and not _determined(node):
            return "None"
        if isinstance(node, Unknown) and not all(
            _determined(part) for part in walk(node.item) if isinstance(part, Field)
        ):
            return "None"
        return super().emit(node)

    def passes(self, node: Expression) -> str:
        """Return source that is true unless an expression is known to be false.

        The common forms are written out: this is what every record is asked.
        """
        match node:
            case Junction():
                return f"({f' {node.op} '.join(self.passes(part) for part in node.parts)})"
            case Compare(left=Field() as field, right=Constant() | Parameter() as right) if (
                _is_plain(field)
            ):
                return self._unless_known(field, f"{node.op} {self._bind(right.value)}")
            case Among(item=Field() as field) if _is_plain(field):
                choices = self._bind(frozenset(node.choices))
                return self._unless_known(field, f"{'not in' if node.negated else 'in'} {choices}")
        return f"({self.emit(node)} is not False)"

    def _unless_known(self, field: Field, test: str) -> str:
        if field.name in self._known:
            return f"{self.emit(field)} {test}"
        name = self._temporary()
        return f"(({name} := {self.emit(field)}) is None or {name} {test})"


def _is_plain(field: Field) -> bool:
    return _determined(field) and field.kind is not Kind.MONEY


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
