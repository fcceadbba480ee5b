"""How far the workers of two epochs have come, as their groups' commits say."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rules.fact import Mark
from rules.watermark import NEVER_US, Partition
from streams.epoch import Epoch, FactsTopic, partitions_of
from streams.lanes import Commit
from streams.operating import Broker
from streams.settings import Settings
from streams.wire.commits import decode_point, decode_watermark
from streams.wire.facts import decode_row

_LOOK_EVERY_S: Final = 0.5

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


def watermark_of(commits: Mapping[Partition, Commit], epoch: Epoch) -> int:
    """Return the least watermark that ingest has committed."""
    told = [commits.get(partition) for partition in partitions_of(epoch.roster)]
    return min(
        (NEVER_US if c is None or not c.metadata else decode_watermark(c.metadata) for c in told),
        default=NEVER_US,
    )


async def minimum_of(settings: Settings, broker: Broker, epoch: Epoch) -> int:
    """Return a watermark that every correlator of an epoch has reached, as its marks say."""
    commits = await broker.commits(epoch.group)
    return min(
        [
            await _minimum_in(settings, broker, epoch.first, (epoch.facts_topic, n), commits)
            for n in range(epoch.facts_partitions)
        ],
        default=NEVER_US,
    )


async def _minimum_in(
    settings: Settings,
    broker: Broker,
    facts_log: FactsTopic,
    partition: Partition,
    commits: Mapping[Partition, Commit],
) -> int:
    commit = commits.get(partition)
    if commit is None or not commit.metadata:
        return NEVER_US
    point, _ = decode_point(commit.metadata, facts_log.feed_partitions)
    reached = dict(point.watermarks)
    async for rows in broker.rows(partition, point.offset, commit.offset):
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
    broker: Broker, leaders: Iterable[Epoch], epoch: Epoch, deadline: Deadline
) -> int:
    """Wait until an epoch has done all that others have; return the rows it is behind.

    First the outside records that they have committed, then the facts that those have become,
    then the facts of the second stage.
    """
    target = await _committed(broker, leaders, epoch)
    for facts_log in (None, *epoch.facts_logs):
        if facts_log is not None:
            places = [(facts_log.name, n) for n in range(facts_log.size)]
            target = {place: await broker.end_of(place) for place in places}
        while left := behind(target, await broker.commits(epoch.group)):
            what = "records" if facts_log is None else "facts"
            members = await broker.members(epoch.group)
            its = "its worker is" if members == 1 else f"its {members} workers are"
            who = its if members else "it has no workers, and is"
            if not await deadline.allows(f"epoch {epoch.number}: {who} {left:,} {what} behind"):
                return left
    return 0


async def _committed(
    broker: Broker, leaders: Iterable[Epoch], epoch: Epoch
) -> dict[Partition, int]:
    """Return how far any of some epochs has come in the partitions that another one reads too."""
    target: dict[Partition, int] = {}
    own = set(partitions_of(epoch.roster))
    for leader in leaders:
        for place, commit in (await broker.commits(leader.group)).items():
            if place in own:
                # A topic that was made anew may end before what was committed of the old.
                offset = min(commit.offset, await broker.end_of(place))
                target[place] = max(target.get(place, 0), offset)
    return target
