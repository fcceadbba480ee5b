"""Quiet partitions: where nothing comes, time goes on by ingest's clock."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from rules.watermark import Partition
from streams.group import Member
from streams.lanes import Commit, Lane, Station
from streams.wire.commits import encode_watermark

_MILLISECOND_US: Final = 1_000


async def follow_clock(
    lanes: Mapping[Partition, Lane[Any]],
    stations: Mapping[str, Station[Any]],
    member: Member,
    commit: Callable[[], Awaitable[None]],
) -> None:
    """Let quiet partitions follow the clock: the commit comes first, then the mark.

    What is told before it is committed would be lost with this worker, and records that the
    mark has left behind would then count as in time.

    Args:
        lanes: of the partitions that are ours; they may change while this goes on.
        stations: where batches of each topic go.
        member: knows how far the partitions have been read.
        commit: commits what is done of all lanes.
    """
    resting: list[tuple[Lane[Any], int]] = []
    for lane in list(lanes.values()):
        watermark_us = await _clock_of(lane, stations[lane.partition[0]], member)
        if watermark_us is not None and lane.committed is not None:
            lane.rest(Commit(lane.committed.offset, encode_watermark(watermark_us)))
            resting.append((lane, watermark_us))
    if not resting:
        return
    try:
        await commit()
    finally:
        for lane, watermark_us in resting:
            if lane.rise():
                stations[lane.partition[0]].followed(lane.state, watermark_us)


async def _clock_of(lane: Lane[Any], station: Station[Any], member: Member) -> int | None:
    """Return the watermark that a lane has come to by the clock, if it is quiet and news."""
    if station.contiguous or not lane.is_quiet:
        return None
    place = TopicPartition(*lane.partition)
    try:
        position = await member.position(place)
    except IllegalStateError:
        return None  # it was taken away just now
    return _clock_at(lane, station, member, position)


def _clock_at(lane: Lane[Any], station: Station[Any], member: Member, position: int) -> int | None:
    place = TopicPartition(*lane.partition)
    # A fetch may have brought something while the position was asked for.
    if not lane.is_quiet or member.highwater(place) != position:
        return None
    read_ms = member.last_poll_timestamp(place)
    if read_ms is None:
        return None
    return station.follow(lane.state, read_ms * _MILLISECOND_US, lane.heard_us)
