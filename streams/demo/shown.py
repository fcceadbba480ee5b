"""What the demo shows: a table of the alerts, and everything that one of them says."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from streams.demo.found import Json

# A file or a pipe has no width; this one holds every column whole.
_WIDTH_OF_NO_TERMINAL = 120


def show_alerts(alerts: Sequence[Json]) -> None:
    """Print the alerts as a table on standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_NO_TERMINAL)
    table = Table(title=f"{len(alerts)} alerts", title_justify="left")
    for heading in ("at (UTC)", "anchor", "rule", "severity", "action"):
        table.add_column(heading)
    table.add_column("at stake", justify="right")
    for alert in alerts:
        anchor = alert["anchor"]
        rows = (anchor["at"], anchor["id"], alert["rule"]["id"], alert["severity"])
        table.add_row(*rows, alert["action"], _at_stake(alert))
    console.print(table)
    if alerts:
        console.print(*explanation(alerts[0]), sep="\n", markup=False, soft_wrap=True)


def _at_stake(alert: Json) -> str:
    return f"{alert['amount']} {alert['currency']}" if "amount" in alert else ""


def explanation(alert: Json) -> Iterator[str]:
    """Yield the lines that tell why there is an alert, and what to do about it."""
    rule = alert["rule"]
    yield f"\nWhy {alert['anchor']['id']}? {rule['title']} ({rule['id']} {rule['version']})"
    if "message" in alert:
        yield f"  {alert['message']}"
    yield "because"
    yield from (f"  {line}" for line in alert["because"])
    yield "evidence"
    yield from (f"  {_evidence(entry)}" for entry in alert["evidence"])
    if "advice" in alert:
        yield f"advice\n  {alert['advice']}"
    yield f"alert {alert['alert_id']}, score {alert['score']}, certain at {alert['settles_at']}"


def _evidence(entry: Json) -> str:
    if "count" in entry:
        return f"{entry['step']}: {entry['count']} events"
    until = "" if entry["until"] == entry["at"] else f" to {entry['until']}"
    return f"{entry['step']}: {entry['type']} {entry['id']}, {entry['at']}{until}"
