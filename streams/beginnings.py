"""Where in the outside topics an epoch begins to read, so that nothing it needs lies before.

Event time has no index: Kafka knows when a record was sent or appended. A record dated in the
future is refused, so none can tell of a moment long after it was appended; and where the
clocks of senders are wrong, the records before the offset that Kafka names say so.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.watermark import Partition
from streams.lanes import Row
from streams.settings import Settings
from streams.wire.binary_mode import envelope_from_headers
from streams.wire.records import AHEAD_LIMIT_US, FUTURE_LIMIT_US

_LOOK_BACK: Final = 1_000


class Outside(Protocol):
    """Outside topics, read without a group."""

    async def start_of(self, partition: Partition, start: str | int) -> int:
        """Return an offset by Kafka's own timestamps: `earliest`, `latest` or a moment."""

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset that retention has left."""

    async def end_of(self, partition: Partition) -> int:
        """Return the offset that the next record will have."""

    def rows(self, partition: Partition, start: int, end: int) -> AsyncIterator[Sequence[Row]]:
        """Yield the records from one offset up to another, in order."""


@dataclass(frozen=True)
class Beginnings:
    """Where each partition begins to be read, and from when on all events are there."""

    offsets: Mapping[Partition, int]
    since_us: int


async def begin_since(
    outside: Outside,
    settings: Settings,
    rule_set: RuleSet,
    partitions: Iterable[Partition],
    since_us: int,
) -> Beginnings:
    """Return where to read for all events of a moment or later, as far as they are left.

    One lateness more is read, so that the watermarks are those of who has read everything.
    """
    ahead_us = _ahead_us(rule_set)
    offsets: dict[Partition, int] = {}
    complete_us = since_us
    for partition in partitions:
        lateness_us = settings.lateness_us(partition[0])
        from_us = since_us - ahead_us - lateness_us
        offset = offsets[partition] = await _offset(outside, partition, from_us)
        if 0 < offset == await outside.begin_of(partition):
            # Nobody knows what retention has taken: of records in time, none that told of later.
            end = min(offset + _LOOK_BACK, await outside.end_of(partition))
            first_us = await _greatest_time(outside, partition, offset, end)
            if first_us is not None and first_us >= from_us:
                complete_us = max(complete_us, first_us + lateness_us + ahead_us)
    return Beginnings(offsets, complete_us)


async def begin_at_end(
    outside: Outside, rule_set: RuleSet, partitions: Iterable[Partition], now_us: int
) -> Beginnings:
    """Return where to read for what comes from now on only."""
    offsets = {partition: await outside.end_of(partition) for partition in partitions}
    return Beginnings(offsets, now_us + FUTURE_LIMIT_US + _ahead_us(rule_set))


def _ahead_us(rule_set: RuleSet) -> int:
    """Return how long before its start an event can be told of, of the types that rules read."""
    read = {o.event for r in rule_set.rules for part in r.parts for o in part.options}
    return max((AHEAD_LIMIT_US.get(event, FUTURE_LIMIT_US) for event in read), default=0)


async def _offset(outside: Outside, partition: Partition, from_us: int) -> int:
    """Return an offset before which no record has this time or a later one."""
    begin = await outside.begin_of(partition)
    offset = await outside.start_of(partition, from_us - FUTURE_LIMIT_US)
    length = _LOOK_BACK
    while offset > begin:
        back = max(begin, offset - length)
        greatest_us = await _greatest_time(outside, partition, back, offset)
        if greatest_us is None or greatest_us < from_us:
            break
        offset, length = back, 2 * length
    return offset


async def _greatest_time(
    outside: Outside, partition: Partition, start: int, end: int
) -> int | None:
    """Return the greatest time of some records in microseconds, if any has one."""
    greatest_us: int | None = None
    async for rows in outside.rows(partition, start, end):
        times = [time_us for row in rows if (time_us := _time_us(row)) is not None]
        greatest_us = max(times if greatest_us is None else [*times, greatest_us], default=None)
    return greatest_us


class _Dated(msgspec.Struct):
    time: str


_decode: Final = msgspec.json.Decoder(_Dated).decode


def _time_us(row: Row) -> int | None:
    if row.value is None:
        return None
    try:
        return parse_moment(_decode(envelope_from_headers(row.headers, row.value)).time)
    except (ValueError, msgspec.MsgspecError):
        return None  # ingest refuses it, and it moves no watermark
