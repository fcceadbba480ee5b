"""`ringfence explain`: why a rule matched, or which step failed and by how much."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def explain(
    logs: Annotated[
        list[str] | None,
        typer.Argument(help="JSON lines, plain, .gz or .zst; - for standard input."),
    ] = None,
    *,
    facts: Annotated[
        bool, typer.Option("--facts", help="Read the worker's live facts log, and no logs.")
    ] = False,
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
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Brokers to ask first, with --facts: host:port,….")
    ] = None,
) -> None:
    """Explain why a rule matched for a key, or its nearest miss, from logs or live facts.

    With --facts it takes the settings of the worker, and says too what the worker made of it. A
    value of - is read from standard input, so that it stays out of the shell's history.

    Example: ringfence explain june.jsonl --rule video_call_then_new_payee --key person:-
    """
    from streams.explain_command import ExplainRequest, run_explain

    run_explain(
        ExplainRequest(
            logs=tuple(logs or ()),
            rule=rule,
            key=key,
            facts=facts,
            bootstrap_servers=bootstrap_servers,
            rules=rules,
            params=params,
            lateness=lateness,
            anchor=anchor,
            form=format,
        )
    )
