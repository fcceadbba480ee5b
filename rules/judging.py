"""What all rules ask of an event by itself, judged at once.

Every part of a rule that can bind a type of event has conditions that such an event alone
decides. Parts with equal ones share a *signature*, a bit, and whatever the number of rules a
condition is evaluated once: it names the signatures that fall with it. Comparisons of one field
with values that stand in rules, such as the thresholds of a hundred variants of a rule, make a
ladder: one binary search tells which of them hold.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_
from typing import Any, Final, NamedTuple

from rules.alternatives import Shape, alternative_of
from rules.condition import (
    Compare,
    Condition,
    Constant,
    Expression,
    Field,
    Junction,
    Parameter,
    Unknown,
    compile_expression,
    walk,
)
from rules.fact import Event
from rules.money import Money
from rules.rule import Rule

Get = Callable[[str], Any]
"""Reads a field of one event: its value, or None."""

Mask = int
"""A set of signatures, of doubts or of rules: one bit for each."""

Lost = Mapping[tuple[str, ...], int]
"""How many events failed a part for no other reason than that these fields were unknown."""

_MOST_STANDINGS = 10_000

# Where in ascending values one belongs, so that all below it are on the same side of it.
_PLACE: Final[Mapping[str, Callable[..., int]]] = {
    ">=": bisect_right,
    ">": bisect_left,
    "<=": bisect_left,
    "<": bisect_right,
}


@dataclass(slots=True)
class Standing:
    """How an event stands to all signatures, and how many events have stood so.

    `fits` are those that it fulfils, `refuted` those of which a condition is false, `doubts`
    what was unknown of the others.
    """

    fits: Mask
    refuted: Mask
    doubts: Mask
    count: int = 0


class _Doubt(NamedTuple):
    """A field that may be unknown, and the signatures that this leaves open."""

    field: str
    signatures: Mask


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One condition: what judges it, the signatures that have it, its doubts by field."""

    judge: Callable[[Get], bool | None]
    signatures: Mask
    doubts: tuple[tuple[str, Mask], ...]

    def doubt(self, get: Get) -> Mask:
        """Return the doubts of an event of which this is unknown."""
        unknown = sum(doubt for name, doubt in self.doubts if get(name) is None)
        # What is known may still be incomparable, as amounts of different currencies are.
        return unknown or sum(doubt for _, doubt in self.doubts)


@dataclass(frozen=True, slots=True)
class _Rungs:
    """The values of a ladder in ascending order, and what an event's place among them means.

    `refuted` has an entry for each place; `doubts` are those of the comparisons that have no
    value here, since theirs are in other currencies.
    """

    values: Sequence[Any]
    refuted: Sequence[Mask]
    doubts: Mask


class _Ladder:
    """All comparisons of one field, in one direction, with values that stand in rules.

    Either of the kind `x >= value`, or of the kind `x is None or x >= value`.
    """

    def __init__(self, kind: "_Compared", compared: Sequence[tuple[Any, Mask, Mask]]) -> None:
        """Lay out the rungs of comparisons: the value, the signatures and the doubt of each."""
        self._field, op, self._or_unknown = kind
        self._place = _PLACE[op]
        self._doubts = sum(doubt for _, _, doubt in compared)
        steps: dict[str, list[tuple[Any, Mask, Mask]]] = defaultdict(list)
        for value, signatures, doubt in compared:
            for currency, amount in _by_currency(value):
                steps[currency].append((amount, signatures, doubt))
        self._rungs = {c: self._rungs_of(op, found) for c, found in steps.items()}

    def _rungs_of(self, op: str, steps: list[tuple[Any, Mask, Mask]]) -> _Rungs:
        steps.sort(key=lambda step: step[0])
        signatures = [step[1] for step in steps]
        if op in (">", ">="):
            # Above the place, an event does not reach the values.
            refuted = list(accumulate(reversed(signatures), or_, initial=0))[::-1]
        else:
            refuted = list(accumulate(signatures, or_, initial=0))
        left = self._doubts & ~sum(step[2] for step in steps)
        return _Rungs([step[0] for step in steps], refuted, left)

    def judge(self, get: Get) -> tuple[Mask, Mask]:
        """Return the signatures that an event's value refutes, and the doubts that it leaves."""
        value = get(self._field)
        if value is None:
            return 0, 0 if self._or_unknown else self._doubts
        currency, amount = (value.currency, value.amount) if type(value) is Money else ("", value)
        rungs = self._rungs.get(currency)
        if rungs is None:
            return 0, self._doubts
        return rungs.refuted[self._place(rungs.values, amount)], rungs.doubts


