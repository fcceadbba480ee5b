"""A rule made ready for the search: each condition compiled, and put where it can be judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rules.condition import Condition, Expression, compile_expression
from rules.events import Kind
from rules.fact import Event
from rules.judging import Judging, Mask
from rules.reach import Relation
from rules.rule import Rule, Step

Judge = Callable[[Any], bool | None]

Piece = str | tuple[Callable[[Any], Any], Kind]
"""A part of a message: words, or what computes a value, with its kind."""


class Tie(NamedTuple):
    """How an event must lie to another one, and where that is chosen."""

    place: int
    relation: Relation


@dataclass(frozen=True)
class Plan:
    """A rule made ready: its conditions compiled, each check where it can first be judged.

    What is chosen has a place for each part and one more, at the end, for the anchor: a set that
    is the anchor stands for all its members in its own place, and for the latest at the end.

    Attributes:
        number: Tells the rule from the others of its set.
        signatures: For each part and type of event, that of the conditions which such an event
            alone decides.
        checks: For each part, the relations and joint conditions to judge once its event is
            chosen: of a single step those that it completes, of any other part its own.
        own_ties: For each part, how its events lie to others, as the part itself says.
        ties: The same, with what others say of theirs to this part's.
        joints: For each part, the conditions that name other steps; `named` where those stand.
        ready: For each part, how many single steps must be chosen to judge its own checks.
        having: For each part, the conditions over its set.
        single: The places of the steps that bind one event; `sets` of those that bind a set.
    """

    number: int
    rule: Rule
    signatures: tuple[Mapping[str, Mask], ...]
    checks: tuple[tuple[Judge, ...], ...]
    own_ties: tuple[tuple[Tie, ...], ...]
    ties: tuple[tuple[Tie, ...], ...]
    joints: tuple[tuple[Judge, ...], ...]
    named: tuple[tuple[int, ...], ...]
    ready: tuple[int, ...]
    having: tuple[tuple[Judge, ...], ...]
    anchor: int
    single: tuple[int, ...]
    sets: tuple[int, ...]
    message: tuple[Piece, ...]

    @cached_property
    def firsts(self) -> tuple[int, int]:
        """The places of the first `unless` and of the first evidence."""
        first = len(self.rule.steps)
        return first, first + len(self.rule.unless)

    @cached_property
    def has_sets(self) -> bool:
        """Whether some step or evidence binds a set."""
        return any(part.each for part in (*self.rule.steps, *self.rule.evidence))

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """For each part the least and greatest start of its events, from the anchor's start."""
        return tuple(self.rule.span.ranges[part.name] for part in self.rule.parts)

    def touched(self, event: Event, fits: Mask, anchor: Event) -> list[int]:
        """Return the parts in which an event with these signatures could count at an anchor."""
        event_type, distance_us = event.identity.type, event.start_us - anchor.start_us
        found = []
        for part, signatures in enumerate(self.signatures):
            if signatures.get(event_type, 0) & fits:
                least_us, greatest_us = self.ranges[part]
                if least_us <= distance_us <= greatest_us:
                    found.append(part)
        return found


def make_plan(number: int, rule: Rule, judging: Judging) -> Plan:
    """Compile a rule; `number` is its place among those whose own conditions are judged."""
    single = tuple(n for n, step in enumerate(rule.steps) if not step.each)
    checks = [_checks(rule, step) for step in rule.parts]
    own_ties = [[Tie(place_of(rule, r.other), r) for r in step.relations] for step in rule.parts]
    ties = [list(own) for own in own_ties]
    for step in rule.parts:
        for relation in step.relations:
            # What is tied to the set that is the anchor is tied to no other of its members.
            if not rule.parts[rule.index[relation.other]].each:
                place = place_of(rule, step.name)
                ties[rule.index[relation.other]].append(Tie(place, relation.turned))
    return Plan(
        number=number,
        rule=rule,
        signatures=judging.signatures(number),
        checks=_place_checks(rule, single, checks),
        own_ties=tuple(map(tuple, own_ties)),
        ties=tuple(map(tuple, ties)),
        joints=tuple(_joints(rule, step) for step in rule.parts),
        named=tuple(_named(rule, step) for step in rule.parts),
        ready=tuple(_ready(rule, single, of_part) for of_part in checks),
        having=tuple(
            tuple(_compile_in(rule, c.expression) for c in step.having) for step in rule.parts
        ),
        anchor=rule.index[rule.anchor],
        single=single,
        sets=tuple(n for n, step in enumerate(rule.steps) if step.each),
        message=tuple(
            piece if isinstance(piece, str) else (_compile_in(rule, piece), piece.kind)
            for piece in (() if rule.message is None else rule.message.pieces)
        ),
    )


