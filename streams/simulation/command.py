"""What `ringfence simulate` does around the log: the file, the progress bar and the summary."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rules.moment import HOUR_US, format_moment
from streams.files import output
from streams.simulation.log import Line, Scenario, write_log


def run_simulation(scenario: Scenario, out: Path | None) -> None:
    """Write a scenario's log, and say on stderr what it is.

    Raises:
        OutsideFailure: The file cannot be written.
    """
    lines = 0
    with output(out) as stream:
        for line in _watched(write_log(scenario), scenario):
            stream.write(line.raw + b"\n")
            lines += 1
    sys.stderr.write(
        f"{lines:,} records of {scenario.people:,} people and {scenario.events:,} events in"
        f" {scenario.hours} h from {format_moment(scenario.start_us)}, seed {scenario.seed},"
        f" cases: {scenario.cases}\n"
    )


def _watched(lines: Iterable[Line], scenario: Scenario) -> Iterator[Line]:
    """Pass the lines on, with a bar on a terminal that shows how far event time has come."""
    if not sys.stderr.isatty():
        yield from lines
        return
    # Loaded only here: it is slow to load.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import Progress  # noqa: PLC0415 - see above

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=scenario.hours)
        for number, line in enumerate(lines):
            if number % 1_000 == 0:
                done = (line.recorded_us - scenario.start_us) / HOUR_US
                progress.update(task, completed=done)
            yield line
