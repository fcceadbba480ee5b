"""A row of the page on reliability: what runs on which broker, and what it came to."""

import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import page
from tests.broker.bus import Bus
from tests.broker.storms import Verdict
from tests.broker.worker_site import Site, open_site

Run = Callable[[str], Awaitable[Verdict]]
"""Runs one storm on the broker at an address."""

_SESSION: Final = "RINGFENCE_SESSION_TIMEOUT"
_PATIENCE_S: Final = 1_800.0
"""As long as it takes a busy machine to do what waits after a long storm."""

HEADER: Final = (
    *("id", "storm", "events", "faults", "alert records", "missing", "false", "repeats"),
    "seconds",
)


class Told(NamedTuple):
    """A row of a table: what ran, and what it came to."""

    row: str
    what: str
    verdict: Verdict


@asynccontextmanager
async def site_at(address: str, **settings: str) -> AsyncIterator[tuple[Site, Path]]:
    """Give topics and rules of a storm's own, and where its workers' log goes."""
    unique = uuid.uuid4().hex[:8]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            Bus(address) as bus,
            open_site(
                bus, lambda topic: f"{unique}.{topic}", folder, **{_SESSION: "6s", **settings}
            ) as site,
        ):
            site.patience_s = _PATIENCE_S
            await site.make_topics()
            yield site, folder / "journal"


async def run_all(
    address: str, rows: Iterator[tuple[str, str, Run]], say: Callable[[str], None]
) -> list[Told]:
    """Run some storms, one after the other, and say of each what it came to."""
    told = []
    for row, what, run in rows:
        verdict = await run(address)
        told.append(Told(row, what, verdict))
        say(f"{row} {what}: {verdict.__dict__}")
    return told


def table(told: Sequence[Told]) -> str:
    """Return the table of some storms."""
    return page.table(HEADER, [_row(t) for t in told])


def notes(told: Sequence[Told]) -> str:
    """Return what else there is to say, a line each."""
    return "".join(f"* {t.row}, {t.what}: {note}\n" for t in told for note in _notes(t.verdict))


def _notes(verdict: Verdict) -> Iterator[str]:
    yield from verdict.notes
    if verdict.bugs:
        yield f"{verdict.bugs:,} times a worker ended with a bug"
    wrong = verdict.letters_missing + verdict.letters_false + verdict.raw
    if wrong:
        yield (
            f"{verdict.letters_missing:,} dead letters missing, {verdict.letters_false:,} false;"
            f" {verdict.raw:,} rows or log lines with something raw"
        )


def _row(told: Told) -> tuple[str, ...]:
    v = told.verdict
    counts = (v.events, v.faults, v.alerts, v.missing, v.false, v.repeats, round(v.seconds))
    return (told.row, told.what, *(f"{count:,}" for count in counts))
