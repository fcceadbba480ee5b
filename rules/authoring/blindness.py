"""Rules that could not match, whatever people did, because something was never known.

A sender that leaves a field out of all its records, a feed that never comes, or amounts in a
currency that no threshold is for: each makes conditions unknown for good, and nobody hears of it.
`Sightings` watches kept records for what has never been known yet, which costs next to nothing
once everything has been known once; `sentences` says which rules are blind for it, and which steps
lose events now and then, as the engine has counted them. It counts what one event decides: a
condition that names another step's event is asked of pairs, so of its fields only that is told
which were never known.

Who calls it: whoever drives an engine, once for each record that is kept, with what conditions see
of it. A record that the screen drops has failed every step on a condition known to be false, so
nothing unknown is to blame for it, and a rule whose records are all dropped is not blind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from typing import Any, Final, NamedTuple

from rules.condition import (
    Aggregate,
    Among,
    Arithmetic,
    Call,
    Compare,
    Condition,
    Constant,
    Expression,
    Field,
    Junction,
    Negation,
    Parameter,
    Unknown,
    walk,
)
from rules.events import EVENTS, Value
from rules.judging import Lost
from rules.money import Money
from rules.rule import Rule, RuleSet, Step

_Truths = frozenset[bool | None]
_ANY: Final[_Truths] = frozenset((True, False, None))
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """Whether a field of an event type was ever known; of money, in one of these currencies."""

    event: str
    field: str
    currencies: tuple[str, ...] = ()

    def is_answered(self, values: Mapping[str, Value]) -> bool:
        """Tell whether one record's values answer it with yes."""
        value = values.get(self.field)
        if isinstance(value, Money) and self.currencies:
            return value.currency in self.currencies
        return value is not None


class _Counts(NamedTuple):
    """How many records of each type there were, and how many of them were kept."""

    seen: Mapping[str, int]
    kept: Mapping[str, int]


@dataclass(frozen=True, slots=True, order=True)
class _Cause:
    """Why a step can bind no event of one type: no event at all, or what was never known."""

    event: str
    never: tuple[Question, ...]

    def says(self, counts: _Counts) -> str:
        kept, seen = counts.kept.get(self.event, 0), counts.seen.get(self.event, 0)
        if not seen:
            return f"no {self.event} among {sum(counts.seen.values()):,} records"
        fields = ", ".join(dict.fromkeys(_said(question) for question in self.never))
        of = "" if kept == seen else f" kept, of {seen:,}"
        return f"{fields} in {kept:,} of {kept:,} {self.event} records{of}"


@dataclass(frozen=True, slots=True, order=True)
class _Loss:
    """How many events of a type a part has lost because fields were unknown."""

    part: str
    event: str
    fields: tuple[str, ...]
    count: int

    def says(self, seen: Mapping[str, int]) -> str:
        verb = "is" if len(self.fields) == 1 else "are"
        why = f"{' and '.join(self.fields)} {verb} unknown"
        of = f"{self.count:,} of {seen.get(self.event, 0):,} {self.event} records"
        return f"{self.part}: {of} failed because {why}"


def _losses(part: str, lost: Mapping[str, Lost]) -> Iterator[_Loss]:
    for event, by_fields in lost.items():
        # Alerts are made here and say all that they can.
        if event != "alert":
            for fields, count in by_fields.items():
                yield _Loss(part, event, fields, count)


def _said_of(causes: tuple[_Cause, ...], counts: _Counts) -> str:
    return " and ".join(cause.says(counts) for cause in causes)


def _named(rule: Rule, step: Step) -> str:
    role = "unless" if step in rule.unless else "evidence" if step in rule.evidence else "step"
    return f"{role} {step.name}"


def _names(questions: Iterable[Question]) -> tuple[str, ...]:
    return tuple(sorted({question.field for question in questions}))


def _said(question: Question) -> str:
    if not question.currencies:
        return f"{question.field} unknown"
    return f"{question.field} in none of {', '.join(question.currencies)}"


