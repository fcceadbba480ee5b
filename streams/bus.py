"""What a worker asks the broker about its partitions: commits, ends, and rows of the facts log."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from rules.watermark import Partition
from streams.closing import close
from streams.failures import OutsideFailure
from streams.lanes import Commit, Row
from streams.refusals import DENIED, why
from streams.security import client_options
from streams.settings import Settings

_PATIENCE_S: Final = 30.0
_RETRY_S: Final = 0.2
_POLL_MS: Final = 500
_MILLISECOND_US: Final = 1_000
_FETCH_WAIT_MS: Final = 20
_PARTITION_BYTES: Final = 1024 * 1024
_FETCH_BYTES: Final = 4 * 1024 * 1024


def make_member(settings: Settings, group: str) -> AIOKafkaConsumer:
    """Return a member of the worker's group that does nothing by itself; it is not started."""
    session_ms = round(settings.session_timeout.total_seconds() * 1000)
    return AIOKafkaConsumer(
        **client_options(settings),
        group_id=group,
        group_instance_id=settings.group_instance_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 5,
        rebalance_timeout_ms=2 * session_ms,
        max_partition_fetch_bytes=_PARTITION_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )


class Bus(faust.Service):
    """Asks the broker, always without being a member of the group."""

    def __init__(
        self,
        settings: Settings,
        group: str,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._group = group
        self._admin: AIOKafkaAdminClient | None = None

    async def on_start(self) -> None:
        """Connect."""
        self._admin = AIOKafkaAdminClient(**client_options(self._settings))
        await self._admin.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        if self._admin is not None:
            await close("admin", self._admin.close())

    async def committed(self, partition: Partition) -> Commit | None:
        """Return the group's commit of a partition, or None if it has made none.

        Raises:
            OutsideFailure: The broker does not say.
        """
        assert self._admin is not None, "lanes open only after this service has started"
        place = TopicPartition(*partition)
        give_up_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                found = await self._admin.list_consumer_group_offsets(
                    self._group, partitions=[place]
                )
                offset, metadata = found[place]
                return None if offset < 0 else Commit(offset, metadata)
            except DENIED as error:
                raise OutsideFailure(f"no commits: {why(error, self._group)}") from error
            # aiokafka 0.14 meets an AttributeError of its own where the broker sends an error.
            except (KafkaError, AttributeError, KeyError) as error:
                if asyncio.get_running_loop().time() > give_up_at:
                    raise OutsideFailure(
                        f'the broker does not tell the commits of group "{self._group}":'
                        f" {type(error).__name__}"
                    ) from error
            await asyncio.sleep(_RETRY_S)

    async def topics_changed(self, sizes: Mapping[str, int]) -> str | None:
        """Return a sentence on the topic that is gone or has other partitions, or None.

        Args:
            sizes: the number of partitions of each topic as it should be.
        """
        assert self._admin is not None, "nothing is checked before this service has started"
        try:
            described = await self._admin.describe_topics(list(sizes))
        except KafkaError:
            # A broker that is away may come back; what reads and writes gives up in its own time.
            return None
        for found in described:
            topic, code, count = found["topic"], found["error_code"], len(found["partitions"])
            if code == UnknownTopicOrPartitionError.errno:
                return f'topic "{topic}" is gone'
            if code == 0 and count != sizes[topic]:
                return f'topic "{topic}" has {count} partitions now, and had {sizes[topic]}'
        return None

    async def start_of(self, partition: Partition, start: str | int) -> int:
        """Return the offset where a group without commits begins to read an outside partition.

        Args:
            partition: the topic and the number.
            start: `earliest`, `latest`, or the moment in microseconds from which on to read.
        """
        place = TopicPartition(*partition)
        async with self._reader(place) as consumer:
            if isinstance(start, int):
                found = await consumer.offsets_for_times({place: start // _MILLISECOND_US})
                if found[place] is not None:
                    return int(found[place].offset)
            if start == "earliest":
                return int((await consumer.beginning_offsets([place]))[place])
            return int((await consumer.end_offsets([place]))[place])

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset of a partition that retention has left."""
        place = TopicPartition(*partition)
        async with self._reader(place) as consumer:
            return int((await consumer.beginning_offsets([place]))[place])

    async def end_of(self, partition: Partition) -> int:
        """Return the offset that the next row of a partition will have."""
        place = TopicPartition(*partition)
        async with self._reader(place) as consumer:
            return int((await consumer.end_offsets([place]))[place])

    async def rows(
        self, partition: Partition, start: int, end: int
    ) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of a facts partition from one offset up to another, in order.

        Raises:
            OutsideFailure: They are not all there any more.
        """
        place = TopicPartition(*partition)
        async with self._reader(place) as consumer:
            await _check_range(consumer, place, start, end)
            consumer.seek(place, start)
            loop = asyncio.get_running_loop()
            heard_at_s = loop.time()
            while start < end:
                fetched = await consumer.getmany(place, timeout_ms=_POLL_MS)
                rows = [row for row in fetched.get(place, ()) if row.offset < end]
                if rows:
                    start, heard_at_s = rows[-1].offset + 1, loop.time()
                    yield rows
                elif loop.time() - heard_at_s > _PATIENCE_S:
                    raise OutsideFailure(
                        f'the broker brings no rows of topic "{place.topic}" partition'
                        f" {place.partition} from offset {start} on"
                    )

    async def follow(self, partition: Partition) -> AsyncIterator[Sequence[Row]]:
        """Yield all rows of a partition that are there, then those that come, without end.

        Raises:
            OutsideFailure: It cannot be read any more.
        """
        place = TopicPartition(*partition)
        async with self._reader(place) as consumer:
            consumer.seek(place, (await consumer.beginning_offsets([place]))[place])
            while True:
                try:
                    fetched = await consumer.getmany(place, timeout_ms=_POLL_MS)
                except KafkaError as error:
                    raise OutsideFailure(
                        f'topic "{place.topic}" cannot be read: {type(error).__name__}'
                    ) from error
                if rows := fetched.get(place):
                    yield rows

    @asynccontextmanager
    async def _reader(self, place: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )
        try:
            await consumer.start()
            consumer.assign([place])
            yield consumer
        finally:
            await consumer.stop()


async def _check_range(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> None:
    begin = (await consumer.beginning_offsets([place]))[place]
    finish = (await consumer.end_offsets([place]))[place]
    where = f'topic "{place.topic}" partition {place.partition}'
    if begin > start:
        raise OutsideFailure(
            f"{where} begins at offset {begin} and its state rests on what was at {start}:"
            " retention has deleted it, make it longer and begin anew"
        )
    if finish < end:
        raise OutsideFailure(
            f"{where} ends at offset {finish}, and the group has committed {end}:"
            " the topic has been made anew, delete the group too"
        )
