"""A Kafka in memory for commands that read topics without a group, and send to one.

It has those methods of aiokafka's clients that these commands call, and fetches in small pieces.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndTimestamp

from tests.streams.test_windows import TimedRow

PIECE = 3


@dataclass
class MemoryKafka:
    """Topics with their partitions, each a list of rows; offsets may have gaps."""

    logs: dict[tuple[str, int], list[TimedRow]] = field(default_factory=dict)
    deleted: dict[tuple[str, int], int] = field(default_factory=dict)

    def append(
        self,
        topic: str,
        *values: bytes | None,
        partition: int = 0,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int = 0,
    ) -> None:
        """Append records, at a timestamp in milliseconds."""
        log = self.logs.setdefault((topic, partition), [])
        for value in values:
            offset = log[-1].offset + 1 if log else 0
            log.append(TimedRow(offset, key, value, headers, timestamp=timestamp))

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let commands find this Kafka and no other."""
        monkeypatch.setattr("streams.windows.AIOKafkaConsumer", lambda **_: MemoryReader(self))
        monkeypatch.setattr("streams.bus.AIOKafkaConsumer", lambda **_: MemoryReader(self))
        monkeypatch.setattr("streams.topics.AIOKafkaAdminClient", lambda **_: MemoryAdmin(self))
        monkeypatch.setattr(
            "streams.dead_letters_command.AIOKafkaProducer", lambda **_: MemoryProducer(self)
        )

    def end(self, place: TopicPartition) -> int:
        """Return the offset behind the last row."""
        log = self.logs[place.topic, place.partition]
        return log[-1].offset + 1 if log else 0


@dataclass
class MemoryAdmin:
    """Describes the topics."""

    kafka: MemoryKafka

    async def start(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def describe_topics(self) -> list[dict[str, Any]]:
        """Return every topic with its partitions."""
        names = sorted({topic for topic, _ in self.kafka.logs})
        return [
            {"topic": name, "partitions": [n for topic, n in self.kafka.logs if topic == name]}
            for name in names
        ]

    async def list_consumer_group_offsets(self, group: str) -> dict[TopicPartition, Any]:
        """Return nothing: no group has committed anything."""
        assert group
        return {}


@dataclass
class MemoryReader:
    """A consumer without a group."""

    kafka: MemoryKafka
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    def assign(self, places: Iterable[TopicPartition]) -> None:
        """Read these and no others; nothing is paused any more."""
        self.positions = dict.fromkeys(places, -1)
        self.paused = set()

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from there."""
        assert place in self.positions
        self.positions[place] = offset

    def pause(self, *places: TopicPartition) -> None:
        """Bring no more of these."""
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        """Bring them again."""
        self.paused -= set(places)

    async def position(self, place: TopicPartition) -> int:
        """Return the offset of the row to come next."""
        return self.positions[place]

    async def beginning_offsets(
        self, places: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Return the first offset that retention has left."""
        return {p: self.kafka.deleted.get((p.topic, p.partition), 0) for p in places}

    async def end_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the offset behind the last row."""
        return {place: self.kafka.end(place) for place in places}

    async def offsets_for_times(
        self, asked: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, OffsetAndTimestamp | None]:
        """Return the first row at or after a moment in milliseconds."""
        found: dict[TopicPartition, OffsetAndTimestamp | None] = {}
        for place, at_ms in asked.items():
            log = self.kafka.logs[place.topic, place.partition]
            rows = [row for row in log if row.timestamp >= at_ms]
            found[place] = OffsetAndTimestamp(rows[0].offset, rows[0].timestamp) if rows else None
        return found

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int
    ) -> Mapping[TopicPartition, Sequence[TimedRow]]:
        """Return the next few rows of each partition that is not paused."""
        assert timeout_ms
        assert set(places) <= self.positions.keys()
        fetched = {}
        for place in self.positions.keys() - self.paused:
            log = self.kafka.logs[place.topic, place.partition]
            rows = [row for row in log if row.offset >= self.positions[place]][:PIECE]
            if rows:
                fetched[place] = rows
                self.positions[place] = rows[-1].offset + 1
        return fetched


@dataclass
class MemoryProducer:
    """A producer."""

    kafka: MemoryKafka

    async def start(self) -> Self:
        """Connect."""
        return self

    async def stop(self) -> None:
        """Disconnect."""

    async def send_and_wait(
        self, topic: str, value: bytes, *, key: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        """Append a record."""
        self.kafka.append(topic, value, key=key, headers=headers)
