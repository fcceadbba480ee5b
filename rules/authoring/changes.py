"""An expression changed in one place: each way in which its author could have erred.

A bound is moved by one step to either side, a comparison takes its own limit in or leaves it out,
equal becomes different, one value of a list is missing, what is asked is denied, one part of an
`and` or `or` is left out or the word is the other one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar

from rules.authoring.bounds import step_of
from rules.claim import show
from rules.condition import (
    Among,
    Arithmetic,
    Compare,
    Constant,
    Expression,
    Junction,
    Negation,
    Parameter,
    Unknown,
)
from rules.events import Kind
from rules.language.sense import varies, words_of
from rules.money import Money

_Op = Literal["==", "!=", "<", "<=", ">", ">="]
_OTHER: Mapping[_Op, _Op] = {
    ">=": ">",
    ">": ">=",
    "<=": "<",
    "<": "<=",
    "==": "!=",
    "!=": "==",
}
_ORDERED = frozenset({">=", ">", "<=", "<"})
_COUNTED = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.MONEY, Kind.DURATION})

Side = Literal["left", "right"]
_SIDES: tuple[Side, ...] = ("left", "right")
_Sided = TypeVar("_Sided", Compare, Arithmetic)


class Change(NamedTuple):
    """A changed expression, what was changed, and what would show the difference."""

    expression: Expression
    says: str
    shown_by: str


def changes(node: Expression) -> Iterator[Change]:
    """Yield what an expression is after each change."""
    match node:
        case Junction():
            yield from _of_junction(node)
        case Negation():
            yield Change(node.part, "the 'not' is gone", _decides(node.part))
            for change in changes(node.part):
                yield change._replace(expression=Negation(change.expression))
        case Compare():
            yield from _of_comparison(node)
        case Among():
            yield from _of_list(node)
        case Unknown():
            asked = "is None" if node.negated else "is not None"
            says = f"{words_of(node.item)} {asked} instead"
            yield Change(replace(node, negated=not node.negated), says, _decides(node))
        case _:
            # What is left is true or false by itself: a field, or startswith().
            yield Change(Negation(node), f"not {words_of(node)} instead", _decides(node))


def _of_junction(node: Junction) -> Iterator[Change]:
    other: Literal["and", "or"] = "or" if node.op == "and" else "and"
    says = f"'{other}' for '{node.op}'"
    yield Change(replace(node, op=other), says, "one part of it true and another one not")
    for place, part in enumerate(node.parts):
        others = (*node.parts[:place], *node.parts[place + 1 :])
        left = others[0] if len(others) == 1 else replace(node, parts=others)
        says = f"without its part on {_terms(part)}"
        yield Change(left, says, f"its part on {_terms(part)} alone deciding")
        for change in changes(part):
            parts = (*node.parts[:place], change.expression, *node.parts[place + 1 :])
            yield change._replace(expression=replace(node, parts=parts))


def _of_comparison(node: Compare) -> Iterator[Change]:
    other = _OTHER[node.op]
    limit = "its limit exactly" if node.op in _ORDERED else "one that it speaks of"
    shown_by = f"{_terms(node)} at {limit}"
    yield Change(replace(node, op=other), f"'{other}' for '{node.op}'", shown_by)
    for side in _SIDES:
        if node.op in _ORDERED:
            yield from _moved(node, side)
        for inner, says in _inside(getattr(node, side)):
            yield Change(_sided(node, side, inner), says, f"{_terms(node)} close to its limit")


def _moved(node: Compare, side: Side) -> Iterator[Change]:
    """Yield the comparison with its limit moved to where one value more fits."""
    operand: Expression = getattr(node, side)
    if varies(operand) or not isinstance(operand, Constant | Parameter):
        return
    upward = (node.op in ("<=", "<")) is (side == "right")
    for value, was, now in _stepped(operand, 1 if upward else -1):
        says = f"{now} for {was}"
        shown_by = f"{_terms(node)} just beyond {was}"
        moved = replace(operand, value=value)
        yield Change(_sided(node, side, moved), says, shown_by)
    if isinstance(operand.value, Mapping) and len(operand.value) > 1:
        for currency in operand.value:
            left = {c: amount for c, amount in operand.value.items() if c != currency}
            fewer = replace(operand, value=left)
            shown_by = f"{_terms(node)} in {currency} that fits"
            yield Change(_sided(node, side, fewer), f"no amount in {currency}", shown_by)


def _inside(node: Expression) -> Iterator[tuple[Expression, str]]:
    """Yield a calculation with one of its numbers moved by a step."""
    if not isinstance(node, Arithmetic):
        return
    for side in _SIDES:
        operand: Expression = getattr(node, side)
        if isinstance(operand, Constant | Parameter) and operand.kind in _COUNTED:
            for sign in (1, -1):
                for value, was, now in _stepped(operand, sign):
                    moved = replace(operand, value=value)
                    yield _sided(node, side, moved), f"{now} for {was}"
        for inner, says in _inside(operand):
            yield _sided(node, side, inner), says


def _sided(node: _Sided, side: Side, operand: Expression) -> _Sided:
    return replace(node, left=operand) if side == "left" else replace(node, right=operand)


def _stepped(operand: Constant | Parameter, sign: int) -> Iterator[tuple[Any, str, str]]:
    """Yield the value moved by one step, of money once for each currency, with both in words."""
    value, kind = operand.value, operand.kind
    if isinstance(value, Mapping):
        for currency, amount in value.items():
            moved = amount + sign
            was, now = (show(Money(a, currency), Kind.MONEY) for a in (amount, moved))
            yield {**value, currency: moved}, was, now
    elif isinstance(value, Money):
        moved_money = Money(value.amount + sign, value.currency)
        yield moved_money, show(value, kind), show(moved_money, kind)
    elif kind in _COUNTED:
        step = step_of(kind, Decimal(value))
        exact = Decimal(value) + sign * step
        moved_number = exact if kind is Kind.NUMBER else int(exact)
        yield moved_number, show(value, kind), show(moved_number, kind)


def _of_list(node: Among) -> Iterator[Change]:
    words = words_of(node.item)
    other = "in" if node.negated else "not in"
    yield Change(replace(node, negated=not node.negated), f"'{other}' instead", _decides(node))
    if len(node.choices) == 1:
        return
    for place, choice in enumerate(node.choices):
        fewer = (*node.choices[:place], *node.choices[place + 1 :])
        says = f"without '{choice}' in its list"
        yield Change(replace(node, choices=fewer), says, f"{words} '{choice}'")


def _decides(node: Expression) -> str:
    return f"{_terms(node)} deciding"


def _terms(node: Expression) -> str:
    """Return what an expression speaks of, in words."""
    match node:
        case Junction():
            words = [_terms(part) for part in node.parts]
        case Negation():
            words = [_terms(node.part)]
        case Compare() | Arithmetic():
            words = [_terms(side) for side in (node.left, node.right) if varies(side)]
        case Among() | Unknown():
            words = [words_of(node.item)]
        case _:
            words = [words_of(node)]
    return " and ".join(dict.fromkeys(words))
