"""`ringfence diff`: what a change of rules does to recorded logs, and which clause does it."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def diff(
    old: Annotated[Path, typer.Argument(help="A folder of rule files, or one file: as it was.")],
    new: Annotated[Path, typer.Argument(help="A folder of rule files, or one file: as it is.")],
    logs: Annotated[
        list[str], typer.Argument(help="JSON lines, plain, .gz or .zst; Parquet; - for stdin.")
    ],
    *,
    old_params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the parameters of OLD.")
    ] = None,
    new_params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the parameters of NEW.")
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["text", "json"], typer.Option(help="How the report looks.")
    ] = "text",
    html: Annotated[
        Path | None, typer.Option(help="File for the report as one page, with every alert.")
    ] = None,
    signals: Annotated[
        bool, typer.Option("--signals", help="Compare signals too, which only feed other rules.")
    ] = False,
    lateness: Annotated[
        str | None, typer.Option(help="How far watermarks stay behind: 15m, or 15m,calls=1h.")
    ] = None,
) -> None:
    """Replay logs under two rule sets: alerts added, lost, changed, and the clauses that did it.

    Each clause that differs (a condition, a bound, a parameter, a weight, a band) is tried alone,
    taken over by OLD and taken back in NEW; where none does it alone, several together. Only rules
    that differ are run.

    Example: ringfence diff rules/ rules/ june.jsonl --new-params stricter.yaml --html diff.html
    """
    from streams.diff_command import DiffRequest, run_diff

    run_diff(
        DiffRequest(
            old=old,
            new=new,
            logs=tuple(logs),
            old_params=old_params,
            new_params=new_params,
            html=html,
            lateness=lateness,
            signals=signals,
            form=format,
        )
    )
