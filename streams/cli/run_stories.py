"""`ringfence test`: the stories in rule files, run through the real engine."""

from pathlib import Path
from typing import Annotated

import typer


def run_stories(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    *,
    junit: Annotated[Path | None, typer.Option(help="File for a report as JUnit XML.")] = None,
) -> None:
    """Run the stories in rule files, each in several orders of arrival with repeats.

    Example: ringfence test rules/catalog --junit stories.xml
    """
    from streams import story_command

    if not story_command.run_stories(path, junit):
        raise typer.Exit(1)
