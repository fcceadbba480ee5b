"""The packaged log on outside topics: every record in the partition that it was recorded in."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.demo.recorded import Sent, sent_records
from streams.failures import OutsideFailure
from streams.refusals import why
from streams.security import client_options
from streams.settings import Settings
from streams.simulation.reports import CALLS, TRANSACTIONS

_PATIENCE_S = 60.0


async def send_log(settings: Settings) -> Mapping[str, int]:
    """Send the packaged log to the first outside topic of each side; return how many to each.

    Raises:
        OutsideFailure: A topic is missing or too small, or the broker does not take a record.
    """
    topics = {CALLS: settings.calls_topics[0], TRANSACTIONS: settings.transactions_topics[0]}
    producer = AIOKafkaProducer(**client_options(settings), acks="all", enable_idempotence=True)
    try:
        async with asyncio.timeout(_PATIENCE_S), producer:
            return await _send(producer, topics)
    except TimeoutError as error:
        raise OutsideFailure(
            f"the broker did not take the demo's records within {_PATIENCE_S:.0f} s"
        ) from error
    except KafkaError as error:
        raise OutsideFailure(
            f"the broker at {', '.join(settings.kafka_bootstrap_servers)} took no records:"
            f" {why(error)}"
        ) from error


async def _send(producer: AIOKafkaProducer, topics: Mapping[str, str]) -> Mapping[str, int]:
    records = sent_records()
    sizes = {feed: len(await producer.partitions_for(topic)) for feed, topic in topics.items()}
    count: Counter[str] = Counter()
    waiting = []
    for record in _spread(records, sizes, topics):
        topic = topics[record.feed]
        sent = await producer.send(topic, record.value, partition=record.partition)
        waiting.append(sent)
        count[topic] += 1
    await asyncio.gather(*waiting)
    return count


def _spread(
    records: Iterable[Sent], sizes: Mapping[str, int], topics: Mapping[str, str]
) -> Iterator[Sent]:
    """Yield the records, and each feed's heartbeats for partitions that the log has not too.

    Without them a partition that brings nothing would hold every alert open for half an hour.
    """
    known = list(records)
    recorded = {feed: 1 + max(r.partition for r in known if r.feed == feed) for feed in sizes}
    for feed, size in sizes.items():
        if size < recorded[feed]:
            raise OutsideFailure(
                f'topic "{topics[feed]}" has {size} partitions, and the demo\'s log was recorded'
                f" from {recorded[feed]}; make it with that many or more"
            )
    for record in known:
        yield record
        if record.is_heartbeat and record.partition == 0:
            for partition in range(recorded[record.feed], sizes[record.feed]):
                yield record._replace(partition=partition)
