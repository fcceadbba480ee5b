"""What `ringfence backtest` does: recorded logs and outcomes in, what each rule was worth out."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from rules.authoring.backtest import Ground, Result, results, shortfalls
from rules.authoring.standings import Standings, counted
from rules.authoring.sweep import Sweep, SweepError, read_sweep, sweep_chart, sweep_lines
from rules.language import Overrides, RuleFileError, check_files, load_rules, read_overrides
from rules.rule import RuleSet
from streams.clock import now_us
from streams.failures import UsageFailure
from streams.files import output
from streams.garbage import look_seldom
from streams.logs import open_log
from streams.replay_command import pseudonyms_of
from streams.rule_files import read_params, read_rules, read_texts, sentences_of
from streams.settings import Settings, load_settings
from streams.summary import Summary
from streams.variants import Replays, record_notes
from streams.watching import Watch, owners

_SHOWN = 5


@dataclass(frozen=True)
class BacktestRequest:
    """The command's options, as given."""

    logs: tuple[str, ...]
    outcomes: str | None = None
    rules: Path | None = None
    params: Path | None = None
    lateness: str | None = None
    min_precision: Decimal | None = None
    max_rate: Decimal | None = None
    sweep: str | None = None
    chart: Path | None = None
    form: Literal["text", "json"] = "text"


@dataclass(frozen=True)
class _Found:
    """What a backtest has found: of each rule, and of the parameter that was varied."""

    rules: Sequence[Result]
    sweep: Sweep | None
    values: Sequence[Result]
    records: int
    ground: Ground
    notes: Sequence[str]

    def as_json(self) -> dict[str, object]:
        whole: dict[str, object] = {
            "records": self.records,
            "people": self.ground.people,
            "days": round(self.ground.days, 6),
            "outcomes": len(self.ground.verdicts),
            "rules": [result.as_json() for result in self.rules],
            "notes": list(self.notes),
        }
        if self.sweep is not None:
            pairs = zip(self.sweep.values, self.values, strict=True)
            told = self.sweep.told
            whole["sweep"] = {
                "parameter": self.sweep.name,
                "values": [{"value": told(v), **result.as_json()} for v, result in pairs],
            }
        return whole

    def as_lines(self) -> list[str]:
        people = "1 person" if self.ground.people == 1 else f"{self.ground.people:,} people"
        said = (
            f"{counted(self.records, 'record')} of {people} in {self.ground.days:.1f} days;"
            f" outcomes of {counted(len(self.ground.verdicts), 'alert')}"
        )
        lines = [said, *(line for result in self.rules for line in result.as_lines())]
        if self.sweep is not None:
            lines += sweep_lines(self.sweep, self.values)
        return [*lines, *(f"note: {note}" for note in self.notes)]


def run_backtest(request: BacktestRequest) -> bool:
    """Write to standard output what each rule was worth; tell whether all keep to the thresholds.

    Raises:
        Failure: A setting, rule file, log, the outcomes or the sweep are not as they should be.
    """
    settings = load_settings(
        os.environ, rules=request.rules, params=request.params, lateness=request.lateness
    )
    rule_set = read_rules(settings.rules, settings.timing, settings.params)
    sweep, varied = _sweep(request, settings)
    watch = Watch(settings)
    notes = list(_read_outcomes(request.outcomes, watch))
    look_seldom()
    found = _measured(request, settings, (rule_set, sweep, varied), watch, notes)
    if request.chart is not None and found.sweep is not None:
        with output(request.chart) as stream:
            stream.write(sweep_chart(found.sweep, found.values).encode())
    if request.form == "json":
        sys.stdout.buffer.write(msgspec.json.encode(found.as_json()) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in found.as_lines()))
    sys.stdout.flush()
    sentences = list(shortfalls(found.rules, request.min_precision, request.max_rate))
    sys.stderr.write("".join(f"ringfence: {sentence}\n" for sentence in sentences))
    return not sentences


def _sweep(request: BacktestRequest, settings: Settings) -> tuple[Sweep | None, Sequence[RuleSet]]:
    """Return what is to be varied, and the rules for each value: the one alone if it can be."""
    if request.sweep is None:
        if request.chart is not None:
            raise UsageFailure("--chart: there is nothing to draw without --sweep")
        return None, ()
    texts, params = read_texts(settings.rules), read_params(settings.params)
    given = None if params is None else read_overrides(*params)
    try:
        sweep = read_sweep(request.sweep, check_files(texts, settings.timing, given))
    except SweepError as error:
        raise UsageFailure(f"--sweep: {error}") from error
    each = [_varied(sweep, value, texts, given, settings) for value in sweep.values]
    alone = [
        replace(rules, rules=tuple(r for r in rules.rules if r.id == sweep.rule)) for rules in each
    ]
    return sweep, each if alone[0].second_stage.rules else alone


