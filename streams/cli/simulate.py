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
    events: Annotated[
        int, typer.Option(min=0, help="How many things happen; each is told by 1 or more records.")
    ] = 2_000,
    start: Annotated[
        str, typer.Option(help="Moment of the first day; the cases count from its midnight.")
    ] = "2023-07-08T00:00:00+08:00",
    hours: Annotated[int, typer.Option(min=1, help="How many hours of ordinary life.")] = 72,
    cases: Annotated[
        Literal["none", "public", "zhou", "zhao", "chen", "zhang", "xu", "fuding"],
        typer.Option(help="Put the six published cases among it, or one of them."),
    ] = "none",
    out: Annotated[Path | None, typer.Option(help="File for the log; standard output.")] = None,
) -> None:
    """Write the recorded log of a town that does not exist: ordinary life, and cases if asked for.

    Example: ringfence simulate --seed 1 --events 100000 --out town.jsonl
    """
    from rules.moment import HOUR_US, parse_moment
    from streams.failures import UsageFailure
    from streams.simulation.command import run_simulation
    from streams.simulation.log import Scenario

    try:
        start_us = parse_moment(start)
    except ValueError as error:
        raise UsageFailure(f"--start: {error}") from error
    first_us, last_us = (parse_moment(f"{year}-01-01T00:00:00Z") for year in (1971, 2261))
    if not first_us <= start_us <= start_us + hours * HOUR_US < last_us:
        raise UsageFailure(
            f'--start: {hours} h from "{start}" do not lie in the years 1971 to 2260'
        )
    run_simulation(Scenario(seed, people, events, start_us, hours, cases), out)