def _by_currency(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - of any ordered kind
    if isinstance(value, Money):
        yield value.currency, value.amount
    elif isinstance(value, Mapping):
        yield from value.items()
    else:
        yield "", value


class OwnConditions:
    """The own conditions of all parts that can bind one type of event under one kind of key.

    Attributes:
        bits: The signature of each list of conditions that it was made of.
    """

    def __init__(self, lists: Sequence[Sequence[Condition]]) -> None:
        """Compile the conditions of each part."""
        split = [alternative_of(c.expression for c in conditions) for conditions in lists]
        numbers: dict[frozenset[Shape], int] = {}
        self.bits = tuple(1 << numbers.setdefault(frozenset(of), len(numbers)) for of in split)
        self._all = (1 << len(numbers)) - 1
        expressions = {shape: e for of in split for shape, e in of.items()}
        having = {s: sum(1 << n for key, n in numbers.items() if s in key) for s in expressions}
        self._doubts: list[_Doubt] = []
        self._leaves: list[_Leaf] = []
        ladders: dict[_Compared, list[tuple[Any, Mask, Mask]]] = defaultdict(list)
        for shape, expression in expressions.items():
            compared = _compared(expression)
            if compared is None:
                names = {node.name for node in walk(expression) if isinstance(node, Field)}
                doubts = tuple((name, self._doubt(name, having[shape])) for name in sorted(names))
                judge = compile_expression(expression, lambda read: f"b({read.name!r})")
                self._leaves.append(_Leaf(judge, having[shape], doubts))
            else:
                kind, value = compared
                doubt = self._doubt(kind.field, having[shape])
                ladders[kind].append((value, having[shape], doubt))
        self._ladders = [_Ladder(kind, found) for kind, found in ladders.items()]
        self._standings: dict[tuple[Mask, Mask], Standing] = {}
        self._lost: dict[Mask, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._gone = Standing(0, self._all, 0)

    def _doubt(self, field: str, signatures: Mask) -> Mask:
        self._doubts.append(_Doubt(field, signatures))
        return 1 << len(self._doubts) - 1

    def fits(self, event: Event, instead_of: Event | None = None) -> Mask:
        """Return the signatures that an event fits, and count how it stands.

        Args:
            event: the event as it stands now.
            instead_of: the same event as it stood when it was counted before.
        """
        standing = self._judge(event)
        standing.count += 1
        if instead_of is not None:
            self._judge(instead_of).count -= 1
        return standing.fits

    def count(self, event: Event, times: int) -> None:
        """Count so many events that stand as this one does."""
        self._judge(event).count += times

    def _judge(self, event: Event) -> Standing:
        if event.gone:
            return self._gone
        get = event.fields.get
        refuted = doubts = 0
        for leaf in self._leaves:
            value = leaf.judge(get)
            if value is None:
                doubts |= leaf.doubt(get)
            elif not value:
                refuted |= leaf.signatures
        for ladder in self._ladders:
            also_refuted, also_doubts = ladder.judge(get)
            refuted |= also_refuted
            doubts |= also_doubts
        standing = self._standings.get((refuted, doubts))
        return self._new(refuted, doubts) if standing is None else standing

    def _new(self, refuted: Mask, doubts: Mask) -> Standing:
        if len(self._standings) >= _MOST_STANDINGS:
            self._add_up()
        left_open = 0
        for number, doubt in enumerate(self._doubts):
            if doubts >> number & 1:
                left_open |= doubt.signatures
        standing = Standing(self._all & ~refuted & ~left_open, refuted, doubts)
        self._standings[refuted, doubts] = standing
        return standing

    def lost(self, signature: Mask) -> Lost:
        """Return how many events the conditions of a signature lost, by the unknown fields.

        Of an event of which some condition is false none is counted, whatever else is unknown.
        """
        self._add_up()
        return +self._lost[signature]

    def _add_up(self) -> None:
        """Add what has been counted to what each signature lost, and begin to count anew."""
        for standing in self._standings.values():
            left = self._all & ~standing.refuted & ~standing.fits if standing.count else 0
            while left:
                signature = left & -left
                left ^= signature
                unknown = {
                    doubt.field
                    for number, doubt in enumerate(self._doubts)
                    if standing.doubts >> number & 1 and doubt.signatures & signature
                }
                self._lost[signature][tuple(sorted(unknown))] += standing.count
        self._standings.clear()


class _Compared(NamedTuple):
    """What the comparisons of one ladder have in common."""

    field: str
    op: str
    or_unknown: bool


def _compared(node: Expression) -> tuple[_Compared, Any] | None:
    """Return of a comparison its ladder, and the value that stands in the rule."""
    match node:
        case Compare(op=op, left=Field(name=name), right=Constant() | Parameter() as right):
            return (_Compared(name, op, or_unknown=False), right.value) if op in _PLACE else None
        case Junction(op="or", parts=(Unknown(item=Field(name=name), negated=False), part)):
            found = _compared(part)
            if found is not None and found[0] == (name, found[0].op, False):
                return found[0]._replace(or_unknown=True), found[1]
    return None


class Judging:
    """The own conditions of a set of rules, by kind of key and type of event."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Compile them; rules are named by their place."""
        lists: dict[tuple[str, str], list[tuple[Condition, ...]]] = defaultdict(list)
        places: dict[tuple[int, int, str], int] = {}
        for number, rule in enumerate(rules):
            for part, step in enumerate(rule.parts):
                for event, conditions in step.own.items():
                    found = lists[rule.by, event]
                    places[number, part, event] = len(found)
                    found.append(conditions)
        self.own = {key: OwnConditions(found) for key, found in lists.items()}
        self._rules = rules
        self._signatures = [
            tuple(
                {e: self.own[rule.by, e].bits[places[number, part, e]] for e in step.own}
                for part, step in enumerate(rule.parts)
            )
            for number, rule in enumerate(rules)
        ]

    def signatures(self, number: int) -> tuple[Mapping[str, Mask], ...]:
        """Return for each part of a rule, and each type that it can bind, its signature."""
        return self._signatures[number]

    def lost(self, number: int) -> tuple[Mapping[str, Lost], ...]:
        """Return for each part of a rule, and each type that it can bind, what was lost."""
        by = self._rules[number].by
        return tuple(
            {event: self.own[by, event].lost(bit) for event, bit in signatures.items()}
            for signatures in self._signatures[number]
        )
