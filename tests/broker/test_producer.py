"""The producer on a real Kafka: batches of ours arrive whole, in order, and where Kafka would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest
from aiokafka import AIOKafkaProducer

from streams.failures import OutsideFailure
from streams.outbox import Message
from streams.producer import Producer
from streams.settings import load_settings
from tests.broker.bus import Bus

pytestmark = pytest.mark.broker


@asynccontextmanager
async def producing(address: str) -> AsyncIterator[Producer]:
    """Run a producer."""
    producer = Producer(load_settings({}, kafka_bootstrap_servers=address))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def test_more_than_a_batch_holds_arrives_in_order(
    bus: Bus, names: Callable[[str], str]
) -> None:
    topic = names("many")
    await bus.create(topic, partitions=2)
    # Of one call, partition by partition: together some three batches for each.
    messages = [Message(topic, b"%d" % n, b"%06d" % n + b"x" * 200, n % 2) for n in range(6_000)]
    async with producing(bus.address) as producer:
        await producer.send_all(messages)
        await producer.send_all([])
    read = await bus.read(topic)
    for partition in (0, 1):
        values = [r.value for r in read if r.partition == partition]
        assert values == [m.value for m in messages if m.partition == partition]


async def test_a_key_without_a_partition_goes_where_kafka_would_put_it(
    bus: Bus, names: Callable[[str], str]
) -> None:
    ours, kafkas = names("ours"), names("kafkas")
    for topic in (ours, kafkas):
        await bus.create(topic, partitions=3)
    keys = [b"alert-%d" % n for n in range(50)]
    async with producing(bus.address) as producer:
        await producer.send_all([Message(ours, key, b"v") for key in keys])
    async with AIOKafkaProducer(bootstrap_servers=bus.address) as producer:
        await asyncio.gather(*[await producer.send(kafkas, b"v", key) for key in keys])
    placed = {t: {r.key: r.partition for r in await bus.read(t)} for t in (ours, kafkas)}
    assert placed[ours] == placed[kafkas]


async def test_a_record_that_is_refused_is_named_by_its_topic_and_without_its_text(
    bus: Bus, names: Callable[[str], str]
) -> None:
    topic = names("small")
    await bus.create(topic, settings={"max.message.bytes": "300"})
    async with producing(bus.address) as producer:
        with pytest.raises(OutsideFailure) as caught:
            await producer.send_all([Message(topic, b"cust-7", token_bytes(5_000), 0)])
    assert str(caught.value) == f"a record for {topic} was not taken: MessageSizeTooLargeError"


async def test_many_writers_to_one_partition_all_get_their_turn(
    bus: Bus, names: Callable[[str], str]
) -> None:
    topic = names("one")
    await bus.create(topic)
    async with producing(bus.address) as producer:

        async def write(writer: int) -> None:
            for n in range(150):
                await producer.send_all([Message(topic, None, b"%d %d" % (writer, n), 0)])

        await asyncio.gather(*map(write, range(60)))
    read = [tuple(map(int, (r.value or b"").split())) for r in await bus.read(topic)]
    for writer in range(60):
        assert [n for w, n in read if w == writer] == list(range(150))