_Check = tuple[frozenset[str], Judge]
"""The steps that a check names, and what judges it."""


def _place_checks(
    rule: Rule, single: Sequence[int], checks: Sequence[Sequence[_Check]]
) -> tuple[tuple[Judge, ...], ...]:
    """Put each check of a single step where the last event that it names is chosen."""
    placed: list[tuple[Judge, ...]] = [tuple(j for _, j in of_part) for of_part in checks]
    waiting = [check for n in single for check in checks[n]]
    anchor = rule.index[rule.anchor]
    bound = {rule.anchor}
    for n in sorted(single, key=lambda n: (n != anchor, n)):
        bound.add(rule.parts[n].name)
        placed[n] = tuple(judge for names, judge in waiting if names <= bound)
        waiting = [(names, judge) for names, judge in waiting if not names <= bound]
    return tuple(placed)


def _ready(rule: Rule, single: Sequence[int], checks: Sequence[_Check]) -> int:
    """Return how many of the single steps must be chosen until these checks can be judged."""
    steps = [rule.parts[n].name for n in single]
    named = {name for names, _ in checks for name in names} - {rule.anchor}
    return max((at for at, name in enumerate(steps, 1) if name in named), default=0)


def _checks(rule: Rule, step: Step) -> list[_Check]:
    """Return the step's relations and joint conditions, each with the steps that it names."""
    found: list[_Check] = []
    for relation in step.relations:
        pair = (rule.index[step.name], place_of(rule, relation.other))
        names = frozenset((step.name, relation.other))
        found.append((names, _relation(relation.holds, *pair)))
    joints = zip(step.joint, _joints(rule, step), strict=True)
    return found + [(condition.steps, judge) for condition, judge in joints]


def _joints(rule: Rule, step: Step) -> tuple[Judge, ...]:
    return tuple(_joint(rule, step, condition) for condition in step.joint)


def _joint(rule: Rule, step: Step, condition: Condition) -> Judge:
    judge = _compile_in(rule, condition.expression, step.name)
    asked = {o.event for o in step.options if condition in step.joint_of(o.event)}
    if len(asked) == len(step.options):
        return judge
    # It stands in an entry of `either`, and asks nothing of what fits another one.
    place = rule.index[step.name]
    return lambda chosen: chosen[place].identity.type not in asked or judge(chosen)


def _named(rule: Rule, step: Step) -> tuple[int, ...]:
    others = {name for condition in step.joint for name in condition.steps} - {step.name}
    return tuple(sorted(place_of(rule, name) for name in others))


def _relation(holds: Callable[[Event, Event], bool], step: int, other: int) -> Judge:
    return lambda chosen: holds(chosen[step], chosen[other])


def _compile_in(rule: Rule, expression: Expression, own: str = "") -> Callable[[Any], Any]:
    """Compile to a function of what the parts of a rule bind, with the anchor's event last.

    Under `where`, `own` names the step itself: of a set that is the member that is judged, also
    where the set is the anchor.
    """

    def place(step: str) -> int:
        return rule.index[step] if step == own else place_of(rule, step)

    return compile_expression(
        expression,
        lambda read: f"b[{place(read.step)}].fields.get({read.name!r})",
        lambda step: f"b[{place(step)}]",
        lambda step: f"b[{rule.index[step]}]",
    )


def place_of(rule: Rule, step: str) -> int:
    """Return where the event of a step is chosen; the anchor's stands at the end as well."""
    return len(rule.parts) if step == rule.anchor else rule.index[step]
