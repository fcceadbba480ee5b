"""The engine: facts and marks in, alerts out.

Theory of operation
-------------------
An event is the greatest of its records, so order and repeats cannot change what is known. Every
arrival that changes an event judges again each anchor whose match it could touch: those that
start within the ranges that the rule's relations allow around the event (`rules.reach`). What is
judged is a function of the events remembered under one key, so after the last record every anchor
has been judged on the same set of events, whatever the order in which they came.

An anchor is closed when the least watermark has passed its `settles_at`: no record that is not
late can then still change one of the events that a binding with this anchor could have, because
each of them starts no later than `forward` after the anchor's start, and its records count for
`settle` after its own start. An event is forgotten when the least watermark has passed its start
by `reach + forward + settle`: every anchor that it could serve starts at most `reach` after it and
is closed by then.

Everything that one input record causes is one step, with at most one record per alert.
"""

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.alert import Alert, Json, alert_id, content_of
from rules.fact import Event, Fact, Identity, Mark, greatest
from rules.history import History
from rules.matching import Binding, Plan, make_plan
from rules.rule import RuleSet
from rules.watermark import Partition, Watermarks

_CaseKey = tuple[int, Identity]
"""An alert while it is open: the rule's number and the anchor."""


@dataclass(slots=True)
class _Case:
    """An alert that is not final yet: what it says now, and what was written of it last."""

    plan: Plan
    anchor: Event
    content: Json
    open_steps: tuple[str, ...]
    state: str = "raised"
    final: bool = False
    written: tuple[str, bool, Json] | None = None


class Correlator:
    """Turns the facts and marks of one partition, in the order of its log, into alerts.

    A pure function of what it observes: the same rows give the same alerts, byte for byte.
    """

    def __init__(self, rule_set: RuleSet, watermarks: Mapping[Partition, int]) -> None:
        """Begin with nothing remembered.

        Args:
            rule_set: the checked rules.
            watermarks: the roster, each feed partition with its watermark in microseconds;
                `NEVER_US` for one that has not been heard.
        """
        self.watermarks = Watermarks(watermarks)
        for partition, watermark_us in watermarks.items():
            self.watermarks.raise_to(partition, watermark_us)
        self.counts: Counter[str] = Counter()
        self._uses: dict[tuple[str, str], list[tuple[Plan, list[int]]]] = {}
        for plan in (make_plan(n, rule) for n, rule in enumerate(rule_set.rules)):
            self._note_uses(plan)
        self._histories: dict[str, History] = {}
        self._first_rows: OrderedDict[tuple[str, Identity], int] = OrderedDict()
        self._forgettable: list[tuple[int, str, Identity]] = []
        self._cases: dict[_CaseKey, _Case] = {}
        self._closing: list[tuple[int, _CaseKey]] = []
        self._changed: dict[_CaseKey, _Case] = {}

    def _note_uses(self, plan: Plan) -> None:
        by_type: dict[str, list[int]] = {}
        for number, step in enumerate(plan.rule.steps):
            by_type.setdefault(step.event, []).append(number)
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

    def oldest_revision(self) -> int | None:
        """Return the step that brought the first record of the oldest event still remembered.

        Observing again from there, with the watermarks as they stood, rebuilds this state.
        """
        return next(iter(self._first_rows.values()), None)

    def _take(self, key: str, arrived: Event, revision: int) -> None:
        by, value = key.split(":", 1)
        uses = self._uses.get((by, arrived.identity.type), [])
        self.counts["late"] += arrived.late
        if not uses:
            return
        keep_us = max(plan.rule.keep_us for plan, _ in uses)
        if arrived.start_us + keep_us < self.watermarks.minimum_us:
            self.counts["below_horizon"] += 1
            return
        history = self._histories.setdefault(key, History())
        held = history.get(arrived.identity)
        event = arrived if held is None else greatest(held, arrived)
        if event is held:
            return
        history.put(event)
        if held is None:
            self._first_rows[key, event.identity] = revision
            heapq.heappush(self._forgettable, (event.start_us + keep_us, key, event.identity))
        for plan, steps in uses:
            for anchor in self._touched(plan, steps, history, event):
                # A late anchor is judged once; everything else of a closed anchor stands.
                fresh = held is None and anchor is event
                if fresh or not self._is_closed(plan, anchor):
                    self._judge(plan, value, history, anchor)

    def _is_closed(self, plan: Plan, anchor: Event) -> bool:
        return plan.rule.settles_at(anchor.start_us) < self.watermarks.minimum_us

    def _touched(
        self, plan: Plan, steps: list[int], history: History, event: Event
    ) -> Iterable[Event]:
        """Return the anchors whose match an event that has just changed could touch."""
        touched: dict[Identity, Event] = {}
        for step in steps:
            fits = plan.fits(step, event)
            if not history.mark_candidate((plan.number, step), event, fits=fits):
                continue
            if step == plan.anchor:
                touched[event.identity] = event
                continue
            least_us, greatest_us = plan.rule.span.ranges[plan.rule.steps[step].name]
            for anchor in history.greatest_first(
                (plan.number, plan.anchor), event.start_us - greatest_us, event.start_us - least_us
            ):
                touched[anchor.identity] = anchor
        return touched.values()

    def _judge(self, plan: Plan, value: str, history: History, anchor: Event) -> None:
        binding = None
        if history.is_candidate((plan.number, plan.anchor), anchor):
            binding = plan.match(history, anchor)
        key = (plan.number, anchor.identity)
        case = self._cases.get(key)
        if binding is None:
            if case is not None:
                case.state = "withdrawn"
                self._changed[key] = case
            return
        content = dict(content_of(plan.rule, value, binding))
        is_closed = self._is_closed(plan, anchor)
        if is_closed:
            content["late"] = True
        if case is None:
            case = self._cases[key] = _Case(plan, anchor, content, (), final=is_closed)
            heapq.heappush(self._closing, (plan.rule.settles_at(anchor.start_us), key))
        case.state, case.content = "raised", content
        case.open_steps = _open_steps(plan, binding)
        self._changed[key] = case

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
            history = self._histories[key]
            history.forget(identity)
            del self._first_rows[key, identity]
            if not history:
                del self._histories[key]

    def _write(self, revision: int) -> Iterator[Alert]:
        changed, self._changed = self._changed, {}
        order = sorted(changed, key=lambda key: (changed[key].anchor.place, key[0]))
        for key in order:
            case = changed[key]
            now = (case.state, case.final, case.content)
            if case.final or (case.written is None and case.state == "withdrawn"):
                del self._cases[key]
            if now == case.written or (case.written is None and case.state == "withdrawn"):
                continue
            case.written = now
            yield self._record(case, revision)

    def _record(self, case: _Case, revision: int) -> Alert:
        rule = case.plan.rule
        settles_at_us = rule.settles_at(case.anchor.start_us)
        undecided: tuple[str, ...] = ()
        if not case.final:
            behind = self.watermarks.behind(settles_at_us)
            undecided = (*case.open_steps, *(f"feed {feed} is behind" for feed in behind))
        return Alert(
            alert_id=alert_id(rule.id, case.anchor.identity),
            revision=revision,
            state=case.state,
            final=case.final,
            anchor_start_us=case.anchor.start_us,
            settles_at_us=settles_at_us,
            undecided=undecided,
            content=case.content,
        )


def _open_steps(plan: Plan, binding: Binding) -> tuple[str, ...]:
    return tuple(
        f"{step.name} has no end yet"
        for step, event in zip(plan.rule.steps, binding, strict=True)
        if event.open
    )
