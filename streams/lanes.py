"""A lane: one assigned partition on its way from the broker through an agent to a commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from rules.watermark import Partition

LONGEST_S: Final = 0.5
"""How long an agent is at one batch: well below every session, heartbeats go out in between."""

S = TypeVar("S")


class Row(Protocol):
    """One record of a topic, as far as anybody here looks at it."""

    @property
    def offset(self) -> int:
        """Its place in its partition."""

    @property
    def key(self) -> bytes | None:
        """What Kafka spreads records by."""

    @property
    def value(self) -> bytes | None:
        """What it says."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """What stands beside it."""

    @property
    def timestamp(self) -> int:
        """When it was appended or made, in milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset to read of a partition, and what has to be known there."""

    offset: int
    metadata: str


@dataclass(frozen=True)
class Opening(Generic[S]):
    """How a lane begins: its state, the offset to read from, and how many rows made the state.

    `commit` is what can be committed before the first batch, if anything.
    """

    state: S
    offset: int
    rebuilt_rows: int = 0
    commit: Commit | None = None


class Channel(Protocol):
    """What an agent reads from."""

    async def put(self, value: Any) -> Any:  # noqa: ANN401 - Faust would have it an event
        """Hand a value to the agent."""


class Station(Protocol[S]):
    """Where batches of some topics go: it makes the state of each lane."""

    @property
    def channel(self) -> Channel:
        """Of the agent that takes the batches."""

    @property
    def contiguous(self) -> bool:
        """Whether the log has no gaps, so that each row must follow the one before."""

    async def open(
        self, partition: Partition, committed: Commit | None, kept: S | None
    ) -> Opening[S]:
        """Return how a lane begins; `kept` is what an earlier lane of the partition left."""

    def close(self, partition: Partition) -> None:
        """Take note that the partition has no lane any more."""

    def opened_so_far(self, partition: Partition) -> int:
        """Return a number that grows while a lane of the partition is on its way to open."""

    async def tick(self) -> None:
        """Do what is due; called a few times a second while the worker runs."""

    def follow(self, state: S, read_to_end_us: int, heard_us: int) -> int | None:
        """Return the watermark that a quiet partition has come to by the clock, if it is news."""

    def followed(self, state: S, watermark_us: int) -> None:
        """Raise a quiet partition's watermark: the group has accepted it with a commit."""


