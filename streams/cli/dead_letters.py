"""`ringfence dead-letters`: what was refused, and what can be done about it."""

from typing import Annotated

import typer

dead_letters = typer.Typer(
    help="List, show (masked) and send again what was refused.", no_args_is_help=True
)

_Reason = Annotated[str | None, typer.Option(help="Only this reason, such as bad_value.")]
_Feed = Annotated[str | None, typer.Option(help="Only records of this topic.")]
_Since = Annotated[str | None, typer.Option(help="Only letters written from this moment on.")]
_Servers = Annotated[
    str | None, typer.Option(help="Brokers to ask first: host:port, comma-separated.")
]


@dead_letters.command(name="list")
def list_letters(
    *,
    reason: _Reason = None,
    feed: _Feed = None,
    since: _Since = None,
    bootstrap_servers: _Servers = None,
) -> None:
    """Write dead letters as JSON lines, one per refused record; counts by reason go to stderr.

    Example: ringfence dead-letters list --reason bad_value --since 2026-11-27T00:00:00Z
    """
    from streams.cli.common import settings_of
    from streams.dead_letters_command import Pick, run_list

    run_list(settings_of(kafka_bootstrap_servers=bootstrap_servers), Pick(reason, feed, since))


@dead_letters.command()
def show(
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="topic:partition:offset, as a letter has it.")
    ],
    *,
    bootstrap_servers: _Servers = None,
) -> None:
    """Show one refused record with its letter; identifiers and unknown values are masked.

    Example: ringfence dead-letters show calls:3:1207
    """
    from streams.cli.common import settings_of
    from streams.dead_letters_command import run_show

    run_show(settings_of(kafka_bootstrap_servers=bootstrap_servers), place)


@dead_letters.command()
def redrive(
    *,
    reason: _Reason = None,
    feed: _Feed = None,
    since: _Since = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send; else only say what would be.")] = False,
    bootstrap_servers: _Servers = None,
) -> None:
    """Send refused records again, byte for byte, to the topic in RINGFENCE_REDRIVE_TOPIC.

    That topic is your own, and one that the worker reads. Repeats change nothing.

    Example: ringfence dead-letters redrive --reason unknown_type --yes
    """
    from streams.cli.common import settings_of
    from streams.dead_letters_command import Pick, run_redrive

    settings = settings_of(kafka_bootstrap_servers=bootstrap_servers)
    run_redrive(settings, Pick(reason, feed, since), sends=yes)
