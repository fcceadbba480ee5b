"""The bounds of a rule, and which values the events of a story have beside them.

A bound is the `within` of a relation or of the set that is the anchor, or a number, an amount or
a duration that is written in a condition, or given by a parameter, and that something is compared
with by `<`, `<=`, `>` or `>=`; of several currencies each is one. Its two sides are the last value
that fits and the first that does not: one of them is the bound itself, the other lies not further
from it than one step: a second, one unit of the currency, one of what is counted, or one in the
last digit written. A story stands on a side if some choice of its events for the steps that the
bound speaks of has such a value, whatever else holds of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import ceil, floor
from typing import Any

from rules.claim import show
from rules.condition import (
    Aggregate,
    Compare,
    Condition,
    Expression,
    Field,
    Gap,
    compile_expression,
    gap_us,
    walk,
)
from rules.events import KEYS, Kind
from rules.fact import Event, greatest
from rules.language.mistakes import Place
from rules.language.sense import varies, words_of
from rules.language.steps import CheckedStep, Parts
from rules.moment import SECOND_US
from rules.money import Money
from rules.rule import Step

_KINDS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.MONEY, Kind.DURATION})
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WHOLE = frozenset({Kind.INTEGER, Kind.DURATION})

Scene = dict[str, Any]
"""A choice of events by step name; the members of a set under its name behind a `#`."""


@dataclass(frozen=True)
class Side:
    """Values from `least` to `greatest`, one of which may be left out itself."""

    least: Decimal
    greatest: Decimal
    without: Decimal | None

    def has(self, value: Decimal) -> bool:
        """Tell whether a value lies on this side."""
        return self.least <= value <= self.greatest and value != self.without


@dataclass(frozen=True)
class Bound:
    """One bound of a rule.

    Attributes:
        at: Where it stands.
        says: The line that it is in.
        part: The step that the line belongs to.
        term: What is compared.
        op: How, with the term on the left.
        value: What it is compared with.
        currency: Of money: the currency of the value.
    """

    at: Place
    says: str
    part: CheckedStep
    term: Expression
    op: str
    value: Decimal
    currency: str | None = None

    @property
    def step(self) -> Decimal:
        """The smallest step by which its values are written."""
        return step_of(self.term.kind, self.value)

    @property
    def sides(self) -> tuple[Side, Side]:
        """The last values that fit and the first that do not."""
        exact = Side(self.value, self.value, None)
        down = Side(self.value - self.step, self.value, self.value)
        up = Side(self.value, self.value + self.step, self.value)
        beside = down if self.op in (">=", "<") else up
        return (exact, beside) if self.op in (">=", "<=") else (beside, exact)

    def words(self, side: Side) -> str:
        """Return what a story would have on a side: `amount of exactly 3000 CNY`."""
        of = "a gap" if isinstance(self.term, Gap) else words_of(self.term)
        if side.without is None:
            return f"{of} of exactly {self._show(side.least)}"
        low, high = self._show(side.least), self._show(side.greatest)
        if side.without == side.greatest:
            return f"{of} from {low} to less than {high}"
        return f"{of} of more than {low}, up to {high}"

    def _show(self, value: Decimal) -> str:
        if self.currency is not None:
            return show(Money(value, self.currency), Kind.MONEY)
        kind = Kind.NUMBER if self.term.kind is Kind.INTEGER else self.term.kind
        return show(value, kind)


def step_of(kind: Kind, value: Decimal) -> Decimal:
    """Return the smallest step by which values of a kind are written: the last digit, a second."""
    if kind is Kind.DURATION:
        return Decimal(SECOND_US)
    if kind is Kind.NUMBER:
        return Decimal(1).scaleb(min(0, int(value.as_tuple().exponent)))
    return Decimal(1)


def bounds_of(parts: Parts) -> list[Bound]:
    """Return the bounds of a rule, in the order of its steps."""
    return [bound for part in parts.all for bound in _bounds(part)]


def _bounds(part: CheckedStep) -> Iterator[Bound]:
    step = part.step
    for tie in part.ties:
        relation = tie.relation
        if relation.kind != "during":
            gap = Gap(step.name, relation.other)
            within = Decimal(relation.within_us)
            yield Bound(tie.at, f"{step.name} {relation.text}", part, gap, "<=", within)
    if part.window_at is not None and step.window_us is not None:
        # The set's members stand before an anchor that is one of them.
        gap = Gap(step.name, f"#{step.name}")
        says = f"the window of {step.name}"
        yield Bound(part.window_at, says, part, gap, "<=", Decimal(step.window_us))
    for line in part.lines:
        for comparison in walk(line.condition.expression):
            if isinstance(comparison, Compare):
                yield from _of_comparison(comparison, part, line.condition, line.at)


def _of_comparison(
    comparison: Compare, part: CheckedStep, condition: Condition, at: Place
) -> Iterator[Bound]:
    term, limit, op = comparison.left, comparison.right, str(comparison.op)
    if not varies(term):
        term, limit, op = limit, term, _MIRRORED.get(op, op)
    if op not in _MIRRORED or varies(limit) or term.kind not in _KINDS:
        return
    value = compile_expression(limit, str)(None)
    amounts = {value.currency: value.amount} if isinstance(value, Money) else value
    if isinstance(amounts, Mapping):
        for currency, amount in amounts.items():
            yield Bound(at, condition.text, part, term, op, amount, currency)
    elif value is not None:
        number = Decimal(value)
        if term.kind in _WHOLE:
            # No whole number lies on a bound with a fraction.
            number = Decimal(ceil(number) if op in (">=", "<") else floor(number))
        yield Bound(at, condition.text, part, term, op, number)


def sides_met(bound: Bound, parts: Parts, by: str, events: Iterable[Event]) -> frozenset[Side]:
    """Return the sides of a bound that the events of one story have a value on.

    Args:
        bound: one of the bounds of `parts`.
        parts: the rule's steps.
        by: what the rule is correlated by.
        events: what the story's records tell, later records of an event after earlier ones.
    """
    known: dict[object, Event] = {}
    for event in events:
        held = known.get(event.identity)
        known[event.identity] = event if held is None else greatest(held, event)
    groups: dict[str, list[Event]] = {}
    for event in known.values():
        key = event.data.get(KEYS[by])
        if key is not None:
            groups.setdefault(str(key), []).append(event)
    values = [v for group in groups.values() for v in _values(bound, parts, group)]
    return frozenset(side for side in bound.sides if any(side.has(value) for value in values))


def _values(bound: Bound, parts: Parts, events: Sequence[Event]) -> Iterator[Decimal]:
    """Yield what the term of a bound is for each choice of events."""
    compute = _compiled(bound.term)
    for scene in _scenes(bound, parts, events):
        value = compute(scene)
        if bound.currency is not None and value is not None:
            amounts = {value.currency: value.amount} if isinstance(value, Money) else value
            value = amounts.get(bound.currency)
        if value is not None:
            yield Decimal(value)


def _scenes(bound: Bound, parts: Parts, events: Sequence[Event]) -> Iterator[Scene]:
    """Yield every choice of events for the steps that a term names, sets as they would be."""
    by_name = {part.step.name: part for part in parts.all}
    single, sets = _named(bound.term)
    for name in sets:
        step = by_name[name].step
        beside = {n for c in step.joint for n in c.steps} | {r.other for r in step.relations}
        single |= beside - {name}
        if name == parts.anchor:
            single.add(name)
    for scene in _choices(sorted(single), by_name, events):
        for name in sets:
            is_anchor = name == parts.anchor
            members = _members(by_name[name].step, scene, events, is_anchor=is_anchor)
            scene[f"#{name}"] = tuple(members)
        yield scene


def _named(term: Expression) -> tuple[set[str], set[str]]:
    """Return the steps that a term names for one event, and those for a set."""
    single: set[str] = set()
    sets: set[str] = set()
    for node in walk(term):
        if isinstance(node, Aggregate):
            sets.add(node.step)
        elif isinstance(node, Field):
            single.add(node.step)
        elif isinstance(node, Gap):
            single |= {node.first, node.second}
    return single, sets


def _choices(
    names: Sequence[str], by_name: Mapping[str, CheckedStep], events: Sequence[Event]
) -> Iterator[Scene]:
    candidates = []
    for name in names:
        types = {option.event for option in by_name[name.removeprefix("#")].step.options}
        candidates.append([event for event in events if event.identity.type in types])
    for chosen in product(*candidates):
        if len({event.identity for event in chosen}) == len(chosen):
            yield dict(zip(names, chosen, strict=True))


def _members(
    step: Step, scene: Scene, events: Sequence[Event], *, is_anchor: bool
) -> Iterator[Event]:
    """Yield the events of a set beside the events chosen for other steps."""
    anchor: Event | None = scene[step.name] if is_anchor else None
    others = [event for name, event in scene.items() if name != step.name and name[0] != "#"]
    for event in events:
        if event.identity.type not in step.own or any(event is other for other in others):
            continue
        if anchor is not None and not _precedes(event, anchor, step.window_us):
            continue
        own = (c.expression for c in step.own[event.identity.type])
        joint = (c.expression for c in step.joint)
        if (
            all(_compiled(e)({step.name: event}) is True for e in own)
            and all(r.holds(event, scene[r.other]) for r in step.relations)
            and all(_compiled(e)({**scene, step.name: event}) is True for e in joint)
        ):
            yield event


def _precedes(event: Event, anchor: Event, window_us: int | None) -> bool:
    if event.start_us > anchor.start_us:
        return False
    return window_us is None or gap_us(event, anchor) <= window_us


def _compiled(expression: Expression) -> Callable[[Any], Any]:
    """Compile to a function of a scene."""
    return compile_expression(
        expression,
        lambda field: f"b[{field.step!r}].fields.get({field.name!r})",
        lambda step: f"b[{step!r}]",
        lambda step: f"b['#' + {step!r}]",
    )
