"""`ringfence check`: rule files read and typed, and what each rule costs to keep, in words."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    *,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
) -> None:
    """Read and type-check rule files: every mistake at once, or what each rule keeps.

    Of a stable rule it says which stories are missing as well.

    Example: ringfence check rules/catalog
    """
    from rules.authoring.keeping import in_words
    from rules.authoring.missing import missing_stories
    from streams.cli.common import settings_of
    from streams.failures import UsageFailure
    from streams.rule_files import read_rules, read_texts

    settings = settings_of(rules=path, params=params)
    try:
        rule_set = read_rules(settings.rules, settings.timing, settings.params)
    except UsageFailure as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    for line in in_words(rule_set):
        typer.echo(line)
    missing = missing_stories(read_texts(settings.rules), settings.timing)
    for mistake in missing:
        typer.echo(str(mistake), err=True)
    if missing:
        raise typer.Exit(1)
