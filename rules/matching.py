"""Which choice of events, one for each step, fulfils a rule at an anchor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.condition import Expression, compile_expression, gap_us
from rules.events import Kind
from rules.fact import Event
from rules.history import History
from rules.judging import Judging, Mask
from rules.rule import Rule, Step

Judge = Callable[[Any], bool | None]

Bound = Event | tuple[Event, ...] | None
"""What one part of a rule binds: an event, the members of a set in order of place, or nothing."""

Piece = str | tuple[Callable[[Any], Any], Kind]
"""A part of a message: words, or what computes a value, with its kind."""

MAX_TRIED = 100_000


@dataclass(frozen=True, slots=True)
class Match:
    """The reported binding of a rule at an anchor: what each part binds, and the score.

    `unless` parts bind nothing, and so does evidence that is not there.
    """

    anchor: Event
    bound: tuple[Bound, ...]
    score: int

    def events(self) -> Iterator[tuple[int, Event]]:
        """Yield every event that the match rests on, with the place of its part."""
        for part, bound in enumerate(self.bound):
            for event in () if bound is None else bound if isinstance(bound, tuple) else (bound,):
                yield part, event


class _Search:
    """One search: what is chosen so far, the best match yet, and how much has been tried.

    `chosen` has a place for each part and one more, at the end, for the anchor: a set that is
    the anchor stands for all its members in its own place, and for the latest at the end.
    """

    def __init__(self, history: History, anchor: Event, parts: int) -> None:
        self.history = history
        self.anchor = anchor
        self.chosen: list[Any] = [None] * parts + [anchor]
        self.best: Match | None = None
        self.most: int | None = None
        self.tried = 0
        self.cut_short = False


@dataclass(frozen=True)
class Plan:
    """A rule made ready: its conditions compiled, each check where it can first be judged.

    Attributes:
        number: Tells the rule from the others of its set.
        signatures: For each part and type of event, that of the conditions which such an event
            alone decides.
        checks: For each part, the relations and joint conditions to judge once its event is
            chosen: of a single step those that it completes, of any other part its own.
        having: For each part, the conditions over its set.
        single: The places of the steps that bind one event; `sets` of those that bind a set.
    """

    number: int
    rule: Rule
    signatures: tuple[Mapping[str, Mask], ...]
    checks: tuple[tuple[Judge, ...], ...]
    having: tuple[tuple[Judge, ...], ...]
    anchor: int
    single: tuple[int, ...]
    sets: tuple[int, ...]
    message: tuple[Piece, ...]

    def range_of(self, part: int) -> tuple[int, int]:
        """Return the least and greatest start of a part's events, from the anchor's start."""
        return self.rule.span.ranges[self.rule.parts[part].name]

    def touches(self, event: Event, fits: Mask, anchor: Event) -> bool:
        """Tell whether an event with these signatures could count in a match at an anchor."""
        event_type, distance_us = event.identity.type, event.start_us - anchor.start_us
        for part, signatures in enumerate(self.signatures):
            if signatures.get(event_type, 0) & fits:
                least_us, greatest_us = self.range_of(part)
                if least_us <= distance_us <= greatest_us:
                    return True
        return False

    def match(self, history: History, anchor: Event) -> tuple[Match | None, bool]:
        """Return the holding binding with this anchor that has the highest score, or None.

        Ties go to the greatest binding, compared step by step in file order, each step by its
        event's place: the search goes through them from the greatest down, so of equal scores
        the first that holds is the answer. The second value tells whether the search was cut
        short because it had tried `MAX_TRIED` choices.
        """
        search = _Search(history, anchor, len(self.rule.parts))
        if self.anchor in self.single:
            search.chosen[self.anchor] = anchor
        self._extend(search, 0)
        return search.best, search.cut_short

    def _extend(self, search: _Search, at: int) -> None:
        """Choose an event for each single step that is left, the greatest first."""
        if at == len(self.single):
            self._complete(search)
            return
        step = self.single[at]
        if step == self.anchor:
            self._extend(search, at + 1)
            return
        for event in self._candidates(search, step):
            if self._is_settled(search):
                break
            if any(event is other for other in search.chosen):
                continue
            if search.tried >= MAX_TRIED:
                search.cut_short = True
                break
            search.tried += 1
            search.chosen[step] = event
            if self._hold(step, search.chosen):
                self._extend(search, at + 1)
            search.chosen[step] = None

    def _candidates(self, search: _Search, part: int) -> Iterator[Event]:
        least_us, greatest_us = self.range_of(part)
        start_us = search.anchor.start_us
        return search.history.greatest_first(
            self.signatures[part], start_us + least_us, start_us + greatest_us
        )

    def _hold(self, part: int, chosen: Sequence[Any]) -> bool:
        return all(judge(chosen) is True for judge in self.checks[part])

    def _is_settled(self, search: _Search) -> bool:
        """Tell whether no other choice can have a higher score than the best so far."""
        if search.best is None:
            return False
        if search.most is None:
            search.most = self._most(search)
        return search.best.score == search.most

    def _most(self, search: _Search) -> int:
        """Return a score that none can exceed: of evidence that has no candidate, nothing."""
        first = len(self.rule.parts) - len(self.rule.evidence)
        return self.rule.base + sum(
            part.weight
            for number, part in enumerate(self.rule.evidence, first)
            # A set may be satisfied by having no member.
            if part.having or any(True for _ in self._candidates(search, number))
        )

    def _complete(self, search: _Search) -> None:
        """Judge sets, `unless` and evidence for the events chosen; keep the better match."""
        chosen = list(search.chosen)
        if not self._has_sets(search, chosen):
            return
        first = len(self.rule.steps)
        evidence = first + len(self.rule.unless)
        for part in range(first, evidence):
            if self._is_there(search, part, chosen):
                return
            chosen[part] = None
        score = self.rule.base
        for part in range(evidence, len(self.rule.parts)):
            if self._is_there(search, part, chosen):
                score += self.rule.parts[part].weight
            else:
                chosen[part] = None
        if search.best is None or score > search.best.score:
            search.best = Match(search.anchor, tuple(chosen[:-1]), score)

    def _has_sets(self, search: _Search, chosen: list[Any]) -> bool:
        for part in self.sets:
            chosen[part] = self._members(search, part, chosen)
            if not (chosen[part] or self.rule.parts[part].having):
                return False
            if part == self.anchor and not any(e is search.anchor for e in chosen[part]):
                return False
        return all(judge(chosen) is True for part in self.sets for judge in self.having[part])

    def _is_there(self, search: _Search, part: int, chosen: list[Any]) -> bool:
        """Tell whether an `unless` or an evidence is satisfied, and bind it to what does so."""
        if not self.rule.parts[part].each:
            chosen[part] = next(self._fitting(search, part, chosen), None)
            return chosen[part] is not None
        chosen[part] = self._members(search, part, chosen)
        if self.having[part]:
            return all(judge(chosen) is True for judge in self.having[part])
        return bool(chosen[part])

    def _members(self, search: _Search, part: int, chosen: list[Any]) -> tuple[Event, ...]:
        return tuple(self._fitting(search, part, chosen))[::-1]

    def _fitting(self, search: _Search, part: int, chosen: list[Any]) -> Iterator[Event]:
        """Yield what fits a set, an `unless` or an evidence, the greatest first."""
        taken = [search.chosen[step] for step in self.single]
        for event in self._candidates(search, part):
            if any(event is other for other in taken):
                continue
            if part == self.anchor and not self._is_in_window(event, search.anchor):
                continue
            chosen[part] = event
            if self._hold(part, chosen):
                yield event

    def _is_in_window(self, event: Event, anchor: Event) -> bool:
        # That no member starts after the anchor is seen to by the range.
        window_us = self.rule.parts[self.anchor].window_us
        return window_us is None or gap_us(event, anchor) <= window_us


def make_plan(number: int, rule: Rule, judging: Judging) -> Plan:
    """Compile a rule; `number` is its place among those whose own conditions are judged."""
    single = tuple(n for n, step in enumerate(rule.steps) if not step.each)
    return Plan(
        number=number,
        rule=rule,
        signatures=judging.signatures(number),
        checks=_place_checks(rule, single),
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


def _place_checks(rule: Rule, single: Sequence[int]) -> tuple[tuple[Judge, ...], ...]:
    """Put each check of a single step where the last event that it names is chosen."""
    checks = [_checks(rule, step) for step in rule.parts]
    placed: list[tuple[Judge, ...]] = [tuple(j for _, j in of_part) for of_part in checks]
    waiting = [check for n in single for check in checks[n]]
    anchor = rule.index[rule.anchor]
    bound = {rule.anchor}
    for n in sorted(single, key=lambda n: (n != anchor, n)):
        bound.add(rule.parts[n].name)
        placed[n] = tuple(judge for names, judge in waiting if names <= bound)
        waiting = [(names, judge) for names, judge in waiting if not names <= bound]
    return tuple(placed)


def _checks(rule: Rule, step: Step) -> list[tuple[frozenset[str], Judge]]:
    """Return the step's relations and joint conditions, each with the steps that it names."""
    found = []
    for relation in step.relations:
        pair = (rule.index[step.name], _place_of(rule, relation.other))
        names = frozenset((step.name, relation.other))
        found.append((names, _relation(relation.holds, *pair)))
    return found + [(c.steps, _compile_in(rule, c.expression)) for c in step.joint]


def _relation(holds: Callable[[Event, Event], bool], step: int, other: int) -> Judge:
    return lambda chosen: holds(chosen[step], chosen[other])


def _compile_in(rule: Rule, expression: Expression) -> Callable[[Any], Any]:
    """Compile to a function of what the parts of a rule bind, with the anchor's event last."""
    return compile_expression(
        expression,
        lambda read: f"b[{rule.index[read.step]}].fields.get({read.name!r})",
        lambda step: f"b[{_place_of(rule, step)}]",
        lambda step: f"b[{rule.index[step]}]",
    )


def _place_of(rule: Rule, step: str) -> int:
    """Return where the event of a step is chosen; the anchor's stands at the end as well."""
    return len(rule.parts) if step == rule.anchor else rule.index[step]
