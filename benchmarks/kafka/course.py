"""The course: one broker, the outside topics with the workload, and what was made of it."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from benchmarks.contenders.needed import Call, decode
from streams.brokers import JavaBroker
from tests.broker.bus import Bus

PARTITIONS: Final = 4
CALLS: Final = "bench.calls"
TRANSACTIONS: Final = "bench.transactions"
OUTSIDE: Final = (CALLS, TRANSACTIONS)
# The broker's own clock, the same for all, says when each record was appended.
BY_APPENDING: Final = {"message.timestamp.type": "LogAppendTime"}
_BATCH_BYTES: Final = 256 * 1024

Place = tuple[str, int]


@dataclass(frozen=True)
class Course:
    """A broker, and what the contest does on it."""

    bus: Bus

    async def load(self, lines: Iterable[bytes]) -> None:
        """Put a workload on new outside topics, as fast as the broker takes it."""
        for topic in OUTSIDE:
            await self.bus.create(topic, PARTITIONS, BY_APPENDING)
        async with _producer(self.bus.address) as producer:
            sender = Sender(producer)
            for line in lines:
                await sender.add(line)
            await sender.flush()

    async def first_us(self, topic: str) -> int:
        """Return when the first record of a topic was appended."""
        begins: list[int] = []
        async with _reader(self.bus.address) as consumer:
            places = [TopicPartition(topic, n) for n in range(PARTITIONS)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            for place in (p for p in places if ends[p]):
                first = await consumer.getone(place)
                begins += [first.timestamp * 1000]
        return min(begins)

    async def appended_us(self, topic: str) -> Mapping[str, int]:
        """Return when each record of an outside topic was appended, by the event's own id."""
        return {own_id(bytes(r.value or b"")): r.timestamp * 1000 for r in await self.read(topic)}

    async def read(self, topic: str) -> Sequence["ConsumerRecord[bytes, bytes]"]:
        """Return all records of a topic."""
        return await self.bus.read(topic)

    @asynccontextmanager
    async def follow(self, topic: str) -> AsyncIterator["Follower"]:
        """Read a topic as it grows, from its beginning."""
        async with _reader(self.bus.address) as consumer:
            places = [TopicPartition(topic, n) for n in range(PARTITIONS)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            yield Follower(consumer)


@dataclass(frozen=True)
class Follower:
    """A topic that is read as it grows."""

    consumer: AIOKafkaConsumer

    async def more(self) -> Iterator["ConsumerRecord[bytes, bytes]"]:
        """Return what has come since, after a moment's wait if it is nothing."""
        fetched = await self.consumer.getmany(timeout_ms=200)
        return (record for records in fetched.values() for record in records)


class Sender:
    """Fills batches by partition: each person's calls lie in one, and their transfers in one."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._batches: dict[Place, list[bytes]] = {}
        self._bytes: dict[Place, int] = {}
        self._sent: list[asyncio.Future[object]] = []

    async def add(self, line: bytes) -> None:
        """Add a record; it leaves when its batch is full."""
        place = place_of(line)
        self._batches.setdefault(place, []).append(line)
        self._bytes[place] = self._bytes.get(place, 0) + len(line) + 100
        if self._bytes[place] > _BATCH_BYTES - 2_000:
            await self._send(place)

    async def flush(self) -> None:
        """Send what is left, and wait until everything is acknowledged."""
        for place in list(self._batches):
            await self._send(place)
        await asyncio.gather(*self._sent)
        self._sent.clear()

    async def _send(self, place: Place) -> None:
        batch = self._producer.create_batch()
        for line in self._batches.pop(place):
            batch.append(key=None, value=line, timestamp=None)
        self._bytes[place] = 0
        topic, number = place
        self._sent.append(await self._producer.send_batch(batch, topic, partition=number))


def place_of(line: bytes) -> Place:
    """Return the outside partition that a record belongs to."""
    record = decode(line)
    topic = CALLS if isinstance(record, Call) else TRANSACTIONS
    return topic, zlib.crc32(record.data.person.encode()) % PARTITIONS


def own_id(line: bytes) -> str:
    """Return the id of the call or transfer that a record of workload A is about."""
    data = json.loads(line)["data"]
    return str(data.get("call_id") or data["transfer_id"])


@asynccontextmanager
async def open_course() -> AsyncIterator[Course]:
    """Start a Kafka of our own from its jars, and stop it afterwards.

    Raises:
        OutsideFailure: There is no Java, or no Maven.
    """
    with JavaBroker() as address:
        async with Bus(address) as bus:
            yield Course(bus)


def _producer(address: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=address, acks="all", max_batch_size=_BATCH_BYTES, linger_ms=0
    )


@asynccontextmanager
async def sending(course: Course) -> AsyncIterator[Sender]:
    """Give what sends records to the outside topics."""
    async with _producer(course.bus.address) as producer:
        yield Sender(producer)


def _reader(address: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=address,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
