"""An intake at work over a group and a bus in memory, and all that it has to do with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rules.watermark import Partition
from streams.epoch import Epoch
from streams.intake import Intake
from streams.lanes import Commit, Opening, RecordBatch
from tests.streams.worker_parts import (
    MemoryBus,
    MemoryMember,
    settings_for_tests,
)

CALLS = ("calls", 0)
FACTS = ("facts", 0)
EPOCH = Epoch("0", {"calls": 1}, "facts", 1, "group", "alerts")


@dataclass
class Gate:
    """A station whose batches wait for the test; its lanes open once `may_open` is set.

    A lane's state is a list of the values that it has been given.
    """

    contiguous: bool
    channel: "asyncio.Queue[RecordBatch[Any]]" = field(default_factory=asyncio.Queue)
    may_open: asyncio.Event = field(default_factory=asyncio.Event)
    opened: list[tuple[Partition, Commit | None, Any]] = field(default_factory=list)
    closed: list[Partition] = field(default_factory=list)
    ticks: int = 0
    follows: Callable[[int, int], int | None] = lambda _read, _heard: None
    risen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let lanes open until the test says otherwise."""
        self.may_open.set()

    async def open(
        self, partition: Partition, committed: Commit | None, kept: list[bytes] | None
    ) -> Opening[list[bytes]]:
        """Begin at the commit."""
        await self.may_open.wait()
        self.opened.append((partition, committed, kept))
        return Opening([], 0 if committed is None else committed.offset)

    def close(self, partition: Partition) -> None:
        """Take note."""
        self.closed.append(partition)

    def opened_so_far(self, partition: Partition) -> int:
        """Return how often a lane has opened."""
        del partition
        return len(self.opened)

    async def tick(self) -> None:
        """Count."""
        self.ticks += 1

    def follow(self, state: object, read_to_end_us: int, heard_us: int) -> int | None:
        """Follow at once where the test lets a clock be followed."""
        del state
        return self.follows(read_to_end_us, heard_us)

    def followed(self, state: object, watermark_us: int) -> None:
        """Take note."""
        del state
        self.risen.append(watermark_us)

    async def take(self) -> RecordBatch[Any]:
        """Return the next batch."""
        async with asyncio.timeout(5):
            return await self.channel.get()

    async def work(self, rows: int) -> list[bytes | None]:
        """Take and acknowledge batches until there were so many rows; return their values."""
        values: list[bytes | None] = []
        while len(values) < rows:
            batch = await self.take()
            values += [row.value for row in batch.rows]
            batch.ack("m")
        return values


@dataclass
class Desk:
    """An intake at work, and all that it has to do with."""

    bus: MemoryBus = field(default_factory=MemoryBus)
    commits: dict[Partition, Commit] = field(default_factory=dict)
    calls: Gate = field(default_factory=lambda: Gate(contiguous=False))
    facts: Gate = field(default_factory=lambda: Gate(contiguous=True))

    def __post_init__(self) -> None:
        """Put them together."""
        self.member = MemoryMember(self.bus, self.commits)
        self.intake = Intake(
            settings_for_tests(
                RINGFENCE_BATCH_RECORDS="2",
                RINGFENCE_HELD_RECORDS="4",
                RINGFENCE_SESSION_TIMEOUT="1s",
            ),
            EPOCH,
            make_member=lambda: self.member,
            commits=self.member,
            stations={"calls": self.calls, "facts": self.facts},
        )

    def committed(self, partition: Partition) -> int | None:
        """Return the offset that the group has committed."""
        commit = self.commits.get(partition)
        return None if commit is None else commit.offset


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[Desk]:
    """Run a desk's intake."""
    await desk.intake.start()
    try:
        yield desk
    finally:
        await desk.intake.stop()


def crash_of(desk: Desk) -> BaseException | None:
    """Return what the intake has crashed of."""
    return desk.intake.crash_reason if desk.intake.crashed else None
