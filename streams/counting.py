"""A count of what has been read, on a terminal, for work whose size is known."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_WORTH_SHOWING: Final = 10_000


@contextmanager
def show_count(total: int, noun: str) -> Iterator[Callable[[], None]]:
    """Give what is to be called for each of `total` things; if there are many, they are shown."""
    if total < _WORTH_SHOWING or not sys.stderr.isatty():
        yield lambda: None
        return
    # Slow to load, and most work is short.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), TextColumn(f"{{task.completed:,.0f}} {noun}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(noun, total=total)
        yield lambda: progress.advance(task)
