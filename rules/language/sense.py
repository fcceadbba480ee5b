"""Conditions that nothing can fulfil, and conditions that everything fulfils.

A condition is judged by what it says of one term: a field, or whatever else it compares with
values written in the rule. Between two such values nothing changes, so a few values of the term,
those written, one between each two, and one beyond each end, stand for all that it can have.
They are tried with the very code that the engine runs. The values tried may be more than a term
can really have, so what is said here is never wrong; but not everything is found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import pairwise
from math import ceil, floor
from typing import Any

from rules.condition import (
    Aggregate,
    Among,
    Call,
    Compare,
    Constant,
    Emitter,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
    compile_expression,
    walk,
)
from rules.events import INTEGER_LIMIT, Kind
from rules.money import Money

Classes = Callable[[Field], Sequence[str]]
"""Says which values a field that is a class can have."""

Judge = Callable[[Any], bool | None]

_MOST_TRIED = 100_000
# The longest numbers of a rule have 31 digits, and a number between two of them one more.
_EXACT = 80
_NO_CURRENCY = ""


@dataclass(frozen=True)
class Contradiction:
    """A line that can never be true, by its place among the lines judged.

    `beside` is an earlier line that it cannot be true together with, if it could be alone.
    `term` is what they speak of, in words.
    """

    line: int
    beside: int | None
    term: str


@dataclass(frozen=True)
class _Part:
    """What one line says of one term, as a function of the term's value."""

    line: int
    judge: Judge


@dataclass
class _Group:
    """All that is said of one term."""

    term: Expression
    expressions: list[tuple[int, Expression]]


def contradictions(
    lines: Sequence[Expression], classes: Classes, judged: int = 0
) -> Iterator[Contradiction]:
    """Yield the lines that cannot be true, if all of them must be; one for each term.

    Args:
        lines: the conditions.
        classes: the values of fields that are classes.
        judged: how many of the lines, from the first on, have been judged together before.
    """
    for group in _groups(lines):
        if group.expressions[-1][0] >= judged:
            yield from _contradictions(group, classes)


def empty_term(line: Expression, classes: Classes) -> str | None:
    """Return what a line speaks of, in words, if all its known values fulfil the line."""
    parts = _split(line)
    if not all(_is_empty(part, classes) for part in parts):
        return None
    return words_of(_terms(parts[0])[0])


def _groups(lines: Sequence[Expression]) -> list[_Group]:
    """Gather the parts of lines that speak of one term, by term."""
    groups: list[_Group] = []
    for number, line in enumerate(lines):
        for part in _split(line):
            terms = _terms(part)
            if len(terms) != 1:
                continue
            # Terms may hold amounts in several currencies, which cannot be hashed.
            group = next((g for g in groups if g.term == terms[0]), None)
            if group is None:
                groups.append(group := _Group(terms[0], []))
            group.expressions.append((number, part))
    return groups


def _split(line: Expression) -> list[Expression]:
    if isinstance(line, Junction) and line.op == "and":
        return [part for inner in line.parts for part in _split(inner)]
    return [line]


def _terms(expression: Expression) -> list[Expression]:
    """Return what an expression compares with written values, each once."""
    match expression:
        case Junction():
            found = [term for part in expression.parts for term in _terms(part)]
        case Negation():
            found = _terms(expression.part)
        case Compare():
            found = [side for side in (expression.left, expression.right) if varies(side)]
        case Among() | Unknown():
            found = [expression.item]
        case _:
            found = [expression]
    return [term for place, term in enumerate(found) if term not in found[:place]]


def varies(expression: Expression) -> bool:
    """Tell whether an expression depends on events at all."""
    return any(isinstance(part, Aggregate | Field | Gap) for part in walk(expression))


def _contradictions(group: _Group, classes: Classes) -> Iterator[Contradiction]:
    values = _values(group.term, [e for _, e in group.expressions], classes)
    if values is None:
        return
    parts = [_Part(line, _judge(e, group.term)) for line, e in group.expressions]
    left = values
    for place, part in enumerate(parts):
        left = [value for value in left if part.judge(value) is True]
        if not left:
            before = parts[:place]
            beside = _beside(part, before, values)
            yield Contradiction(part.line, beside, words_of(group.term))
            return


def _beside(part: _Part, before: Sequence[_Part], values: Sequence[Any]) -> int | None:
    """Return the line that a line contradicts, None if that is the line itself."""
    own = [value for value in values if part.judge(value) is True]
    if not own:
        return None
    alone = (p.line for p in before if not any(p.judge(value) is True for value in own))
    line = next(alone, before[-1].line)
    return None if line == part.line else line


def _is_empty(part: Expression, classes: Classes) -> bool:
    """Tell whether all known values of the one term of an expression fulfil it."""
    terms = _terms(part)
    values = _values(terms[0], [part], classes) if len(terms) == 1 else None
    if values is None:
        return False
    judge = _judge(part, terms[0])
    return judge(None) is not False and all(
        judge(value) is True for value in values if value is not None
    )


