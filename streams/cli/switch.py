"""`ringfence switch`: other rules, topics or another key on a running system."""

from pathlib import Path
from typing import Annotated

import typer


def switch(
    *,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Run it beside the current one, to be compared.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Tell what the shadow raises differently.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --compare: one JSON object.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make the shadow the current epoch.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Let the shadow go.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Tell of every epoch, as JSONL.")
    ] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for workers: 10m, or 0s.")] = "10m",
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Brokers to ask first: host:port, comma-separated.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
) -> None:
    """Start an epoch: other rules, topics or another key than those that run.

    Give it the settings of the new workers. Workers of the old epoch leave by themselves; start
    those of the new one. Interrupted at any point, run it again: it goes on where it was.

    Example: ringfence switch --rules my-rules --shadow
    """
    import asyncio
    import logging
    import sys

    from streams.cli.common import settings_of
    from streams.switch_command import run_switch, seconds_of, wish_of

    wish = wish_of(shadow=shadow, compare=compare, promote=promote, drop=drop, status=status)
    settings = settings_of(kafka_bootstrap_servers=bootstrap_servers, rules=rules, params=params)

    # What it meets on the way is said in our own words, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    def say(sentence: str) -> None:
        sys.stderr.write(f"ringfence: {sentence}\n")

    doing = run_switch(settings, wish, as_json=as_json, patience_s=seconds_of(wait), say=say)
    for line in asyncio.run(doing):
        typer.echo(line)
