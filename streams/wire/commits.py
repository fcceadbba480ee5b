"""What travels with a committed offset, as its metadata: how far time had come.

Of an outside partition it is that partition's watermark. Of a facts partition it is the point at
which a rebuild has to begin, with the watermarks of the whole roster as they stood there, the
rows behind it that an operator had the worker step over, and the number of partitions of the
facts log, by which keys were spread.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from rules.watermark import NEVER_US, Partition
from streams.failures import OutsideFailure

LIMIT: Final = 4_096
"""How many bytes of metadata a broker takes unless it is told otherwise."""
_WATERMARK: Final = "w1:"
_POINT: Final = "p2:"
MOST_SKIPPED: Final = 32
"""How many rows of a partition can be stepped over before a rebuild begins behind them."""
# No moment of the contract, nor one less a lateness, lies further from 1970 than this.
_FURTHEST_US: Final = 2**54
_FOREIGN: Final = (
    "a commit of this group was not made by a worker of this release; reset the group"
)


@dataclass(frozen=True, slots=True)
class Point:
    """Where in a facts partition a rebuild begins, and the watermarks before the row there.

    `skipped` are the offsets from there on of rows that were stepped over, ascending.
    """

    offset: int
    watermarks: Mapping[Partition, int]
    skipped: tuple[int, ...] = ()


class _PointRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    facts_partitions: int
    offset: int
    least_us: int
    above_us: list[int | None]
    skipped: list[int]


_decode_row: Final = msgspec.msgpack.Decoder(_PointRow).decode


def encode_watermark(watermark_us: int) -> str:
    """Return the metadata of an outside partition's commit."""
    return f"{_WATERMARK}{'' if watermark_us == NEVER_US else watermark_us}"


def decode_watermark(metadata: str) -> int:
    """Return the watermark that an outside partition's commit carries.

    Raises:
        OutsideFailure: No worker wrote this.
    """
    text = _after(_WATERMARK, metadata)
    try:
        return int(text) if text else NEVER_US
    except ValueError as error:
        raise OutsideFailure(_FOREIGN) from error


def encode_point(point: Point, facts_partitions: int) -> str:
    """Return the metadata of a facts partition's commit; watermarks are told by ascending key.

    Each watermark is told by how far it lies above the least, which takes few bytes.
    """
    ordered = [point.watermarks[partition] for partition in sorted(point.watermarks)]
    least_us = min((us for us in ordered if us != NEVER_US), default=0)
    above_us = [None if us == NEVER_US else us - least_us for us in ordered]
    skipped = [offset - point.offset for offset in point.skipped]
    row = _PointRow(facts_partitions, point.offset, least_us, above_us, skipped)
    return _POINT + base64.b85encode(msgspec.msgpack.encode(row)).decode()


def decode_point(metadata: str, partitions: Sequence[Partition]) -> tuple[Point, int]:
    """Return the point and the number of facts partitions that a commit carries.

    Args:
        metadata: as the broker gave it.
        partitions: the roster's, in ascending order.

    Raises:
        OutsideFailure: No worker wrote this.
    """
    text = _after(_POINT, metadata)
    try:
        row = _decode_row(base64.b85decode(text))
        watermarks = {
            partition: NEVER_US if us is None else row.least_us + us
            for partition, us in zip(partitions, row.above_us, strict=True)
        }
    except (ValueError, msgspec.MsgspecError) as error:
        raise OutsideFailure(_FOREIGN) from error
    skipped = tuple(row.offset + offset for offset in row.skipped)
    return Point(row.offset, watermarks, skipped), row.facts_partitions


def _after(prefix: str, metadata: str) -> str:
    if not metadata.startswith(prefix):
        raise OutsideFailure(_FOREIGN)
    return metadata.removeprefix(prefix)


def longest_point(partitions: Sequence[Partition]) -> int:
    """Return how many bytes the metadata for a roster takes at worst."""
    worst = dict.fromkeys(partitions, _FURTHEST_US)
    if partitions:
        worst[partitions[0]] = -_FURTHEST_US
    skipped = (2**41,) * MOST_SKIPPED
    return len(encode_point(Point(2**40, worst, skipped), 2**15))