class Sightings:
    """What has been kept of each event type so far: how many records, what was never known."""

    def __init__(self, rule_set: RuleSet) -> None:
        self._rules = rule_set.rules
        self._kept: dict[str, int] = dict.fromkeys(EVENTS, 0)
        self._waiting: dict[str, set[Question]] = {event: set() for event in EVENTS}
        for rule in self._rules:
            for part in rule.parts:
                for condition in part.conditions:
                    for question in _questions(rule, condition):
                        self._waiting[question.event].add(question)
        self._names = {event: _names(waiting) for event, waiting in self._waiting.items()}

    def note(self, event_type: str, values: Mapping[str, Value], times: int = 1) -> None:
        """Take note of a kept record: its short type name, and what conditions see of it.

        `times` is how many such records there were, in all of which the same was known.
        """
        self._kept[event_type] += times
        names = self._names[event_type]
        # This runs for every kept record: what has no field that is waited for is done with here.
        if names and not values.keys().isdisjoint(names):
            waiting = {q for q in self._waiting[event_type] if not q.is_answered(values)}
            self._waiting[event_type] = waiting
            self._names[event_type] = _names(waiting)

    def sentences(
        self, seen: Mapping[str, int], lost: Mapping[str, Sequence[Mapping[str, Lost]]]
    ) -> list[str]:
        """Return what was never known and makes rules or parts blind, then what is lost of steps.

        Args:
            seen: how many records of each type there were, dropped ones included.
            lost: how many events each part of each rule lost, as `Engine.lost` tells it.
        """
        counts = _Counts(seen, self._kept)
        return [*self._never(counts), *self._now_and_then(counts, lost)]

    def blind_rules(self, seen: Mapping[str, int]) -> frozenset[str]:
        """Return the ids of the rules that could not have matched.

        Args:
            seen: how many records of each type there were, dropped ones included.
        """
        counts = _Counts(seen, self._kept)
        return frozenset(
            rule.id
            for rule in self._rules
            if any(self._blind(rule, step, counts) for step in rule.steps)
        )

    def _never(self, counts: _Counts) -> Iterator[str]:
        rules: dict[tuple[_Cause, ...], list[str]] = {}
        parts: dict[tuple[tuple[_Cause, ...], str], list[str]] = {}
        for rule in self._rules:
            blind = [found for step in rule.steps if (found := self._blind(rule, step, counts))]
            for causes in dict.fromkeys(blind):
                rules.setdefault(causes, []).append(rule.id)
            for step in () if blind else (*rule.unless, *rule.evidence):
                causes = self._blind(rule, step, counts)
                if causes:
                    parts.setdefault((causes, _named(rule, step)), []).append(rule.id)
        for causes in sorted(rules):
            yield f"{_said_of(causes, counts)}: {_rules(rules[causes], 'blind ')}"
        for causes, name in sorted(parts):
            names = _listed(parts[causes, name])
            yield f"{_said_of(causes, counts)}: {name} is never there, in {names}"

    def _now_and_then(
        self, counts: _Counts, lost: Mapping[str, Sequence[Mapping[str, Lost]]]
    ) -> Iterator[str]:
        losing: dict[_Loss, list[str]] = {}
        for rule in self._rules:
            for step, by_event in zip(rule.parts, lost[rule.id], strict=True):
                if not self._blind(rule, step, counts):
                    for loss in _losses(_named(rule, step), by_event):
                        losing.setdefault(loss, []).append(rule.id)
        for loss in sorted(losing, key=lambda loss: (loss.part, loss.event, -loss.count, loss)):
            yield f"{loss.says(counts.seen)}, in {_rules(losing[loss])}"

    def _blind(self, rule: Rule, step: Step, counts: _Counts) -> tuple[_Cause, ...]:
        """Return why a step can never be fulfilled; nothing if it can."""
        if step.each and step.having:
            # `having` alone decides, so a set may do without members.
            event = step.options[0].event
            hopeless = [c for c in step.having if self._is_hopeless(rule, c)]
            if not hopeless or (counts.seen.get(event) and not counts.kept.get(event)):
                return ()
            return (self._cause_of(rule, event, hopeless[0]),)
        causes = [self._cause(rule, step, option.event, counts) for option in step.options]
        return tuple(c for c in causes if c is not None) if None not in causes else ()

    def _is_hopeless(self, rule: Rule, condition: Condition) -> bool:
        return True not in self._possible(rule, condition.expression)

    def _cause(self, rule: Rule, step: Step, event: str, counts: _Counts) -> _Cause | None:
        """Return why a step can bind no event of one of its types; None if it can."""
        # Alerts are made here, after ingest, so nothing is known of how many there were.
        if event == "alert":
            return None
        if not counts.seen.get(event):
            return _Cause(event, ())
        # What the screen dropped has failed on what was known.
        if not counts.kept.get(event):
            return None
        own = next(option.where for option in step.options if option.event == event)
        for condition in (*own, *step.where):
            if self._is_hopeless(rule, condition):
                cause = self._cause_of(rule, event, condition)
                # Where another step's event never came, that step says so.
                return cause if counts.kept.get(cause.event) else None
        return None

    def _cause_of(self, rule: Rule, event: str, condition: Condition) -> _Cause:
        """Return what was never known: of the event itself or, failing that, of another step's."""
        asked = [q for q in _questions(rule, condition) if q in self._waiting[q.event]]
        of = event if any(q.event == event for q in asked) else asked[0].event
        return _Cause(of, tuple(sorted({q for q in asked if q.event == of})))

    def _possible(self, rule: Rule, node: Expression) -> _Truths:
        """Return which of Kleene's values a condition could have, going by what was ever known."""
        match node:
            case Negation():
                return frozenset(
                    None if value is None else not value
                    for value in self._possible(rule, node.part)
                )
            case Junction():
                several = (self._possible(rule, part) for part in node.parts)
                return reduce(partial(_joined, node.op), several)
            case Unknown() if self._is_never_known(rule, node.item):
                return frozenset((not node.negated,))
            case Unknown():
                return frozenset((True, False))
        return frozenset((None,)) if self._is_never_known(rule, node) else _ANY

    def _is_never_known(self, rule: Rule, node: Expression) -> bool:
        match node:
            case Negation() | Junction():
                return self._possible(rule, node) == {None}
            case Compare() | Arithmetic():
                operands: tuple[Expression, ...] = (node.left, node.right)
            case Call():
                operands = node.arguments
            case Among():
                operands = (node.item,)
            case _:
                operands = ()
        # What has an operand that is never known is not known either.
        return any(self._is_never_known(rule, operand) for operand in operands) or any(
            all(question in self._waiting[question.event] for question in asked)
            for asked in _asked(rule, node)
        )


