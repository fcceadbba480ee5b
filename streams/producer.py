"""The one producer of a worker: the broker acknowledges what it writes, or the worker stops."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from rules.watermark import Partition
from streams.closing import close
from streams.failures import OutsideFailure
from streams.outbox import Message, Outbox
from streams.refusals import why
from streams.security import KafkaSettings, client_options

_BATCH_BYTES: Final = 256 * 1024
_spread: Final = DefaultPartitioner()


class Sender(Protocol):
    """Writes records to topics."""

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Write the records and return when each is acknowledged.

        Raises:
            OutsideFailure: One of them was not; how many of the others were is not known.
        """


class Producer(faust.Service):
    """A `Sender` to a broker."""

    def __init__(self, settings: KafkaSettings, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        super().__init__(**kwargs)
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._outboxes: dict[Partition, Outbox] = {}

    async def on_start(self) -> None:
        """Connect."""
        # What leaves together is sent together anyway, so lingering would only add latency.
        self._producer = AIOKafkaProducer(
            **client_options(self._settings),
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
            await close("producer", self._producer.stop())

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Write the records; see `Sender`."""
        try:
            by_partition = await self._by_partition(messages)
            sent = [self._outbox(place).put(group) for place, group in by_partition.items()]
            await asyncio.gather(*sent)
        except KafkaError as error:
            # The error's own text stays out: it could hold what the record holds.
            topics = ", ".join(sorted({m.topic for m in messages}))
            raise OutsideFailure(f"a record for {topics} was not taken: {why(error)}") from None

    def _outbox(self, place: Partition) -> Outbox:
        found = self._outboxes.get(place)
        if found is None:
            found = Outbox(self._connected.create_batch, partial(self._send, place))
            self._outboxes[place] = found
        return found

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

    async def _send(self, place: Partition, batch: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        topic, number = place
        await (await self._connected.send_batch(batch, topic, partition=number))

    @property
    def _connected(self) -> AIOKafkaProducer:
        assert self._producer is not None, "agents get batches only after this service has started"
        return self._producer


@asynccontextmanager
async def producing(settings: KafkaSettings) -> AsyncIterator[Producer]:
    """Give a producer outside a worker."""
    producer = Producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
