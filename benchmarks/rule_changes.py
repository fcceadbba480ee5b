"""Other rules on a running system, at length: what was lost, false or repeated."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.rows import Run, notes, run_all, table
from tests.broker.bus import Bus
from tests.broker.restartable import restartable
from tests.broker.rule_changes import Change, changed, two_sites
from tests.broker.storms import Verdict

_ABOUT: Final = """\
## Other rules on a running system

Made by `python -m benchmarks rule-changes`. Two workers of each epoch; workers of both are killed,
and the command itself, while records come whose event time passes in hours. Each epoch's records
have to be those that its own facts imply, byte for byte; what the old one leaves open and the new
one does not raise has to end withdrawn, and nothing else; the new one's last words have to be
those of a replay of all records, from its start on; every alert has to end; within an epoch
revisions have to grow.

"""


async def text(people: int, rounds: int, say: Callable[[str], None]) -> str:
    """Return the part about changes of rules.

    Args:
        people: of each change.
        rounds: how often the rules are changed, at once and by a shadow in turn.
        say: is told of each row.
    """
    with tempfile.TemporaryDirectory() as folder, restartable(Path(folder)) as broker:
        told = await run_all(broker.address, _changes(people, rounds), say)
    return f"{_ABOUT}{table(told)}\n{notes(told)}"


def _changes(people: int, rounds: int) -> Iterator[tuple[str, str, Run]]:
    for seed in range(rounds):
        change = Change(people=people, shadow=seed % 2 == 1, kills=2, commands=2, seed=seed)
        how = "by a shadow that is promoted" if change.shadow else "at once"
        yield "R-17", f"other rules {how}, run {seed + 1}", _changing(change)


def _changing(change: Change) -> Run:
    async def run(address: str) -> Verdict:
        unique = uuid.uuid4().hex[:8]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                Bus(address) as bus,
                two_sites(bus, lambda topic: f"{unique}.{topic}", folder) as (old, new),
            ):
                return await changed(old, new, folder / "journal", change)

    return run
