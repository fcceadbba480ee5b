"""`ringfence replay`: recorded logs in, alerts out."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def replay(
    logs: Annotated[
        list[str], typer.Argument(help="JSON lines, plain, .gz or .zst; Parquet; - for stdin.")
    ],
    *,
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the alerts; standard output.")] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="File for what was refused, and why.")
    ] = None,
    lateness: Annotated[
        str | None, typer.Option(help="How far watermarks stay behind: 15m, or 15m,calls=1h.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Moment after which records are of the future; now.")
    ] = None,
    feeds: Annotated[
        str | None, typer.Option(help="Partitions that are there from the start: calls/0,calls/1.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that read one log of JSON lines side by side.")
    ] = 1,
    final_only: Annotated[
        bool, typer.Option("--final-only", help="Only the last record of each alert.")
    ] = False,
    signals: Annotated[
        bool, typer.Option("--signals", help="Write signals too, which only feed other rules.")
    ] = False,
    validate: Annotated[
        Literal["kept", "all"] | None,
        typer.Option(help="Check whole the records that a rule could use (kept), or all."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a record was refused.")
    ] = False,
    summary: Annotated[
        Literal["text", "json"], typer.Option(help="How the summary on stderr looks.")
    ] = "text",
) -> None:
    """Replay recorded logs through the rules: alerts as JSON lines on standard output.

    Example: ringfence replay june.jsonl.zst --out alerts.jsonl --dead-letters refused.jsonl
    """
    from streams.replay_command import ReplayRequest, run_replay

    request = ReplayRequest(
        logs=tuple(logs),
        rules=rules,
        params=params,
        out=out,
        dead_letters=dead_letters,
        lateness=lateness,
        as_of=as_of,
        feeds=feeds,
        final_only=final_only,
        signals=signals,
        summary=summary,
        jobs=jobs,
        validate=validate,
    )
    if run_replay(request) and strict:
        raise typer.Exit(1)
