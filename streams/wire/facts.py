"""The rows of the facts log: facts and marks as they stand on the topic.

A row is a JSON array whose first element names its kind. A fact's Kafka key is the fact's key, so
that all facts of one key lie in one partition; a mark has none.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from rules.events import KEYS, Scalar
from rules.fact import Fact, Mark, split_key
from rules.row import EventRow, Sealed, SealedRow, encode_event, event_of, read_sealed
from rules.timing import Timing

FORMAT: Final = 2
"""Part of an epoch's digest: rows of another format are never read as these."""


class RowError(Exception):
    """A row of our own log that cannot be read: a bug, or somebody else has written there."""


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
_decode: Final = msgspec.json.Decoder(EventRow | _MarkRow).decode
_decode_sealed: Final = msgspec.json.Decoder(SealedRow | _MarkRow).decode


def encode_fact(fact: Fact) -> tuple[bytes, bytes]:
    """Return the Kafka key and the value of a fact's row."""
    return fact.key.encode(), encode_event(fact.event)


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
        text, by, name = _key(key)
        _check(name, row.data.get(KEYS[by]), gone=row.gone)
        return Fact(text, event_of(row, timing))
    except (ValueError, ArithmeticError, LookupError) as error:
        raise _broken(error) from None


def decode_sealed(key: bytes | None, value: bytes) -> Sealed | Mark:
    """Return the fact or mark of one row, of a fact no more than what is asked of it first.

    Raises:
        RowError: It is none, as far as it was read.
    """
    try:
        row = _decode_sealed(value)
        if isinstance(row, _MarkRow):
            return _mark(key, row)
        text, by, name = _key(key)
        start_us, named = read_sealed(row, by)
        _check(name, named, gone=row.gone)
        return Sealed(text, by, row.type, start_us, row.data, value)
    except (ValueError, LookupError) as error:
        raise _broken(error) from None


def _broken(error: Exception) -> RowError:
    if isinstance(error, LookupError):
        return RowError("a row of the facts log names no known event type, key or start")
    # Errors of msgspec, of UTF-8, and text where a moment or an amount belongs.
    return RowError(f"a row of the facts log cannot be read: {type(error).__name__}")


def _mark(key: bytes | None, row: _MarkRow) -> Mark:
    if key is not None:
        raise RowError("a mark in the facts log has a Kafka key, wanted none")
    return Mark(row.feed, row.partition, row.watermark_us)


def _key(key: bytes | None) -> tuple[str, str, str]:
    if key is None:
        raise RowError("a fact in the facts log has no Kafka key")
    text = key.decode()
    return text, *split_key(text)


def _check(name: str, named: Scalar | None, *, gone: bool) -> None:
    # What is gone may be gone because it no longer names this key.
    if named != name and not gone:
        raise RowError("a fact in the facts log lies under a key that its event does not name")
