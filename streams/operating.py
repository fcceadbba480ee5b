"""What commands that operate on epochs ask of a broker: a port, and Kafka behind it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from rules.rule import RuleSet
from rules.watermark import Partition
from streams.beginnings import Outside
from streams.bus import Bus
from streams.epochs_topic import read_succession, write_succession
from streams.failures import OutsideFailure
from streams.lanes import Commit
from streams.outbox import Message
from streams.producer import producing
from streams.refusals import DENIED, why
from streams.settings import Settings
from streams.succession import Entry, Succession
from streams.topics import Made, connected, demand, make_facts_topics, topic_sizes

_MEMBERS: Final = 5


class Broker(Outside, Protocol):
    """A broker, as far as epochs are started, followed and ended on it."""

    async def read_succession(self) -> Succession:
        """Return the epochs as they are on record."""

    async def write_succession(self, succession: Succession) -> Succession:
        """Put on record what a change has made of the version that was read; return it."""

    async def topic_sizes(self) -> Mapping[str, int]:
        """Return the number of partitions of every topic."""

    async def commits(self, group: str) -> Mapping[Partition, Commit]:
        """Return what a group has committed."""

    async def members(self, group: str) -> int:
        """Return how many members a group has."""

    async def make_topics(self, entry: Entry, rule_set: RuleSet, like: str) -> None:
        """Make the topics of an epoch that are missing, as large and safe as another topic."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Write records and return when each is acknowledged."""


class KafkaBroker(Bus):
    """The port over Kafka."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        super().__init__(settings, settings.group)
        self._client = admin

    async def read_succession(self) -> Succession:
        """Read the epochs topic."""
        return await read_succession(self._settings)

    async def write_succession(self, succession: Succession) -> Succession:
        """Append to the epochs topic."""
        return await write_succession(self._settings, succession)

    async def topic_sizes(self) -> Mapping[str, int]:
        """Ask for all topics."""
        return await topic_sizes(self._client)

    async def commits(self, group: str) -> Mapping[Partition, Commit]:
        """Ask the group's coordinator; of a group that is not there yet there are none."""
        try:
            found = await self._client.list_consumer_group_offsets(group)
        except DENIED as error:
            raise OutsideFailure(f"no commits: {why(error, group)}") from error
        except (KafkaError, AttributeError):
            return {}  # aiokafka 0.14 meets an AttributeError of its own on a new broker
        return {
            (p.topic, p.partition): Commit(c.offset, c.metadata)
            for p, c in found.items()
            if c.offset >= 0
        }

    async def members(self, group: str) -> int:
        """Ask the group's coordinator."""
        (response,) = await self._client.describe_consumer_groups([group])
        return len(response.groups[0][_MEMBERS])

    async def make_topics(self, entry: Entry, rule_set: RuleSet, like: str) -> None:
        """Make them with as many partitions and replicas."""
        (found,) = await self._client.describe_topics([like])
        demand([like], {like: len(found["partitions"])}, "it is needed to end the epoch before")
        await make_facts_topics(
            self._client,
            entry,
            rule_set,
            Made(),
            partitions=len(found["partitions"]),
            replication=len(found["partitions"][0]["replicas"]),
        )

    async def send(self, messages: Sequence[Message]) -> None:
        """Write them by a producer of its own."""
        async with producing(self._settings) as producer:
            await producer.send_all(messages)


@asynccontextmanager
async def operating(settings: Settings) -> AsyncIterator[Broker]:
    """Give the broker, connected.

    Raises:
        OutsideFailure: It is not there.
    """
    async with connected(settings) as admin:
        yield KafkaBroker(settings, admin)
