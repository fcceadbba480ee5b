"""The engine broken on purpose, a clause of its argument at a time, and which test notices it.

`python -m tests.rules.mutants` tries every mutant and writes `docs/proof.md`; with words, only
those whose clause holds one of them, and the table goes to the terminal.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[2]
TABLE = HERE / "docs" / "proof.md"
# Laws first, quickest first: a mutant is best noticed by one of them.
LAWS = (
    "test_engine_laws.py::test_final_alerts_are_those_of_the_oracle_in_a_thousand_seeded_worlds",
    "test_engine_laws.py",
)
PLAIN = (
    "test_matching.py",
    "test_history.py",
    "test_memory.py",
    "test_shelf.py",
    "test_fewest.py",
    "test_judging.py",
    "test_reach.py",
    "test_fact.py",
    "test_watermark.py",
    "test_screen.py",
    "test_window.py",
    "test_claim.py",
    "test_alert.py",
    "test_stages.py",
    "test_engine.py",
    "test_engine_remembering.py",
    "test_engine_edges.py",
    "test_engine_feeds.py",
    "test_engine_flood.py",
)
LIMIT_S = 180


class Mutant(NamedTuple):
    """One change of one file under `rules/`, and the clause of the argument that it breaks."""

    file: str
    text: str
    instead: str
    clause: str


MUTANTS = (
    Mutant(
        "engine.py",
        "event = arrived if held is None else greatest(held[2], arrived)",
        "event = arrived",
        "the greatest record is the event, not the last to arrive",
    ),
    Mutant(
        "fact.py",
        "held if held_rank > arrived_rank else arrived",
        "held if held_rank < arrived_rank else arrived",
        "the greatest record is the event, not the least",
    ),
    Mutant(
        "fact.py",
        "max(start_us, min(end_us, longest_us))",
        "max(start_us, end_us)",
        "no interval counts as longer than settle",
    ),
    Mutant(
        "reach.py",
        'self.kind == "after" and event.start_us < other.start_us',
        'self.kind == "after" and event.start_us <= other.start_us',
        "after: the first moment belongs to it",
    ),
    Mutant(
        "reach.py",
        'self.kind == "before" and event.start_us > other.start_us',
        'self.kind == "before" and event.start_us >= other.start_us',
        "before: the last moment belongs to it",
    ),
    Mutant(
        "reach.py",
        "gap_us(event, other) <= self.within_us",
        "gap_us(event, other) < self.within_us",
        "within: the closing moment belongs to it",
    ),
    Mutant(
        "reach.py",
        "self.within_us + other_longest_us",
        "self.within_us",
        "a range reaches over the longest that the other event can last",
    ),
    Mutant(
        "reach.py",
        "-self.within_us - own_longest_us",
        "-self.within_us",
        "a range reaches over the longest that the own event can last",
    ),
    Mutant(
        "reach.py",
        "_shorten(upper, names, always)",
        "_shorten(upper, names, names)",
        "what a match may do without narrows no range",
    ),
    Mutant(
        "reach.py",
        "forward_us=max(0, *(high for _, high in ranges.values()))",
        "forward_us=0",
        "an anchor waits for what may follow it",
    ),
    Mutant(
        "reach.py",
        "settle_us=max(_settle_us",
        "settle_us=min(_settle_us",
        "an anchor waits for the greatest settle of the types read",
    ),
    Mutant(
        "reach.py",
        "upper[members.name, anchor] = members.window_us + longest[anchor]",
        "upper[members.name, anchor] = members.window_us",
        "the range of the anchor set reaches over the longest that a member can last",
    ),
    Mutant(
        "rule.py",
        "return self.span.reach_us + self.span.forward_us + self.span.settle_us",
        "return self.span.reach_us + self.span.settle_us",
        "an event is kept for reach + forward + settle",
    ),
    Mutant(
        "rule.py",
        "if b.floor <= score",
        "if b.floor < score",
        "a band begins at its floor",
    ),
    Mutant(
        "history.py",
        "for at in range(bisect_left(rows, (greatest_us + 1,))",
        "for at in range(bisect_left(rows, (greatest_us,))",
        "a scan takes in the last moment of its range",
    ),
    Mutant(
        "history.py",
        "low = bisect_left(rows, (least_us,))",
        "low = bisect_left(rows, (least_us + 1,))",
        "a scan takes in the first moment of its range",
    ),
    Mutant(
        "history.py",
        "        return self._all[0]",
        "        return self._all[-1]",
        "a cap drops the least event first, not the greatest",
    ),
    Mutant(
        "history.py",
        "return dropped is not None and (event.start_us, event.identity) <= dropped",
        "return False",
        "an anchor that a cap dropped has its final record only once",
    ),
    Mutant(
        "history.py",
        "if not self._rows or self._rows[-1][1] < until_us:",
        "if not self._rows:",
        "a restart begins at the first row of the oldest event that is needed",
    ),
    Mutant(
        "history.py",
        "self._rows[0][1] < minimum_us",
        "self._rows[0][1] <= minimum_us",
        "a row is needed until the watermark has passed, not reached, its event's time",
    ),
    Mutant(
        "engine.py",
        "self._first_rows.note(revision, needed_until_us)",
        "self._first_rows.note(revision, arrived.start_us)",
        "a restart begins early enough for every event that is remembered",
    ),
    Mutant(
        "groups.py",
        "start_us - table.greatest_us, start_us - table.least_us",
        "start_us - table.greatest_us, start_us",
        "an arrival judges again every anchor that it can touch",
    ),
    Mutant(
        "engine.py",
        "            fits |= held[3]\n",
        "",
        "an event that fits no more is judged again where it did",
    ),
    Mutant(
        "groups.py",
        "least_us = min(least_us, self.least_us)",
        "least_us = max(least_us, self.least_us)",
        "rules that are asked together are asked with the earliest of their ranges",
    ),
    Mutant(
        "groups.py",
        "greatest_us = max(greatest_us, self.greatest_us)",
        "greatest_us = min(greatest_us, self.greatest_us)",
        "rules that are asked together are asked with the latest of their ranges",
    ),
    Mutant(
        "groups.py",
        "if n != plan.anchor and not (s.each and s.having)",
        "if n != plan.anchor",
        "a set that may be empty is no step that every match needs",
    ),
    Mutant(
        "groups.py",
        "                found |= table.rules(",
        "                found = table.rules(",
        "a step of several types has something to bind if one of them is there",
    ),
    Mutant(
        "groups.py",
        "                if signature & fits:\n                    found |= rule",
        "                if signature & fits:\n                    found = rule",
        "no rule is passed over for another that is asked with it",
    ),
    Mutant(
        "engine.py",
        "        if key in self._resting:\n            for plan in",
        "        if False:\n            for plan in",
        "an anchor with an alert is judged even if nothing could match there any more",
    ),
    Mutant(
        "plan.py",
        "if least_us <= distance_us <= greatest_us:",
        "if least_us < distance_us < greatest_us:",
        "an arrival touches what lies at the bounds of a range",
    ),
    Mutant(
        "history.py",
        "if len(self._by_fits) > _MOST_KINDS:\n            return -1",
        "if len(self._by_fits) > _MOST_KINDS:\n            return 0",
        "of many kinds of events it is assumed that some fits",
    ),
    Mutant(
        "judging.py",
        "self._all & ~refuted & ~left_open",
        "self._all & ~refuted",
        "unknown does not satisfy a condition on one step",
    ),
    Mutant(
        "judging.py",
        "                refuted |= leaf.signatures\n",
        "                refuted = leaf.signatures\n",
        "an event is refused by each of its conditions that is false",
    ),
    Mutant(
        "judging.py",
        '    ">=": bisect_right,\n    ">": bisect_left,',
        '    ">=": bisect_left,\n    ">": bisect_left,',
        "at least a threshold takes in the threshold",
    ),
    Mutant(
        "judging.py",
        "return rungs.refuted[self._place(rungs.values, amount)], rungs.doubts",
        "return rungs.refuted[self._place(rungs.values, amount)], 0",
        "an amount in a currency without a threshold is unknown",
    ),
    Mutant(
        "judging.py",
        "return 0, 0 if self._or_unknown else self._doubts",
        "return 0, self._doubts",
        "a condition that lets an unknown value pass does so",
    ),
    Mutant(
        "judging.py",
        "self._judge(instead_of).count -= 1",
        "self._judge(instead_of)",
        "an event is counted as it stands, once",
    ),
    Mutant(
        "engine.py",
        "return self._closing[0][0] if self._closing",
        "return self._closing[0][0] + 1 if self._closing",
        "marks may wait until an alert is due, and no longer",
    ),
    Mutant(
        "stages.py",
        "self.second.next_due_us + self._second.lag_us)",
        "self.second.next_due_us + 2 * self._second.lag_us)",
        "marks may wait until a campaign is due, and no longer",
    ),
    Mutant(
        "history.py",
        "        if self.until_us >= minimum_us:\n            return\n",
        "        if self.until_us > minimum_us:\n            return\n        minimum_us += 1\n",
        "an event is forgotten when the watermark has passed its time, not 1 µs before",
    ),
    Mutant(
        "engine.py",
        "if needed_until_us < self.watermarks.minimum_us:",
        "if needed_until_us <= self.watermarks.minimum_us:",
        "a fact at the horizon is used",
    ),
    Mutant(
        "engine.py",
        "self._closing[0][0] < self.watermarks.minimum_us",
        "self._closing[0][0] <= self.watermarks.minimum_us",
        "final means that the watermark has passed settles_at, not reached it",
    ),
    Mutant(
        "engine.py",
        "return plan.rule.closes_at(anchor.start_us) < self.watermarks.minimum_us",
        "return plan.rule.closes_at(anchor.start_us) <= self.watermarks.minimum_us",
        "an anchor is closed once settles_at has passed, not before",
    ),
    Mutant(
        "engine.py",
        "if (itself and is_first) or not self._is_closed(plan, anchor):",
        "if True:",
        "a closed anchor stands, whatever comes later",
    ),
    Mutant(
        "case.py",
        'waits = self.plan.rule.raises == "when_final" and not self.final',
        "waits = False",
        "raise: when_final is silent until it is certain",
    ),
    Mutant(
        "engine.py",
        "if now == case.written or case.is_silent:",
        "if case.is_silent:",
        "a record says something that the one before did not",
    ),
    Mutant(
        "engine.py",
        "            else:\n                case.state, case.match = ",
        "            elif case.written is None:\n                case.state, case.match = ",
        "a later fact can take a match away",
    ),
    Mutant(
        "engine.py",
        "if case is not None and case.frozen:",
        "if False:",
        "a frozen alert is judged no more",
    ),
    Mutant(
        "engine.py",
        "if case is not None and not (case.final or case.frozen):",
        "if False:",
        "an alert that has lost an event to a cap is frozen",
    ),
    Mutant(
        "case.py",
        "if held is not event and event.place < held.place:",
        "if held is not event and event.place > held.place:",
        "an alert is frozen with the first of its events that a cap drops",
    ),
    Mutant(
        "matching.py",
        "if self._best is None or score > self._best.score:",
        "if self._best is None:",
        "the highest score is reported, not the first that holds",
    ),
    Mutant(
        "matching.py",
        "if self._best is None or score > self._best.score:",
        "if self._best is None or score >= self._best.score:",
        "of equal scores the greatest binding is reported",
    ),
    Mutant(
        "matching.py",
        "        if self._plan.having[part]:\n            return True\n",
        "",
        "the search goes on while a choice could have a higher score",
    ),
    Mutant(
        "matching.py",
        "                return\n            chosen[part] = None",
        "                pass\n            chosen[part] = None",
        "no `unless` can be satisfied with the binding",
    ),
    Mutant(
        "matching.py",
        "                return\n            chosen[part] = None",
        "                return",
        "`unless` binds nothing",
    ),
    Mutant(
        "matching.py",
        "return next((e for e in fitting if not any(e is other for other in taken)), None)",
        "return next(fitting, None)",
        "`unless` and evidence take no event that a step has",
    ),
    Mutant(
        "matching.py",
        "taken = tuple([e for e in self._taken(chosen) if e.identity.type == event_type])",
        "taken = ()",
        "a set takes no event that a step has",
    ),
    Mutant(
        "matching.py",
        "if any(event is other for other in chosen):",
        "if False:",
        "no event stands twice among the steps of a binding",
    ),
    Mutant(
        "reach.py",
        "upper[anchor, members.name] = 0",
        "upper[anchor, members.name] = members.window_us or 0",
        "the members of the anchor set start no later than the anchor",
    ),
    Mutant(
        "matching.py",
        "ends_from_us = BEFORE_US if window_us is None else start_us - window_us",
        "ends_from_us = BEFORE_US if window_us is None else start_us - window_us + 1",
        "the window of the anchor set takes in its first moment",
    ),
    Mutant(
        "matching.py",
        "ends_from_us = BEFORE_US if window_us is None else start_us - window_us",
        "ends_from_us = BEFORE_US",
        "the anchor set has a window",
    ),
    Mutant(
        "matching.py",
        "if part == plan.anchor and not members.has(self._anchor):",
        "if False:",
        "the anchor is a member of its own set",
    ),
    Mutant(
        "matching.py",
        "if not (members or plan.having[part]):",
        "if False:",
        "a set without `having` has a member",
    ),
    Mutant(
        "matching.py",
        "return all(_all_true(plan.having[part], chosen) for part in plan.sets)",
        "return True",
        "every set fulfils its `having`",
    ),
    Mutant(
        "matching.py",
        "        if judge(chosen) is not True:\n",
        "        if judge(chosen) is False:\n",
        "unknown does not satisfy a condition on two steps",
    ),
    Mutant(
        "judging.py",
        "        if event.gone:\n            return self._gone\n",
        "",
        "the second stage sees no alert that was withdrawn",
    ),
    Mutant(
        "stages.py",
        "            if key not in keys:\n                yield Fact(key, gone)",
        "            pass",
        "an alert is taken back from a key that it no longer names",
    ),
    Mutant(
        "stages.py",
        "return minimum_us - second_stage.lag_us",
        "return minimum_us",
        "the second stage waits for the alerts of the first",
    ),
    Mutant(
        "stages.py",
        "sequence=alert.revision,",
        "sequence=0,",
        "an alert that changes replaces its predecessor",
    ),
    Mutant(
        "screen.py",
        "return not field.open and field.kind is not Kind.PSEUDONYM",
        "return field.kind is not Kind.PSEUDONYM",
        "the screen judges no open field",
    ),
    Mutant(
        "alternatives.py",
        "({source} or {factored(others, passes)})",
        "({source} and {factored(others, passes)})",
        "one rule that could use a record is enough",
    ),
    Mutant(
        "watermark.py",
        "min(self._by_partition.values())",
        "max(self._by_partition.values())",
        "the least of all watermarks counts",
    ),
    Mutant(
        "watermark.py",
        "self._by_partition.setdefault(partition, self.minimum_us)",
        "self._by_partition.setdefault(partition, NEVER_US)",
        "a partition first met later starts at the minimum as it stands",
    ),
    Mutant(
        "tally.py",
        "return len(self._counts) or None",
        "return sum(self._counts.values()) or None",
        "count(x.field) counts distinct values",
    ),
    Mutant(
        "matching.py",
        "or (held is not None and _is_hit(plan, held, part, change.event)):",
        "or False:",
        "a new event under `unless` can take the held match away",
    ),
    Mutant(
        "matching.py",
        "        elif not change.is_new or (",
        "        elif (",
        "an `unless` whose event changes may bring back what it took away",
    ),
    Mutant(
        "matching.py",
        "if held is not None and not change.is_new and held.rests_on(change.event):",
        "if False:",
        "a match is searched anew if an event that it rests on changes",
    ),
    Mutant(
        "matching.py",
        "        if plan.rule.parts[part].each:\n            return match(plan",
        "        if False:\n            return match(plan",
        "a match is searched anew if a set may have changed",
    ),
    Mutant(
        "matching.py",
        "return held is None or found.score > held.score",
        "return held is None",
        "a binding with a new event is reported for its higher score",
    ),
    Mutant(
        "matching.py",
        "return _places(plan, found) >= _places(plan, held)",
        "return True",
        "of equal scores the held binding stays if it is greater",
    ),
    Mutant(
        "matching.py",
        "return _places(plan, found) >= _places(plan, held)",
        "return _places(plan, found) > _places(plan, held)",
        "the held binding takes in a greater event as evidence",
    ),
    Mutant(
        "matching.py",
        "    if plan.has_sets and best is not None and best is not held:\n"
        "        best = _Search(plan, history, anchor).bind_again(best)\n",
        "",
        "the best of several searches has the members of its own sets",
    ),
    Mutant(
        "matching.py",
        "    if plan.has_sets and best is not None:\n        best = search.bind_again(best)\n",
        "",
        "the best of one search has the members of its own sets",
    ),
    Mutant(
        "matching.py",
        "            if not self._history.fits(event, self._plan.signatures[part]):",
        "            if False:",
        "what does not fit a part any more is not bound to it",
    ),
    Mutant(
        "matching.py",
        "islice(fitting, len(self._plan.single) + 1)",
        "islice(fitting, 1)",
        "where the greatest evidence is taken by a step, the next one counts",
    ),
    Mutant(
        "matching.py",
        "from_us = ends_from_us - max([rows.longest_us for rows in several])",
        "from_us = ends_from_us",
        "candidates that began before a bound may reach into it",
    ),
    Mutant(
        "matching.py",
        "    if plan.has_sets and best is not None and best is not held:",
        "    best = match(plan, history, anchor).match\n"
        "    if plan.has_sets and best is not None and best is not held:",
        "where one event has come, not everything is searched again",
    ),
    Mutant(
        "matching.py",
        "        if not rows.are_many:\n",
        "        if True:\n",
        "the members of a great set are not looked up one by one",
    ),
    Mutant(
        "plan.py",
        "return rule.index[step] if step == own else place_of(rule, step)",
        "return place_of(rule, step)",
        "a member of the anchor's set is asked for its own gap, not the anchor's",
    ),
    Mutant(
        "plan.py",
        "not in asked or judge(chosen)",
        "in asked and judge(chosen)",
        "an entry of `either` asks nothing of what fits another entry",
    ),
    Mutant(
        "history.py",
        "new[2].end_us - new[0] > self.longest_us:",
        "new[2].end_us - new[0] < self.longest_us:",
        "it is known how long the longest event lasts",
    ),
    Mutant(
        "window.py",
        "            for row in self._entering(old, limits):\n                self._let_in(row)\n",
        "",
        "what comes within the limits of a set enters it",
    ),
    Mutant(
        "window.py",
        "while self._ends and self._ends[0][0] < limits.ends_from_us:",
        "while False:",
        "what ends too early leaves a set",
    ),
    Mutant(
        "window.py",
        "                self.replace(None, self._source.row(event))\n",
        "                pass\n",
        "what a step has set free is a member again",
    ),
    Mutant(
        "window.py",
        "        if new is not None and new[3] & self._signature:",
        "        if new is not None:",
        "only what fits a set enters it",
    ),
    Mutant(
        "window.py",
        "            yield from self._starting(BEFORE_US, old.ends_from_us)",
        "            pass",
        "what ends late enough for earlier limits enters a set",
    ),
    Mutant(
        "history.py",
        "                window.replace(old, new)\n",
        "                pass\n",
        "a set that is kept hears of every change",
    ),
    Mutant(
        "memory.py",
        "        held.forget_until(minimum_us, self._keep_us[by])\n        self._recent",
        "        self._recent",
        "what is needed no more is not used, though it is still there",
    ),
    Mutant(
        "memory.py",
        "not held.is_plain or ",
        "",
        "a history that is more than its events is not put to rest",
    ),
    Mutant(
        "memory.py",
        "                event = greatest(held[2], event)\n",
        "                pass\n",
        "of several unread rows of one event the greatest is the event",
    ),
    Mutant(
        "memory.py",
        " and not self._fewest.may_match_alone(sealed)",
        "",
        "what may be a match by itself is read at once",
    ),
    Mutant(
        "memory.py",
        "            if self._shelf.may_have(key):\n                return False\n",
        "",
        "what comes to a history at rest is not put beside it unread",
    ),
    Mutant(
        "memory.py",
        "use.own.fits(event, event)",
        "use.own.fits(event)",
        "what was at rest is not counted again",
    ),
    Mutant(
        "memory.py",
        "min(most_rows, _MOST_ROWS)",
        "_MOST_ROWS",
        "no more unread rows are put aside than a cap allows",
    ),
    Mutant(
        "shelf.py",
        " if other == key), None)",
        "), None)",
        "of the histories in a chunk that of the key is taken",
    ),
    Mutant(
        "shelf.py",
        "if place in placed or place in self._chunks:",
        "if place in placed:",
        "a key whose place another has is not put on the shelf",
    ),
    Mutant(
        "shelf.py",
        "self._until[0][0] < minimum_us",
        "self._until[0][0] <= minimum_us",
        "what is at rest is forgotten no earlier than anything else",
    ),
    Mutant(
        "shelf.py",
        "                if self._chunks.get(place) is chunk:\n                    self._leave",
        "                if True:\n                    self._leave",
        "what was taken from a chunk is not left in it",
    ),
    Mutant(
        "fewest.py",
        "return value + _MORE[op]",
        "return value + _MORE[op] + 1",
        "a set takes no more events than its condition asks for",
    ),
    Mutant(
        "fewest.py",
        "len(plan.single) + max(of_sets",
        "len(plan.single) + 1 + max(of_sets",
        "a match takes no more events than it has steps",
    ),
    Mutant(
        "fewest.py",
        "spec.kind in _AS_WRITTEN and not spec.derived",
        "True",
        "unread, only what is written as conditions see it can fail one",
    ),
    Mutant(
        "engine.py",
        "return fits & self._fewest.fits_alone(by, event.identity.type) != 0",
        "return False",
        "a single event is judged where it may be a match by itself",
    ),
    Mutant(
        "engine.py",
        "len(history) >= self._fewest.events(by, history.types)",
        "len(history) > self._fewest.events(by, history.types)",
        "a change is judged once there are enough events for some match",
    ),
    Mutant(
        "engine.py",
        "if number >= self._fewest.of_plan[plan.number]:",
        "if number > self._fewest.of_plan[plan.number]:",
        "a rule is asked once there are enough events for its match",
    ),
    Mutant(
        "engine.py",
        "            self._first_rows.note(revision, until_us)\n",
        "            pass\n",
        "a rebuild begins no later than at the first unread row still needed",
    ),
)


class Verdict(NamedTuple):
    """Which test noticed a mutant, if any, and whether that is a law."""

    mutant: Mutant
    test: str
    is_law: bool


def try_out(mutant: Mutant) -> Verdict:
    """Break a copy of the engine, and run its tests there until one fails."""
    with tempfile.TemporaryDirectory() as folder:
        _break(mutant, Path(folder))
        for files, is_law in ((LAWS, True), (PLAIN, False)):
            test = _first_failure(Path(folder), files)
            if test:
                sys.stderr.write(f"{mutant.clause}: {test}\n")
                return Verdict(mutant, test, is_law)
    sys.stderr.write(f"{mutant.clause}: NOT NOTICED\n")
    return Verdict(mutant, "", is_law=False)


def _break(mutant: Mutant, folder: Path) -> None:
    for name in ("rules", "tests"):
        shutil.copytree(
            HERE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "streams")
        )
    shutil.copy(HERE / "pyproject.toml", folder)
    path = folder / "rules" / mutant.file
    text = path.read_text()
    assert text.count(mutant.text) == 1, f"{mutant.file} has not once: {mutant.text}"
    path.write_text(text.replace(mutant.text, mutant.instead))


def _first_failure(folder: Path, files: Sequence[str]) -> str:
    found = [f"tests/rules/{file}" for file in files]
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--hypothesis-seed=1"]
    command = [sys.executable, "-m", "pytest", *options, *found]
    environment = {**os.environ, "RINGFENCE_TEST_UNSHRUNK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"none of {', '.join(files)} came to an end"
    failed = re.search(r"^(?:FAILED|ERROR) tests/rules/\S+?::(\S+)", done.stdout, re.MULTILINE)
    assert failed or done.returncode == 0, done.stdout
    return failed[1] if failed else ""


_INTRODUCTION = """\
# Proof of the engine

