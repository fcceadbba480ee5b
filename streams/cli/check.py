"""`ringfence check`: rule files read, typed and judged, and what each rule costs to keep."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def check(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    *,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["text", "json", "github", "sarif"],
        typer.Option(help="How what is found is written; all but text go to standard output."),
    ] = "text",
    fix: Annotated[
        bool, typer.Option("--fix", help="First mend, in place, what has just one right answer.")
    ] = False,
) -> None:
    """Read and judge rule files: everything found in them at once, and what each rule keeps.

    That is mistakes, stories that a stable rule is missing, parameters that are never used, tags
    that are none of the list, and rules that differ in their values only (a warning).

    --fix mends slips in words of the language (keys, fields, classes, events, tags), signs and
    truths of other languages, a short version, tags that stand there twice, and takes away
    parameters that nothing names. It says what it did and leaves comments and layout alone.

    Example: ringfence check rules/catalog
    """
    from rules.authoring.finding_formats import FORMATS
    from rules.authoring.keeping import in_words
    from rules.authoring.lint import lint
    from streams.cli.common import settings_of
    from streams.rule_files import read_params, read_rules, read_texts

    settings = settings_of(rules=path, params=params)
    if fix:
        from streams.fix_command import mend_files

        mend_files(settings.rules, settings.timing)
    found = lint(read_texts(settings.rules), settings.timing, read_params(settings.params))
    if format != "text":
        typer.echo(FORMATS[format](found))
    else:
        if all(finding.kind != "mistake" for finding in found):
            for line in in_words(read_rules(settings.rules, settings.timing, settings.params)):
                typer.echo(line)
        for finding in found:
            typer.echo(str(finding), err=True)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)
