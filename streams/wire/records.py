"""A record from bytes, with every check of the contract in the contract's order.

This is the whole path. What the worker and the replay do first with every record, to drop what no
rule needs, reads less; what passes there comes here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rules.events import (
    BY_WIRE_TYPE,
    EVENTS,
    INTEGER_LIMIT,
    WANTED,
    EventSpec,
    Kind,
    Scalar,
    normalise,
)
from rules.moment import DAY_US, MINUTE_US, format_duration, parse_moment
from streams.wire.json_text import Mistake, kind_of, read_object

FUTURE_LIMIT_US: Final = 5 * MINUTE_US
"""How far ahead of ingest's clock a record may be dated, and a start ahead of its record."""

AHEAD_LIMIT_US: Final[Mapping[str, int]] = {"official_call": DAY_US}
"""The types whose start may lie further ahead of their records."""

_REASONS: Final[Mapping[str, str]] = {
    "missing": "missing_field",
    "missing_partner": "missing_field",
    "bad_time": "bad_time",
    "bad_value": "bad_value",
    "out_of_order": "bad_value",
    "literal_error": "bad_value",
    "string_too_short": "bad_value",
    "string_too_long": "bad_value",
    "greater_than_equal": "bad_value",
    "less_than_equal": "bad_value",
}
"""The contract's reason for each of the model's errors; every other one is `wrong_type`."""

_DIGITS_LIMIT: Final = len(str(INTEGER_LIMIT))


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record that keeps the contract.

    Attributes:
        source: Who says so.
        type: The event's short name.
        id: The event's own id.
        record_id: The record's id.
        sequence: Of two records of one event the higher completes or corrects the lower.
        time_us: When what it reports happened; of a heartbeat: its watermark.
        start_us: When the event started.
        data: The known fields in normal form.
        feed: Where a recorded log says that it came from.
        partition: Likewise.
        recordedtime_us: When a recorded log says that it was recorded.
    """

    source: str
    type: str
    id: str
    record_id: str
    sequence: int
    time_us: int
    start_us: int
    data: dict[str, Scalar]
    feed: str | None = None
    partition: int | None = None
    recordedtime_us: int | None = None

    @property
    def spec(self) -> EventSpec:
        """What the contract says of its type."""
        return EVENTS[self.type]

    def __repr__(self) -> str:
        """Return what it is without its data: that holds raw identifiers, and texts get logged."""
        return f"Record({self.source!r}, {self.type!r}, {self.id!r}, record_id={self.record_id!r})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why some bytes are not a record that keeps the contract, and what of them was readable.

    Attributes:
        reason: One of the contract's reasons.
        detail: What is wanted and what was found, without a word of the record's content.
        field: The path of the field at fault (`data.amount`), if it is one field's.
        source: The record's, if it is text; `type` (as sent) and `id` (the record's) likewise.
        time_us: When what it reports happened, if that was readable.
        feed: Where a recorded log says that it came from; `partition` likewise.
        moves_watermark: Whether its envelope is in order and not in the future, so that its
            `time_us` counts for the watermark of its partition all the same.
    """

    reason: str
    detail: str
    field: str | None = None
    source: str | None = None
    type: str | None = None
    id: str | None = None
    time_us: int | None = None
    feed: str | None = None
    partition: int | None = None
    moves_watermark: bool = False