def _joined(op: str, left: _Truths, right: _Truths) -> _Truths:
    settled = op == "or"
    return frozenset(
        settled if settled in pair else None if None in pair else not settled
        for pair in product(left, right)
    )


def _questions(rule: Rule, condition: Condition) -> Iterator[Question]:
    for node in walk(condition.expression):
        for asked in _asked(rule, node):
            yield from asked


def _asked(rule: Rule, node: Expression) -> Iterator[list[Question]]:
    """Yield the questions of which one must have had a yes, for an expression to be ever known.

    Of a field that is one for each type of its step; of an amount that is compared with what
    stands in the rule, likewise, about the currencies that stand there.
    """
    field = _field(node)
    if field is not None:
        yield from _of_field(rule, field, ())
    if isinstance(node, Compare):
        for side, other in ((node.left, node.right), (node.right, node.left)):
            money, currencies = _field(side), _currencies(other)
            if money is not None and currencies:
                yield from _of_field(rule, money, currencies)


def _field(node: Expression) -> Field | None:
    field = node.field if isinstance(node, Aggregate) else node
    return field if isinstance(field, Field) else None


def _of_field(rule: Rule, field: Field, currencies: tuple[str, ...]) -> Iterator[list[Question]]:
    events = [option.event for option in rule.parts[rule.index[field.step]].options]
    # Alerts are made here, after ingest, and say all that they can.
    if "alert" not in events:
        having = [event for event in events if field.name in EVENTS[event].fields]
        yield [Question(event, field.name, currencies) for event in having]


def _currencies(node: Expression) -> tuple[str, ...]:
    """Return the currencies of an amount that stands in a rule; none of anything else."""
    value: Any = node.value if isinstance(node, Constant | Parameter) else None
    if isinstance(value, Money):
        return (value.currency,)
    return tuple(sorted(value)) if isinstance(value, Mapping) else ()


def _rules(rules: list[str], are: str = "") -> str:
    return f"{len(rules):,} {'rule' if len(rules) == 1 else 'rules'} {are}({_listed(rules)})"


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
