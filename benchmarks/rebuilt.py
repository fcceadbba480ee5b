"""What a rebuild takes: `python -m benchmarks.rebuilt ROWS`, in a process of its own.

The correlate station of the worker makes the state of one partition anew from a facts log of
calls on a real Kafka: from the broker to the histories, nothing left out. Prints one JSON object.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.remembered import FEED, facts
from rules.fact import Mark
from rules.timing import Timing
from rules.watermark import NEVER_US
from streams.agents.correlate import CorrelateStation
from streams.brokers import JavaBroker
from streams.bus import Bus
from streams.epoch import FactsTopic
from streams.garbage import look_seldom
from streams.lanes import Commit
from streams.rule_files import read_rules
from streams.settings import Settings, load_settings
from streams.states import Stage
from streams.wire.commits import Point, encode_point
from streams.wire.facts import encode_mark

_LOG: Final = FactsTopic("facts", 1, {FEED[0]: 1}, 1)
_SECRET: Final = "an invented key for benchmarks alone"  # noqa: S105 - see there
_BATCH: Final = 1_000


class Cost(msgspec.Struct):
    """What it took to make the state of so many rows anew, and to do no more than read them."""

    rows: int
    seconds: float
    cpu_seconds: float
    reading_cpu_seconds: float


def main() -> None:
    """Measure, and print what was found."""
    with JavaBroker() as address:
        cost = asyncio.run(_cost(address, int(sys.argv[1])))
    sys.stdout.buffer.write(msgspec.json.encode(cost) + b"\n")


async def _cost(address: str, rows: int) -> Cost:
    settings = load_settings(
        {"RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": address, "RINGFENCE_PSEUDONYM_KEY": _SECRET}
    )
    await _write(address, rows)
    async with _bus(settings) as bus:
        station = CorrelateStation(
            asyncio.Queue(),
            settings=settings,
            stage=Stage(_LOG, read_rules(None, Timing(), None).first_stage),
            alerts_topic="alerts",
            sender=_Nowhere(),
            facts_log=bus,
        )
        point = encode_point(Point(0, {FEED: NEVER_US}), _LOG.size)
        look_seldom()
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        async for _ in bus.rows((_LOG.name, 0), 0, rows):
            pass
        reading_cpu_s = time.process_time() - began_cpu_s
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        opening = await station.open((_LOG.name, 0), Commit(rows, point), None)
        cpu_s = time.process_time() - began_cpu_s
        assert opening.rebuilt_rows == rows, "the state is made of all rows"
        return Cost(rows, time.monotonic() - began_s, cpu_s, reading_cpu_s)


async def _write(address: str, rows: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(_LOG.name, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=address, linger_ms=20) as producer:
        await producer.send(_LOG.name, encode_mark(Mark(*FEED, NEVER_US + 1), _LOG.roster))
        for number, (key, value) in enumerate(facts(rows - 1, Timing())):
            await producer.send(_LOG.name, value, key)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        await producer.flush()


@asynccontextmanager
async def _bus(settings: Settings) -> AsyncIterator[Bus]:
    bus = Bus(settings, "rebuilt")
    await bus.start()
    yield bus
    await bus.stop()


class _Nowhere:
    """Takes what a rebuilt lane begins by telling."""

    async def send_all(self, messages: object) -> None:
        """Drop it."""
        del messages


if __name__ == "__main__":
    main()
