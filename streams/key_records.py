"""The records of one key in recorded logs, also those that no rule would keep."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from rules.events import BY_WIRE_TYPE, EVENTS, INTEGER_LIMIT, KEYS
from rules.fact import Event, Identity, greatest, make_event
from rules.moment import parse_moment
from rules.rule import By
from rules.timing import Timing
from rules.watermark import FeedClock, Partition
from streams.logs import Log
from streams.wire.json_text import is_plainly_within_limits
from streams.wire.pseudonyms import Pseudonyms
from streams.wire.records import FUTURE_LIMIT_US, Record, Refusal, decode_record

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Integer = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_LIMIT)]
_PSEUDONYM_KINDS: Final[Mapping[str, str]] = {
    field.name: field.pseudonym
    for spec in EVENTS.values()
    for field in spec.fields.values()
    if field.name in KEYS.values() and field.pseudonym
}


class _Keys(msgspec.Struct):
    """The fields of a record that keys are read from."""

    person: str | None = None
    payee_account: str | None = None
    caller: str | None = None
    meeting: str | None = None
    area: str | None = None


class _Head(msgspec.Struct):
    """A record in order, as far as it takes to see whose it is and when it was."""

    specversion: Literal["1.0"]
    id: _Name
    source: _Name
    type: str
    time: str
    data: _Keys
    sequence: _Integer | None = None
    feed: str | None = None
    partition: _Integer | None = None
    recordedtime: str | None = None


_decode_head = msgspec.json.Decoder(_Head).decode


def pseudonym_of(by: By, text: str, pseudonyms: Pseudonyms) -> str:
    """Return the value of a key that a raw text names; an area stands for itself."""
    kind = _PSEUDONYM_KINDS.get(KEYS[by])
    return text if kind is None else pseudonyms.of(kind, text)


class KeyRecords:
    """Reads logs for the events of one key, and keeps no others.

    `events` are the key's, each as its greatest record tells it, and `late` if every copy of that
    was late; `refused` counts the records that break the contract and may have been the key's.
    """

    def __init__(
        self,
        by: By,
        value: str,
        timing: Timing,
        pseudonyms: Pseudonyms,
        lateness_us: Callable[[str], int],
        *,
        as_of_us: int,
    ) -> None:
        self.records = 0
        self.refused = 0
        self._by: By = by
        self._value = value
        self._timing = timing
        self._pseudonyms = pseudonyms
        self._lateness_us = lateness_us
        self._as_of_us = as_of_us
        self._clocks: dict[Partition, FeedClock] = {}
        self._events: dict[Identity, Event] = {}

    @property
    def events(self) -> Sequence[Event]:
        """The events of the key, in no particular order."""
        return tuple(self._events.values())

    def read(self, log: Log, place: int) -> None:
        """Read one log to its end; `place` is where it stands on the command line, from 0.

        Raises:
            OutsideFailure: it cannot be read to its end.
        """
        for line in log.lines():
            if line.strip():
                self.records += 1
                self._take(line, place)

    def _take(self, raw: bytes, place: int) -> None:
        if self._is_of_others(raw, place):
            return
        read = decode_record(
            raw, settle_us=self._timing.settle, now_us=self._as_of_us, trust_recorded=True
        )
        clock = self._clock(read.feed, read.source, read.partition, place)
        if isinstance(read, Refusal):
            self.refused += 1
            if read.moves_watermark and read.time_us is not None:
                clock.observe(read.time_us)
        elif read.type == "heartbeat":
            clock.raise_to(read.time_us)
        else:
            late = clock.is_late(read.time_us)
            clock.observe(read.time_us)
            self._keep(read, late=late)

    def _is_of_others(self, raw: bytes, place: int) -> bool:
        """Tell whether a record is in order and another key's; then its time moves on alone.

        Whatever is not plainly so is left to be read whole.
        """
        if not is_plainly_within_limits(raw):
            return False
        try:
            head = _decode_head(raw)
            time_us = parse_moment(head.time)
            recorded = head.recordedtime
            now_us = self._as_of_us if recorded is None else parse_moment(recorded)
        # The errors of msgspec and of moments are all ValueErrors.
        except ValueError:
            return False
        spec = BY_WIRE_TYPE.get(head.type)
        if spec is None or spec.name in ("heartbeat", "alert") or self._names_key(head.data):
            return False
        if time_us > now_us + FUTURE_LIMIT_US:
            return False
        self._clock(head.feed, head.source, head.partition, place).observe(time_us)
        return True

    def _names_key(self, data: _Keys) -> bool:
        text: str | None = getattr(data, KEYS[self._by])
        return text is not None and pseudonym_of(self._by, text, self._pseudonyms) == self._value

    def _clock(
        self, feed: str | None, source: str | None, partition: int | None, place: int
    ) -> FeedClock:
        # A replay tells partitions apart in the same way.
        name = f"{source} in log {place + 1}" if feed is None else feed
        clock = self._clocks.get((name, partition or 0))
        if clock is None:
            clock = FeedClock(self._lateness_us(name))
            self._clocks[name, partition or 0] = clock
        return clock

    def _keep(self, record: Record, *, late: bool) -> None:
        event = make_event(
            Identity(record.source, record.type, record.id),
            record_id=record.record_id,
            sequence=record.sequence,
            time_us=record.time_us,
            data=self._pseudonyms.apply(record.type, record.data),
            late=late,
            timing=self._timing,
        )
        if event.keys().get(self._by) != self._value:
            return
        held = self._events.get(event.identity)
        self._events[event.identity] = event if held is None else greatest(held, event)
