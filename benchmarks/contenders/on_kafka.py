"""A plain aiokafka loop: what somebody writes in an afternoon, with no guarantee at all.

One process reads the outside topics, decodes as the floor does, drops by hand what the rule cannot
use, forwards the rest by person to a topic of its own, reads that back, matches, and writes
alerts. Offsets are committed by the clock. What it holds in memory is gone with it, and so is what
was on its way: this is the speed without any of the product's promises.
"""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.contenders.by_hand import Person, is_kept, least_amount, observe
from benchmarks.contenders.needed import Call, Transfer, decode
from benchmarks.truth import Limits

encode = msgspec.json.Encoder().encode


def matcher(variants: Sequence[Limits]) -> Callable[[bytes], list[bytes]]:
    """Return what turns a kept record into the alerts that it completes."""
    people: defaultdict[str, Person] = defaultdict(Person)

    def take(raw: bytes) -> list[bytes]:
        kept = decode(raw).data
        found = observe(people[kept.person], kept, variants)
        return [f"{rule}\t{transfer}".encode() for rule, transfer in found]

    return take


def forwarded(raw: bytes, least: int) -> tuple[bytes, bytes] | None:
    """Return key and value of a record that is kept, or None."""
    record: Call | Transfer = decode(raw)
    return (record.data.person.encode(), encode(record)) if is_kept(record, least) else None


async def _run(told: dict[str, Any]) -> None:
    variants = msgspec.convert(told["variants"], list[Limits])
    take, least = matcher(variants), least_amount(variants)
    consumer = AIOKafkaConsumer(
        *told["outside"],
        told["kept"],
        bootstrap_servers=told["broker"],
        group_id=told["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        max_partition_fetch_bytes=1024 * 1024,
        fetch_max_bytes=16 * 1024 * 1024,
        fetch_max_wait_ms=20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=told["broker"],
        acks="all",
        linger_ms=0,
        max_batch_size=256 * 1024,
        compression_type="lz4",
    )
    async with consumer, producer:
        while True:
            for place, rows in (await consumer.getmany(timeout_ms=200)).items():
                if place.topic == told["kept"]:
                    for row in rows:
                        for alert in take(row.value):
                            await producer.send(told["alerts"], alert)
                else:
                    for row in rows:
                        pair = forwarded(row.value, least)
                        if pair is not None:
                            await producer.send(told["kept"], pair[1], key=pair[0])


def main() -> None:
    """Run until a signal ends it."""
    asyncio.run(_run(json.loads(os.environ["CONTENDER"])))


if __name__ == "__main__":
    main()
