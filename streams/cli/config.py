"""`ringfence config`: the settings in force, and where each is from."""

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How the settings are written."""

    TEXT = "text"
    JSON = "json"


def config(
    *,
    how: Annotated[
        Format, typer.Option("--format", help="For people, or one JSON object a line.")
    ] = Format.TEXT,
) -> None:
    """Show every setting in force and where it is from; of secrets only whether they are set.

    Example: ringfence config --format json
    """
    import json
    import os
    import sys

    from streams.cli.common import settings_of
    from streams.shown_settings import shown_settings

    settings = settings_of()
    for shown in shown_settings(settings, os.environ):
        if how is Format.JSON:
            sys.stdout.write(json.dumps(shown._asdict(), ensure_ascii=False) + "\n")
        else:
            value = "(not set)" if shown.value is None else shown.value
            sys.stdout.write(f"{shown.setting}: {value}  [{shown.origin}]\n")
