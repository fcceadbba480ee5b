"""`ringfence simulate`: a seeded town's log, to replay, to measure with, to play with."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def simulate(
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    people: Annotated[
        int, typer.Option(min=10, max=900_000, help="How many live in the town.")
    ] = 150,
    days: Annotated[int, typer.Option(min=1, help="How many days of ordinary life.")] = 3,
    events: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many things happen, each told by 1 or more records; 4 a person and day.",
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="Moment of the first day; the cases count from its midnight.")
    ] = "2023-07-08T00:00:00+08:00",
    cases: Annotated[
        Literal["none", "public", "zhou", "zhao", "chen", "zhang", "xu", "fuding"],
        typer.Option(help="Put the six published cases among it, or one of them."),
    ] = "none",
    planted: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000,
            help="Put so many cases of every rule among it, and as many of every confuser.",
        ),
    ] = 0,
    rules: Annotated[
        Path | None,
        typer.Option(help="Whose stories are planted: a folder of rule files, or one file."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="File for what is planted and what must be found, one JSON a line."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the log; standard output.")] = None,
) -> None:
    """Write the recorded log of a town that does not exist: ordinary life, and cases if asked for.

    Example: ringfence simulate --seed 1 --people 5000 --planted 2 --truth truth.jsonl > town.jsonl
    """
    from rules.moment import DAY_US, parse_moment
    from streams.cli.common import settings_of
    from streams.failures import UsageFailure
    from streams.simulation.command import Planting, run_simulation
    from streams.simulation.log import Scenario

    if truth is not None and not planted:
        raise UsageFailure("--truth: nothing is planted, say how often with --planted")
    if truth is not None and out is not None and truth.resolve() == out.resolve():
        raise UsageFailure("--truth: that is the file of the log, name another")
    try:
        start_us = parse_moment(start)
    except ValueError as error:
        raise UsageFailure(f"--start: {error}") from error
    first_us, last_us = (parse_moment(f"{year}-01-01T00:00:00Z") for year in (1971, 2261))
    if not first_us <= start_us <= start_us + days * DAY_US < last_us:
        raise UsageFailure(
            f'--start: {days} days from "{start}" do not lie in the years 1971 to 2260'
        )
    if events is None:
        events = 4 * people * days
    settings = settings_of(rules=rules)
    planting = Planting(settings.rules, settings.timing, planted, truth)
    run_simulation(Scenario(seed, people, events, start_us, days, cases), planting, out)
