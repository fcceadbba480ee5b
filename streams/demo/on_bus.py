"""The demo on a broker: topics and a group of its own, the log, a worker, and nothing left."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, NonEmptyGroup
from aiokafka.protocol.admin import DeleteGroupsRequest

from rules.rule import RuleSet
from streams.children import Child, child
from streams.demo.found import Found
from streams.demo.sending import send_log
from streams.epoch import Epoch, partitions_of
from streams.failures import OutsideFailure
from streams.joining import find_epoch
from streams.security import client_options
from streams.settings import Settings
from streams.simulation.log import PARTITIONS
from streams.topics import connected, create_topics

_PATIENCE_S = 90.0
_LOOK_EVERY_MS = 200
_CLEAN_UP_S = 30.0


async def found_on_bus(
    settings: Settings, rule_set: RuleSet, environment: Mapping[str, str]
) -> Found:
    """Send the packaged log, let a worker work on it, and return what it finds.

    Args:
        settings: name topics and a group that begin with `settings.group` and that nobody else
            has; all that begins so is removed at the end.
        rule_set: the worker's rules.
        environment: the same settings, for the worker's process.

    Raises:
        OutsideFailure: The broker or the worker fails, or takes more than a minute and a half.
    """
    async with connected(settings) as admin:
        try:
            found = await _found(settings, rule_set, environment, admin)
        except BaseException:
            # What went wrong first is what there is to tell.
            with suppress(OutsideFailure):
                await _remove(settings, admin)
            raise
        await _remove(settings, admin)
        return found


async def _found(
    settings: Settings,
    rule_set: RuleSet,
    environment: Mapping[str, str],
    admin: AIOKafkaAdminClient,
) -> Found:
    await create_topics(settings, rule_set, partitions=PARTITIONS, replication=None, inputs=True)
    epoch = await find_epoch(settings, rule_set)
    await send_log(settings)
    command = [sys.executable, "-m", "streams.cli", "worker"]
    with child(command, end_signal="TERM", environment=environment) as worker:
        return await _until_done(settings, epoch, admin, worker)


async def _until_done(
    settings: Settings, epoch: Epoch, admin: AIOKafkaAdminClient, worker: Child
) -> Found:
    """Follow the alerts until every record has been worked on and every alert is final."""
    found = Found()
    # No group: the demo looks on, and the only group on these topics is the worker's.
    consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
    async with consumer:
        consumer.assign([TopicPartition(settings.alerts_topic, n) for n in range(PARTITIONS)])
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    worker.check("the worker")
                    # Asked before the alerts are read: those are there before their commit is.
                    is_done = await _is_worked_off(epoch, admin, consumer)
                    while fetched := await consumer.getmany(timeout_ms=_LOOK_EVERY_MS):
                        for record in (r for records in fetched.values() for r in records):
                            found.add(record.value)
                    if is_done and found.is_final:
                        return found
        except TimeoutError as error:
            raise OutsideFailure(
                f"the worker was not done after {_PATIENCE_S:.0f} s, with"
                f" {len(found.last)} alerts so far"
            ) from error


async def _is_worked_off(
    epoch: Epoch, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer
) -> bool:
    """Tell whether the group has committed every outside record and every fact there is."""
    places = [TopicPartition(topic, n) for topic, n in partitions_of(epoch.sizes)]
    ends = await consumer.end_offsets(places)
    try:
        commits = await admin.list_consumer_group_offsets(epoch.group)
    except KafkaError:
        return False  # the group is still being made
    done = {place: commit.offset for place, commit in commits.items()}
    # A partition that never had a record need not have a commit.
    return all(done.get(place, 0) >= end for place, end in ends.items())


async def _remove(settings: Settings, admin: AIOKafkaAdminClient) -> None:
    """Delete every topic and group that begins with the demo's own name.

    Raises:
        OutsideFailure: The broker does not let them go.
    """
    prefix = settings.group
    try:
        async with asyncio.timeout(_CLEAN_UP_S):
            topics = [name for name in await admin.list_topics() if name.startswith(prefix)]
            groups = await admin.list_consumer_groups()
            for name in sorted({g[0] for g in groups if g[0].startswith(prefix)}):
                await _delete_group(settings, admin, name)
            if topics:
                await admin.delete_topics(topics)
    except (TimeoutError, KafkaError) as error:
        raise OutsideFailure(
            f"the demo's own topics and group could not all be removed ({type(error).__name__});"
            f' their names begin with "{prefix}"'
        ) from error


async def _delete_group(settings: Settings, admin: AIOKafkaAdminClient, name: str) -> None:
    client = AIOKafkaClient(**client_options(settings))
    await client.bootstrap()
    try:
        node = await admin.find_coordinator(name)
        while True:
            response = await client.send(node, DeleteGroupsRequest([name]))
            code = response.results[0][1]
            # A worker that had to be killed is a member until its session is over.
            if code != NonEmptyGroup.errno:
                return
            await asyncio.sleep(0.5)
    finally:
        await client.close()
