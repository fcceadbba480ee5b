"""The engine: facts and marks in, alerts out.

Theory of operation
-------------------
An event is the greatest of its records, so order and repeats cannot change what is known. Every
arrival that changes an event judges again each anchor whose match it could touch: those that
start within the ranges that the rule's relations allow around the event (`rules.reach`), `unless`
and evidence included. What is judged is a function of the events remembered under one key, so
after the last record every anchor has been judged on the same set of events, whatever the order
in which they came.

An anchor is closed when the least watermark has passed its `settles_at`: no record that is not
late can then still change one of the events that a binding with this anchor could have, because
each of them starts no later than `forward` after the anchor's start, and its records count for
`settle` after its own start. An event is forgotten when the least watermark has passed its start
by `reach + forward + settle`: every anchor that it could serve starts at most `reach` after it and
is closed by then.

Everything that one input record causes is one step, with at most one record per alert.

A rule that reads alerts runs in an engine of its own, whose watermarks are those of the first
stage less what the alerts of that stage still wait for; `rules.stages` puts the two together.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rules.alert import Alert, Json, alert_id
from rules.claim import content_of
from rules.fact import Event, Fact, Identity, Mark, greatest
from rules.history import FirstRows, History
from rules.matching import Match, Plan, make_plan
from rules.rule import RuleSet
from rules.watermark import END_US, Partition, Watermarks

MAX_HISTORY = 10_000

_CaseKey = tuple[int, str, Identity]
"""An alert while it is open: the rule's number, the key's value and the anchor."""


@dataclass(slots=True)
class _Case:
    """An alert that is not final yet: what it says now, and what was written of it last.

    A frozen one has lost an event to a cap: it keeps what it says and is judged no more.
    """

    plan: Plan
    key: str
    anchor: Event
    content: Json
    state: str = "raised"
    final: bool = False
    frozen: bool = False
    open_steps: tuple[str, ...] = ()
    rests_on: frozenset[Identity] = frozenset()
    written: tuple[str, bool, Json] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing of it is to be written, now or ever if it stays like this."""
        if self.written is not None:
            return False
        waits = self.plan.rule.raises == "when_final" and not self.final
        return waits or self.state == "withdrawn"


@dataclass(slots=True)
class _Memory:
    """What is remembered under one key: the events, and the open alerts that need each.

    Of the events of one type that an alert rests on only the least is noted: caps drop it first.
    """

    history: History = field(default_factory=History)
    cases: dict[Identity, set[_CaseKey]] = field(default_factory=dict)


