"""The demo on a broker: topics and a group of its own, the log sent, a worker at work, an end."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from subprocess import Popen
from typing import IO, Any

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, KafkaError, NonEmptyGroupError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from rules.rule import RuleSet
from streams.children import child, last_words
from streams.demo.found import Found
from streams.demo.recorded import Sent, sent_records
from streams.epoch import Epoch
from streams.failures import OutsideFailure
from streams.settings import Settings
from streams.simulation.log import PARTITIONS
from streams.topics import connected, create_topics, find_epoch

_PATIENCE_S = 90.0
_LOOK_EVERY_S = 0.2
_GROUP_KIND = 0


async def found_on_bus(
    settings: Settings, rule_set: RuleSet, environment: Mapping[str, str]
) -> Found:
    """Send the packaged log, let a worker of its own work on it, and return what it finds.

    Args:
        settings: name topics and a group that nobody else has; both are removed at the end.
        rule_set: the worker's rules.
        environment: the same settings, for the worker's process.

    Raises:
        OutsideFailure: The broker or the worker fails, or takes more than a minute and a half.
    """
    async with connected(settings) as admin:
        try:
            made = create_topics(
                settings, rule_set, partitions=PARTITIONS, replication=None, inputs=True
            )
            await made
            epoch = await find_epoch(settings, rule_set)
            await send_log(settings, sent_records())
            with _worker(environment) as (process, output):
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        found = await _until_done(settings, epoch, admin, process)
                except (TimeoutError, _WorkerEndedError) as error:
                    raise _not_done(process, output) from error
            return found
        finally:
            await _remove(settings, admin)