class _RefusedError(Exception):
    """A check failed; carried up to where the rest of the refusal is known."""

    def __init__(self, reason: str, detail: str, field: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.field = field


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What a record says of itself before its time and its data."""

    spec: EventSpec
    source: str
    id: str


def decode_record(
    raw: bytes,
    *,
    settle_us: Callable[[str], int],
    now_us: int | None,
    trust_recorded: bool = False,
) -> Record | Refusal:
    """The record in the bytes, checked whole, or why it is refused.

    Args:
        raw: One CloudEvents JSON object.
        settle_us: How long after its start an event's records count, by short type name.
        now_us: Ingest's clock, for the rule on the future; None leaves that rule out.
        trust_recorded: Whether the record's own `recordedtime`, if it has one, stands for
            ingest's clock, as in a recorded log.
    """
    value = read_object(raw)
    if isinstance(value, Mistake):
        return Refusal(value.reason, value.detail)
    recorded_us = _readable_moment(value.get("recordedtime"))
    clock_us = recorded_us if trust_recorded and recorded_us is not None else now_us
    time_us: int | None = None
    try:
        envelope = _read_envelope(value)
        if envelope.spec.name == "heartbeat":
            return _read_heartbeat(envelope, value, clock_us)
        at_us = _read_time(value)
        sequence = _read_sequence(value)
        _check_future(at_us, clock_us, "time")
        # From here on only the data can be at fault, and its partition's time moves on anyway.
        time_us = at_us
        return _read_event(envelope, value, at_us, sequence, settle_us)
    except _RefusedError as error:
        return _refusal(error, value, time_us)


def _refusal(error: _RefusedError, value: Mapping[str, Any], time_us: int | None) -> Refusal:
    return Refusal(
        reason=error.reason,
        detail=error.detail,
        field=error.field,
        source=_readable_text(value.get("source")),
        type=_readable_text(value.get("type")),
        id=_readable_text(value.get("id")),
        time_us=_readable_moment(value.get("time")) if time_us is None else time_us,
        feed=_readable_text(value.get("feed")),
        partition=_readable_count(value.get("partition")),
        moves_watermark=time_us is not None,
    )


def _read_envelope(value: Mapping[str, Any]) -> _Envelope:
    if _read_name(value, "specversion") != "1.0":
        raise _RefusedError("bad_value", "wanted 1.0", "specversion")
    record_id, source, wire_type = (_read_name(value, name) for name in ("id", "source", "type"))
    spec = BY_WIRE_TYPE.get(wire_type)
    if spec is None:
        wanted = "wanted ringfence.<event>.v1 with an event of the contract"
        raise _RefusedError("unknown_type", wanted, "type")
    if spec.name == "alert":
        raise _RefusedError(
            "reserved_type", "wanted an event from outside, found an alert", "type"
        )
    return _Envelope(spec, source, record_id)


def _read_name(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if found is None:
        raise _RefusedError("missing_field", "wanted text, found nothing", name)
    if not isinstance(found, str):
        raise _RefusedError("wrong_type", f"wanted text, found {kind_of(found)}", name)
    if not found:
        raise _RefusedError("bad_value", "wanted text, found an empty one", name)
    return found


def _read_time(value: Mapping[str, Any]) -> int:
    time_us = _readable_moment(value.get("time"))
    if time_us is None:
        raise _RefusedError("bad_time", f"wanted {WANTED[Kind.MOMENT]}", "time")
    return time_us


def _read_sequence(value: Mapping[str, Any]) -> int:
    found = value.get("sequence")
    if found is None:
        return 0
    sequence = _readable_count(found)
    if sequence is None:
        is_number = isinstance(found, str | int) and not isinstance(found, bool)
        reason = "bad_value" if is_number else "wrong_type"
        wanted = "wanted an integer from 0 to 2^63-1, or its digits as text"
        raise _RefusedError(reason, wanted, "sequence")
    return sequence


def _check_future(time_us: int, clock_us: int | None, field: str) -> None:
    if clock_us is not None and time_us > clock_us + FUTURE_LIMIT_US:
        wanted = "wanted at most 5 minutes after the clock of whoever reads it"
        raise _RefusedError("future", wanted, field)


def _read_heartbeat(envelope: _Envelope, value: Mapping[str, Any], clock_us: int | None) -> Record:
    sequence = _read_sequence(value)
    data = _read_fields(envelope.spec, _read_object(value))
    watermark_us = int(data["watermark"])
    _check_future(watermark_us, clock_us, "data.watermark")
    return _record(
        envelope,
        value,
        envelope.id,
        sequence=sequence,
        time_us=watermark_us,
        start_us=watermark_us,
        data=data,
    )


def _read_event(
    envelope: _Envelope,
    value: Mapping[str, Any],
    time_us: int,
    sequence: int,
    settle_us: Callable[[str], int],
) -> Record:
    spec = envelope.spec
    told = _read_object(value)
    needs_person = "person" in spec.fields and spec.fields["person"].required
    if needs_person and told.get("person") is None:
        raise _RefusedError("no_person", "wanted the customer it concerns", "data.person")
    _check_start(spec, told, time_us, settle_us)
    data = _read_fields(spec, told)
    start_us = time_us if spec.start_field is None else int(data[spec.start_field])
    own_id = told.get("event_id") if spec.id_field is None else data[spec.id_field]
    return _record(
        envelope,
        value,
        str(own_id or envelope.id),
        sequence=sequence,
        time_us=time_us,
        start_us=start_us,
        data=data,
    )


def _read_object(value: Mapping[str, Any]) -> Mapping[str, Any]:
    data = value.get("data")
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _RefusedError("wrong_type", f"wanted an object, found {kind_of(data)}", "data")
    return data


def _check_start(
    spec: EventSpec, told: Mapping[str, Any], time_us: int, settle_us: Callable[[str], int]
) -> None:
    found = None if spec.start_field is None else told.get(spec.start_field)
    if not isinstance(found, str):
        # Missing or no text at all: reported in its turn among the fields.
        return
    path = f"data.{spec.start_field}"
    start_us = _readable_moment(found)
    if start_us is None:
        raise _RefusedError("bad_time", f"wanted {WANTED[Kind.MOMENT]}", path)
    settle = settle_us(spec.name)
    if time_us - start_us > settle:
        wanted = f"wanted at most {format_duration(settle)} before the record's time"
        raise _RefusedError("after_settle", wanted, path)
    ahead_us = AHEAD_LIMIT_US.get(spec.name, FUTURE_LIMIT_US)
    if start_us - time_us > ahead_us:
        wanted = f"wanted at most {format_duration(ahead_us)} after the record's time"
        raise _RefusedError("bad_time", wanted, path)


def _read_fields(spec: EventSpec, told: Mapping[str, Any]) -> dict[str, Scalar]:
    try:
        return normalise(spec.model.model_validate(told))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    raise _mistake(spec, first)


def _mistake(spec: EventSpec, first: ErrorDetails) -> _RefusedError:
    """The first mistake that the model found, in the contract's words."""
    name, found = str(first["loc"][0]), first.get("input")
    reason = _REASONS.get(first["type"], "wrong_type")
    if first["type"] in {"missing_partner", "out_of_order"}:
        # Two fields disagree: the model's own text names both.
        return _RefusedError(reason, first["msg"], f"data.{first['ctx']['field']}")
    wanted = _wanted(spec, name)
    if reason == "missing_field" or found is None:
        return _RefusedError("missing_field", f"wanted {wanted}, found nothing", f"data.{name}")
    if reason == "wrong_type" or (first["type"] == "literal_error" and not isinstance(found, str)):
        found_kind = f"wanted {wanted}, found {kind_of(found)}"
        return _RefusedError("wrong_type", found_kind, f"data.{name}")
    return _RefusedError(reason, f"wanted {wanted}", f"data.{name}")


def _wanted(spec: EventSpec, name: str) -> str:
    if name == "event_id":
        return "text"
    field = spec.fields[name]
    if field.classes:
        return f"one of {', '.join(field.classes)}"
    return "a currency of ISO 4217 in upper case" if name == "currency" else WANTED[field.kind]


def _record(
    envelope: _Envelope,
    value: Mapping[str, Any],
    own_id: str,
    *,
    sequence: int,
    time_us: int,
    start_us: int,
    data: dict[str, Scalar],
) -> Record:
    return Record(
        source=envelope.source,
        type=envelope.spec.name,
        id=own_id,
        record_id=envelope.id,
        sequence=sequence,
        time_us=time_us,
        start_us=start_us,
        data=data,
        feed=_readable_text(value.get("feed")),
        partition=_readable_count(value.get("partition")),
        recordedtime_us=_readable_moment(value.get("recordedtime")),
    )


def _readable_text(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _readable_moment(found: object) -> int | None:
    if not isinstance(found, str):
        return None
    try:
        return parse_moment(found)
    except ValueError:
        return None


def _readable_count(found: object) -> int | None:
    """An integer from 0 to 2^63-1, which CloudEvents may also write as digits in text."""
    if isinstance(found, str) and found.isascii() and found.isdigit():
        # Zeros in front are usual there: they let texts sort like numbers.
        significant = found.lstrip("0") or "0"
        found = int(significant) if len(significant) <= _DIGITS_LIMIT else None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= INTEGER_LIMIT:
        return None
    return found
