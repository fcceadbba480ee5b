"""`ringfence backtest`: what the alerts of each rule were worth, by what was found out later."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import typer


def _number(text: str) -> Decimal:
    """Return a number that is not negative, exactly as written."""
    if not text.replace(".", "", 1).isdecimal() or not text.isascii():
        raise typer.BadParameter(f'"{text}" is no number like 0.8 or 12')
    return Decimal(text)


def backtest(
    logs: Annotated[
        list[str], typer.Argument(help="JSON lines, plain, .gz or .zst; Parquet; - for stdin.")
    ],
    *,
    outcomes: Annotated[
        str | None, typer.Option(help="File of outcome events; those in the logs count too.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
    min_precision: Annotated[
        Decimal | None,
        typer.Option(parser=_number, metavar="NUMBER", help="Fail below it: 0 to 1."),
    ] = None,
    max_alerts_per_1000: Annotated[
        Decimal | None,
        typer.Option(
            parser=_number,
            metavar="NUMBER",
            help="Fail above it: alerts per 1,000 people and day.",
        ),
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Vary a parameter: min_amount.CNY=1000..10000:1000.")
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="File for the sweep as an SVG chart.")] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["text", "json"], typer.Option(help="How the report looks.")
    ] = "text",
    lateness: Annotated[
        str | None, typer.Option(help="How far watermarks stay behind: 15m, or 15m,calls=1h.")
    ] = None,
) -> None:
    """Replay logs and compare the alerts with what was found out: precision, recall, lead time.

    A threshold that a rule does not keep to is named on standard error, and the exit code is 1.
    A sweep names its rule where several have the parameter (my_rule.after_call=1h..4h:30m), and
    the currency of an amount that is given in several.

    Example: ringfence backtest june.jsonl --outcomes found.jsonl --min-precision 0.3
    """
    from streams.backtest_command import BacktestRequest, run_backtest

    if min_precision is not None and min_precision > 1:
        raise typer.BadParameter(f'"{min_precision}" is above 1', param_hint="--min-precision")
    request = BacktestRequest(
        logs=tuple(logs),
        outcomes=outcomes,
        rules=rules,
        params=params,
        lateness=lateness,
        min_precision=min_precision,
        max_rate=max_alerts_per_1000,
        sweep=sweep,
        chart=chart,
        form=format,
    )
    if not run_backtest(request):
        raise typer.Exit(1)
