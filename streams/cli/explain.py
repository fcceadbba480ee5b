"""`ringfence explain`: why a rule matched, or which step failed and by how much."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def explain(
    logs: Annotated[
        list[str], typer.Argument(help="JSON lines, plain, .gz or .zst; - for standard input.")
    ],
    *,
    rule: Annotated[str, typer.Option(help="The rule's id.")],
    key: Annotated[
        str,
        typer.Option(help="Kind and value: person:+86… as records have it, a pseudonym, or -."),
    ],
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option(help="The id of the event, such as a transfer, to explain.")
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["text", "json"], typer.Option(help="How the explanation looks.")
    ] = "text",
    lateness: Annotated[
        str | None, typer.Option(help="How far watermarks stay behind: 15m, or 15m,calls=1h.")
    ] = None,
) -> None:
    """Explain from recorded logs why a rule matched for a key, or its nearest miss.

    A value of - is read from standard input, so that it stays out of the shell's history.

    Example: ringfence explain june.jsonl --rule video_call_then_new_payee --key person:-
    """
    from streams.explain_command import ExplainRequest, run_explain

    run_explain(
        ExplainRequest(
            logs=tuple(logs),
            rule=rule,
            key=key,
            rules=rules,
            params=params,
            lateness=lateness,
            anchor=anchor,
            form=format,
        )
    )
