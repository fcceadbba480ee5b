"""`python -m benchmarks`: how fast the product is, beside a bare loop and beside others."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks import floods, instructions, machine, page, program, simulated, stages
from benchmarks import reliability as storms
from benchmarks import rule_changes as changes
from benchmarks import sizing as sizes
from benchmarks import town as town_page
from benchmarks.contest import compete
from benchmarks.growth import RULES, Growth
from benchmarks.kafka import tables as on_kafka
from benchmarks.logs import Workload
from benchmarks.variants import variants, write_rules
from benchmarks.workload import Size

_ROOT: Final = Path(__file__).parents[1]
_PAGE: Final = _ROOT / "docs" / "performance.md"
_SIMULATION: Final = _ROOT / "docs" / "simulation.md"
_RELIABILITY: Final = _ROOT / "docs" / "reliability.md"
_SIZING: Final = _ROOT / "docs" / "sizing.md"
_PEOPLE: Final = (100_000, 1_000_000)
_TOWN: Final = _ROOT / "docs" / "town.md"
_RULE_CHANGES: Final = "rule changes"
_FOLDER: Final = _ROOT / "build" / "benchmarks"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Events = Annotated[int, typer.Option(min=1000, help="How many events the workload has.")]
Seed = Annotated[int, typer.Option(help="What the workload is made from.")]
Folder = Annotated[Path, typer.Option(help="Where the logs are made, and kept.")]
Out = Annotated[Path, typer.Option(help="The page whose part is replaced.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each contender runs.")]


@app.callback()
def benchmarks() -> None:
    """How fast ringfence is, on a log that is made from a seed."""


@app.command()
def replay(
    *,
    events: Events = 2_000_000,
    rounds: Rounds = 3,
    jobs: Annotated[int, typer.Option(min=2, help="For the run in several processes.")] = 2,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Out = _PAGE,
) -> None:
    """Race the product, a bare loop and others over the same log, whole processes, in turn."""
    size = Size(events, seed=seed)
    disciplines = program.contest(Workload(size, folder), jobs)
    results = compete(disciplines, rounds, say)
    tables = "\n".join(page.contest_tables(disciplines, results))
    text = f"## Replay\n\n{_about(size, rounds)}\n\n{tables}"
    page.put(out, "replay", text)
    sys.stdout.write(text)


@app.command()
def growth(
    *,
    events: Events = 2_000_000,
    rounds: Rounds = 3,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Out = _PAGE,
) -> None:
    """Measure the time per event at a tenth, once and three times the events, and by rules."""
    workload = Workload(Size(events, seed=seed), folder)
    by_events = program.by_events(workload)
    by_rules = program.by_rules(workload, RULES)
    flood = program.flood(Workload(Size(events // 2, seed=seed), folder))
    together = [*by_events, *by_rules, flood]
    measured = list(zip(together, (r[0] for r in compete(together, rounds, say)), strict=True))
    found = Growth(measured[: len(by_events)], measured[len(by_events) : -1], measured[-1])
    plot = out.with_suffix(".svg")
    plot.write_text(found.chart(RULES), encoding="utf-8")
    text = f"## Growth\n\n{_about_growth(seed, rounds)}\n\n{found.text(plot)}"
    page.put(out, "growth", text)
    sys.stdout.write(text)


@app.command()
def flood(
    *,
    events: Events = 1_000_000,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Out = _PAGE,
) -> None:
    """Flood one key in seven ways, and compare the time per event with the mean of a day."""
    workload = Workload(Size(events, seed=seed), folder)
    rules = folder / "rules-1"
    write_rules(rules, variants(1))
    text = (
        f"## Floods of one key\n\n{events:,} events within an hour under one key, of which 10,000 "
        "of a type are remembered; every alert record is written. Each line of a flood is read "
        "whole, checked and kept, where most of workload A are passed over at a look: so the "
        "engine is compared by itself, for each fact that it is told, and then whole processes. "
        "In alert floods nearly every event brings a record of an alert, which takes about half "
        f"of the engine's time. One round, processor time. On {machine.described()}.\n\n"
        f"{floods.run(events, workload.jsonl(), rules, say)}"
    )
    page.put(out, "floods", text)
    sys.stdout.write(text)


@app.command()
def simulation(
    *,
    runs: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 100_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 2,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    minutes: Annotated[float, typer.Option(help="After so long no more are begun.")] = 600.0,
    out: Annotated[Path, typer.Option(help="The page that is written.")] = _SIMULATION,
) -> None:
    """Run the worker's real code over a Kafka in memory, with crashes after any step."""
    text = "".join(simulated.tables(seed, runs, jobs, minutes, say))
    out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


