"""How the time per event grows: with the events, with the rules, and under a flood of one key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contest import Discipline, Result
from benchmarks.page import table
from rules.authoring.line_chart import Points, line_chart

RULES: Final = (1, 10, 100, 1000)
_COLUMNS: Final = (
    "what",
    "seconds (least to greatest)",
    "µs per event",
    "peak MB",
    "alerts, of true ones",
)


@dataclass(frozen=True)
class Growth:
    """What was measured, each discipline with what its product came to."""

    by_events: Sequence[tuple[Discipline, Result]]
    by_rules: Sequence[tuple[Discipline, Result]]
    flood: tuple[Discipline, Result]

    def text(self, plot: Path) -> str:
        """Return the tables, and a link to the plot."""
        return "\n".join(
            (
                f"![Time per event]({plot.name})\n",
                f"### With the events\n\n{_rows(self.by_events)}",
                f"### With the rules\n\n{_rows(self.by_rules)}",
                f"### A flood of one key\n\n{_rows([self.flood])}",
            )
        )

    def chart(self, rule_counts: Sequence[int]) -> str:
        """Return the plot as SVG: both lines over their own numbers, on one scale."""
        by_events = [(d.events, _us(d, r)) for d, r in self.by_events if r.took]
        rules = zip(rule_counts, self.by_rules, strict=True)
        by_rules = [(float(count), _us(d, r)) for count, (d, r) in rules if r.took]
        lines: dict[str, Points] = {"by events, one rule": by_events, "by rules": by_rules}
        return line_chart(
            "Time per event",
            "events in the log, or rules",
            "microseconds per event, whole process",
            {name: points for name, points in lines.items() if points},
        )


def _us(discipline: Discipline, result: Result) -> float:
    assert result.took, "a result with a figure"
    return result.took.median_s / discipline.events * 1e6


def _rows(measured: Sequence[tuple[Discipline, Result]]) -> str:
    return table(_COLUMNS, [_row(*one) for one in measured])


def _row(discipline: Discipline, result: Result) -> Sequence[str]:
    if result.took is None:
        return (discipline.title, result.why_not or "", "", "", "")
    least, greatest = result.took.range_s
    return (
        discipline.title,
        f"{result.took.median_s:.2f} ({least:.2f} to {greatest:.2f})",
        f"{_us(discipline, result):.2f}",
        f"{result.took.peak_mb:.0f}",
        f"{result.found:,} of {len(discipline.truth):,}",
    )
