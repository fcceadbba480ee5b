"""What `ringfence simulate` does around the log: the files, the progress bar and the summary."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rules.language import RuleFileError
from rules.moment import DAY_US, format_moment
from rules.timing import Timing
from streams.failures import UsageFailure
from streams.files import output
from streams.rule_files import read_texts, sentences_of
from streams.simulation.log import Line, Scenario, write_log
from streams.simulation.planted import Planted, plant, unplantable
from streams.simulation.repertoire import Repertoire, repertoire


@dataclass(frozen=True)
class Planting:
    """Which stories are planted, how often each, and where the truth about them is written."""

    rules: Path | None
    timing: Timing
    rounds: int
    truth: Path | None


def run_simulation(scenario: Scenario, planting: Planting, out: Path | None) -> None:
    """Write a scenario's log and the truth beside it, and say on stderr what it is.

    Raises:
        UsageFailure: The rule files hold mistakes, or there are none.
        OutsideFailure: A file cannot be written.
    """
    offered = _offered(planting) if planting.rounds else None
    lines = 0
    with output(out) as stream:
        happenings = (planted.happening for planted in _planted(scenario, planting, offered))
        for line in _watched(write_log(scenario, happenings), scenario):
            stream.write(line.raw + b"\n")
            lines += 1
    if planting.truth is not None:
        # Made again rather than kept: a long log needs no more memory than a short one.
        with output(planting.truth) as stream:
            for planted in _planted(scenario, planting, offered):
                stream.write(msgspec.json.encode(planted.truth) + b"\n")
    sys.stderr.write(
        f"{lines:,} records of {scenario.people:,} people and {scenario.events:,} events in"
        f" {scenario.days} days from {format_moment(scenario.start_us)}, seed {scenario.seed},"
        f" cases: {scenario.cases}{_in_words(planting, offered)}\n"
    )


def _offered(planting: Planting) -> Repertoire:
    try:
        offered = repertoire(read_texts(planting.rules), planting.timing)
    except* RuleFileError as group:
        raise UsageFailure("\n".join(sentences_of(group))) from None
    if not offered.parts:
        raise UsageFailure(
            f'--planted: no story in "{planting.rules}" alerts or is one of a confuser'
        )
    for part in unplantable(offered):
        sys.stderr.write(
            f"ringfence: warning: no {part.kind} of {part.rule.id} is planted"
            f" ('{part.stories[0].title}'): it does not hold, or wants alerts that no story of"
            " the rules on outside events gives\n"
        )
    return offered


def _planted(
    scenario: Scenario, planting: Planting, offered: Repertoire | None
) -> Iterator[Planted]:
    if offered is not None:
        yield from plant(offered, scenario.seed, planting.rounds, scenario.start_us, scenario.days)


def _in_words(planting: Planting, offered: Repertoire | None) -> str:
    if offered is None:
        return ""
    kinds = [part.kind for part in offered.parts]
    cases, confusers = kinds.count("case"), kinds.count("confuser")
    rounds = "1 round" if planting.rounds == 1 else f"{planting.rounds} rounds"
    return f"; {rounds} of {cases} cases and {confusers} confusers planted"


def _watched(lines: Iterable[Line], scenario: Scenario) -> Iterator[Line]:
    """Pass the lines on, with a bar on a terminal that shows how far event time has come."""
    if not sys.stderr.isatty():
        yield from lines
        return
    # Loaded only here: it is slow to load.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import Progress  # noqa: PLC0415 - see above

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=scenario.days)
        for number, line in enumerate(lines):
            if number % 1_000 == 0:
                done = (line.recorded_us - scenario.start_us) / DAY_US
                progress.update(task, completed=done)
            yield line
