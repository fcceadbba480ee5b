"""A Kafka broker as tests use it: topics of their own, records in exact partitions."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

PATIENCE_S = 120.0


@dataclass
class Bus:
    """One broker, and the topics that one test has made on it, which go with it."""

    address: str
    topics: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.topics:
            await self._admin.delete_topics(self.topics)
        await self._admin.close()

    async def create(
        self, topic: str, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic and wait until each of its partitions has a leader."""
        new = NewTopic(topic, partitions, 1, topic_configs=dict(settings or {}))
        response = await self._admin.create_topics([new])
        # A topic of somebody else's is not ours to write to, and still less to delete.
        assert [code for _, code, _ in response.topic_errors] == [0], response.topic_errors
        self.topics.append(topic)
        async with asyncio.timeout(PATIENCE_S):
            while len(await self._led(topic)) < partitions:  # noqa: ASYNC110 - a broker has no event
                await asyncio.sleep(0.05)

    async def _led(self, topic: str) -> list[TopicPartition]:
        described = await self._asked(partial(self._admin.describe_topics, [topic]))
        return [
            TopicPartition(topic, partition["partition"])
            for partition in sorted(described[0]["partitions"], key=lambda p: int(p["partition"]))
            if partition["error_code"] == 0 and partition["leader"] >= 0
        ]

    async def produce(
        self, topic: str, values: Iterable[bytes | None], partition: int = 0
    ) -> None:
        """Append values to one partition, in order, and wait until they are acknowledged."""
        await self.produce_all((topic, partition, None, value) for value in values)

    async def produce_all(
        self, records: Iterable[tuple[str, int, bytes | None, bytes | None]]
    ) -> None:
        """Append (topic, partition, key, value) in order, and wait for every acknowledgement."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.address, acks="all", enable_idempotence=True
        ) as producer:
            sent = [
                await producer.send(topic, value, key=key, partition=partition)
                for topic, partition, key, value in records
            ]
            await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S)

    async def read(self, topic: str) -> list["ConsumerRecord[Any, Any]"]:
        """Return all committed records of a topic, partition by partition, in offset order."""
        partitions = await self._led(topic)
        # No group: what a test reads is no business of the workers it tests.
        async with AIOKafkaConsumer(
            bootstrap_servers=self.address,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        ) as consumer:
            async with asyncio.timeout(PATIENCE_S):
                return await _read_to_end(consumer, partitions)

    async def read_json(self, topic: str) -> list[dict[str, Any]]:
        """Return the values of a topic's records, decoded, in the order of `read`."""
        return [json.loads(r.value) for r in await self.read(topic) if r.value is not None]

    async def committed(self, group: str) -> dict[tuple[str, int], tuple[int, str]]:
        """Return a group's commits: (topic, partition) -> (offset, metadata)."""
        async with asyncio.timeout(PATIENCE_S):
            offsets = await self._offsets(group)
        return {(p.topic, p.partition): (o.offset, o.metadata) for p, o in offsets.items()}

    async def until_replicated(self) -> None:
        """Wait until every broker that holds a copy of a topic's partition is up to date."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self._is_replicated():  # noqa: ASYNC110 - a broker has no event
                await asyncio.sleep(0.2)

    async def _is_replicated(self) -> bool:
        described = await self._asked(partial(self._admin.describe_topics, self.topics))
        partitions = [p for topic in described for p in topic["partitions"]]
        return all(p["error_code"] == 0 and {*p["isr"]} == {*p["replicas"]} for p in partitions)

    async def _offsets(self, group: str) -> dict[TopicPartition, Any]:
        return dict(await self._asked(partial(self._admin.list_consumer_group_offsets, group)))

    async def _asked(self, question: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - aiokafka has no types
        while True:
            try:
                return await question()
            except KafkaError as error:
                # A broker may be gone, and on a new one the first question makes the topic
                # that holds a group's offsets.
                if not error.retriable:
                    raise
            await asyncio.sleep(0.05)


async def _read_to_end(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
) -> list["ConsumerRecord[Any, Any]"]:
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    read: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = {p: [] for p in partitions}
    while [p for p in partitions if await consumer.position(p) < ends[p]]:
        for partition, records in (await consumer.getmany(timeout_ms=100)).items():
            read[partition] += [r for r in records if r.offset < ends[partition]]
    return [record for partition in partitions for record in read[partition]]
