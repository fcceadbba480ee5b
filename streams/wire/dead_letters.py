"""Dead letters: where a refused record lies and what is wrong with it, and nothing of its data."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from rules.moment import format_moment
from streams.wire.records import Refusal

REASONS: Final[Mapping[str, str]] = {
    "too_large": "The record is larger than 64 KiB.",
    "not_utf8": "Its bytes are not UTF-8.",
    "too_deep": "Its brackets are nested more than 16 deep.",
    "not_json": "It is not one JSON text: NaN, control characters in texts, lone surrogates and "
    "text after the end included.",
    "duplicate_key": "An object in it has a name twice.",
    "too_many_fields": "An object in it has more than 256 fields.",
    "missing_field": "A required field, or an amount's currency, is missing or null.",
    "wrong_type": "A value is of another JSON type than the contract's.",
    "bad_value": "A value is of the right type and not among those allowed.",
    "unknown_type": "The `type`, or its version, is none of the contract's.",
    "reserved_type": "The `type` is `ringfence.alert.v1`, which only ringfence itself sends.",
    "bad_time": "A moment is not one, or the event starts more than 5 minutes (an "
    "`official_call`: 1 day) after the record's `time`.",
    "future": "The record is dated more than 5 minutes after the clock of whoever reads it.",
    "no_person": "The record does not say which customer it concerns.",
    "after_settle": "The record is dated more than `settle` after its event's start.",
    "internal": "A bug was met on this record.",
}
"""What each reason means, in the order in which the checks first come to it."""

_NAME_LIMIT: Final = 256


def dead_letter(
    raw: bytes, refusal: Refusal, feed: str, partition: int, offset: int
) -> dict[str, Any]:
    """The dead letter of a record, its fields in the contract's order.

    Args:
        raw: The record as it came.
        refusal: Why it is refused.
        feed: The topic, or the file as it was given.
        partition: The topic's partition; 0 for a file.
        offset: The record's offset there, or its line number from 0.
    """
    return {
        "reason": refusal.reason,
        "detail": refusal.detail,
        "field": refusal.field,
        "feed": feed,
        "partition": partition,
        "offset": offset,
        "record_time": None if refusal.time_us is None else format_moment(refusal.time_us),
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "source": _short(refusal.source),
        "type": _short(refusal.type),
        "id": _short(refusal.id),
    }


def encode_dead_letter(letter: dict[str, Any]) -> bytes:
    """The dead letter as one line of JSON, without the line's end."""
    return json.dumps(letter, ensure_ascii=False, separators=(",", ":")).encode()


def _short(name: str | None) -> str | None:
    # A name is for finding the record again; a sender may put anything there, at any length.
    return None if name is None else name[:_NAME_LIMIT]
