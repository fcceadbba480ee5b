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

No rule is asked about an event by itself. Conditions that an event alone decides are judged once
for all rules, as a mask of those that hold (`rules.judging`), and rules of one shape are asked
together which anchors a change could touch (`rules.groups`). Those ask too many anchors, never
too few: their ranges are the widest of their rules', and an anchor with an open alert is always
judged.

Everything that one input record causes is one step, with at most one record per alert.

A rule that reads alerts runs in an engine of its own, whose watermarks are those of the first
stage less what the alerts of that stage still wait for; `rules.stages` puts the two together.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.alert import Alert, Json, alert_id
from rules.claim import content_of
from rules.fact import Event, Fact, Identity, Mark, greatest
from rules.groups import Group, group_plans
from rules.history import FirstRows, History
from rules.judging import Judging, Lost, Mask, OwnConditions
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


@dataclass(frozen=True, slots=True)
class _Use:
    """What an event of one type under one kind of key is good for, and for how long."""

    own: OwnConditions
    groups: tuple[Group, ...]
    keep_us: int


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
        self._judging = Judging(rule_set.rules)
        self._plans = [make_plan(n, rule, self._judging) for n, rule in enumerate(rule_set.rules)]
        self._uses = self._make_uses()
        self._histories: dict[str, History] = {}
        # The open alerts that need an event, by key. Of the events of one type that an alert
        # rests on only the least is noted: caps drop it first.
        self._resting: dict[str, dict[Identity, set[_CaseKey]]] = {}
        self._first_rows = FirstRows()
        self._forgettable: list[tuple[int, str, Identity]] = []
        self._cases: dict[_CaseKey, _Case] = {}
        self._closing: list[tuple[int, _CaseKey]] = []
        self._changed: dict[_CaseKey, _Case] = {}

    def _make_uses(self) -> dict[tuple[str, str], _Use]:
        groups: dict[tuple[str, str], list[Group]] = defaultdict(list)
        keep_us: Counter[tuple[str, str]] = Counter()
        for group in group_plans(self._plans):
            for event_type in group.types:
                groups[group.by, event_type].append(group)
        for plan in self._plans:
            for event_type in {t for of_part in plan.signatures for t in of_part}:
                key = (plan.rule.by, event_type)
                keep_us[key] = max(keep_us[key], plan.rule.keep_us)
        return {
            key: _Use(self._judging.own[key], tuple(found), keep_us[key])
            for key, found in groups.items()
        }

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
        """The moment that the least watermark must pass before a mark can cause an alert record.

        Until then marks can be left out, if the next fact is preceded by the latest of each.
        """
        return self._closing[0][0] if self._closing else END_US

    def oldest_revision(self) -> int | None:
        """Return the step at or before which every event still remembered was first observed.

        Observing again from there, with the watermarks as they stood, rebuilds this state.
        """
        return self._first_rows.oldest(self.watermarks.minimum_us)

    def lost(self) -> Mapping[str, Sequence[Mapping[str, Lost]]]:
        """Return for each rule, part and type of event how many events failed as unknown."""
        return {plan.rule.id: self._judging.lost(plan.number) for plan in self._plans}

    def remembered(self) -> tuple[int, int]:
        """Return how many keys have a history, and how many events those hold together."""
        return len(self._histories), self.counts["remembered"]

    def _take(self, key: str, arrived: Event, revision: int) -> None:
        by, value = key.split(":", 1)
        identity = arrived.identity
        use = self._uses.get((by, identity.type))
        if use is None:
            return
        needed_until_us = arrived.start_us + use.keep_us
        if needed_until_us < self.watermarks.minimum_us:
            self.counts["below_horizon"] += 1
            return
        history = self._histories.get(key)
        if history is None:
            history = self._histories[key] = History()
        held = history.row(identity)
        event = arrived if held is None else greatest(held[2], arrived)
        if held is not None and event is held[2]:
            return
        fits = use.own.fits(event, None if held is None else held[2])
        history.put(event, fits)
        if held is None:
            self.counts["remembered"] += 1
            self._first_rows.note(revision, needed_until_us)
            heapq.heappush(self._forgettable, (needed_until_us, key, identity))
            is_new = not history.may_have_dropped(event)
            self._judge_touched(use, key, value, event, fits, is_new=is_new)
            self._keep_within_cap(key, event)
        else:
            self._judge_touched(use, key, value, event, fits | held[3], is_new=False)

    def _judge_touched(
        self, use: _Use, key: str, value: str, event: Event, fits: Mask, *, is_new: bool
    ) -> None:
        """Judge the anchors whose match an event that has just changed could touch.

        Args:
            use: what the event is good for.
            key: the key under which it has come, and `value` that key's value.
            value: see `key`.
            event: the event as it stands now.
            fits: the signatures that it fits, or did before.
            is_new: whether nothing of it was known before, even if forgotten since.
        """
        if not fits:
            return
        history = self._histories[key]
        for group in use.groups:
            for anchor, rules in group.touched(history, event, fits):
                for plan in self._to_judge(group, rules, key, value, anchor):
                    itself = anchor is event
                    if not (itself or plan.touches(event, fits, anchor)):
                        continue
                    # A late anchor is judged once; everything else of a closed anchor stands. One
                    # that a cap has dropped may have had its final record.
                    if (itself and is_new) or not self._is_closed(plan, anchor):
                        self._judge(plan, key, value, anchor)

    def _to_judge(
        self, group: Group, rules: Mask, key: str, value: str, anchor: Event
    ) -> Iterator[Plan]:
        """Yield the plans that could match at an anchor, and those that have an alert there."""
        possible = group.possible(self._histories[key], anchor, rules)
        yield from group.plans(possible)
        # Without an alert that rests on something there is none to take away.
        if key in self._resting:
            for plan in group.plans(rules & ~possible):
                if (plan.number, value, anchor.identity) in self._cases:
                    yield plan

    def _is_closed(self, plan: Plan, anchor: Event) -> bool:
        return plan.rule.closes_at(anchor.start_us) < self.watermarks.minimum_us

    def _judge(self, plan: Plan, key: str, value: str, anchor: Event) -> None:
        case_key = (plan.number, value, anchor.identity)
        case = self._cases.get(case_key)
        if case is not None and case.frozen:
            return
        match, cut_short = None, False
        history = self._histories[key]
        if history.fits(anchor, plan.signatures[plan.anchor]):
            match, cut_short = plan.match(history, anchor)
        self.counts["cut_short"] += cut_short
        if match is not None:
            self._hold(key, case_key, case, match, cut_short=cut_short)
        elif case is not None:
            # What a cap kept from being found takes no alert away.
            if cut_short:
                _freeze(case)
            else:
                case.state = "withdrawn"
                self._rest(key, case_key, case, frozenset())
            self._changed[case_key] = case

    def _hold(
        self, key: str, case_key: _CaseKey, case: _Case | None, match: Match, *, cut_short: bool
    ) -> None:
        number, value, _ = case_key
        plan = self._plans[number]
        content = dict(content_of(plan, value, match))
        is_closed = self._is_closed(plan, match.anchor)
        if is_closed:
            content["late"] = True
        if cut_short:
            content["truncated"] = True
        if case is None:
            case = _Case(plan, value, match.anchor, content, final=is_closed)
            self._cases[case_key] = case
            # One that is final already has nothing to wait for.
            if not is_closed:
                closes_us = plan.rule.closes_at(match.anchor.start_us)
                heapq.heappush(self._closing, (closes_us, case_key))
        case.state, case.content, case.anchor = "raised", content, match.anchor
        case.open_steps = _open_steps(plan, match)
        self._rest(key, case_key, case, _least_of_each_type(match))
        self._changed[case_key] = case

    def _rest(
        self, key: str, case_key: _CaseKey, case: _Case, events: frozenset[Identity]
    ) -> None:
        """Note the events with which an open alert stands or falls, in place of those before."""
        resting = self._resting.setdefault(key, {})
        for identity in case.rests_on - events:
            resting[identity].discard(case_key)
        for identity in events - case.rests_on:
            resting.setdefault(identity, set()).add(case_key)
        case.rests_on = events

    def _keep_within_cap(self, key: str, event: Event) -> None:
        history = self._histories[key]
        least = history.least_beyond(self._max_history, event.identity.type)
        if least is None:
            return
        self.counts["dropped_by_cap"] += 1
        for case_key in sorted(self._resting.get(key, {}).pop(least.identity, ())):
            case = self._cases.get(case_key)
            if case is not None and not (case.final or case.frozen):
                _freeze(case)
                self._changed[case_key] = case
        history.drop(least)
        self.counts["remembered"] -= 1

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
            history = self._histories.get(key)
            # A cap may have dropped it before its time.
            if history is None or history.row(identity) is None:
                continue
            history.forget(identity)
            self.counts["remembered"] -= 1
            if key in self._resting:
                self._resting[key].pop(identity, None)
            if not history:
                del self._histories[key]
                self._resting.pop(key, None)

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
            waits = [f"feed {feed} is behind" for feed in behind]
            if rule.reads_alerts and behind:
                # The second stage knows no feeds, only how far the first has come.
                waits = ["the alerts of other rules can still change"]
            still = [f"unless {part.name} comes" for part in rule.unless]
            undecided = (*case.open_steps, *still, *waits)
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
