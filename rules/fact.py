"""An event as it stands, the fact that puts it under a key, and the mark that moves time on."""

from collections.abc import Mapping
from sys import intern
from typing import NamedTuple

import msgspec

from rules.events import (
    EVENTS,
    KEYS,
    EventSpec,
    Scalar,
    Value,
    data_of,
    numbers_of,
    values_of,
)
from rules.timing import Timing


class Identity(NamedTuple):
    """What makes two records tell of one event."""

    source: str
    type: str
    id: str


class Place(NamedTuple):
    """Where an event stands among others: by start, ties broken by its identity."""

    start_us: int
    source: str
    type: str
    id: str


class Event(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One event as its greatest known record tells it.

    `fields` is what conditions see of the record (pseudonymised): derived fields included, unknown
    ones absent. `numbers` is what that leaves out of the normal form, which is remembered only
    once. All `*_us` are microseconds since
    the epoch. `open` is true of an interval whose end is not known yet; `late` if every copy of
    the record was late; `gone` of an alert that was withdrawn, or no longer names the key.
    """

    identity: Identity
    record_id: str
    sequence: int
    time_us: int
    start_us: int
    end_us: int
    open: bool
    late: bool
    fields: Mapping[str, Value]
    numbers: tuple[Scalar | None, ...]
    gone: bool = False

    @property
    def data(self) -> Mapping[str, Scalar]:
        """The normal form of the record's fields."""
        return data_of(EVENTS[self.identity.type], self.fields, self.numbers)

    @property
    def place(self) -> Place:
        """Where this event stands among the events of a step."""
        return Place(self.start_us, *self.identity)

    @property
    def rank(self) -> tuple[int, int, str, bytes]:
        """What decides between records of one event: the greatest is the event."""
        return (self.sequence, self.time_us, self.record_id, canonical(self.data))

    def keys(self) -> Mapping[str, str]:
        """Return the pseudonym or text of each key that this event names, by kind of key."""
        fields = self.fields
        return {by: str(fields[name]) for by, name in KEYS.items() if name in fields}


def canonical(data: Mapping[str, Scalar]) -> bytes:
    """Return the one JSON text of a record's data: sorted keys, no spaces, UTF-8."""
    return msgspec.json.encode(data, order="sorted")


def greatest(held: Event, arrived: Event) -> Event:
    """Return the event that two records of one identity tell together.

    Commutative, associative and idempotent, so neither order nor repeats can matter. Two copies
    of one record are late together only if both are.
    """
    held_rank, arrived_rank = held.rank, arrived.rank
    if held_rank == arrived_rank:
        return held if arrived.late or not held.late else msgspec.structs.replace(held, late=False)
    return held if held_rank > arrived_rank else arrived


def make_event(
    identity: Identity,
    *,
    record_id: str,
    sequence: int,
    time_us: int,
    data: Mapping[str, Scalar],
    late: bool,
    timing: Timing,
) -> Event:
    """Return the event that one valid, pseudonymised record tells."""
    spec = EVENTS[identity.type]
    start_us = time_us if spec.start_field is None else int(data[spec.start_field])
    end_us, is_open = _end(spec, start_us, time_us, data, timing)
    fields = values_of(spec, data)
    if spec.id_field is not None and fields.get(spec.id_field) == identity.id:
        fields[spec.id_field] = identity.id
    return Event(
        # What is remembered of many events is no text that each has for itself.
        identity=Identity(intern(identity.source), spec.name, identity.id),
        record_id=record_id,
        sequence=sequence,
        time_us=time_us,
        start_us=start_us,
        end_us=end_us,
        open=is_open,
        late=late,
        fields=fields,
        numbers=numbers_of(spec, data),
    )


def _end(
    spec: EventSpec, start_us: int, time_us: int, data: Mapping[str, Scalar], timing: Timing
) -> tuple[int, bool]:
    # A call that nobody answered is over at once, whatever its end field says.
    if spec.end_field is None or ("answered_at" in spec.fields and "answered_at" not in data):
        return start_us, False
    known = data.get(spec.end_field)
    end_us = time_us + timing.open_for_us if known is None else int(known)
    longest_us = start_us + timing.settle(spec.name)
    return max(start_us, min(end_us, longest_us)), known is None


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One kept record under one key: a row of the facts log.

    `key` is the kind of key and its value, such as `person:3f…`.
    """

    key: str
    event: Event


class Mark(msgspec.Struct, frozen=True, gc=False):
    """How far one partition of a feed has come: a row of the facts log, sent to every partition.

    `watermark_us` is the event time below which its records count as late.
    """

    feed: str
    partition: int
    watermark_us: int


def key_of(by: str, value: str) -> str:
    """Return the key of a fact, such as `person:3f…`."""
    return f"{by}:{value}"


def split_key(key: str) -> tuple[str, str]:
    """Return the kind of a fact's key, and its value."""
    by, _, value = key.partition(":")
    return by, value
