"""The one producer of a worker: the broker acknowledges what it writes, or the worker stops."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.failures import OutsideFailure

_BATCH_BYTES: Final = 256 * 1024


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
        assert self._producer is not None, "agents get batches only after this service has started"
        send = self._producer.send
        try:
            sent = [await send(m.topic, m.value, m.key, m.partition) for m in messages]
            await asyncio.gather(*sent)
        except KafkaError as error:
            # The error's own text stays out: it could hold what the record holds.
            topics = ", ".join(sorted({m.topic for m in messages}))
            raise OutsideFailure(
                f"a record for {topics} was not taken: {type(error).__name__}"
            ) from None
