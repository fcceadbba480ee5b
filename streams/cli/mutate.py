"""`ringfence mutate`: rules changed in one place each, and whether their own stories notice."""

from pathlib import Path
from typing import Annotated

import typer


def mutate(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    *,
    min_score: Annotated[
        float, typer.Option(min=0, max=100, help="Fail if fewer in a hundred are noticed.")
    ] = 0,
    noticed: Annotated[
        bool,
        typer.Option("--noticed", help="Show those too that a story notices, with its title."),
    ] = False,
) -> None:
    """Change rules in one place at a time, and say which changes their own stories let pass.

    A bound is moved, a relation turned round, a condition, a value or a step left out. For each
    change that no story notices stands what a story would have to tell to notice it.

    Example: ringfence mutate my-rules/rent_scam.yaml --min-score 95
    """
    from streams.cli.common import settings_of
    from streams.mutate_command import run_mutants

    settings = settings_of(rules=path)
    if not run_mutants(settings, min_score, show_noticed=noticed):
        raise typer.Exit(1)
