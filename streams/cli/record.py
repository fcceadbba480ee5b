"""`ringfence record`: a window of topics as a log to replay."""

from pathlib import Path
from typing import Annotated

import typer


def record(
    *,
    topics: Annotated[
        str | None, typer.Option(help="Topics, comma-separated; those that the settings name.")
    ] = None,
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            help="A moment (by Kafka's timestamp), earliest, latest, or topic:partition:offset,…",
        ),
    ] = "earliest",
    end: Annotated[
        str, typer.Option("--to", help="Likewise; now is the end as it stands. Not included.")
    ] = "now",
    out: Annotated[
        Path | None, typer.Option(help="File for the log, also .gz or .zst; standard output.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="File for what can be no line of a log, and why.")
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Brokers to ask first: host:port, comma-separated.")
    ] = None,
) -> None:
    """Write what outside topics hold as a log whose replay gives the worker's alerts.

    The log holds raw personal data, as the topics do. It reads beside every group and commits
    nothing.

    Example: ringfence record --from 2026-11-27T00:00:00Z --to now --out today.jsonl.zst
    """
    from streams.cli.common import settings_of
    from streams.record_command import RecordRequest, run_record

    settings = settings_of(kafka_bootstrap_servers=bootstrap_servers)
    run_record(settings, RecordRequest(topics, begin, end, out, dead_letters))
