"""What is measured, on the files of one workload: the disciplines of a contest and of growth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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

_BATCH: Final[tuple[Name, ...]] = ("DuckDB", "Polars")


def contest(workload: Workload, jobs: int) -> Sequence[Discipline]:
    """Return the disciplines in which others take part too, and the product's own."""
    log, packed, columns = workload.jsonl(), workload.zstd(), workload.parquet()
    start = workload.first(START_LINES)
    one, many = variants(1), variants(MANY_RULES)
    streaming: tuple[Name, ...] = (*_BATCH, "Bytewax")
    maker = _Maker(workload)
    return [
        maker.make("JSON lines, one rule", one, log, ("floor", *streaming)),
        maker.make(f"JSON lines, {jobs} jobs", one, log, flags=("--jobs", str(jobs))),
        maker.make(f"JSON lines, {MANY_RULES} rules", many, log, streaming),
        maker.make("JSON lines, the whole catalogue", None, log),
        maker.make("JSON lines packed with zstd, one rule", one, packed, ("floor",), lines=log),
        maker.make("Parquet, one rule", one, columns, _BATCH, lines=log),
        maker.make(f"Parquet, {MANY_RULES} rules", many, columns, _BATCH, lines=log),
        maker.make("JSON lines, every record whole", one, log, flags=("--validate", "all")),
        maker.make(f"The first {START_LINES:,} lines", one, start, ("floor",), events=START_LINES),
    ]


def by_events(workload: Workload) -> Sequence[Discipline]:
    """Return the product and the floor, with one rule, on logs of different lengths.

    A tenth as long, as long, and three times as long: with the same people, as busy as ever.
    """
    one, base = variants(1), workload.size
    sizes = [
        replace(
            base,
            events=base.events * tenths // 10,
            people=base.persons,
            hours=max(2, base.hours * tenths // 10),
        )
        for tenths in (1, 10, 30)
    ]
    workloads = [Workload(size, workload.folder) for size in sizes]
    return [
        _Maker(w).make(f"{w.size.events:,} events", one, w.jsonl(), ("floor",)) for w in workloads
    ]


def by_rules(workload: Workload, counts: Iterable[int]) -> Sequence[Discipline]:
    """Return the product with different numbers of rules on one log."""
    maker, log = _Maker(workload), workload.jsonl()
    return [maker.make(_rules(count), variants(count), log) for count in counts]


def flood(workload: Workload) -> Discipline:
    """Return the product with one rule on a log that is all about one person."""
    title = f"{workload.size.events:,} events of one person"
    return _Maker(workload).make(title, variants(1), workload.flood())


def _rules(count: int) -> str:
    return "1 rule" if count == 1 else f"{count:,} rules"


class _Maker:
    """Makes disciplines on one workload, and the files that they need."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def make(
        self,
        title: str,
        chosen: Sequence[Limits] | None,
        log: Path,
        others: Sequence[Name] = (),
        *,
        lines: Path | None = None,
        events: int | None = None,
        flags: tuple[str, ...] = (),
    ) -> Discipline:
        """Return a discipline of the product and others.

        Args:
            title: what the table is headed.
            chosen: the variants; None for the catalogue.
            log: what they read.
            others: who takes part besides the product.
            lines: the log as plain JSON lines, if it is none.
            events: how many the log has, if not those of the workload.
            flags: what the product is told besides.
        """
        told = variants(1) if chosen is None else chosen
        listed = self._listed(told)
        rules = None if chosen is None else self._rule_folder(told)
        product = Entry("ringfence", log, listed, rules, flags)
        entries = [product, *(Entry(name, log, listed) for name in others)]
        truth = _pairs(self._workload.truth(lines or log, told))
        return Discipline(title, events or self._workload.size.events, truth, entries)

    def _listed(self, chosen: Sequence[Limits]) -> Path:
        path = self._workload.folder / f"variants-{len(chosen)}.json"
        path.write_bytes(msgspec.json.encode(chosen))
        return path

    def _rule_folder(self, chosen: Sequence[Limits]) -> Path:
        path = self._workload.folder / f"rules-{len(chosen)}"
        write_rules(path, chosen)
        return path


def _pairs(truth: Mapping[str, Sequence[str]]) -> frozenset[Match]:
    return frozenset((rule, transfer) for rule, found in truth.items() for transfer in found)
