"""`ringfence pseudonym`: one value's pseudonym, as ingest makes it."""

from typing import Annotated

import typer


def pseudonym(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="person, caller (handle), payee (account), device, meeting, package or domain.",
        ),
    ],
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help="As records have it, or - for standard input."),
    ],
) -> None:
    """Say which pseudonym stands for a value in facts and alerts.

    Of - every line of standard input is a value, and every answer a JSON line; so no value lands
    in the shell's history.

    Example: ringfence pseudonym person - < people.txt
    """
    from streams.cli.common import settings_of
    from streams.pseudonym_command import run_pseudonym

    run_pseudonym(settings_of(), kind, value)
