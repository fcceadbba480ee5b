"""The page with the figures: each command replaces its own part, and leaves the others alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.contest import Discipline, Result

_HEAD: Final = """\
# Performance

Made by `python -m benchmarks`; nothing here is written by hand. Every figure is a whole process,
start-up included, and every contender of a table ran in the same run, in turn. Read ratios, not
seconds: the machine is a small shared one.

"""


def put(page: Path, part: str, text: str, head: str = _HEAD) -> None:
    """Put a part into the page, in place of what it was, or at the end; a new page has a head."""
    told = page.read_text(encoding="utf-8") if page.exists() else head
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    before, found, rest = told.partition(begin)
    after = rest.partition(end)[2] if found else ""
    page.write_text(f"{before}{begin}{text.rstrip()}\n{end}{after}", encoding="utf-8")


def part_of(page: Path, part: str) -> str:
    """Return a part of the page, or nothing if it has none."""
    told = page.read_text(encoding="utf-8") if page.exists() else ""
    return told.partition(f"<!-- {part} -->\n")[2].partition(f"<!-- end of {part} -->\n")[0]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; the first column is text, the others are figures."""
    marks = ["---", *("---:" for _ in header[1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, marks, *rows))


def contest_tables(
    disciplines: Sequence[Discipline], results: Sequence[Sequence[Result]]
) -> Iterator[str]:
    """Yield a heading and a table for each discipline."""
    floor_s = _floor_s(results)
    for discipline, found in zip(disciplines, results, strict=True):
        own_floor = _floor_s([found])
        rows = [_row(discipline, result, own_floor or floor_s) for result in found]
        yield f"### {discipline.title}\n\n{table(_COLUMNS, rows)}"


_COLUMNS: Final = (
    "contender",
    "seconds (least to greatest)",
    "events/s",
    "CPU s per million",
    "peak MB",
    "times the floor",
    "alerts, of true ones",
)


def _floor_s(results: Sequence[Sequence[Result]]) -> float | None:
    found = (r for results_of_one in results for r in results_of_one if r.entry.name == "floor")
    first = next(found, None)
    return first.took.median_s if first and first.took else None


def _row(discipline: Discipline, result: Result, floor_s: float | None) -> Sequence[str]:
    if result.took is None:
        return (result.name, result.why_not or "", *[""] * 5)
    took, (least, greatest) = result.took, result.took.range_s
    alerts = "none wanted" if result.entry.name == "floor" else _alerts(discipline, result)
    return (
        result.name,
        f"{took.median_s:.2f} ({least:.2f} to {greatest:.2f})",
        f"{discipline.events / took.median_s:,.0f}",
        f"{took.cpu_s / discipline.events * 1e6:.2f}",
        f"{took.peak_mb:.0f}",
        f"{took.median_s / floor_s:.2f}" if floor_s else "",
        alerts,
    )


def _alerts(discipline: Discipline, result: Result) -> str:
    return f"{result.found:,} of {len(discipline.truth):,}"
