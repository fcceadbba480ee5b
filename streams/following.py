"""How far the workers of two epochs have come, as their groups' commits say."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from rules.fact import Mark
from rules.watermark import NEVER_US, Partition
from streams.bus import Bus
from streams.epoch import Epoch, FactsTopic, partitions_of
from streams.lanes import Commit
from streams.settings import Settings
from streams.wire.commits import decode_point, decode_watermark
from streams.wire.facts import decode_row

_LOOK_EVERY_S: Final = 0.5
_MEMBERS: Final = 5

Say = Callable[[str], None]


class Deadline:
    """How long is left to wait, and whoever is told once why."""

    def __init__(self, seconds: float, say: Say) -> None:
        self._until_s = asyncio.get_running_loop().time() + seconds
        self._say = say
        self._said = ""

    async def allows(self, why: str) -> bool:
        """Wait a little, and say why if that is news; False if there is no time left."""
        if asyncio.get_running_loop().time() >= self._until_s:
            return False
        if why != self._said:
            self._say(why)
            self._said = why
        await asyncio.sleep(_LOOK_EVERY_S)
        return True


async def commits_of(admin: AIOKafkaAdminClient, group: str) -> Mapping[Partition, Commit]:
    """Return what a group has committed; nothing, if there is no such group."""
    try:
        found = await admin.list_consumer_group_offsets(group)
    except (KafkaError, AttributeError):
        return {}  # aiokafka 0.14 meets an AttributeError of its own on a new broker
    return {
        (p.topic, p.partition): Commit(c.offset, c.metadata)
        for p, c in found.items()
        if c.offset >= 0
    }


async def members_of(admin: AIOKafkaAdminClient, group: str) -> int:
    """Return how many members a group has."""
    (response,) = await admin.describe_consumer_groups([group])
    return len(response.groups[0][_MEMBERS])


def watermark_of(commits: Mapping[Partition, Commit], epoch: Epoch) -> int:
    """Return the least watermark that ingest has committed."""
    told = [commits.get(partition) for partition in partitions_of(epoch.roster)]
    return min(
        (NEVER_US if c is None or not c.metadata else decode_watermark(c.metadata) for c in told),
        default=NEVER_US,
    )


async def minimum_of(settings: Settings, admin: AIOKafkaAdminClient, epoch: Epoch) -> int:
    """Return a watermark that every correlator of an epoch has reached, as its marks say."""
    bus = Bus(settings.kafka_bootstrap_servers, epoch.group)
    commits = await commits_of(admin, epoch.group)
    return min(
        [
            await _minimum_in(settings, bus, epoch.first, (epoch.facts_topic, n), commits)
            for n in range(epoch.facts_partitions)
        ],
        default=NEVER_US,
    )


async def _minimum_in(
    settings: Settings,
    bus: Bus,
    facts_log: FactsTopic,
    partition: Partition,
    commits: Mapping[Partition, Commit],
) -> int:
    commit = commits.get(partition)
    if commit is None or not commit.metadata:
        return NEVER_US
    point, _ = decode_point(commit.metadata, facts_log.feed_partitions)
    reached = dict(point.watermarks)
    async for rows in bus.rows(partition, point.offset, commit.offset):
        for row in rows:
            # Only marks have no key.
            if row.key is None and row.value is not None and row.offset not in point.skipped:
                mark = decode_row(row.key, row.value, settings.timing)
                assert isinstance(mark, Mark), "a row without a key is a mark"
                of = (mark.feed, mark.partition)
                reached[of] = max(reached.get(of, NEVER_US), mark.watermark_us)
    return min(reached.values(), default=NEVER_US)


def behind(target: Mapping[Partition, int], commits: Mapping[Partition, Commit]) -> int:
    """Return how many rows are still to be done before every target is reached."""
    done = {partition: commits[partition].offset for partition in target if partition in commits}
    return sum(max(0, offset - done.get(partition, 0)) for partition, offset in target.items())


async def until_caught_up(
    settings: Settings,
    admin: AIOKafkaAdminClient,
    leaders: Iterable[Epoch],
    epoch: Epoch,
    deadline: Deadline,
) -> int:
    """Wait until an epoch has done all that others have; return the records it is behind.

    First the outside records that they have committed, then the facts that those have become,
    then the facts of the second stage.
    """
    target: dict[Partition, int] = {}
    for leader in leaders:
        commits = await commits_of(admin, leader.group)
        for p in partitions_of(leader.roster):
            if p in commits and p[1] < epoch.roster.get(p[0], 0):
                target[p] = max(target.get(p, 0), commits[p].offset)
    bus = Bus(settings.kafka_bootstrap_servers, epoch.group)
    for facts_log in (None, *epoch.facts_logs):
        if facts_log is not None:
            places = [(facts_log.name, n) for n in range(facts_log.size)]
            target = {place: await bus.end_of(place) for place in places}
        while left := behind(target, await commits_of(admin, epoch.group)):
            what = "records" if facts_log is None else "facts"
            members = await members_of(admin, epoch.group)
            who = f"its {members} workers are" if members else "it has no workers, and is"
            if not await deadline.allows(f"epoch {epoch.number}: {who} {left:,} {what} behind"):
                return left
    return 0
