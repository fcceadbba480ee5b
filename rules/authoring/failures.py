"""What a condition or a relation that does not hold fails on, and by how much.

The distance of one failure is in millionths. A bound (`<`, `<=`, `>`, `>=`, or a window) that is
missed by r times its own size counts r, at least one millionth and at most 4; a bound of zero is
measured in hours, or in ones. A value that is unknown counts 1, any other wrong value 2, and an
event that is not there at all 8. Of `and` all parts that fail add up, of `or` the nearest counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from rules.claim import show
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
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
    compile_expression,
    gap_us,
    walk,
)
from rules.events import Kind
from rules.fact import Event
from rules.moment import HOUR_US, format_duration
from rules.money import Money, format_amount
from rules.reach import Relation
from rules.rule import Rule

WHOLE: Final = 1_000_000
UNKNOWN: Final = WHOLE
WRONG: Final = 2 * WHOLE
FARTHEST: Final = 4 * WHOLE
MISSING: Final = 8 * WHOLE

Chosen = Sequence[Any]
"""What each part of a rule binds, with the anchor's event last; None where there is nothing."""

_SIGNS: Final = {"<": "<", "<=": "≤", ">": ">", ">=": "≥"}
_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a step is not fulfilled.

    Attributes:
        step: The step's name.
        on: The field that decided it, or the word of a relation (`after`, `before`, `around`,
            `during`, `within`), or `count`, `gap`, or `event` if there is none, or `unless` if an
            exception was there.
        says: The reason in words.
        distance: How far it is from holding, in millionths.
        cause: Of a condition: the part of it that fails, and the truth that it would need.
    """

    step: str
    on: str
    says: str
    distance: int
    cause: tuple[Expression, bool] | None = field(default=None, compare=False, repr=False)


def place_of(rule: Rule, step: str) -> int:
    """Return where the event of a step stands in what is chosen; the anchor's stands last."""
    return len(rule.parts) if step == rule.anchor else rule.index[step]


