"""Several rule sets replayed over the same recorded logs, and how their alerts stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from rules.alert import Alert, alert_id
from rules.authoring.standings import Standing, Standings, counted, standing_of, updated
from rules.rule import Rule, RuleSet
from rules.watermark import END_US
from streams.ingest import Ingest
from streams.logs import STDIN, Log, open_log
from streams.replay import Replay
from streams.replay_command import progress_of
from streams.settings import Settings
from streams.summary import Summary
from streams.wire.pseudonyms import Pseudonyms

MakeIngest = Callable[[RuleSet, Settings, Pseudonyms], Ingest]
OpenLog = Callable[[Log], Log]


def _plain_ingest(rule_set: RuleSet, settings: Settings, pseudonyms: Pseudonyms) -> Ingest:
    validates_all = settings.validates == "all"
    return Ingest(rule_set, settings.timing, pseudonyms, validates_all=validates_all)


@dataclass
class Replays:
    """Replays rule sets over the same logs.

    `passes` counts how often these have been read.

    Rules on outside events know nothing of each other, so those of all sets share one pass, each
    distinct one judged once. Where some rule reads alerts, each set has a pass of its own.
    """

    logs: Sequence[str]
    settings: Settings
    pseudonyms: Pseudonyms
    as_of_us: int
    signals: bool = False
    make_ingest: MakeIngest = _plain_ingest
    watch: OpenLog = lambda log: log
    passes: int = 0

    @property
    def can_go_on(self) -> bool:
        """Whether the logs can be read once more."""
        return not self.passes or STDIN not in self.logs

    def run(self, rule_sets: Sequence[RuleSet]) -> tuple[list[Standings], Summary]:
        """Return how the alerts of each rule set stand at the end, and what was counted.

        Raises:
            OutsideFailure: A log cannot be read.
        """
        if any(rule_set.second_stage.rules for rule_set in rule_sets):
            each = [self._pass(rule_set) for rule_set in rule_sets]
            return [standings for standings, _ in each], each[-1][1]
        named: dict[tuple[str, str], Rule] = {}
        for rule in (rule for rule_set in rule_sets for rule in rule_set.rules):
            # No rule's own id has such a sign in it.
            name = f"{rule.id}~{len(named)}"
            named.setdefault((rule.id, rule.digest), replace(rule, id=name))
        every = RuleSet(tuple(sorted(named.values(), key=lambda rule: rule.id)))
        own_rules = {
            named[rule.id, rule.digest].id: rule for each in rule_sets for rule in each.rules
        }
        standings, summary = self._pass(every)
        by_rule: dict[str, dict[str, Standing]] = {}
        for standing in standings.values():
            rule = own_rules[standing.rule]
            own_id = alert_id(rule, standing.anchor, standing.person)
            own = replace(standing, rule=rule.id, alert_id=own_id)
            by_rule.setdefault(standing.rule, {})[own_id] = own
        found: list[Standings] = []
        for rule_set in rule_sets:
            names = [named[rule.id, rule.digest].id for rule in rule_set.rules]
            found.append({n: s for name in names for n, s in by_rule.get(name, {}).items()})
        return found, summary

    def _pass(self, rule_set: RuleSet) -> tuple[Standings, Summary]:
        assert self.can_go_on, "whoever asks for another pass has to see whether there can be one"
        self.passes += 1
        ingest = self.make_ingest(rule_set, self.settings, self.pseudonyms)
        replay = Replay(rule_set, ingest, self.settings.lateness_us, as_of_us=self.as_of_us)
        found: dict[str, Standing] = {}

        def note(alert: Alert) -> None:
            if alert.is_signal and not self.signals:
                return
            before = found.get(alert.alert_id)
            # What is written at the end of the logs would have been written once it was certain.
            is_end = alert.revision == replay.summary.lines + 1
            now_us = max(replay.now_us, alert.settles_at_us if is_end else -END_US)
            found[alert.alert_id] = (
                standing_of(alert, now_us) if before is None else updated(before, alert)
            )

        with ExitStack() as stack:
            logs = [self.watch(stack.enter_context(open_log(name))) for name in self.logs]
            stack.enter_context(progress_of(logs, replay.summary))
            summary = replay.run(logs, note, lambda _letter: None)
        return found, summary


def record_notes(summary: Summary) -> Iterator[str]:
    """Yield what a reader of a report has to know of the records that it rests on."""
    if not summary.records:
        yield "the logs hold no records"
    refused = summary.refused.total()
    if refused:
        breaks = "breaks" if refused == 1 else "break"
        yield f"{counted(refused, 'record')} {breaks} the event contract and counted for nothing"
