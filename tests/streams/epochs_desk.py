"""Epochs over a bus in memory: the commands' port to a broker, and hands that do workers' work."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.rule import RuleSet
from rules.watermark import Partition
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.epoch import Epoch, partitions_of
from streams.ingest import Ingest
from streams.joining import join
from streams.lanes import Commit, Lane
from streams.outbox import Message
from streams.settings import Settings
from streams.states import stages_of
from streams.succession import Entry, Succession
from streams.switching import Switch
from streams.wire.pseudonyms import Pseudonyms
from tests.streams.worker_parts import SECRET, MemoryBus, rows_of

CALLS = ("calls", 0)
TRANSACTIONS = ("transactions", 0)
FACTS_SIZE = 2


class KilledError(Exception):
    """The process is gone, right after it has had an effect."""


@dataclass
class MemoryBroker(MemoryBus):
    """A broker in memory: topics, groups, and the epochs on record.

    `dies_after` is how many effects whoever uses it has before they are killed.
    """

    groups: dict[str, dict[Partition, Commit]] = field(default_factory=lambda: defaultdict(dict))
    workers: Counter[str] = field(default_factory=Counter)
    versions: list[Succession] = field(default_factory=lambda: [Succession()])
    begins: dict[Partition, int] = field(default_factory=dict)
    sent_ms: dict[Partition, list[int]] = field(default_factory=dict)
    dies_after: int = 1_000_000
    made: dict[str, int] = field(
        default_factory=lambda: {
            "calls": 1,
            "transactions": 1,
            "ringfence.epochs": 1,
            "ringfence.alerts": 1,
            "ringfence.dead-letters": 1,
        }
    )

    def __post_init__(self) -> None:
        """Spread keys over the topics as they are."""
        self.sizes = self.made

    def _effect(self) -> None:
        self.dies_after -= 1
        if self.dies_after < 0:
            raise KilledError

    async def read_succession(self) -> Succession:
        """Return the last version."""
        return self.versions[-1]

    async def write_succession(self, succession: Succession) -> Succession:
        """Take a version if it follows the last."""
        assert succession.version == self.versions[-1].version
        changed = msgspec.structs.replace(succession, version=succession.version + 1)
        self.versions.append(changed)
        self._effect()
        return changed

    async def topic_sizes(self) -> Mapping[str, int]:
        """Return all topics."""
        return dict(self.made)

    async def commits(self, group: str) -> Mapping[Partition, Commit]:
        """Return a group's."""
        return dict(self.groups[group])

    async def members(self, group: str) -> int:
        """Return how many a test says there are."""
        return self.workers[group]

    async def make_topics(self, entry: Entry, rule_set: RuleSet, like: str) -> None:
        """Make the topics of an epoch."""
        del rule_set
        names = [log.name for log in entry.epoch({}).facts_logs]
        for name in [*names, *([entry.shadow_topic] if entry.shadow_topic else [])]:
            self.made.setdefault(name, self.made[like])
        self._effect()

    async def send(self, messages: Sequence[Message]) -> None:
        """Append them, one after the other: who sends may die between two."""
        for message in messages:
            await self.send_all([message])
            self._effect()

    async def start_of(self, partition: Partition, start: str | int) -> int:
        """Return the first offset with a timestamp of at least that."""
        if start == "earliest":
            return await self.begin_of(partition)
        times = self.sent_ms.get(partition, [])
        found = [n for n, ms in enumerate(times) if start != "latest" and ms >= int(start) // 1000]
        return max(found[0] if found else len(times), await self.begin_of(partition))

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset that a test has left."""
        return self.begins.get(partition, 0)

    async def end_of(self, partition: Partition) -> int:
        """Return how many rows there are."""
        return len(self.logs.get(partition, ()))

    def append(self, place: Partition, values: Iterable[bytes | None], sent_us: int = 0) -> None:
        """Append outside records, all sent at one moment."""
        rows = rows_of(*values, first=len(self.logs[place]))
        self.logs[place] += rows
        self.sent_ms.setdefault(place, []).extend([sent_us // 1000] * len(rows))

    def alerts(self, topic: str = "ringfence.alerts") -> list[bytes]:
        """Return the records of a topic with one or two partitions."""
        return [r.value for n in range(2) for r in self.logs.get((topic, n), ()) if r.value]


@dataclass
class Site:
    """Rules with their settings, on a broker that others share."""

    broker: MemoryBroker
    settings: Settings
    rule_set: RuleSet
    said: list[str] = field(default_factory=list)

    async def work(self, *, correlates: bool = True) -> Epoch:
        """Do all the work that there is for this site's workers, commits included."""
        epoch = await join(self.settings, self.rule_set, self.broker)
        stages = stages_of(epoch, self.rule_set)
        pseudonyms = Pseudonyms(SECRET.encode(), frozenset())
        taking_in = IngestStation(
            asyncio.Queue(),
            settings=self.settings,
            stages=stages,
            starts=epoch.starts,
            ingest=Ingest(self.rule_set, self.settings.timing, pseudonyms),
            sender=self.broker,
            offsets=self.broker,
        )
        for place in partitions_of(epoch.roster):
            await self._do(epoch, taking_in, place)
        for stage in stages if correlates else ():
            station = CorrelateStation(
                asyncio.Queue(),
                settings=self.settings,
                stage=stage,
                alerts_topic=epoch.alerts_topic,
                sender=self.broker,
                facts_log=self.broker,
            )
            for number in range(stage.log.size):
                await self._do(epoch, station, (stage.log.name, number))
        return epoch

    async def _do(self, epoch: Epoch, station: Any, place: Partition) -> None:  # noqa: ANN401 - of either kind
        commits = self.broker.groups[epoch.group]
        opening = await station.open(place, commits.get(place), None)
        lane: Lane[Any] = Lane(place, contiguous=station.contiguous, room=9_999)
        lane.open(opening)
        lane.hold(self.broker.logs[place][opening.offset :])
        batch = lane.take(9_999, 0.0)
        if batch is not None:
            await station.take(batch)
        done = lane.to_commit()
        if done is not None:
            commits[place] = done

    async def switch(self, patience_s: float = 0.0) -> Switch:
        """Return the command with the epochs as they are."""
        succession = await self.broker.read_succession()
        return Switch(self.settings, self.broker, succession, self.said.append, patience_s)
