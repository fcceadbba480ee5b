"""The field of a contest: each contender's command, and how its matches are read."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from benchmarks.variants import RULE

RINGFENCE: Final = str(Path(sys.executable).with_name("ringfence"))
Name = Literal["ringfence", "floor", "DuckDB", "Polars", "Bytewax"]

_MODULES: Final = {
    "floor": "floor",
    "DuckDB": "with_duckdb",
    "Polars": "with_polars",
    "Bytewax": "with_bytewax",
}
Match = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One contender in one discipline.

    Attributes:
        name: Who.
        log: What it reads.
        variants: The file that lists the variants; None for the rule files in `rules`.
        rules: The product's rule folder; None for the catalogue.
        flags: What the product is told besides.
    """

    name: Name
    log: Path
    variants: Path
    rules: Path | None = None
    flags: tuple[str, ...] = ()

    def command(self, out: Path) -> Sequence[str]:
        """Return the command that writes the matches to `out`."""
        if self.name != "ringfence":
            module = f"benchmarks.contenders.{_MODULES[self.name]}"
            return [sys.executable, "-m", module, str(self.log), str(self.variants), str(out)]
        rules = () if self.rules is None else ("--rules", str(self.rules))
        fixed = [RINGFENCE, "replay", str(self.log), "--final-only", "--out", str(out)]
        return [*fixed, *rules, *self.flags]

    def missing(self) -> str | None:
        """Return what the product does not have yet of what this asks of it, or None."""
        if self.name != "ringfence":
            return None
        told = _help()
        absent = [flag for flag in self.flags if flag.startswith("--") and flag not in told]
        if absent:
            return f"no {absent[0]}"
        if self.log.suffix == ".parquet" and "Parquet" not in told:
            return "no Parquet logs"
        return None

    def matches(self, out: Path) -> frozenset[Match]:
        """Return the matches that it wrote: pairs of a rule and a transfer's id.

        Of the whole catalogue only the alerts of the one rule whose matches are known.
        """
        with out.open(encoding="utf-8") as stream:
            if self.name != "ringfence":
                pairs = (line.rstrip("\n").partition("\t")[::2] for line in stream)
                return frozenset(pairs)
            alerts = (json.loads(line)["data"] for line in stream)
            return frozenset(
                (alert["rule"]["id"], alert["anchor"]["id"])
                for alert in alerts
                if alert["state"] == "raised"
                and (self.rules is not None or alert["rule"]["id"] == RULE)
            )


@cache
def _help() -> str:
    # Told to a wide terminal, or the table of options is cut.
    command = [RINGFENCE, "replay", "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"COLUMNS": "400", "TERM": "dumb"}
    )
    return done.stdout
