"""Alternatives of conditions, reduced to what is worth asking once.

Rules that differ in parameters ask the same questions over and over. An alternative is what one
step asks of an event; an event is of use if it passes any of them. Equal alternatives count once,
thresholds that alone differ become the weakest of them, and what several alternatives ask is
asked before what parts them, so that a hundred rules cost about as much as one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from rules.condition import (
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expression,
    Field,
    Junction,
    Parameter,
    Thresholds,
    Unknown,
    walk,
)
from rules.events import Kind
from rules.money import Money

Shape = tuple[Any, ...]
"""An expression without the names of its step and parameters: equal if it asks the same."""

Alternative = Mapping[Shape, Expression]
"""What must not be known to be false, all of it."""

_STEPS: Final[Mapping[type, int]] = {Call: 10, Unknown: 2, Arithmetic: 10}
_WEAKEST: Final[Mapping[str, Callable[[Iterable[Any]], Any]]] = {
    ">=": min,
    ">": min,
    "<=": max,
    "<": max,
}


def shape_of(node: Expression) -> Shape:
    """Return what an expression asks, whatever its step and parameters are called."""
    if isinstance(node, Constant | Parameter):
        return ("value", _frozen(node.value), node.kind)
    if isinstance(node, Field):
        return ("field", node.name)
    parts = (getattr(node, part.name) for part in fields(node))
    return (type(node).__name__, *(_shape(part) for part in parts))


def _shape(part: Any) -> Any:  # noqa: ANN401 - whatever a node holds
    if isinstance(part, tuple):
        return tuple(_shape(each) for each in part)
    return shape_of(part) if hasattr(part, "__dataclass_fields__") else _frozen(part)


def _frozen(value: Any) -> Any:  # noqa: ANN401 - whatever a node holds
    # True and 1 are equal, and a rule that asks for the one does not ask for the other.
    frozen = tuple(sorted(value.items())) if isinstance(value, Mapping) else value
    return (type(value).__name__, frozen)


def alternative_of(conditions: Iterable[Expression]) -> Alternative:
    """Return one alternative; what `and` joins is asked part by part."""
    asked: dict[Shape, Expression] = {}
    for condition in conditions:
        for part in _conjuncts(condition):
            asked[shape_of(part)] = part
    return asked


def _conjuncts(node: Expression) -> Iterable[Expression]:
    if isinstance(node, Junction) and node.op == "and":
        for part in node.parts:
            yield from _conjuncts(part)
    else:
        yield node


def weakest(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """Return alternatives that let the same events pass, without those that others imply."""
    merged = list({frozenset(each): each for each in alternatives}.values())
    for at in range(max((len(each) for each in merged), default=0)):
        merged = _merged(merged, at)
    kept: list[Alternative] = []
    for each in sorted(merged, key=len):
        if not any(other.keys() <= each.keys() for other in kept):
            kept.append(each)
    return kept


def _merged(alternatives: Sequence[Alternative], at: int) -> list[Alternative]:
    """Join alternatives that differ in nothing but the threshold of their condition no. `at`."""
    groups: dict[Any, list[tuple[Alternative, Shape, Compare]]] = {}
    rest: list[Alternative] = []
    for each in alternatives:
        thresholds = [(s, n) for s, n in each.items() if _is_threshold(n)]
        if at >= len(thresholds):
            rest.append(each)
            continue
        shape, node = thresholds[at]
        assert isinstance(node, Compare), "a threshold is a comparison"
        others = frozenset(each.keys() - {shape})
        groups.setdefault((others, node.op, shape_of(node.left)), []).append((each, shape, node))
    for members in groups.values():
        each, shape, node = members[0]
        if len(members) > 1:
            weaker = _weaker(node, [n.right for _, _, n in members])
            each = {s: n for s, n in each.items() if s != shape}
            each |= {} if weaker is None else {shape_of(weaker): weaker}
        rest.append(each)
    return list({frozenset(each): each for each in rest}.values())


def _is_threshold(node: Expression) -> bool:
    return (
        isinstance(node, Compare)
        and node.op in _WEAKEST
        and isinstance(node.right, Constant | Parameter)
    )


def _weaker(node: Compare, rights: Sequence[Expression]) -> Compare | None:
    """Return the comparison that lets pass what any of the thresholds does; None if all of it."""
    values = [right.value for right in rights if isinstance(right, Constant | Parameter)]
    choose = _WEAKEST[node.op]
    kind = node.right.kind
    if kind is not Kind.MONEY:
        return Compare(node.op, node.left, Constant(choose(values), kind))
    amounts = [_amounts(value) for value in values]
    # An amount in a currency that some threshold does not name is unknown there, and passes.
    common = set.intersection(*(set(each) for each in amounts))
    least = {currency: choose(each[currency] for each in amounts) for currency in sorted(common)}
    return Compare(node.op, node.left, Parameter("", least, kind)) if least else None


def _amounts(value: Any) -> Thresholds:  # noqa: ANN401 - money, or an amount per currency
    return {value.currency: value.amount} if isinstance(value, Money) else value


def factored(alternatives: Sequence[Alternative], passes: Callable[[Expression], str]) -> str:
    """Return source that is true if an alternative passes, what most of them ask first.

    `passes` gives the source that is true unless an expression is known to be false.
    """
    if not alternatives:
        return "False"
    if not all(alternatives):
        return "True"
    counts = Counter(shape for each in alternatives for shape in each)
    asked = {shape: node for each in alternatives for shape, node in each.items()}
    chosen = min(asked, key=lambda shape: (-counts[shape], _cost(asked[shape])))
    having = [_without(each, chosen) for each in alternatives if chosen in each]
    others = [each for each in alternatives if chosen not in each]
    then = factored(having, passes)
    source = passes(asked[chosen])
    source = source if then == "True" else f"({source} and {then})"
    return f"({source} or {factored(others, passes)})" if others else source


def _without(alternative: Alternative, shape: Shape) -> Alternative:
    return {s: node for s, node in alternative.items() if s != shape}


def _cost(node: Expression) -> int:
    """Return roughly what it takes to judge an expression: money and functions come last."""
    return sum(_STEPS.get(type(part), 1) + 10 * (part.kind is Kind.MONEY) for part in walk(node))
