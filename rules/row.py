"""An event as a row of the facts log tells it: as text, and as text that nobody has read yet."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from rules.events import EVENTS, KEYS, EventSpec, Scalar
from rules.fact import Event, Identity, make_event
from rules.timing import Timing

D = TypeVar("D")


class Row(
    msgspec.Struct,
    Generic[D],
    frozen=True,
    array_like=True,
    forbid_unknown_fields=True,
    tag_field="row",
    tag="fact",
    gc=False,
):
    """What a row says of one event; `data` is the normal form of its fields."""

    source: str
    type: str
    id: str
    record_id: str
    sequence: int
    time_us: int
    late: bool
    gone: bool
    data: D


EventRow = Row[dict[str, Scalar]]
SealedRow = Row[msgspec.Raw]
"""The same, with the fields not read."""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A fact whose event nobody has read yet: its key, and the row that tells the event.

    `by` is the kind of key; `data` the normal form of the event's fields, as the row has it.
    """

    key: str
    by: str
    type: str
    start_us: int
    data: msgspec.Raw
    row: bytes


def read_sealed(row: SealedRow, by: str) -> tuple[int, str | None]:
    """Read when the event of a row starts, and what it names of a kind of key.

    Raises:
        LookupError: There is no such type of event, or no such kind of key.
        ValueError: It has no start.
    """
    found = _READERS[row.type, by](row.data)
    return getattr(found, "start_us", row.time_us), found.named


def _reader(spec: EventSpec, by: str) -> Any:  # noqa: ANN401 - of a type that is made here
    names = {"named": KEYS[by]}
    fields: list[tuple[Any, ...]] = [("named", str | None, None)]
    if spec.start_field is not None:
        names["start_us"] = spec.start_field
        fields.insert(0, ("start_us", int))
    shape = msgspec.defstruct("Read", fields, rename=names, frozen=True, gc=False)
    return msgspec.json.Decoder(shape).decode


_READERS: Final[Mapping[tuple[str, str], Any]] = {
    (spec.name, by): _reader(spec, by) for spec in EVENTS.values() for by in KEYS
}
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(EventRow).decode


def encode_event(event: Event) -> bytes:
    """Return the row that tells an event."""
    return _encode(
        # Not by its other name: to call that takes as long as to encode it.
        Row(
            *event.identity,
            record_id=event.record_id,
            sequence=event.sequence,
            time_us=event.time_us,
            late=event.late,
            gone=event.gone,
            data=dict(event.data),
        )
    )


def event_of(row: EventRow, timing: Timing) -> Event:
    """Return the event that a row tells.

    Raises:
        LookupError: It names no known type, or has no start.
        ArithmeticError: An amount is none.
    """
    event = make_event(
        Identity(row.source, row.type, row.id),
        record_id=row.record_id,
        sequence=row.sequence,
        time_us=row.time_us,
        data=row.data,
        late=row.late,
        timing=timing,
    )
    return msgspec.structs.replace(event, gone=True) if row.gone else event


def decode_event(row: bytes, timing: Timing) -> Event:
    """Return the event that an encoded row tells."""
    return event_of(_decode(row), timing)