The laws of `tests/rules/test_engine_laws.py` hold the engine against a matcher that tries
everything (`tests/rules/oracle.py`). To know that they would notice, the engine is broken on
purpose, one clause of its argument at a time, and its tests are run, the laws first.
`python -m tests.rules.mutants` writes this page.
"""


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the page with one line for each mutant."""
    laws = sum(verdict.is_law for verdict in verdicts)
    noticed = sum(bool(verdict.test) for verdict in verdicts)
    by = f"{laws} by a law, {noticed - laws} only by a test of one example"
    lines = [
        _INTRODUCTION,
        f"{len(verdicts)} mutants, {noticed} noticed: {by}.\n",
        "| clause | broken in | noticed by | a law |",
        "|---|---|---|---|",
    ]
    for mutant, test, is_law in verdicts:
        name = f"`{_readable(test)}`" if test else "**nothing**"
        law = "yes" if is_law else "no"
        lines.append(f"| {mutant.clause} | `rules/{mutant.file}` | {name} | {law} |")
    return "\n".join(lines) + "\n"


def _readable(test: str) -> str:
    return re.sub(r"^test_law_holds\[(.*)\]$", r"\1", test).replace("|", "\\|")


def main() -> None:
    """Try the mutants, two at a time, and write the table."""
    words = sys.argv[1:]
    chosen = [m for m in MUTANTS if not words or any(w in m.clause for w in words)]
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(try_out, chosen))
    text = table(verdicts)
    sys.stdout.write(text)
    if not words:
        TABLE.write_text(text)
    if not all(verdict.test for verdict in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main()
