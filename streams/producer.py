"""The one producer of a worker: the broker acknowledges what it writes, or the worker stops."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from rules.watermark import Partition
from streams.failures import OutsideFailure

_BATCH_BYTES: Final = 256 * 1024
_spread: Final = DefaultPartitioner()


class Message(NamedTuple):
    """A record to write; without a partition, its key decides on one."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


class Sender(Protocol):
    """Writes records to topics."""

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Write the records and return when each is acknowledged.

        Raises:
            OutsideFailure: One of them was not; how many of the others were is not known.
        """


class Producer(faust.Service):
    """A `Sender` to a broker."""

    def __init__(self, bootstrap_servers: Sequence[str], **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        super().__init__(**kwargs)
        self._bootstrap_servers = list(bootstrap_servers)
        self._producer: AIOKafkaProducer | None = None

    async def on_start(self) -> None:
        """Connect."""
        # What leaves together is sent together anyway, so lingering would only add latency.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            compression_type="lz4",
        )
        await self._producer.start()

    async def on_stop(self) -> None:
        """Write what is under way, and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Write the records; see `Sender`."""
        try:
            sent = [
                await self._send(topic, partition, batch)
                for (topic, partition), group in (await self._by_partition(messages)).items()
                for batch in self._batches(group)
            ]
            await asyncio.gather(*sent)
        except KafkaError as error:
            # The error's own text stays out: it could hold what the record holds.
            topics = ", ".join(sorted({m.topic for m in messages}))
            raise OutsideFailure(
                f"a record for {topics} was not taken: {type(error).__name__}"
            ) from None

    async def _by_partition(
        self, messages: Sequence[Message]
    ) -> Mapping[Partition, Sequence[Message]]:
        found: defaultdict[Partition, list[Message]] = defaultdict(list)
        for message in messages:
            number = message.partition
            if number is None:
                everywhere = sorted(await self._connected.partitions_for(message.topic))
                number = _spread(message.key, everywhere, everywhere)
            found[message.topic, number].append(message)
        return found

    def _batches(self, messages: Sequence[Message]) -> Iterator[Any]:
        """Yield full batches of one partition: a task for each record would cost a third more."""
        batch = self._connected.create_batch()
        for message in messages:
            if batch.append(timestamp=None, key=message.key, value=message.value) is None:
                yield batch
                batch = self._connected.create_batch()
                # A batch takes its first record whatever the size; the broker may still refuse.
                batch.append(timestamp=None, key=message.key, value=message.value)
        yield batch

    async def _send(self, topic: str, partition: int, batch: Any) -> Any:  # noqa: ANN401 - aiokafka has no types
        return await self._connected.send_batch(batch, topic, partition=partition)

    @property
    def _connected(self) -> AIOKafkaProducer:
        assert self._producer is not None, "agents get batches only after this service has started"
        return self._producer


@asynccontextmanager
async def producing(bootstrap_servers: Sequence[str]) -> AsyncIterator[Producer]:
    """Give a producer outside a worker."""
    producer = Producer(bootstrap_servers)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
