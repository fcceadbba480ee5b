"""The rows of the facts log: facts and marks as they stand on the topic.

A row is a JSON array whose first element names its kind. A fact's Kafka key is the fact's key, so
that all facts of one key lie in one partition; a mark has none.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from rules.events import KEYS, Scalar
from rules.fact import Fact, Identity, Mark, make_event
from rules.timing import Timing

FORMAT: Final = 2
"""Part of an epoch's digest: rows of another format are never read as these."""


class RowError(Exception):
    """A row of our own log that cannot be read: a bug, or somebody else has written there."""


class _FactRow(
    msgspec.Struct,
    frozen=True,
    array_like=True,
    forbid_unknown_fields=True,
    tag_field="row",
    tag="fact",
):
    source: str
    type: str
    id: str
    record_id: str
    sequence: int
    time_us: int
    late: bool
    gone: bool
    data: dict[str, Scalar]


class _MarkRow(
    msgspec.Struct,
    frozen=True,
    array_like=True,
    forbid_unknown_fields=True,
    tag_field="row",
    tag="mark",
):
    feed: str
    partition: int
    watermark_us: int
    roster: dict[str, int]


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(_FactRow | _MarkRow).decode


def encode_fact(fact: Fact) -> tuple[bytes, bytes]:
    """Return the Kafka key and the value of a fact's row."""
    event = fact.event
    row = _FactRow(
        *event.identity,
        record_id=event.record_id,
        sequence=event.sequence,
        time_us=event.time_us,
        late=event.late,
        gone=event.gone,
        data=dict(event.data),
    )
    return fact.key.encode(), _encode(row)


def encode_mark(mark: Mark, roster: Mapping[str, int]) -> bytes:
    """Return the value of a mark's row; `roster` is the number of partitions of each feed."""
    return _encode(_MarkRow(mark.feed, mark.partition, mark.watermark_us, dict(roster)))


def decode_row(key: bytes | None, value: bytes, timing: Timing) -> Fact | Mark:
    """Return the fact or mark of one row.

    Raises:
        RowError: It is none; the text says where it broke, and nothing of what it holds.
    """
    try:
        row = _decode(value)
        if isinstance(row, _MarkRow):
            return _mark(key, row)
        return _fact(key, row, timing)
    # Errors of msgspec, of UTF-8, and text where a moment or an amount belongs.
    except (ValueError, ArithmeticError) as error:
        raise RowError(f"a row of the facts log cannot be read: {type(error).__name__}") from None
    except LookupError:
        raise RowError("a row of the facts log names no known event type, key or start") from None


def _mark(key: bytes | None, row: _MarkRow) -> Mark:
    if key is not None:
        raise RowError("a mark in the facts log has a Kafka key, wanted none")
    return Mark(row.feed, row.partition, row.watermark_us)


def _fact(key: bytes | None, row: _FactRow, timing: Timing) -> Fact:
    if key is None:
        raise RowError("a fact in the facts log has no Kafka key")
    text = key.decode()
    by, _, value = text.partition(":")
    # What is gone may be gone because it no longer names this key.
    if row.data.get(KEYS[by]) != value and not row.gone:
        raise RowError("a fact in the facts log lies under a key that its event does not name")
    event = make_event(
        Identity(row.source, row.type, row.id),
        record_id=row.record_id,
        sequence=row.sequence,
        time_us=row.time_us,
        data=row.data,
        late=row.late,
        timing=timing,
    )
    return Fact(text, msgspec.structs.replace(event, gone=True) if row.gone else event)
