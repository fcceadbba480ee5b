"""Rules that say the same but for the values in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from rules.condition import Aggregate, Among, Constant, Expression, Field, Gap, Parameter
from rules.language.check import CheckedRule
from rules.language.steps import CheckedStep

Shape = tuple[Any, ...]


def near_duplicates(rules: Sequence[CheckedRule]) -> Iterator[tuple[CheckedRule, CheckedRule]]:
    """Yield each rule whose steps are those of an earlier one but for values, with that one.

    Neither names nor the order of conditions count, nor does what raises the score or takes a
    match away: two rules that bind the same events for the same reasons are told apart by how
    much and how soon alone.
    """
    first: dict[Shape, CheckedRule] = {}
    for rule in sorted(rules, key=lambda rule: rule.id):
        earlier = first.setdefault(_rule(rule), rule)
        if earlier is not rule:
            yield rule, earlier


def _rule(rule: CheckedRule) -> Shape:
    index = {part.step.name: place for place, part in enumerate(rule.parts.steps)}
    return (rule.by, index[rule.anchor], *(_step(part, index) for part in rule.parts.steps))


def _step(part: CheckedStep, index: Mapping[str, int]) -> Shape:
    types = sorted(option.event for option in part.step.options)
    lines = [(n.option, n.of_set, _shape(n.condition.expression, index)) for n in part.lines]
    ties = [(tie.relation.kind, index[tie.relation.other]) for tie in part.ties]
    return (part.step.each, tuple(types), tuple(sorted(map(repr, lines))), tuple(sorted(ties)))


def _shape(node: Expression, index: Mapping[str, int]) -> Shape:
    match node:
        case Constant() | Parameter():
            return ("value",)
        case Field():
            return ("field", index[node.step], node.name)
        case Gap():
            return ("gap", index[node.first], index[node.second])
        case Aggregate():
            name = None if node.field is None else node.field.name
            return (node.function, index[node.step], name)
        case Among():
            return ("among", node.negated, _shape(node.item, index))
    parts = (getattr(node, part.name) for part in fields(node))
    return (type(node).__name__, *(_inner(part, index) for part in parts))


def _inner(part: Any, index: Mapping[str, int]) -> Any:  # noqa: ANN401 - whatever a node holds
    if isinstance(part, tuple):
        return tuple(_inner(each, index) for each in part)
    return _shape(part, index) if hasattr(part, "__dataclass_fields__") else part