class _OfOneTerm(Emitter):
    """Emits an expression as a function of the value of one term."""

    def __init__(self, term: Expression) -> None:
        super().__init__(lambda _: "None")
        self._term = term

    def emit(self, node: Expression) -> str:
        return "b" if node == self._term else super().emit(node)


def _judge(expression: Expression, term: Expression) -> Judge:
    emitter = _OfOneTerm(term)
    return emitter.compile(emitter.emit(expression))


# Values that stand for all -----------------------------------------------------------------


def _values(term: Expression, parts: Sequence[Expression], classes: Classes) -> list[Any] | None:
    """Return values of a term that stand for all, unknown included; None if that is too hard."""
    written = [value for part in parts for value in _written(part) if value is not None]
    known = _known(term, written, classes)
    if known is None or len(known) * len(parts) > _MOST_TRIED:
        return None
    is_count = isinstance(term, Aggregate) and term.function == "count" and term.field is None
    return known if is_count else [*known, None]


def _written(expression: Expression) -> Iterator[Any]:
    """Yield the values that an expression compares its term with."""
    for part in walk(expression):
        if isinstance(part, Among):
            yield from part.choices
        elif isinstance(part, Compare):
            for side in (part.left, part.right):
                if isinstance(side, Constant | Parameter):
                    yield side.value
                elif not varies(side):
                    yield compile_expression(side, str)(None)


def _known(term: Expression, written: Sequence[Any], classes: Classes) -> list[Any] | None:
    match term.kind:
        case Kind.BOOL:
            return [True, False]
        case Kind.PSEUDONYM:
            return ["someone"]
        case Kind.CLASS:
            assert isinstance(term, Field), "no operation gives a class"
            return [*classes(term)]
        case Kind.TEXT:
            # Right behind a text comes the one with a zero character more.
            return sorted({"", *written, *(f"{text}\0" for text in written)})
        case Kind.MONEY:
            # A sum has an amount in each of several currencies, and may fulfil opposites.
            return _amounts(written) if isinstance(term, Field) else None
    return _numbers(term, written)


def _numbers(term: Expression, written: Sequence[Any]) -> list[Any] | None:
    ends = _whole_numbers(term)
    if ends is None:
        return _dense(written)
    least, greatest = ends
    near = {n for v in written for n in (floor(v) - 1, floor(v), ceil(v), ceil(v) + 1)}
    found = {least, *near} | ({least + 1} if greatest is None else {greatest})
    return [n for n in sorted(found) if n >= least and (greatest is None or n <= greatest)]


def _whole_numbers(term: Expression) -> tuple[int, int | None] | None:
    """Return the least and the greatest value of a term that has whole numbers only."""
    match term:
        case Field(kind=Kind.INTEGER | Kind.MOMENT):
            return 0, INTEGER_LIMIT
        case Field(kind=Kind.DURATION) | Gap():
            return 0, None
        case Call(function="hour"):
            return 0, 23
        case Call(function="weekday"):
            return 0, 6
        case Aggregate(function="count"):
            return (0 if term.field is None else 1), None
    return None


def _dense(written: Sequence[Any]) -> list[Any] | None:
    """Return each number written, one between each two, and one beyond each end."""
    points = sorted({Decimal(value) for value in written})
    if not points:
        return [Decimal(0)]
    with localcontext(prec=_EXACT):
        between = [(a + b) / 2 for a, b in pairwise(points)]
        ends = [points[0] - 1, points[-1] + 1]
    found = sorted({*points, *between, *ends})
    # Numbers too far apart to be told from what lies between them.
    return found if len(found) == len(points) * 2 + 1 else None


def _amounts(written: Sequence[Any]) -> list[Any] | None:
    by_currency: dict[str, set[Decimal]] = {_NO_CURRENCY: set()}
    for value in written:
        amounts = {value.currency: value.amount} if isinstance(value, Money) else value
        for currency, amount in amounts.items():
            by_currency.setdefault(currency, set()).add(amount)
    found: list[Any] = []
    for currency, amounts in by_currency.items():
        dense = _dense([Decimal(0), *amounts])
        if dense is None:
            return None
        found += [Money(amount, currency) for amount in dense if amount >= 0]
    return found


def words_of(term: Expression) -> str:
    """Return what a term is called in messages."""
    match term:
        case Field():
            return term.name
        case Aggregate():
            inside = term.step if term.field is None else f"{term.step}.{term.field.name}"
            return f"{term.function}({inside})"
        case Gap():
            return f"gap({term.first}, {term.second})"
        case Call():
            inner = (words_of(part) for part in term.arguments if varies(part))
            return f"{term.function}({', '.join(inner)})"
    return "such value"
