"""What two rule sets differ in over recorded logs, as one page that needs nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from rules.authoring.attribution import KINDS, Difference, Kind
from rules.authoring.difference_report import DifferenceReport, because, in_words, total

_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;color:#222;max-width:75rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
    "code{font-size:13px;overflow-wrap:anywhere}"
    ".added{color:#1b6ca8}.lost{color:#b3402c}.changed{color:#7a5c00}"
)


def difference_page(report: DifferenceReport) -> str:
    """Return a report as one HTML page, without a script; all text in it is escaped."""
    return "\n".join(_page(report)) + "\n"


def _page(report: DifferenceReport) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>ringfence diff</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield "<h1>What the change does</h1>"
    yield f"<p>From {_code(report.old)} to {_code(report.new)}, over"
    yield f"{report.records:,} records; {report.alike:,} alerts are alike.</p>"
    rows = [[_kind(kind), escape(str(total(report.of_kind(kind))))] for kind in KINDS]
    yield from _table(("alerts", "come to"), rows)
    yield "<h2>Clause by clause</h2>"
    yield from _table(("clause", "was", "is", *KINDS), _clauses(report))
    for kind in KINDS:
        found = report.of_kind(kind)
        if found:
            yield f"<h2>{_kind(kind)}</h2>"
            yield from _table(("alert", "by"), [_alert(each, kind) for each in found])
    if report.notes:
        yield "<h2>Notes</h2>\n<ul>"
        yield from (f"<li>{escape(note)}</li>" for note in report.notes)
        yield "</ul>"
    yield "</body>\n</html>"


def _clauses(report: DifferenceReport) -> Iterator[Sequence[str]]:
    for clause, totals in report.by_clause():
        yield (
            f"{escape(clause.rule)}<br>{escape(clause.what)}<br>{_code(clause.place)}",
            *("" if text is None else _code(text) for text in (clause.old, clause.new)),
            *(escape(str(each)) if each.alerts else "" for each in totals.values()),
        )


def _alert(difference: Difference, kind: Kind) -> Sequence[str]:
    causes = "<br>".join(escape(because(cause, kind)) for cause in difference.causes)
    return escape(in_words(difference)), causes


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"<table>\n<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</table>"


def _kind(kind: Kind) -> str:
    return f'<span class="{kind}">{kind}</span>'


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
