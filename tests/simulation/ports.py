"""What a process of the simulation has of a Kafka beside its group."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rules.watermark import Partition
from streams.lanes import Commit, Row
from streams.outbox import Message
from tests.simulation.kafka import Group, Kafka
from tests.simulation.virtual_loop import Process

_FOLLOW_EVERY_S: Final = 0.3


@dataclass(eq=False)
class Ports:
    """A process's producer, its reader without a group, and its questions about commits."""

    kafka: Kafka
    process: Process
    group: Group | None = None

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Append the messages, partition by partition in any order, in batches of any size."""
        kafka = self.kafka
        groups: defaultdict[Partition, list[Message]] = defaultdict(list)
        for message in messages:
            number = message.partition
            if number is None:
                number = sum(message.key or b"") % kafka.sizes.get(message.topic, 1)
            groups[message.topic, number].append(message)
        places = list(groups)
        kafka.random.shuffle(places)
        for place in places:
            await kafka.latency()
            group = groups[place]
            cut = kafka.random.randint(0, len(group))
            for part in (group[:cut], group[cut:]):
                for message in part:
                    kafka.append(place, message.key, message.value)
                if part:
                    await kafka.step(self.process)

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset."""
        del partition
        return 0

    async def end_of(self, partition: Partition) -> int:
        """Return the offset that the next row will have."""
        await self.kafka.latency()
        return len(self.kafka.logs[partition])

    async def follow(self, partition: Partition) -> AsyncIterator[Sequence[Row]]:
        """Yield all rows, then those that come."""
        at = 0
        while True:
            rows = self.kafka.logs[partition][at:]
            if rows:
                at = rows[-1].offset + 1
                yield rows
            await asyncio.sleep(_FOLLOW_EVERY_S)

    async def rows(
        self, partition: Partition, start: int, end: int
    ) -> AsyncIterator[Sequence[Row]]:
        """Yield rows, a few at a time."""
        while start < end:
            await self.kafka.latency()
            rows = self.kafka.logs[partition][start : min(start + 20, end)]
            start = rows[-1].offset + 1
            yield rows

    async def committed(self, partition: Partition) -> Commit | None:
        """Return the group's commit."""
        await self.kafka.latency()
        assert self.group is not None, "only members ask for a commit"
        return self.group.commits.get(partition)

    async def topics_changed(self, sizes: Mapping[str, int]) -> str | None:
        """Return None: nobody touches the topics."""
        del sizes
        return None
