"""Tests of the demo on a Kafka of others: it finds the same, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.broker.bus import Bus

pytestmark = pytest.mark.broker

# Whoever starts the tests in the background may have told all their children to ignore Ctrl-C.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from streams.cli import main
main()
"""


def ringfence(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


async def of_demos(kafka: str) -> tuple[set[str], set[str]]:
    """Return the topics and the groups of all demos on a broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        topics, groups = await admin.list_topics(), await admin.list_consumer_groups()
    finally:
        await admin.close()
    mine = "ringfence-demo-"
    return {t for t in topics if t.startswith(mine)}, {g[0] for g in groups if mine in g[0]}


async def test_a_worker_finds_what_a_replay_finds_and_nothing_of_the_demo_stays(
    kafka: str, bus: Bus, names: Callable[[str], str]
) -> None:
    await bus.create(names("calls"))
    before = await of_demos(kafka)
    done = ringfence("demo", "--broker", kafka, RINGFENCE_CALLS_TOPICS=names("calls"))
    assert done.returncode == 0, done.stderr
    assert "alerts as a replay of the log" in done.stderr
    assert f"broker: the one at {kafka}; topics and group of the demo's own: " in done.stderr
    assert await of_demos(kafka) == before
    assert await bus.read(names("calls")) == []


async def test_a_demo_that_is_interrupted_leaves_nothing_either(kafka: str) -> None:
    before = await of_demos(kafka)
    command = [sys.executable, "-c", INTERRUPTIBLE, "demo", "--broker", kafka]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(180):
        # Its group is there once its worker is at work.
        while (await of_demos(kafka))[1] == before[1]:
            assert process.returncode is None
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, _ = await process.communicate()
    assert process.returncode != 0
    assert said == b""
    assert await of_demos(kafka) == before


def settings_for(kafka: str, calls: str, transactions: str) -> dict[str, str]:
    return {
        "RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "RINGFENCE_CALLS_TOPICS": calls,
        "RINGFENCE_TRANSACTIONS_TOPICS": transactions,
    }


async def test_the_log_goes_to_the_partitions_that_it_was_recorded_in(
    kafka: str, bus: Bus, names: Callable[[str], str]
) -> None:
    calls, transactions = names("calls"), names("transactions")
    await bus.create(calls, 3)
    await bus.create(transactions, 5)
    done = ringfence("produce-demo", **settings_for(kafka, calls, transactions))
    assert done.returncode == 0, done.stderr
    sent = await bus.read(calls)
    assert f"{len(sent):,} records sent to {calls}\n" in done.stderr
    fuding = {r.partition for r in sent if b'"fuding-call"' in r.value}
    assert len(fuding) == 1
    # The two partitions that the log knows nothing of have its heartbeats, and nothing else.
    further = [r for r in await bus.read(transactions) if r.partition > 2]
    assert [r.partition for r in further] == [3, 3, 4, 4]
    assert all(b"ringfence.heartbeat.v1" in r.value for r in further)


async def test_a_topic_that_is_too_small_for_the_log_is_refused(
    kafka: str, bus: Bus, names: Callable[[str], str]
) -> None:
    calls, transactions = names("calls"), names("transactions")
    await bus.create(calls, 2)
    await bus.create(transactions, 3)
    done = ringfence("produce-demo", **settings_for(kafka, calls, transactions))
    assert done.returncode == 3
    assert done.stderr == (
        f'ringfence: topic "{calls}" has 2 partitions, and the demo\'s log was recorded from 3;'
        " make it with that many or more\n"
    )
    assert await bus.read(transactions) == []
