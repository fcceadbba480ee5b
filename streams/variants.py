"""Several rule sets replayed over the same recorded logs, and how their alerts stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rules.alert import Alert
from rules.authoring.side_by_side import SideBySide
from rules.authoring.standings import Standing, Standings, counted, standing_of, updated
from rules.rule import RuleSet
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
        assert self.can_go_on, "whoever asks for another pass has to see whether there can be one"
        self.passes += 1
        every = SideBySide(rule_sets, self.settings.timing)
        ingest = self.make_ingest(every.rule_set, self.settings, self.pseudonyms)
        replay = Replay(
            every.rule_set,
            ingest,
            self.settings.lateness_us,
            as_of_us=self.as_of_us,
            make_engine=every.engine,
        )
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
        return every.standings(found), summary


def record_notes(summary: Summary) -> Iterator[str]:
    """Yield what a reader of a report has to know of the records that it rests on."""
    if not summary.records:
        yield "the logs hold no records"
    refused = summary.refused.total()
    if refused:
        breaks = "breaks" if refused == 1 else "break"
        yield f"{counted(refused, 'record')} {breaks} the event contract and counted for nothing"
