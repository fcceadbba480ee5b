"""What `ringfence diff` does: two rule sets over the same logs, and which clause did what."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from rules.authoring.attribution import Set, Trial
from rules.authoring.clauses import Change, Document, NoRuleError, compare, documents, renamed
from rules.authoring.difference_page import difference_page
from rules.authoring.difference_report import DifferenceReport
from rules.authoring.standings import Standings, counted
from rules.language import read_overrides
from rules.language.build import together
from rules.rule import Rule, RuleSet
from rules.timing import Timing
from streams.clock import now_us
from streams.files import output
from streams.garbage import look_seldom
from streams.logs import STDIN, open_log
from streams.replay_command import pseudonyms_of
from streams.rule_files import read_params, read_rules, read_texts
from streams.settings import Settings, load_settings
from streams.summary import Summary
from streams.variants import Replays, record_notes


@dataclass(frozen=True)
class DiffRequest:
    """The command's options, as given."""

    old: Path
    new: Path
    logs: tuple[str, ...]
    old_params: Path | None = None
    new_params: Path | None = None
    html: Path | None = None
    lateness: str | None = None
    signals: bool = False
    form: Literal["text", "json"] = "text"


@dataclass(frozen=True)
class _Side:
    """One of the two rule sets: the rules, and their files as documents."""

    name: str
    rules: RuleSet
    documents: Mapping[str, Document]


def run_diff(request: DiffRequest) -> None:
    """Write to standard output what the new rules do differently over the logs, and why.

    Raises:
        Failure: A setting, rule file, log or output is not as it should be.
    """
    settings = load_settings(os.environ, lateness=request.lateness)
    old = _side(request.old, request.old_params or settings.params, settings.timing)
    new = _side(request.new, request.new_params or settings.params, settings.timing)
    changes = compare(old.documents, new.documents)
    for name in request.logs:
        if name != STDIN:
            with open_log(name):
                # A log that is not there is named before the work, and though none is needed.
                pass
    look_seldom()
    report = _report(request, settings, (old, new), changes)
    if request.html is not None:
        with output(request.html) as stream:
            stream.write(difference_page(report).encode())
    if request.form == "json":
        sys.stdout.buffer.write(msgspec.json.encode(report.as_json()) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in report.as_lines()))


def _side(path: Path, params: Path | None, timing: Timing) -> _Side:
    rules = read_rules(path, timing, params)
    given = read_params(params)
    overrides = None if given is None else read_overrides(*given)
    name = str(path) if params is None else f"{path} with {params}"
    return _Side(name, rules, documents(read_texts(path), overrides))


def _report(
    request: DiffRequest, settings: Settings, sides: tuple[_Side, _Side], changes: list[Change]
) -> DifferenceReport:
    old, new = sides
    clauses = [clause for change in changes for clause in change.clauses]
    notes = [
        f"rule {before} is gone and rule {after} says the same: a rule's id is part of its"
        " alerts' ids, so all of them count as lost and added"
        for before, after in renamed(old.documents, new.documents)
    ]
    if not clauses:
        return DifferenceReport(old.name, new.name, (), (), 0, 0, notes)
    replays = Replays(
        request.logs, settings, pseudonyms_of(settings), now_us(), signals=request.signals
    )
    trials, summary = _tried(replays, sides, changes, settings.timing)
    differences = [each for trial in trials for each in trial.differences()]
    notes += record_notes(summary)
    if summary.late:
        notes.append(
            f"{counted(summary.late, 'record')} came late: what is still remembered then depends"
            " on all rules that are run, so a replay of all of OLD or NEW may judge otherwise"
        )
    is_open = any(not cause.smallest for each in differences for cause in each.causes)
    if is_open and not replays.can_go_on:
        notes.append("standard input was read once, so not all sets of clauses were tried")
    differences.sort(key=lambda d: (d.standing.anchor_at_us, d.standing.alert_id))
    alike = sum(
        len({*trial.known[frozenset()], *trial.known[trial.all]}) for trial in trials
    ) - len(differences)
    return DifferenceReport(
        old.name, new.name, clauses, differences, alike, summary.records, notes
    )


def _tried(
    replays: Replays, sides: tuple[_Side, _Side], changes: Sequence[Change], timing: Timing
) -> tuple[list[Trial], Summary]:
    """Try what the changes come to, one rule at a time; rules that read alerts all together."""
    second = {r.id for side in sides for r in side.rules.second_stage.rules}
    every = [_Between([change], (), timing) for change in changes if change.id not in second]
    if second:
        changed = {change.id for change in changes}
        same = [rule for rule in sides[1].rules.rules if rule.id not in changed]
        every.append(_Between(changes, same, timing, only=second))
    summary = _try(replays, every, Trial.first_sets)
    if replays.can_go_on:
        _try(replays, every, Trial.further_sets)
    return [between.trial for between in every], summary


class _Between:
    """The rule sets that lie between the two sides for some changes, and what was tried of them.

    `same` are rules that run beside them; `only` are those whose alerts are compared.
    """

    def __init__(
        self,
        changes: Sequence[Change],
        same: Sequence[Rule],
        timing: Timing,
        only: set[str] | None = None,
    ) -> None:
        self._changes = changes
        self._same = same
        self._timing = timing
        self._only = only
        self.rule_set = cache(self._made)
        clauses = [clause for change in changes for clause in change.clauses]
        self.trial = Trial(clauses, self._is_rule_set)

    def _made(self, taken: Set) -> RuleSet:
        rules = [change.rule(taken, self._timing) for change in self._changes]
        every = [*self._same, *(rule for rule in rules if rule is not None)]
        return together(every, self._timing.max_history)

    def _is_rule_set(self, taken: Set) -> bool:
        try:
            self.rule_set(taken)
        except NoRuleError:
            return False
        return True

    def keep(self, taken: Set, standings: Standings) -> None:
        """Note how the alerts stand for some clauses."""
        of = self._only
        kept = {n: s for n, s in standings.items() if of is None or s.rule in of}
        self.trial.known[taken] = kept


def _try(
    replays: Replays, every: Sequence[_Between], sets_of: Callable[[Trial], Sequence[Set]]
) -> Summary:
    """Try the sets that are asked for, all in one pass over the logs; none if none is."""
    wanted = [(between, taken) for between in every for taken in sets_of(between.trial)]
    if not wanted:
        return Summary()
    found, summary = replays.run([between.rule_set(taken) for between, taken in wanted])
    for (between, taken), standings in zip(wanted, found, strict=True):
        between.keep(taken, standings)
    return summary
