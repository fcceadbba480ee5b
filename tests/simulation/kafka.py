"""A Kafka in memory with groups, as far as the worker can tell, and with all that goes wrong.

Each effect on it is a step, after which the process that had it may be killed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError

from rules.watermark import Partition
from streams.epoch import Epoch, partitions_of
from streams.lanes import Commit, Row
from tests.simulation.virtual_loop import Process, VirtualLoop
from tests.streams.worker_parts import MemoryRow

SESSION_S = 3.0
_PRONE_TO_STRAY = 0.06


@dataclass(eq=False)
class Kafka:
    """Topics with their number of partitions, and the groups that read them."""

    loop: VirtualLoop
    random: Random
    sizes: dict[str, int]
    logs: dict[Partition, list[MemoryRow]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[str, "Group"] = field(default_factory=dict)
    strays: int = 0
    crash_at: dict[int, bool] = field(default_factory=dict)
    interrupt_at: dict[Process, tuple[int, float | None]] = field(default_factory=dict)
    steps: int = 0
    wall_us: int = 0

    def group(self, epoch: Epoch) -> "Group":
        """Return the group of an epoch, at first one without members."""
        if epoch.group not in self.groups:
            self.groups[epoch.group] = Group(self, partitions_of(epoch.sizes))
        return self.groups[epoch.group]

    def append(
        self, partition: Partition, key: bytes | None, value: bytes | None, sent_us: int = 0
    ) -> None:
        """Append a record, and say when whoever sent it did so."""
        log = self.logs[partition]
        log.append(MemoryRow(len(log), key, value, timestamp=sent_us // 1_000))

    def now_us(self) -> int:
        """Return the clock on the wall."""
        return self.wall_us + round(self.loop.time() * 1_000_000)

    async def latency(self) -> None:
        """Take as long as a broker does."""
        await asyncio.sleep(self.random.random() * 0.05)

    async def step(self, process: Process) -> None:
        """Note that something has had an effect; the process may not live to see it."""
        self.steps += 1
        if self.crash_at.pop(self.steps, False):
            self.kill(process)
        self._interrupt(process)
        if process.dead:
            await self.loop.create_future()
        if process.stopped:
            await asyncio.sleep(0)

    def _interrupt(self, process: Process) -> None:
        """Kill or stop a process if this was as many effects as it was to have."""
        left, seconds = self.interrupt_at.get(process, (0, None))
        if left > 1:
            self.interrupt_at[process] = (left - 1, seconds)
        elif left == 1:
            del self.interrupt_at[process]
            if seconds is None:
                self.kill(process)
            else:
                self.stop(process, seconds)

    def kill(self, process: Process) -> None:
        """Kill a process; its group notices after a session."""
        process.dead = True
        self._miss(process)

    def stop(self, process: Process, seconds: float) -> None:
        """Stop a process for a while, as SIGSTOP does."""
        process.stopped = True
        self._miss(process)
        self.loop.call_later(seconds, self._go_on, process, context=Context())

    def _miss(self, process: Process) -> None:
        for group in self.groups.values():
            if any(member.process is process for member in group.everybody):
                self.loop.call_later(SESSION_S, group.rebalance, context=Context())

    def _go_on(self, process: Process) -> None:
        self.loop.go_on(process)
        for group in self.groups.values():
            for member in sorted(group.everybody, key=lambda member: member.process.name):
                if member.process is process and member not in group.members:
                    # Until it notices, it is a zombie that reads and writes.
                    self.loop.call_later(
                        self.random.random() * 2, member.rejoin, context=member.context
                    )


@dataclass(eq=False)
class Member:
    """A process's member of the group."""

    group: "Group"
    process: Process
    context: Context
    assigned: set[TopicPartition] = field(default_factory=set)
    paused: set[TopicPartition] = field(default_factory=set)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    polled_ms: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    listener: ConsumerRebalanceListener | None = None
    generation: int = -1
    has_left: bool = False

    def __post_init__(self) -> None:
        """Find the Kafka."""
        self.kafka = self.group.kafka

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Leave."""
        self.has_left = True
        self.group.members.pop(self, None)
        self.group.rebalance()

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        """Join."""
        del topics
        self.listener = listener
        self.join()

    def join(self) -> None:
        """Ask for a rebalance in which to get something."""
        if not (self.has_left or self.process.dead):
            self.group.everybody.add(self)
            self.group.members.setdefault(self, -1)
            self.group.rebalance()

    def rejoin(self) -> None:
        """Notice that the group has gone on without this member."""
        if not (self.has_left or self in self.group.members):
            self.kafka.loop.create_task(self._rejoin(), context=self.context)

    async def _rejoin(self) -> None:
        await self.revoke()
        self.join()

    async def revoke(self) -> None:
        """Tell the listener that all is taken; fetching goes on until something is given."""
        assert self.listener is not None
        if not self.has_left:
            await self.listener.on_partitions_revoked(sorted(self.assigned))

    async def assign(self, partitions: Iterable[Partition], generation: int) -> None:
        """Take what the group gives."""
        assert self.listener is not None
        if self.has_left:
            return
        self.generation = generation
        self.assigned = {TopicPartition(*p) for p in partitions}
        self.paused, self.polled_ms, self.ends = set(), {}, {}
        commits = self.group.commits
        self.positions = {
            p: commits[p.topic, p.partition].offset if (p.topic, p.partition) in commits else 0
            for p in self.assigned
        }
        await self.listener.on_partitions_assigned(sorted(self.assigned))

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[Row]]:
        """Return the next rows of some partitions; now and then others than asked for."""
        random = self.kafka.random
        await asyncio.sleep(random.random() * 0.1)
        fetched: dict[TopicPartition, Sequence[Row]] = {}
        for place in sorted(self.assigned - self.paused):
            log = self.kafka.logs[place.topic, place.partition]
            position = self.positions[place]
            self.polled_ms[place] = self.kafka.now_us() // 1_000
            self.ends[place] = len(log)
            if self.kafka.strays and random.random() < _PRONE_TO_STRAY:
                self.kafka.strays -= 1
                # A gap ahead is no sign on outside topics, which may have been compacted.
                ahead = len(log) if place.topic.startswith("facts") else position
                at = random.randrange(ahead + 1)
                rows = log[at : at + random.randint(1, 3)]
                if rows:
                    fetched[place] = rows
                continue
            rows = log[position : position + random.randint(1, 6)]
            if rows:
                self.positions[place] = rows[-1].offset + 1
                fetched[place] = rows
        if not fetched:
            await asyncio.sleep(timeout_ms / 1000)
        return fetched

    def pause(self, *places: TopicPartition) -> None:
        """Bring no more of these."""
        self._demand(places)
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        """Bring them again."""
        self._demand(places)
        self.paused -= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from there."""
        self._demand([place])
        self.positions[place] = offset

    def _demand(self, places: Iterable[TopicPartition]) -> None:
        if not set(places) <= self.assigned:
            raise IllegalStateError("not assigned")

    def assignment(self) -> set[TopicPartition]:
        """Return what the group has given."""
        return self.assigned

    async def position(self, place: TopicPartition) -> int:
        """Return the offset of the row to come next."""
        self._demand([place])
        return self.positions[place]

    def highwater(self, place: TopicPartition) -> int | None:
        """Return where the partition ended when it was last fetched."""
        return self.ends.get(place)

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        """Return when it was last fetched."""
        return self.polled_ms.get(place)

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit, if the group still knows this member by its generation."""
        await self.kafka.latency()
        self._demand(offsets)
        if self.group.members.get(self, -1) != self.generation or self.generation < 0:
            raise CommitFailedError
        for place, commit in offsets.items():
            self.group.commits[place.topic, place.partition] = Commit(
                commit.offset, commit.metadata
            )
        await self.kafka.step(self.process)
        await self.kafka.latency()


class Group:
    """The coordinator: eager rebalances, one at a time."""

    def __init__(self, kafka: Kafka, partitions: Sequence[Partition]) -> None:
        self.kafka = kafka
        self.partitions = partitions
        self.commits: dict[Partition, Commit] = {}
        self.everybody: set[Member] = set()
        self.members: dict[Member, int] = {}
        self.generation = 0
        self._wanted = False
        self._at_work = False

    def rebalance(self) -> None:
        """Have a rebalance as soon as there is none."""
        self._wanted = True
        if not self._at_work:
            self._at_work = True
            self.kafka.loop.create_task(self._work(), context=Context())

    def lag(self) -> int:
        """Return how many rows are not committed."""
        logs, commits = self.kafka.logs, self.commits
        return sum(
            len(logs[p]) - (commits[p].offset if p in commits else 0) for p in self.partitions
        )

    @property
    def is_settled(self) -> bool:
        """Whether every living member has what the last rebalance has given it."""
        alive = {m for m in self.everybody if not (m.process.dead or m.has_left)}
        return not self._at_work and all(
            self.members.get(member) == self.generation for member in alive
        )

    async def _work(self) -> None:
        while self._wanted:
            self._wanted = False
            await self._rebalance()
        self._at_work = False

    async def _rebalance(self) -> None:
        loop = self.kafka.loop
        asked = {
            member: loop.create_task(member.revoke(), context=member.context)
            for member in self._in_order()
            if not member.process.dead
        }
        if asked:
            await asyncio.wait(asked.values(), timeout=2 * SESSION_S)
        self.generation += 1
        # Who did not answer in time is out; it may not know that yet.
        newcomers = {
            m: -1 for m in self.members if m not in asked and not (m.process.dead or m.has_left)
        }
        staying = {
            member: self.generation
            for member, task in asked.items()
            if task.done() and member in self.members and not member.process.dead
        }
        for member in asked:
            if member not in staying and not member.process.stopped:
                loop.call_later(self.kafka.random.random(), member.rejoin, context=member.context)
        self.members = {**staying, **newcomers}
        members = [member for member in self._in_order() if member in staying]
        if not members:
            return
        given: dict[Member, list[Partition]] = {member: [] for member in members}
        for partition in self.partitions:
            given[self.kafka.random.choice(members)].append(partition)
        for member, partitions in given.items():
            loop.create_task(member.assign(partitions, self.generation), context=member.context)

    def _in_order(self) -> list[Member]:
        return sorted(self.members, key=lambda member: member.process.name)
