"""What the contenders have in common: their arguments, and how they say what they found."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.truth import Limits


def arguments() -> tuple[Path, list[Limits], Path]:
    """Return the log, the variants of the rule, and the file for the matches."""
    log, variants, out = map(Path, sys.argv[1:])
    return log, msgspec.json.decode(variants.read_bytes(), type=list[Limits]), out


def write_matches(out: Path, matches: Iterable[tuple[str, str]]) -> None:
    """Write pairs of a rule and a transfer's id."""
    with out.open("w") as stream:
        stream.writelines(f"{rule}\t{transfer}\n" for rule, transfer in matches)
