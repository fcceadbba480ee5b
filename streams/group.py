"""The consumer group, as far as a worker's intake has to do with it."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from rules.watermark import Partition
from streams.lanes import Commit, Row


class Member(Protocol):
    """A member of the consumer group, as far as it is used here: aiokafka's consumer is one."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Leave the group, without a call of the listener."""

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        """Join the group; the listener is told what is given and taken."""

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[Row]]:
        """Return all that has been fetched, or nothing after a while."""

    def pause(self, *places: TopicPartition) -> None:
        """Fetch no more of some partitions."""

    def resume(self, *places: TopicPartition) -> None:
        """Fetch again."""

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Set from where to fetch."""

    def assignment(self) -> AbstractSet[TopicPartition]:
        """Return what the group has given."""

    async def position(self, place: TopicPartition) -> int:
        """Return the offset of the row to come next."""

    def highwater(self, place: TopicPartition) -> int | None:
        """Return where the partition ended when it was last fetched."""

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        """Return when it was last fetched, in milliseconds."""

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit."""


class Commits(Protocol):
    """What the broker knows of the group and its topics."""

    async def committed(self, partition: Partition) -> Commit | None:
        """Return the group's commit of a partition, or None if it has made none."""

    async def topics_changed(self, sizes: Mapping[str, int]) -> str | None:
        """Return a sentence on the topic that is gone or has other partitions, or None."""


class Assigned(Protocol):
    """What is told of what the group gives and takes."""

    async def on_revoked(self) -> None:
        """Let go of everything."""

    def on_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin with what is given; nothing may be awaited here."""

    def crash(self, reason: BaseException) -> Awaitable[None]:
        """End the worker."""


class Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Hands on what the group does; aiokafka swallows what a listener raises."""

    def __init__(self, told: Assigned) -> None:
        self._told = told

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let go of everything: eager rebalancing takes all before it gives anything."""
        del revoked
        try:
            await self._told.on_revoked()
        except Exception as error:  # noqa: BLE001 - the worker ends with it
            await self._told.crash(error)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin with what is given."""
        try:
            self._told.on_assigned(list(assigned))
        except Exception as error:  # noqa: BLE001 - the worker ends with it
            await self._told.crash(error)
