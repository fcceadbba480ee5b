"""The disciplines of `python -m benchmarks replay`, on the files of one workload."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contest import Discipline
from benchmarks.field import Entry, Match, Name
from benchmarks.logs import Workload
from benchmarks.truth import Limits
from benchmarks.variants import variants, write_rules

START_LINES: Final = 1000
MANY_RULES: Final = 100


class Program:
    """Makes files as they are needed; `folder` is theirs."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._one, self._many = variants(1), variants(MANY_RULES)

    def disciplines(self, jobs: int) -> Sequence[Discipline]:
        """Return all that is measured."""
        log, packed, columns = (
            self._workload.jsonl(),
            self._workload.zstd(),
            self._workload.parquet(),
        )
        start = self._workload.first(START_LINES)
        one, many = self._one, self._many
        batch: tuple[Name, ...] = ("DuckDB", "Polars")
        return [
            self._of("JSON lines, one rule", one, log, ("floor", *batch, "Bytewax")),
            self._of(f"JSON lines, {jobs} jobs", one, log, (), flags=("--jobs", str(jobs))),
            self._of(f"JSON lines, {MANY_RULES} rules", many, log, (*batch, "Bytewax")),
            self._of("JSON lines, the whole catalogue", None, log, ()),
            self._of("JSON lines packed with zstd, one rule", one, packed, ("floor",)),
            self._of("Parquet, one rule", one, columns, batch),
            self._of(f"Parquet, {MANY_RULES} rules", many, columns, batch),
            self._of("JSON lines, every record whole", one, log, (), flags=("--validate", "all")),
            self._of(
                f"the first {START_LINES:,} lines", one, start, ("floor",), events=START_LINES
            ),
        ]

    def _of(
        self,
        title: str,
        chosen: Sequence[Limits] | None,
        log: Path,
        others: Sequence[Name],
        *,
        flags: tuple[str, ...] = (),
        events: int | None = None,
    ) -> Discipline:
        """Return a discipline of the product and others; None stands for the catalogue."""
        told = chosen or self._one
        listed = self._listed(told)
        rules = None if chosen is None else self._rules(told)
        product = Entry("ringfence", log, listed, rules, flags)
        entries = [product, *(Entry(name, log, listed) for name in others)]
        truth = self._workload.truth(told, first=events)
        return Discipline(title, events or self._workload.size.events, _pairs(truth), entries)

    def _listed(self, chosen: Sequence[Limits]) -> Path:
        path = self._workload.folder / f"variants-{len(chosen)}.json"
        path.write_bytes(msgspec.json.encode(chosen))
        return path

    def _rules(self, chosen: Sequence[Limits]) -> Path:
        path = self._workload.folder / f"rules-{len(chosen)}"
        write_rules(path, chosen)
        return path


def _pairs(truth: Mapping[str, Sequence[str]]) -> frozenset[Match]:
    return frozenset((rule, transfer) for rule, found in truth.items() for transfer in found)
