"""`ringfence topics`: the topics that a worker needs."""

from pathlib import Path
from typing import Annotated

import typer

topics = typer.Typer(help="Make the topics that a worker needs.", no_args_is_help=True)


@topics.callback()
def _topics() -> None:
    """Keep `create` a command of its own while it is the only one."""


@topics.command()
def create(
    *,
    partitions: Annotated[int, typer.Option(min=1, help="Of each topic that is made.")] = 4,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Brokers that hold each; 3, or all there are.")
    ] = None,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Make the outside topics too, for a trial.")
    ] = False,
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
    """Make the topics that are missing; the worker makes none.

    The facts log belongs to one epoch: the rules, the pseudonym key and the outside topics go
    into its name, so give this command the settings of the worker.

    Example: ringfence topics create --partitions 12 --replication 3
    """
    import asyncio
    import sys

    from streams.cli.common import settings_of
    from streams.rule_files import read_rules
    from streams.topics import create_topics

    settings = settings_of(kafka_bootstrap_servers=bootstrap_servers, rules=rules, params=params)
    rule_set = read_rules(settings.rules, settings.timing, settings.params)
    result = asyncio.run(
        create_topics(
            settings, rule_set, partitions=partitions, replication=replication, inputs=inputs
        )
    )
    for verb, found in (("made", result.made), ("was there", result.found)):
        for name, count in found.items():
            plural = "partition" if count == 1 else "partitions"
            sys.stderr.write(f"{verb}: {name}, {count} {plural}\n")
    if result.refused is not None:
        raise result.refused