class LaneStage(Enum):
    """What a lane is about."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    DEAD = "dead"


@dataclass(eq=False)
class RecordBatch(Generic[S]):
    """Rows of one partition, in order, in the hands of an agent."""

    partition: Partition
    rows: Sequence[Row]
    state: S
    lane: "Lane[S]"
    put_at_s: float

    def ack(self, metadata: str, done: int | None = None) -> bool:
        """Say that all is acknowledged that these rows imply; False if the lane is gone.

        Args:
            metadata: what has to be known where the next rows begin.
            done: how many of the rows, at least one, if not all: the others come again.
        """
        end = len(self.rows) if done is None else done
        commit = Commit(self.rows[end - 1].offset + 1, metadata)
        return self.lane.acknowledge(self, commit, self.rows[end:])


class Lane(Generic[S]):
    """One partition while it is ours.

    Only one batch of it is out at a time, so nothing overtakes anything, a state is never touched
    by two, and what may be committed is always the end of the last batch.
    """

    def __init__(self, partition: Partition, *, contiguous: bool, room: int) -> None:
        """Begin a lane that is not open yet.

        Args:
            partition: the topic and the number.
            contiguous: whether each row must follow the one before without a gap.
            room: how many rows are held before reading pauses.
        """
        self.partition = partition
        self.stage = LaneStage.OPENING
        self.state: S | None = None
        self.expected = 0
        self.done: Commit | None = None
        self.committed: Commit | None = None
        self.out: RecordBatch[S] | None = None
        self.heard_us = 0
        self.moved_at_s: float | None = None
        self.changed = asyncio.Event()
        self._contiguous = contiguous
        self._room = room
        self._held: list[Row] = []
        self._rests = False
        self._seen: tuple[object, ...] = ()

    def open(self, opening: Opening[S]) -> None:
        """Begin to take rows, from the opening's offset on."""
        assert self.out is None, "a lane is opened while none of its batches is out"
        self.stage = LaneStage.OPEN
        self.state = opening.state
        self.expected = opening.offset
        if opening.commit is not None:
            self.done = opening.commit

    def hold(self, rows: Sequence[Row]) -> bool:
        """Take in the rows that a fetch brought; False if they are not the next ones.

        Then all that is held is dropped, and the lane has to be opened again: nothing about
        delivery is taken on trust.
        """
        if self.stage is not LaneStage.OPEN:
            return True
        follow = self._follow([row.offset for row in rows])
        if follow:
            self._held += rows
        else:
            self._held.clear()
            self.stage = LaneStage.OPENING
        self.changed.set()
        return follow

    def _follow(self, offsets: Sequence[int]) -> bool:
        """Tell whether these are the next offsets, and expect what comes after them."""
        # Nearly always there is no gap, and to see that takes no loop.
        if offsets == list(range(self.expected, self.expected + len(offsets))):
            self.expected += len(offsets)
            return True
        for offset in offsets:
            if offset < self.expected or (self._contiguous and offset != self.expected):
                return False
            self.expected = offset + 1
        return True

    @property
    def is_full(self) -> bool:
        """Whether reading should pause."""
        return len(self._held) >= self._room

    @property
    def is_low(self) -> bool:
        """Whether reading should go on."""
        return 2 * len(self._held) <= self._room

    def take(self, limit: int, now_s: float) -> RecordBatch[S] | None:
        """Return the next batch of at most `limit` rows, if one can go out now."""
        if self._rests or self.out is not None or not self._held or self.state is None:
            return None
        rows, self._held = self._held[:limit], self._held[limit:]
        self.out = RecordBatch(self.partition, rows, self.state, self, now_s)
        return self.out

    @property
    def is_quiet(self) -> bool:
        """Whether all that it has brought is done and committed."""
        nothing_here = self.out is None and not self._held
        return self.stage is LaneStage.OPEN and nothing_here and self.to_commit() is None

    @property
    def undone_from(self) -> int:
        """The offset of the first row that is not done; of an open lane."""
        rows = self._held if self.out is None else self.out.rows
        return rows[0].offset if rows else self.expected

    def look(self, now_s: float, opened_so_far: int) -> None:
        """Note when it was last seen to have moved, or to have nothing to do."""
        before = self._seen
        self._seen = (self.stage, opened_so_far, self.done, self.committed, self.out)
        if self.is_quiet or self.moved_at_s is None or self._seen != before:
            self.moved_at_s = now_s

    def rest(self, commit: Commit) -> None:
        """Let nothing out until a commit is accepted that nothing it brought has caused."""
        assert self.is_quiet, "a watermark goes before nothing that is still to be done"
        self._rests = True
        self.done = commit

    def rise(self) -> bool:
        """Let batches out again; tell whether the commit was accepted while the lane is ours."""
        accepted = self.done == self.committed
        self.done = self.committed
        self._rests = False
        self.changed.set()
        return accepted and self.stage is LaneStage.OPEN

    def acknowledge(
        self, batch: RecordBatch[S], commit: Commit, undone: Sequence[Row] = ()
    ) -> bool:
        """Note that a batch is done but for some rows at its end, which are the next to come.

        False if this lane is gone or the batch not the one out.
        """
        if self.stage is LaneStage.DEAD or batch is not self.out:
            return False
        self.out = None
        # Any other lane has let go of what it held, and reads it again from its commit.
        if self.stage is LaneStage.OPEN:
            self._held[:0] = undone
        self.done = commit
        self.changed.set()
        return True

    def stop_taking(self) -> None:
        """Let no more batches out; the one that is out may still be acknowledged."""
        self._held.clear()
        self.stage = LaneStage.CLOSING
        self.changed.set()

    def kill(self) -> S | None:
        """End this lane; return its state if no batch of it is out, so that it stands still."""
        self.stage = LaneStage.DEAD
        self._held.clear()
        self.changed.set()
        return self.state if self.out is None else None

    def to_commit(self) -> Commit | None:
        """Return what is done and not committed yet."""
        return self.done if self.done != self.committed else None
