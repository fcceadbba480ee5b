"""`ringfence check`: rule files read and typed, and what each rule costs to keep, in words."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
) -> None:
    """Read and type-check rule files: every mistake at once, or what each rule keeps.

    Example: ringfence check rules/catalog
    """
    from rules.moment import format_duration
    from streams.cli.common import settings_of
    from streams.failures import UsageFailure
    from streams.rule_files import read_rules

    settings = settings_of(rules=path)
    try:
        rule_set = read_rules(settings.rules, settings.timing)
    except UsageFailure as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    for rule in rule_set.rules:
        final = format_duration(rule.settles_at(0))
        typer.echo(
            f"{rule.id} {rule.version}: raises at once; final at the latest {final} after"
            f" {rule.anchor}; keeps each event for {format_duration(rule.keep_us)}"
            f" (reach {format_duration(rule.span.reach_us)},"
            f" forward {format_duration(rule.span.forward_us)})"
        )
