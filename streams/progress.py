"""The progress bar of a replay, on a terminal."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streams.logs import Log
from streams.summary import Summary

_EVERY_S = 0.2


@contextmanager
def show_progress(logs: Sequence[Log], summary: Summary) -> Iterator[None]:
    """Show how many bytes of the logs have been read; a log without a size makes it pulse."""
    sizes = [log.size for log in logs]
    known = [size for size in sizes if size is not None]
    total = sum(known) if len(known) == len(sizes) else None
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    done = threading.Event()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("0 records", total=total)

        def follow() -> None:
            while not done.wait(_EVERY_S):
                read = sum(log.position() for log in logs)
                text = f"{summary.records:,} records, {summary.alert_records:,} alert records"
                progress.update(task, completed=read, description=text)

        watcher = threading.Thread(target=follow, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
