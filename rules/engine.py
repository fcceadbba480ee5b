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

To judge again is not to search again (`rules.matching`). What was reported at an anchor is the
best of all bindings with the events there were. One event that has come or changed, and that can
only be bound by itself, leaves every binding without it as good as it was; so the new answer is
the better of the old one, if that is without the event, and the best binding with it. A new event
under `unless` can only take bindings away, so the old answer stands unless it is hit. Everything
else (the anchor itself, a set, an `unless` that changed, an event that the old answer rests on) is
searched whole. A search that was cut short leaves its mark on all that follows from it.

Sets are kept up to date rather than collected (`rules.window`): all that a relation says of a
member is that it starts no earlier than one moment, no later than another, and ends no earlier
than a third, so a set is what lies within three bounds that move a little with each event; what
`having` asks of it is counted as members come and go.

No rule is asked about an event by itself. Conditions that an event alone decides are judged once
for all rules, as a mask of those that hold (`rules.judging`), and rules of one shape are asked
together which anchors a change could touch (`rules.groups`). Those ask too many anchors, never
too few: all within the widest range of the parts that the event fits, or with an open alert.

A match takes a least number of events of certain types (`rules.fewest`): as long as a key has
fewer, nothing is judged, and a rebuild does not even read them, for no alert can be open there. A
history that nothing touches rests as the rows that tell its events (`rules.memory`); from those it
follows whole. What is needed no more is taken away when a history is touched, before anything is
judged, so it does not matter what is packed when, nor when it is cleared away.

Everything that one input record causes is one step, with at most one record per alert.

A rule that reads alerts runs in an engine of its own, whose watermarks are those of the first
stage less what the alerts of that stage still wait for; `rules.stages` puts the two together.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rules.alert import Alert
from rules.case import Case, CaseKey, least_of_each_type
from rules.claim import Teller
from rules.fact import Event, Fact, Identity, Mark, greatest, key_of, split_key
from rules.fewest import Fewest
from rules.groups import Group
from rules.history import FirstRows, History
from rules.judging import Judging, Lost, Mask
from rules.matching import Change, Found, match, rematch
from rules.memory import Memory
from rules.plan import Plan, make_plan
from rules.row import Sealed, decode_event
from rules.rule import RuleSet
from rules.timing import Timing
from rules.use import Use, make_uses
from rules.watermark import END_US, NEVER_US, Partition, Watermarks


class _Arrival(NamedTuple):
    """An event that has come or changed under one key.

    `fits` are the signatures that it fits or did before; `is_new` says that it was not
    remembered, `is_first` that nothing of it was ever known, even if forgotten since.
    """

    key: str
    value: str
    event: Event
    fits: Mask
    is_new: bool
    is_first: bool


