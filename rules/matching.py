"""Which choice of events, one for each step, fulfils a rule at an anchor."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rules.fact import Event, Identity
from rules.history import History
from rules.plan import Judge, Plan
from rules.tally import Members
from rules.window import BEFORE_US, Limits, Window

MAX_TRIED = 100_000


class Match(NamedTuple):
    """The reported binding of a rule at an anchor: what each part binds, and the score.

    `unless` parts bind nothing, and so does evidence that is not there. The members of a set are
    those of the moment: a set is kept up to date, so they must be read before anything changes.
    """

    anchor: Event
    bound: tuple[Event | Members | None, ...]
    score: int

    def rests_on(self, event: Event) -> bool:
        """Tell whether some part that is no set binds this event, or another record of it."""
        return any(type(b) is Event and b.identity == event.identity for b in self.bound)


class Found(NamedTuple):
    """The best match of a search, and whether it ended before everything was tried."""

    match: Match | None
    cut_short: bool


class Change(NamedTuple):
    """An event that has come or changed, and the parts of a rule in which it could count."""

    event: Event
    parts: Sequence[int]
    is_new: bool


def match(plan: Plan, history: History, anchor: Event) -> Found:
    """Return the holding binding with this anchor that has the highest score, or None.

    Ties go to the greatest binding, compared step by step in file order, each step by its
    event's place: the search goes through them from the greatest down, so of equal scores the
    first that holds is the answer.
    """
    search = _Search(plan, history, anchor)
    best, cut_short = search.run()
    if plan.has_sets and best is not None:
        best = search.bind_again(best)
    return Found(best, cut_short)


def rematch(
    plan: Plan, history: History, anchor: Event, held: Match | None, change: Change
) -> tuple[Found, bool]:
    """Return what `match` does, given what it returned before one event changed.

    Where the event can only be bound by itself, every binding without it is as good as it was,
    and the best of those is the one that was held, unless that had the event. So only bindings
    with the event are tried. A new event under `unless` takes bindings away and brings none.
    The second value tells whether everything was searched again all the same.
    """
    unless, evidence = plan.firsts
    pins = []
    for part in change.parts:
        if plan.rule.parts[part].each:
            return match(plan, history, anchor), True
        if part < unless or part >= evidence:
            # At this anchor no other event is the anchor.
            pins += [part] if part != plan.anchor else []
        elif not change.is_new or (held is not None and _is_hit(plan, held, part, change.event)):
            return match(plan, history, anchor), True
    if held is not None and not change.is_new and held.rests_on(change.event):
        return match(plan, history, anchor), True
    best, cut_short = held, False
    for part in pins:
        found = _Search(plan, history, anchor, (part, change.event)).run()
        cut_short |= found.cut_short
        if found.match is not None and _is_better(plan, found.match, best):
            best = found.match
    if plan.has_sets and best is not None and best is not held:
        best = _Search(plan, history, anchor).bind_again(best)
    return Found(best, cut_short), False


def _is_hit(plan: Plan, held: Match, part: int, event: Event) -> bool:
    """Tell whether a new event satisfies an `unless` of a match."""
    chosen: list[Any] = [*held.bound, held.anchor]
    chosen[part] = event
    return _all_true(plan.checks[part], chosen)


def _all_true(judges: Sequence[Judge], chosen: Sequence[Any]) -> bool:
    for judge in judges:  # noqa: SIM110 - nothing is asked as often, and a generator costs more
        if judge(chosen) is not True:
            return False
    return True


def _is_better(plan: Plan, found: Match, held: Match | None) -> bool:
    """Tell whether a match is to be reported in place of one that was; also if it is the same."""
    if held is None or found.score != held.score:
        return held is None or found.score > held.score
    return _places(plan, found) >= _places(plan, held)


def _places(plan: Plan, of: Match) -> list[tuple[int, Identity]]:
    events: Sequence[Any] = of.bound
    return [(events[step].start_us, events[step].identity) for step in plan.single]


class _Search:
    """One search: what is chosen so far, the best match yet, and how much has been tried.

    With a pin, only bindings are tried in which that part has that event. The members of the sets
    of the best are those of whatever binding was judged last, until it is bound again.
    """

    _best: Match | None = None
    _most: int | None = None
    _tried = 0
    _cut_short = False

    def __init__(
        self, plan: Plan, history: History, anchor: Event, pin: tuple[int, Event] | None = None
    ) -> None:
        self._plan = plan
        self._history = history
        self._anchor = anchor
        self._pin = pin
        self._alone: list[Any] = [None] * len(plan.rule.parts) + [anchor]
        if plan.anchor in plan.single:
            self._alone[plan.anchor] = anchor
        self._chosen = list(self._alone)
        self._firsts: dict[int, list[Event]] = {}

    def run(self) -> Found:
        """Try what there is to try."""
        if self._pin is not None:
            part, event = self._pin
            if not self._history.fits(event, self._plan.signatures[part]):
                return Found(None, cut_short=False)
            self._chosen[part] = event
        self._extend(0)
        return Found(self._best, self._cut_short)

    def bind_again(self, best: Match) -> Match:
        """Return a match whose sets are its own again, and not those of what was judged since."""
        chosen = [*best.bound, self._anchor]
        for part, bound in enumerate(best.bound):
            if isinstance(bound, Members):
                chosen[part] = self._members(part, chosen)
        return Match(self._anchor, tuple(chosen[:-1]), best.score)

    def _extend(self, at: int) -> None:
        """Choose an event for each single step that is left."""
        plan, chosen = self._plan, self._chosen
        if self._pin is not None and not self._may_serve(self._pin[0], at):
            return
        if at == len(plan.single):
            self._complete()
            return
        step = plan.single[at]
        if chosen[step] is None:
            self._try_each(step, at)
        elif step == plan.anchor or self._holds(step):
            self._extend(at + 1)

    def _may_serve(self, part: int, at: int) -> bool:
        """Tell whether a pinned evidence fits the steps chosen, if those are all that it names."""
        return part in self._plan.single or at != self._plan.ready[part] or self._holds(part)

    def _try_each(self, step: int, at: int) -> None:
        """Try the candidates of a step, the greatest first."""
        chosen = self._chosen
        for event in self._candidates(step, chosen):
            if self._is_settled():
                break
            if any(event is other for other in chosen):
                continue
            if self._tried >= MAX_TRIED:
                self._cut_short = True
                break
            self._tried += 1
            chosen[step] = event
            if self._holds(step):
                self._extend(at + 1)
            chosen[step] = None

    def _holds(self, part: int) -> bool:
        return _all_true(self._plan.checks[part], self._chosen)

    def _candidates(self, part: int, chosen: Sequence[Any]) -> Iterator[Event]:
        """Yield what fits a part and may lie to the events that are chosen as it must."""
        plan, history, start_us = self._plan, self._history, self._anchor.start_us
        signatures = plan.signatures[part]
        several = history.of_types(signatures)
        if not several:
            return iter(())
        least_us, greatest_us = plan.ranges[part]
        least_us, greatest_us = least_us + start_us, greatest_us + start_us
        for place, relation in plan.ties[part]:
            other = chosen[place]
            if other is not None:
                from_us, to_us, ends_from_us = relation.limits(other)
                if ends_from_us != BEFORE_US:
                    from_us = ends_from_us - max([rows.longest_us for rows in several])
                # This is what floods are made of, so no function is called.
                least_us = from_us if from_us > least_us else least_us  # noqa: FURB136 - see above
                greatest_us = to_us if to_us < greatest_us else greatest_us  # noqa: FURB136 - see above
        return history.greatest_first(signatures, least_us, greatest_us)

    def _is_settled(self) -> bool:
        """Tell whether no other choice can have a higher score than the best so far."""
        if self._best is None:
            return False
        if self._most is None:
            self._most = self._plan.rule.base + sum(
                self._plan.rule.parts[part].weight
                for part in range(self._plan.firsts[1], len(self._plan.rule.parts))
                if self._may_be_there(part)
            )
        return self._best.score == self._most

    def _may_be_there(self, part: int) -> bool:
        """Tell whether an evidence may be there for some choice."""
        # A set may be satisfied by having no member.
        if self._plan.having[part]:
            return True
        if self._plan.ready[part] == 0:
            return bool(self._of_anchor(part))
        return any(True for _ in self._candidates(part, self._alone))

    def _complete(self) -> None:
        """Judge sets, `unless` and evidence for the events chosen; keep the better match."""
        plan, chosen = self._plan, list(self._chosen)
        unless, evidence = plan.firsts
        if not self._has_sets(chosen):
            return
        for part in range(unless, evidence):
            if self._is_there(part, chosen):
                return
            chosen[part] = None
        score = plan.rule.base
        for part in range(evidence, len(plan.rule.parts)):
            if self._is_there(part, chosen):
                score += plan.rule.parts[part].weight
            else:
                chosen[part] = None
        if self._best is None or score > self._best.score:
            self._best = Match(self._anchor, tuple(chosen[:-1]), score)

    def _has_sets(self, chosen: list[Any]) -> bool:
        plan = self._plan
        for part in plan.sets:
            members = chosen[part] = self._members(part, chosen)
            if not (members or plan.having[part]):
                return False
            if part == plan.anchor and not members.has(self._anchor):
                return False
        return all(_all_true(plan.having[part], chosen) for part in plan.sets)

    def _is_there(self, part: int, chosen: list[Any]) -> bool:
        """Tell whether an `unless` or an evidence is satisfied, and bind it to what does so."""
        plan = self._plan
        if not plan.rule.parts[part].each:
            # Most often there is nothing at all.
            is_possible = self._history.of_types(plan.signatures[part])
            chosen[part] = self._greatest(part, chosen) if is_possible else None
            return chosen[part] is not None
        chosen[part] = self._members(part, chosen)
        if plan.having[part]:
            return _all_true(plan.having[part], chosen)
        return bool(chosen[part])

    def _greatest(self, part: int, chosen: list[Any]) -> Event | None:
        """Return the greatest event that satisfies an `unless` or an evidence."""
        fitting = self._fitting(part, chosen)
        if self._plan.ready[part] == 0:
            fitting = iter(self._of_anchor(part))
        taken = self._taken(chosen)
        return next((e for e in fitting if not any(e is other for other in taken)), None)

    def _of_anchor(self, part: int) -> list[Event]:
        """Return what fits a part that names no step but the anchor, as far as may be needed."""
        if part not in self._firsts:
            fitting = self._fitting(part, list(self._alone))
            # Of these at most one is taken by each single step.
            self._firsts[part] = list(islice(fitting, len(self._plan.single) + 1))
        return self._firsts[part]

    def _fitting(self, part: int, chosen: list[Any]) -> Iterator[Event]:
        """Yield what fits an `unless` or an evidence, the greatest first."""
        checks = self._plan.checks[part]
        for event in self._candidates(part, chosen):
            chosen[part] = event
            if _all_true(checks, chosen):
                yield event

    def _taken(self, chosen: Sequence[Any]) -> tuple[Event, ...]:
        return tuple([chosen[step] for step in self._plan.single])

    def _members(self, part: int, chosen: Sequence[Any]) -> Members:
        """Return the members of a set beside the events that are chosen."""
        ((event_type, signature),) = self._plan.signatures[part].items()
        rows = self._history.of_type(event_type)
        if rows is None:
            return Members()
        taken = tuple([e for e in self._taken(chosen) if e.identity.type == event_type])
        limits = self._limits(part, chosen)
        if not rows.are_many:
            window = Window(rows, signature, self._joins(part, chosen))
            return window.move(limits, taken)
        name = (self._plan.number, part, *[chosen[place] for place in self._plan.named[part]])
        window = rows.windows.get(name) or rows.keep(
            name, Window(rows, signature, self._joins(part, chosen))
        )
        return window.move(limits, taken)

    def _limits(self, part: int, chosen: Sequence[Any]) -> Limits:
        """Return where the members of a set lie."""
        limits = Limits()
        for place, relation in self._plan.own_ties[part]:
            limits = limits.within(relation.limits(chosen[place]))
        if part != self._plan.anchor:
            return limits
        start_us, window_us = self._anchor.start_us, self._plan.rule.parts[part].window_us
        ends_from_us = BEFORE_US if window_us is None else start_us - window_us
        return limits.within(Limits(BEFORE_US, start_us, ends_from_us))

    def _joins(self, part: int, chosen: Sequence[Any]) -> Callable[[Event], bool]:
        joints = self._plan.joints[part]
        beside = list(chosen)

        def judge(event: Event) -> bool:
            beside[part] = event
            return _all_true(joints, beside)

        return judge