class Correlator:
    """Turns the facts and marks of one partition, in the order of its log, into alerts.

    A pure function of what it observes: the same rows give the same alerts, byte for byte.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        watermarks: Mapping[Partition, int],
        *,
        max_history: int = MAX_HISTORY,
    ) -> None:
        """Begin with nothing remembered.

        Args:
            rule_set: the checked rules of one stage.
            watermarks: the roster, each feed partition with its watermark in microseconds;
                `NEVER_US` for one that has not been heard.
            max_history: the most events of one type that are remembered under one key.
        """
        self.watermarks = Watermarks(watermarks)
        for partition, watermark_us in watermarks.items():
            self.watermarks.raise_to(partition, watermark_us)
        self.counts: Counter[str] = Counter()
        self._max_history = max_history
        self._uses: dict[tuple[str, str], list[tuple[Plan, list[int]]]] = {}
        self._plans = [make_plan(n, rule) for n, rule in enumerate(rule_set.rules)]
        for plan in self._plans:
            self._note_uses(plan)
        self._memories: dict[str, _Memory] = {}
        self._first_rows = FirstRows()
        self._forgettable: list[tuple[int, str, Identity]] = []
        self._cases: dict[_CaseKey, _Case] = {}
        self._closing: list[tuple[int, _CaseKey]] = []
        self._changed: dict[_CaseKey, _Case] = {}

    def _note_uses(self, plan: Plan) -> None:
        by_type: dict[str, list[int]] = {}
        for number, part in enumerate(plan.rule.parts):
            for option in part.options:
                by_type.setdefault(option.event, []).append(number)
        for event_type, numbers in by_type.items():
            self._uses.setdefault((plan.rule.by, event_type), []).append((plan, numbers))

    def observe(self, rows: Sequence[Fact | Mark], revision: int) -> list[Alert]:
        """Take in the rows that one step brings and return the alert records it causes.

        Args:
            rows: facts first, as they follow from one input record, then marks.
            revision: the step's number; it must grow from step to step.
        """
        for row in rows:
            if isinstance(row, Fact):
                self._take(row.key, row.event, revision)
            elif self.watermarks.raise_to((row.feed, row.partition), row.watermark_us):
                self._close()
                self._forget()
        return list(self._write(revision)) if self._changed else []

    @property
    def next_due_us(self) -> int:
        """The least moment that the minimum watermark must pass before a mark causes a record.

        Until then marks may wait and be observed together, in a step of their own before the next
        fact, or in that in which they pass it.
        """
        return self._closing[0][0] if self._closing else END_US

    def oldest_revision(self) -> int | None:
        """Return the step at or before which every event still remembered was first observed.

        Observing again from there, with the watermarks as they stood, rebuilds this state.
        """
        return self._first_rows.oldest(self.watermarks.minimum_us)

    def remembered(self) -> int:
        """Return how many events are remembered, under all keys together."""
        return sum(len(memory.history) for memory in self._memories.values())

    def _take(self, key: str, arrived: Event, revision: int) -> None:
        by, value = key.split(":", 1)
        uses = self._uses.get((by, arrived.identity.type), [])
        self.counts["late"] += arrived.late
        if not uses:
            return
        needed_until_us = arrived.start_us + max(plan.rule.keep_us for plan, _ in uses)
        if needed_until_us < self.watermarks.minimum_us:
            self.counts["below_horizon"] += 1
            return
        memory = self._memories.setdefault(key, _Memory())
        held = memory.history.get(arrived.identity)
        event = arrived if held is None else greatest(held, arrived)
        if event is held:
            return
        memory.history.put(event)
        if held is None:
            self._first_rows.note(revision, needed_until_us)
            heapq.heappush(self._forgettable, (needed_until_us, key, event.identity))
        for plan, parts in uses:
            for anchor in self._touched(plan, parts, memory.history, event):
                # A late anchor is judged once; everything else of a closed anchor stands. One
                # that a cap has dropped may have had its final record.
                fresh = (
                    held is None and anchor is event and not memory.history.may_have_dropped(event)
                )
                if fresh or not self._is_closed(plan, anchor):
                    self._judge(plan, value, memory, anchor)
        if held is None:
            self._keep_within_cap(memory, event)

    def _is_closed(self, plan: Plan, anchor: Event) -> bool:
        return plan.rule.closes_at(anchor.start_us) < self.watermarks.minimum_us

    def _touched(
        self, plan: Plan, parts: list[int], history: History, event: Event
    ) -> Iterable[Event]:
        """Return the anchors whose match an event that has just changed could touch."""
        touched: dict[Identity, Event] = {}
        for part in parts:
            fits = plan.fits(part, event)
            if not history.mark_candidate((plan.number, part), event, fits=fits):
                continue
            if part == plan.anchor:
                touched[event.identity] = event
            least_us, greatest_us = plan.rule.span.ranges[plan.rule.parts[part].name]
            for anchor in history.greatest_first(
                (plan.number, plan.anchor), event.start_us - greatest_us, event.start_us - least_us
            ):
                touched[anchor.identity] = anchor
        return touched.values()

    def _judge(self, plan: Plan, value: str, memory: _Memory, anchor: Event) -> None:
        key = (plan.number, value, anchor.identity)
        case = self._cases.get(key)
        if case is not None and case.frozen:
            return
        match, cut_short = None, False
        if memory.history.is_candidate((plan.number, plan.anchor), anchor):
            match, cut_short = plan.match(memory.history, anchor)
        self.counts["cut_short"] += cut_short
        if match is not None:
            self._hold(key, case, memory, match, cut_short=cut_short)
        elif case is not None:
            # What a cap kept from being found takes no alert away.
            if cut_short:
                _freeze(case)
            else:
                case.state = "withdrawn"
                self._rest(memory, key, case, frozenset())
            self._changed[key] = case

    def _hold(
        self, key: _CaseKey, case: _Case | None, memory: _Memory, match: Match, *, cut_short: bool
    ) -> None:
        number, value, _ = key
        plan = self._plans[number]
        content = dict(content_of(plan, value, match))
        is_closed = self._is_closed(plan, match.anchor)
        if is_closed:
            content["late"] = True
        if cut_short:
            content["truncated"] = True
        if case is None:
            case = self._cases[key] = _Case(plan, value, match.anchor, content, final=is_closed)
            # One that is final already has nothing to wait for.
            if not is_closed:
                heapq.heappush(self._closing, (plan.rule.closes_at(match.anchor.start_us), key))
        case.state, case.content, case.anchor = "raised", content, match.anchor
        case.open_steps = _open_steps(plan, match)
        self._rest(memory, key, case, _least_of_each_type(match))
        self._changed[key] = case

    def _rest(
        self, memory: _Memory, key: _CaseKey, case: _Case, events: frozenset[Identity]
    ) -> None:
        """Note the events with which an open alert stands or falls, in place of those before."""
        for identity in case.rests_on - events:
            memory.cases[identity].discard(key)
        for identity in events - case.rests_on:
            memory.cases.setdefault(identity, set()).add(key)
        case.rests_on = events

    def _keep_within_cap(self, memory: _Memory, event: Event) -> None:
        least = memory.history.least_beyond(self._max_history, event.identity.type)
        if least is None:
            return
        self.counts["dropped_by_cap"] += 1
        for key in sorted(memory.cases.pop(least.identity, ())):
            case = self._cases.get(key)
            if case is not None and not (case.final or case.frozen):
                _freeze(case)
                self._changed[key] = case
        memory.history.drop(least)

    def _close(self) -> None:
        while self._closing and self._closing[0][0] < self.watermarks.minimum_us:
            _, key = heapq.heappop(self._closing)
            case = self._cases.get(key)
            if case is not None:
                case.final = True
                self._changed[key] = case

    def _forget(self) -> None:
        while self._forgettable and self._forgettable[0][0] < self.watermarks.minimum_us:
            _, key, identity = heapq.heappop(self._forgettable)
            memory = self._memories.get(key)
            # A cap may have dropped it before its time.
            if memory is None or memory.history.get(identity) is None:
                continue
            memory.history.forget(identity)
            memory.cases.pop(identity, None)
            if not memory.history:
                del self._memories[key]

    def _write(self, revision: int) -> Iterator[Alert]:
        changed, self._changed = self._changed, {}
        for key in sorted(changed, key=lambda key: (changed[key].anchor.place, key)):
            case = changed[key]
            now = (case.state, case.final, case.content)
            if case.final or (case.written is None and case.state == "withdrawn"):
                del self._cases[key]
            if now == case.written or case.is_silent:
                continue
            case.written = now
            yield self._record(case, revision)

    def _record(self, case: _Case, revision: int) -> Alert:
        rule = case.plan.rule
        settles_at_us = rule.settles_at(case.anchor.start_us)
        undecided: tuple[str, ...] = ()
        if not case.final:
            behind = self.watermarks.behind(rule.closes_at(case.anchor.start_us))
            still = [f"unless {part.name} comes" for part in rule.unless]
            undecided = (*case.open_steps, *still, *(f"feed {feed} is behind" for feed in behind))
        return Alert(
            alert_id=alert_id(rule, case.anchor.identity, case.key),
            revision=revision,
            state=case.state,
            final=case.final,
            anchor_start_us=case.anchor.start_us,
            settles_at_us=settles_at_us,
            undecided=undecided,
            content=case.content,
            is_signal=rule.is_signal,
        )


def _least_of_each_type(match: Match) -> frozenset[Identity]:
    """Return the events that a cap would drop before all others that a match rests on."""
    # The members of a set are of one type and in order of place.
    firsts = (bound[0] if isinstance(bound, tuple) else bound for bound in match.bound if bound)
    least: dict[str, Event] = {}
    for event in firsts:
        held = least.setdefault(event.identity.type, event)
        if event.place < held.place:
            least[event.identity.type] = event
    return frozenset(event.identity for event in least.values())


def _freeze(case: _Case) -> None:
    case.frozen = True
    case.content = {**case.content, "truncated": True}


def _open_steps(plan: Plan, match: Match) -> tuple[str, ...]:
    names = (plan.rule.parts[part].name for part, event in match.events() if event.open)
    return tuple(f"{name} has no end yet" for name in dict.fromkeys(names))