def _varied(
    sweep: Sweep,
    value: Decimal,
    texts: Mapping[str, str],
    given: Overrides | None,
    settings: Settings,
) -> RuleSet:
    try:
        return load_rules(texts, settings.timing, sweep.overrides(value, given))
    except* RuleFileError as group:
        said = "\n".join(sentences_of(group))
        raise UsageFailure(f"--sweep: at {sweep.told(value)} this is no rule: {said}") from None


def _read_outcomes(name: str | None, watch: Watch) -> Iterable[str]:
    """Note all outcomes of a file, and yield what is to be said of its other lines."""
    if name is None:
        return
    lines = refused = 0
    first = ""
    with open_log(name) as log:
        for number, line in enumerate(log.lines(), 1):
            if not line.strip():
                continue
            lines += 1
            refusal = watch.outcome(line)
            if refusal is not None:
                refused += 1
                field = f" {refusal.field}" if refusal.field else ""
                first = first or f"line {number}: {refusal.reason}{field}, {refusal.detail}"
    if lines and not watch.outcomes:
        why = f"; {first}" if first else ", though it holds other events: is it a log?"
        raise UsageFailure(f'--outcomes: "{name}" holds no outcome in {lines:,} lines{why}')
    if refused:
        what = counted(refused, "line")
        yield f'{what} of "{name}" not used, against the event contract; the first is {first}'


def _measured(
    request: BacktestRequest,
    settings: Settings,
    asked: tuple[RuleSet, Sweep | None, Sequence[RuleSet]],
    watch: Watch,
    notes: list[str],
) -> _Found:
    rule_set, sweep, varied = asked
    replays = Replays(
        request.logs,
        settings,
        pseudonyms_of(settings),
        now_us(),
        make_ingest=watch.ingest,
        watch=watch.log,
    )
    (base, *values), summary = replays.run([rule_set, *varied])
    ground = _ground(replays, (base, *values), rule_set, watch, summary)
    found = results([rule.id for rule in rule_set.rules if not rule.is_signal], base, ground)
    of_values = [
        result
        for standings in values
        for result in results([sweep.rule if sweep else ""], standings, ground)
    ]
    notes += _notes(summary, watch, ground, replays)
    return _Found(found, sweep, of_values, summary.records, ground, notes)


def _ground(
    replays: Replays,
    every: Sequence[Standings],
    rule_set: RuleSet,
    watch: Watch,
    summary: Summary,
) -> Ground:
    verdicts = watch.outcomes.verdicts()
    known = {n: s.rule for standings in every for n, s in standings.items()}
    strangers = verdicts.keys() - known.keys()
    if strangers and replays.can_go_on:
        known |= owners(strangers, rule_set.rules, replays.logs)
    calls, bank, both = summary.people
    return Ground(verdicts, known, watch.gone_at_us, calls + bank - both, watch.span_us)


def _notes(summary: Summary, watch: Watch, ground: Ground, replays: Replays) -> Iterable[str]:
    """Yield what a reader of the figures has to know."""
    yield from record_notes(summary)
    if summary.people_are_sampled:
        yield "the number of people is estimated from a sample"
    if not ground.verdicts:
        yield "there are no outcomes, so precision and recall are unknown"
        return
    yield (
        "recall counts only frauds of which an outcome names an alert; one that no rule has ever"
        " raised is in no outcome"
    )
    if watch.outcomes.nameless:
        nameless = counted(watch.outcomes.nameless, "outcome")
        yield f"{nameless} without an alert's id: nothing can be said of those"
    several = list(watch.outcomes.contradictions())
    for own_id, counts, others in several[:_SHOWN]:
        yield (
            f"outcomes of alert {own_id} contradict each other: {counts} counts, since its record"
            f" is the greatest, and not {' or '.join(others)}"
        )
    if len(several) > _SHOWN:
        yield f"so do those of {counted(len(several) - _SHOWN, 'alert')} more"
    strangers = sorted(ground.verdicts.keys() - ground.owners.keys())
    if strangers:
        more = ", …" * (len(strangers) > _SHOWN)
        why = "" if replays.can_go_on else " (standard input cannot be searched for their events)"
        yield (
            f"outcomes name {counted(len(strangers), 'alert')} that no rule here could raise over"
            f" these logs{why}, so they count for nothing: {', '.join(strangers[:_SHOWN])}{more}"
        )