class Failures:
    """Finds what the conditions of one rule fail on."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._compiled: dict[int, Callable[[Chosen], Any]] = {}

    def value(self, expression: Expression, chosen: Chosen) -> Any:  # noqa: ANN401 - of its kind
        """Return the value of an expression that is part of the rule; None is unknown."""
        # By identity: thresholds make some expressions unhashable, and the rule keeps them all.
        compute = self._compiled.get(id(expression))
        if compute is None:
            rule = self._rule
            compute = self._compiled[id(expression)] = compile_expression(
                expression,
                lambda read: f"b[{rule.index[read.step]}].fields.get({read.name!r})",
                lambda step: f"b[{place_of(rule, step)}]",
                lambda step: f"b[{rule.index[step]}]",
            )
        return compute(chosen)

    def of_condition(self, step: str, condition: Condition, chosen: Chosen) -> list[Failure]:
        """Return what keeps a condition of a step from being true; nothing if it is true."""
        return self._wanting(step, condition.expression, chosen, want=True)

    def _wanting(
        self, step: str, node: Expression, chosen: Chosen, *, want: bool
    ) -> list[Failure]:
        if self.value(node, chosen) is want:
            return []
        if isinstance(node, Negation):
            return self._wanting(step, node.part, chosen, want=not want)
        if isinstance(node, Junction):
            found = [self._wanting(step, part, chosen, want=want) for part in node.parts]
            if (node.op == "and") is want:
                return [failure for failures in found for failure in failures]
            return min(found, key=distance_of)
        return [replace(self._leaf(step, node, chosen, want=want), cause=(node, want))]

    def _leaf(self, step: str, node: Expression, chosen: Chosen, *, want: bool) -> Failure:
        if self.value(node, chosen) is None:
            return self._unknown(step, node, chosen)
        match node:
            case Compare():
                return self._compared(step, node, chosen, want=want)
            case Among():
                wanted = _listed(node, wanted=want is not node.negated)
                item = node.item
            case Unknown() if want is node.negated:
                return self._unknown(step, node.item, chosen)
            case Unknown():
                wanted, item = "wanted it unknown", node.item
            case _:
                wanted, item = f"wanted {show(want, Kind.BOOL)}", node
        found = show(self.value(item, chosen), item.kind)
        says = f"{words(item, step)} is {found}, {wanted}"
        return Failure(step, _name(node, step), says, WRONG)

    def _unknown(self, step: str, node: Expression, chosen: Chosen) -> Failure:
        for part in walk(node):
            if isinstance(part, Field | Aggregate) and self.value(part, chosen) is None:
                says = f"{words(part, step)} is unknown"
                return Failure(step, _name(part, step), says, UNKNOWN)
        if isinstance(node, Compare):
            found, _, bound = _sides(node)
            has = _currencies(self.value(found, chosen))
            wants = _currencies(self.value(bound, chosen))
            if has and wants:
                says = f"{words(found, step)} is in {' and '.join(has)}, wanted {_any_of(wants)}"
                return Failure(step, _name(node, step), says, UNKNOWN)
        return Failure(step, _name(node, step), f"{words(node, step)} is unknown", UNKNOWN)

    def _compared(self, step: str, node: Compare, chosen: Chosen, *, want: bool) -> Failure:
        found, op, bound = _sides(node)
        op = op if want else _OPPOSITE[op]
        has, wants = self.value(found, chosen), self.value(bound, chosen)
        pairs = list(_pairs(has, wants))
        if op not in _SIGNS:
            wanted = f"wanted {'' if op == '==' else 'other than '}{_shown(bound, step, wants)}"
            says = f"{_inner(found, step)} is {say(has, found.kind)}, {wanted}"
            return Failure(step, _name(node, step), says, WRONG)
        missed = min(_missed(first, second, found.kind) for first, second in pairs)
        wanted = f"wanted {_SIGNS[op]} {_shown(bound, step, _alike(wants, has))}"
        says = f"{words(found, step)} {say(has, found.kind)}, {wanted}"
        return Failure(step, _name(node, step), says, missed)


def distance_of(failures: Sequence[Failure]) -> int:
    """Return how far all these together are from holding, in millionths."""
    return sum(failure.distance for failure in failures)


def of_relation(step: str, relation: Relation, event: Event, other: Event) -> list[Failure]:
    """Return what keeps an event from lying so to another; nothing if it does."""
    if relation.holds(event, other):
        return []
    apart_us = abs(event.start_us - other.start_us)
    later = event.start_us > other.start_us
    if (relation.kind == "after" and event.start_us < other.start_us) or (
        relation.kind == "before" and later
    ):
        side = "after" if later else "before"
        says = f"came {format_duration(apart_us)} {side} {relation.other}"
        return [Failure(step, relation.kind, says, _relative(apart_us, relation.within_us))]
    over_us = gap_us(event, other) - relation.within_us
    side = "after" if later else "before"
    if relation.kind == "during":
        says = f"came {format_duration(over_us)} {side} {relation.other}"
        return [Failure(step, "during", says, _relative(over_us, 0))]
    says = f"came {format_duration(over_us)} {side} the window ({relation.text})"
    return [Failure(step, "within", says, _relative(over_us, relation.within_us))]


def _relative(over_us: int, bound_us: int) -> int:
    return _clipped(over_us * WHOLE // (bound_us or HOUR_US))


def _clipped(distance: int) -> int:
    return max(1, min(distance, FARTHEST))


def _missed(found: int | Decimal, bound: int | Decimal, kind: Kind) -> int:
    size = abs(Decimal(bound)) or Decimal(1)
    if kind is Kind.MOMENT or (kind is Kind.DURATION and bound == 0):
        size = Decimal(HOUR_US)
    return _clipped(int(abs(Decimal(found) - bound) * WHOLE / size))


def _sides(node: Compare) -> tuple[Expression, str, Expression]:
    """Return what was found, how it is compared, and with what: what is written comes last."""
    if _is_written(node.left) and not _is_written(node.right):
        return node.right, _MIRRORED[node.op], node.left
    return node.left, node.op, node.right


def _is_written(node: Expression) -> bool:
    return not any(isinstance(part, Field | Aggregate | Gap) for part in walk(node))


def _pairs(found: Any, bound: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - of any kind
    """Yield what is compared: of money the amounts of each currency that both have."""
    if not isinstance(found, Money | Mapping):
        yield found, bound
        return
    has, wants = _amounts(found), _amounts(bound)
    yield from ((has[currency], wants[currency]) for currency in has if currency in wants)


def _amounts(value: Any) -> Mapping[str, Decimal]:  # noqa: ANN401 - money in one of its forms
    return {value.currency: value.amount} if isinstance(value, Money) else value


def _currencies(value: Any) -> Sequence[str]:  # noqa: ANN401 - of any kind
    return tuple(_amounts(value)) if isinstance(value, Money | Mapping) else ()


def _alike(value: Any, other: Any) -> Any:  # noqa: ANN401 - of any kind
    """Return of several thresholds those in the currencies of what they were compared with."""
    if not isinstance(value, Mapping):
        return value
    currencies = _currencies(other)
    return {currency: value[currency] for currency in value if currency in currencies}


def _name(node: Expression, step: str) -> str:
    """Return the field of the step that an expression looks at first, or what it is instead."""
    reads = [part for part in walk(node) if isinstance(part, Field | Aggregate | Gap)]
    # The language refuses conditions that are the same for every event, so there is one.
    read = min(reads, key=lambda r: isinstance(r, Gap) or r.step != step)
    if isinstance(read, Gap):
        return "gap"
    looked_at = read if isinstance(read, Field) else read.field
    return "count" if looked_at is None else looked_at.name


def say(value: Any, kind: Kind) -> str:  # noqa: ANN401 - of any kind
    """Return a value as a person reads it, the digits of an amount in groups of three."""
    if isinstance(value, Money):
        return f"{Decimal(format_amount(value.amount)):,f} {value.currency}"
    if isinstance(value, Mapping):
        return " or ".join(say(Money(value[currency], currency), kind) for currency in value)
    return show(value, kind)


def _shown(node: Expression, step: str, value: Any) -> str:  # noqa: ANN401 - of any kind
    """Return what something is compared with; where it stands in an event, its name as well."""
    shown = say(value, node.kind)
    return shown if _is_written(node) else f"{words(node, step)} ({shown})"


def _listed(node: Among, *, wanted: bool) -> str:
    choices = [say(choice, node.item.kind) for choice in node.choices]
    return f"wanted {_any_of(choices)}" if wanted else f"wanted none of {', '.join(choices)}"


def _any_of(texts: Sequence[str]) -> str:
    return " or ".join((", ".join(texts[:-1]), texts[-1]) if len(texts) > 1 else texts)


def words(node: Expression, step: str) -> str:
    """Return an expression as a rule would have it, own fields by their bare names."""
    match node:
        case Constant():
            return say(node.value, node.kind)
        case Parameter():
            return node.name
        case Field():
            return node.name if node.step == step else f"{node.step}.{node.name}"
        case Aggregate():
            of_field = "" if node.field is None else f".{node.field.name}"
            return f"{node.function}({node.step}{of_field})"
        case Gap():
            return f"gap({node.first}, {node.second})"
    return _words_of_parts(node, step)


def _words_of_parts(
    node: Arithmetic | Call | Compare | Among | Unknown | Junction | Negation, step: str
) -> str:
    match node:
        case Call():
            arguments = ", ".join(words(argument, step) for argument in node.arguments)
            return f"{node.function}({arguments})"
        case Arithmetic() | Compare():
            return f"{_inner(node.left, step)} {node.op} {_inner(node.right, step)}"
        case Among():
            choices = ", ".join(say(choice, node.item.kind) for choice in node.choices)
            return f"{words(node.item, step)} {'not ' * node.negated}in ({choices})"
        case Unknown():
            return f"{_inner(node.item, step)} is {'not ' * node.negated}None"
        case Negation():
            return f"not {_inner(node.part, step)}"
    return f" {node.op} ".join(_inner(part, step) for part in node.parts)


def _inner(node: Expression, step: str) -> str:
    text = words(node, step)
    is_single = isinstance(node, Constant | Parameter | Field | Aggregate | Gap | Call)
    return text if is_single else f"({text})"
