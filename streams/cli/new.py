"""`ringfence new`: a rule file to start from."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    rule_id: Annotated[
        str, typer.Argument(metavar="ID", help="3 to 64 small letters, digits and _.")
    ],
    *,
    folder: Annotated[Path, typer.Option(help="Where the file goes.")] = Path(),
) -> None:
    """Write ID.yaml: a commented rule with two stories that hold, to be changed.

    Example: ringfence new rent_scam --folder my-rules
    """
    import re

    from rules.authoring.starting import new_rule
    from rules.language.check import WORD
    from streams.failures import OutsideFailure, UsageFailure

    if not re.fullmatch(WORD, rule_id, re.ASCII):
        raise UsageFailure(
            f'"{rule_id}" is no id of a rule, wanted 3 to 64 small letters, digits and _'
        )
    file = folder / f"{rule_id}.yaml"
    try:
        # Never over a file that is there.
        with file.open("x", encoding="utf-8") as stream:
            stream.write(new_rule(rule_id))
    except FileExistsError as error:
        raise UsageFailure(f'"{file}" is there already, choose another id') from error
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise OutsideFailure(f'"{file}" cannot be written: {reason}') from error
    typer.echo(f"{file}: change it, then run ringfence check {file} and ringfence test {file}")