@app.command()
def reliability(
    *,
    people: Annotated[int, typer.Option(min=600, help="Of each storm.")] = 42_000,
    rounds: Annotated[int, typer.Option(min=1, help="Of kills, and of zombies.")] = 10,
    flood: Annotated[int, typer.Option(min=100, help="Events of one key.")] = 50_000,
    malformed: Annotated[int, typer.Option(min=100, help="Malformed records.")] = 1_000_000,
    only: Annotated[list[storms.Part], typer.Option(help="A part of the page; repeatable.")] = [],  # noqa: B006 - typer has it so
    out: Annotated[Path, typer.Option(help="The page whose parts are replaced.")] = _RELIABILITY,
) -> None:
    """Storms on a real Kafka: kills, zombies, floods, and workers that must be caught."""
    scale = storms.Scale(people, rounds, flood, malformed)
    if not out.exists():
        for part in storms.Part:
            page.put(out, part, storms.unheard(part), storms.HEAD)
    for part in only or storms.Part:
        text = asyncio.run(storms.made(part, scale, say))
        page.put(out, part, text)
        sys.stdout.write(text)


@app.command()
def sizing(
    *,
    people: Annotated[
        list[int] | None, typer.Option(min=1000, help="Once for each number that is remembered.")
    ] = None,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Annotated[Path, typer.Option(help="The page that is written.")] = _SIZING,
) -> None:
    """Measure what a remembered row costs, and how many rows are kept."""
    text = "".join(sizes.tables(sorted(people or _PEOPLE), seed, folder, say))
    out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


@app.command()
def town(
    *,
    people: Annotated[int, typer.Option(min=10, help="How many live in it.")] = town_page.PEOPLE,
    days: Annotated[int, typer.Option(min=1, help="For how long.")] = town_page.DAYS,
    rounds: Annotated[int, typer.Option(min=1, help="Of planted cases.")] = town_page.ROUNDS,
    seed: Annotated[int, typer.Option(help="What it is made from.")] = town_page.SEED,
    out: Annotated[Path, typer.Option(help="The page that is written.")] = _TOWN,
) -> None:
    """Replay the catalogue over a simulated town: what is found, and who is troubled."""
    text = town_page.tables(people, days, rounds, seed)
    out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


@app.command()
def rule_changes(
    *,
    people: Annotated[int, typer.Option(min=300, help="Of each change.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="How often rules are changed.")] = 12,
    out: Annotated[Path, typer.Option(help="The page whose part is replaced.")] = _RELIABILITY,
) -> None:
    """Other rules on a running system, at once and by a shadow, while processes are killed."""
    text = asyncio.run(changes.text(people, rounds, say))
    page.put(out, _RULE_CHANGES, text)
    sys.stdout.write(text)


@app.command()
def kafka(
    *,
    events: Events = 1_000_000,
    rounds: Rounds = 3,
    seconds: Annotated[int, typer.Option(min=10, help="Of the run at a steady pace.")] = 30,
    per_second: Annotated[int, typer.Option(min=100, help="Its events per second.")] = 5_000,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Out = _PAGE,
) -> None:
    """Race a worker, a plain loop and others on one real Kafka: a backlog, and a steady pace."""
    backlog = Workload(Size(events, seed=seed), folder)
    steady = Size(seconds * per_second, seed=seed, pairs=seconds * per_second // 150)
    text = asyncio.run(on_kafka.tables(backlog, steady, per_second, rounds, say))
    text = f"## On Kafka\n\n{text}\nOn {machine.described()}.\n"
    page.put(out, "kafka", text)
    sys.stdout.write(text)


def _about_growth(seed: int, rounds: int) -> str:
    return (
        f"Workload A, seed {seed}; longer logs have the same people, as busy as ever, for more "
        f"hours. JSON lines, whole processes, start-up included. {rounds} rounds; medians. "
        f"On {machine.described()}."
    )


@app.command()
def profile(
    *,
    events: Events = 2_000_000,
    seed: Seed = 1,
    folder: Folder = _FOLDER,
    out: Out = _PAGE,
) -> None:
    """Show where a replay's time goes, and how many instructions a line takes."""
    workload = Workload(Size(events, seed=seed), folder)
    rules = folder / "rules-1"
    write_rules(rules, variants(1))
    about = (
        f"One rule, {events:,} events of workload A, JSON lines; start-up included. The stack is "
        "looked at every millisecond of processor time; a sample counts for the innermost "
        f"function of the project. On {machine.described()}."
    )
    text = f"## Where the time goes\n\n{about}\n\n{stages.profile(workload.jsonl(), rules)}"
    if instructions.is_countable():
        text += f"\nOne more line takes {instructions.per_line():,.0f} instructions (valgrind).\n"
    page.put(out, "profile", text)
    sys.stdout.write(text)


def _about(size: Size, rounds: int) -> str:
    return (
        f"Workload A, seed {size.seed}: {size.events:,} events of {size.persons:,} people in "
        f"{size.hours} h, {size.stranger_calls:,} answered video calls by strangers, "
        f"{size.to_new_payees:,} transfers to new payees, {size.planted:,} planted pairs. The "
        f"true matches are those of an independent brute force (`benchmarks/truth.py`); whoever "
        f"finds others gets no figure. {rounds} rounds; medians. On {machine.described()}."
    )


def say(sentence: str) -> None:
    """Tell on stderr how far it is."""
    sys.stderr.write(sentence + "\n")


if __name__ == "__main__":
    app()
