"""The generator of what is printed of rules: `python -m streams.rule_docs [--check]`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rules.authoring.schema import rule_schema
from streams.wire.contract_docs import DOCS, write

_COMMAND: Final = "python -m streams.rule_docs"


def render() -> dict[str, str]:
    """Every generated file, by its path below `docs/`."""
    return {"schemas/rule.json": json.dumps(rule_schema(), indent=1, ensure_ascii=False) + "\n"}


def main(arguments: Sequence[str], docs: Path = DOCS) -> int:
    """Write the files, or with `--check` name those that are not current; 0 is all is well."""
    return write(render(), docs, _COMMAND, check="--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
