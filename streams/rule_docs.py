"""The generator of what is printed of rules: `python -m streams.rule_docs [--check]`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rules.authoring.catalogue_page import catalogue_page
from rules.authoring.mutants import try_mutants
from rules.authoring.schema import rule_schema
from rules.authoring.timeline import timeline
from rules.language import check_files
from rules.timing import Timing
from streams.rule_files import read_texts
from streams.wire.contract_docs import DOCS, write

COMMAND: Final = "python -m streams.rule_docs"
_TIMING: Final = Timing()


def render() -> dict[str, str]:
    """Every generated file but the catalogue's page, by its path below `docs/`."""
    files = {"schemas/rule.json": json.dumps(rule_schema(), indent=1, ensure_ascii=False) + "\n"}
    for rule in check_files(read_texts(None), _TIMING):
        files[f"catalogue/{rule.id}.svg"] = timeline(rule.stories[0], _TIMING)
    return files


def render_catalogue() -> dict[str, str]:
    """The catalogue's page; every mutant of every rule is tried for it."""
    texts = read_texts(None)
    rules = check_files(texts, _TIMING)
    tried = {rule.id: try_mutants(rule, _TIMING) for rule in rules}
    page = catalogue_page(rules, texts, tried, ("../rules/catalog", "catalogue"))
    return {"catalogue.md": page}


def main(arguments: Sequence[str], docs: Path = DOCS) -> int:
    """Write the files, or with `--check` name those that are not current; 0 is all is well."""
    files = {**render(), **render_catalogue()}
    return write(files, docs, COMMAND, check="--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