class Correlator:
    """Turns the facts and marks of one partition, in the order of its log, into alerts.

    A pure function of what it observes: the same rows give the same alerts, byte for byte.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        watermarks: Mapping[Partition, int],
        *,
        timing: Timing,
        since_us: int = NEVER_US,
    ) -> None:
        """Begin with nothing remembered.

        Args:
            rule_set: the checked rules of one stage.
            watermarks: the roster, each feed partition with its watermark in microseconds;
                `NEVER_US` for one that has not been heard.
            timing: what the events were made with.
            since_us: the moment from which on every event is in the log. A rule judges no anchor
                that starts less than its reach after that: events that count there may be missing.
        """
        self.watermarks = Watermarks(watermarks)
        for partition, watermark_us in watermarks.items():
            self.watermarks.raise_to(partition, watermark_us)
        self.counts: Counter[str] = Counter()
        self._max_history = rule_set.max_history
        self._since_us = since_us
        self._timing = timing
        self._judging = Judging(rule_set.rules)
        self._plans = [make_plan(n, rule, self._judging) for n, rule in enumerate(rule_set.rules)]
        self._tellers = [Teller(plan) for plan in self._plans]
        self._uses = make_uses(self._plans, self._judging)
        # The open alerts that need an event, by key. Of the events of one type that an alert
        # rests on only the least is noted: caps drop it first.
        self._resting: dict[str, dict[Identity, set[CaseKey]]] = {}
        self._first_rows = FirstRows()
        self._fewest = Fewest(self._plans)
        self._memory = Memory(
            self._uses,
            timing,
            fewest=self._fewest,
            open_keys=self._resting.keys(),
            most_rows=rule_set.max_history,
        )
        self._cases: dict[CaseKey, Case] = {}
        self._closing: list[tuple[int, CaseKey]] = []
        self._changed: dict[CaseKey, Case] = {}

    def observe(self, rows: Sequence[Fact | Sealed | Mark], revision: int) -> list[Alert]:
        """Take in the rows that one step brings and return the alert records it causes.

        Args:
            rows: facts first, as they follow from one input record, then marks. What is sealed
                is read only once something could follow from it, and counts for nothing that
                `lost` tells.
            revision: the step's number; it must grow from step to step.
        """
        for row in rows:
            if isinstance(row, Fact):
                self._take(row.key, row.event, revision)
            elif isinstance(row, Sealed):
                self._set_aside(row, revision)
            elif self.watermarks.raise_to((row.feed, row.partition), row.watermark_us):
                self._close()
                self._memory.forget(self.watermarks.minimum_us)
        return list(self._write(revision)) if self._changed else []

    @property
    def next_due_us(self) -> int:
        """The moment that the least watermark must pass before a mark can cause an alert record.

        Until then marks can be left out, if the next fact is preceded by the latest of each.
        """
        return self._closing[0][0] if self._closing else END_US

    def cut_off(self, revision: int) -> list[Alert]:
        """Return a final record of each open alert that has been written, as it stands.

        For whoever ends this engine before its time; it observes nothing afterwards.
        """
        ended = sorted(
            (case.anchor.place, key) for key, case in self._cases.items() if case.written
        )
        for _, key in ended:
            self._cases[key].final = True
        return [self._cases[key].record(revision, self.watermarks) for _, key in ended]

    def oldest_revision(self) -> int | None:
        """Return the step at or before which every event still remembered was first observed.

        Observing again from there, with the watermarks as they stood, rebuilds this state.
        """
        return self._first_rows.oldest(self.watermarks.minimum_us)

    def lost(self) -> Mapping[str, Sequence[Mapping[str, Lost]]]:
        """Return for each rule, part and type of event how many events failed as unknown."""
        return {plan.rule.id: self._judging.lost(plan.number) for plan in self._plans}

    def count(self, fact: Fact, times: int) -> None:
        """Count how so many events stand, all like this one, that can be in no match."""
        by, _ = split_key(fact.key)
        use = self._uses.get((by, fact.event.identity.type))
        if use is not None:
            use.own.count(fact.event, times)

    def remembered(self) -> tuple[int, int]:
        """Return how many keys have a history, and how many events those hold together."""
        return self._memory.size

    def _set_aside(self, sealed: Sealed, revision: int) -> None:
        """Take in a fact, and read it only if something could follow from it."""
        use = self._uses.get((sealed.by, sealed.type))
        if use is None:
            return
        minimum_us = self.watermarks.minimum_us
        until_us = sealed.start_us + use.keep_us
        if until_us < minimum_us:
            self.counts["below_horizon"] += 1
        elif self._memory.set_aside(sealed, until_us, minimum_us):
            self._first_rows.note(revision, until_us)
        else:
            self._take(sealed.key, decode_event(sealed.row, self._timing), revision)

    def _take(self, key: str, arrived: Event, revision: int) -> None:
        by, value = split_key(key)
        identity = arrived.identity
        use = self._uses.get((by, identity.type))
        if use is None:
            return
        needed_until_us = arrived.start_us + use.keep_us
        if needed_until_us < self.watermarks.minimum_us:
            self.counts["below_horizon"] += 1
            return
        history = self._memory.touch(by, key, needed_until_us, self.watermarks.minimum_us)
        held = history.row(identity)
        event = arrived if held is None else greatest(held[2], arrived)
        if held is not None and event is held[2]:
            return
        fits = use.own.fits(event, None if held is None else held[2])
        history.put(event, fits)
        if held is None:
            self._first_rows.note(revision, needed_until_us)
            is_first = not history.may_have_dropped(event)
            if self._may_match(by, history, event, fits):
                arrival = _Arrival(key, value, event, fits, is_new=True, is_first=is_first)
                self._judge_touched(use, arrival)
            self._keep_within_cap(key, event)
            return
        fits |= held[3]
        if self._may_match(by, history, event, fits):
            arrival = _Arrival(key, value, event, fits, is_new=False, is_first=False)
            self._judge_touched(use, arrival)

    def _may_match(self, by: str, history: History, event: Event, fits: Mask) -> bool:
        """Tell whether there are events enough for some rule to match, or to have matched."""
        if len(history) == 1:
            return fits & self._fewest.fits_alone(by, event.identity.type) != 0
        return len(history) >= self._fewest.events(by, history.types)

    def _judge_touched(self, use: Use, arrival: _Arrival) -> None:
        """Judge the anchors whose match an event that has just changed could touch."""
        key, value, event, fits, is_new, is_first = arrival
        if not fits:
            return
        history = self._memory[key]
        for group in use.groups:
            for anchor, rules in group.touched(history, event, fits):
                for plan in self._to_judge(group, rules, key, value, anchor):
                    itself = anchor is event
                    parts = () if itself else plan.touched(event, fits, anchor)
                    if not (itself or parts):
                        continue
                    # A late anchor is judged once; everything else of a closed anchor stands. One
                    # that a cap has dropped may have had its final record.
                    if (itself and is_first) or not self._is_closed(plan, anchor):
                        change = None if itself else Change(event, parts, is_new)
                        self._judge(plan, key, value, anchor, change)

    def _to_judge(
        self, group: Group, rules: Mask, key: str, value: str, anchor: Event
    ) -> Iterator[Plan]:
        """Yield the plans that could match at an anchor, and those that have an alert there."""
        possible = group.possible(self._memory[key], anchor, rules)
        number = len(self._memory[key])
        for plan in group.plans(possible):
            if number >= self._fewest.of_plan[plan.number]:
                yield plan
        # Without an alert that rests on something there is none to take away.
        if key in self._resting:
            for plan in group.plans(rules & ~possible):
                if (plan.number, value, anchor.identity) in self._cases:
                    yield plan

    def _is_closed(self, plan: Plan, anchor: Event) -> bool:
        return plan.rule.closes_at(anchor.start_us) < self.watermarks.minimum_us

    def _judge(
        self, plan: Plan, key: str, value: str, anchor: Event, change: Change | None
    ) -> None:
        """Judge a plan at an anchor; `change` is what has changed, if not the anchor itself."""
        if anchor.start_us - plan.rule.span.reach_us < self._since_us:
            return
        case_key = (plan.number, value, anchor.identity)
        case = self._cases.get(case_key)
        if case is not None and case.frozen:
            return
        found = self._find(plan, self._memory[key], anchor, case, change)
        if found.match is not None:
            self._hold(key, case_key, case, found)
        elif case is not None:
            # What a cap kept from being found takes no alert away.
            if found.cut_short:
                case.freeze()
            else:
                case.state, case.match = "withdrawn", None
                self._rest(key, case_key, case, frozenset())
            self._changed[case_key] = case

    def _find(
        self,
        plan: Plan,
        history: History,
        anchor: Event,
        case: Case | None,
        change: Change | None,
    ) -> Found:
        """Return the match at an anchor, and whether some choice has not been tried for it."""
        if not history.fits(anchor, plan.signatures[plan.anchor]):
            return Found(None, cut_short=False)
        if change is None:
            found, is_whole = match(plan, history, anchor), True
        else:
            held = None if case is None else case.match
            found, is_whole = rematch(plan, history, anchor, held, change)
        self.counts["cut_short"] += found.cut_short
        # What a search has left out stays out until everything is searched again.
        name = (plan.number, anchor.identity)
        if found.cut_short:
            history.cut_short |= {name}
        elif is_whole:
            history.cut_short -= {name}
        return Found(found.match, name in history.cut_short)

    def _hold(self, key: str, case_key: CaseKey, case: Case | None, found: Found) -> None:
        number, value, _ = case_key
        plan, match = self._plans[number], found.match
        assert match is not None, "there is something to say"
        if case is not None and case.match is match:
            return
        content = self._tellers[number].content(value, match)
        is_closed = self._is_closed(plan, match.anchor)
        if is_closed:
            content["late"] = True
        if found.cut_short:
            content["truncated"] = True
        if case is None:
            case = Case(plan, value, match.anchor, content, final=is_closed)
            self._cases[case_key] = case
            # One that is final already has nothing to wait for.
            if not is_closed:
                closes_us = plan.rule.closes_at(match.anchor.start_us)
                heapq.heappush(self._closing, (closes_us, case_key))
        case.raise_with(match, content)
        self._rest(key, case_key, case, least_of_each_type(match))
        self._changed[case_key] = case

    def _rest(self, key: str, case_key: CaseKey, case: Case, events: frozenset[Identity]) -> None:
        """Note the events with which an open alert stands or falls, in place of those before."""
        resting = self._resting.setdefault(key, {})
        for identity in case.rests_on - events:
            # A cap may have dropped it.
            if left := resting.pop(identity, set()) - {case_key}:
                resting[identity] = left
        for identity in events - case.rests_on:
            resting.setdefault(identity, set()).add(case_key)
        case.rests_on = events
        if not resting:
            del self._resting[key]

    def _keep_within_cap(self, key: str, event: Event) -> None:
        history = self._memory[key]
        least = history.least_beyond(self._max_history, event.identity.type)
        if least is None:
            return
        self.counts["dropped_by_cap"] += 1
        for case_key in sorted(self._resting.get(key, {}).pop(least.identity, ())):
            case = self._cases.get(case_key)
            if case is not None and not (case.final or case.frozen):
                case.freeze()
                self._changed[case_key] = case
        history.drop(least)

    def _close(self) -> None:
        while self._closing and self._closing[0][0] < self.watermarks.minimum_us:
            _, key = heapq.heappop(self._closing)
            case = self._cases.get(key)
            if case is not None:
                case.final = True
                self._changed[key] = case

    def _write(self, revision: int) -> Iterator[Alert]:
        changed, self._changed = self._changed, {}
        several = (
            changed
            if len(changed) == 1
            else sorted(changed, key=lambda key: (changed[key].anchor.place, key))
        )
        for key in several:
            case = changed[key]
            now = (case.state, case.final, case.content)
            if case.final or (case.written is None and case.state == "withdrawn"):
                del self._cases[key]
                self._rest(key_of(case.plan.rule.by, case.key), key, case, frozenset())
            if now == case.written or case.is_silent:
                continue
            case.written = now
            yield case.record(revision, self.watermarks)
