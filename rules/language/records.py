"""The records that a story stands for, as they stand on the wire, and what is wrong with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rules.events import EVENTS, EventSpec, Kind, Value
from rules.language.told import StoryRecord
from rules.moment import DAY_US, MINUTE_US, format_moment
from rules.money import Money, format_amount, parse_money

_SOURCES = {"calls": "telecom", "bank": "bank", "everyone": "ringfence"}
_DIRECTIONS = {"call_invitation": "incoming", "transfer": "out"}
DEFAULTS: Mapping[str, Value] = {
    "amount": parse_money("10000 CNY"),
    "caller": "caller-1",
    "institution": "bank",
    "kind": "own_sweep",
    "media": "video",
    "payee_account": "account-1",
    "person": "person-1",
    "service": "facetime",
}
"""What the contract requires and a story leaves out."""

# Of an alert that stands for another rule's, nothing is required of its author.
_ALERT: Mapping[str, Value] = {
    "rule": "another_rule",
    "typology": "another_typology",
    "stage": "exfiltration",
    "severity": "medium",
    "action": "warn",
    "score": 40,
    "person": "person-1",
}
_AHEAD_US = 5 * MINUTE_US


@dataclass(frozen=True)
class Breach:
    """Where a story's record breaks the event contract; `field` is "" for the whole record."""

    place: int
    field: str
    message: str


def wire_records(records: Sequence[StoryRecord]) -> list[dict[str, Any]]:
    """Return the records of a story as they stand on the wire, in file order.

    Each is a whole snapshot: an update repeats what is known of its event so far.
    """
    return [_on_the_wire(snapshot) for snapshot in _snapshots(records)]


def breaches(records: Sequence[StoryRecord]) -> Iterator[Breach]:
    """Yield what no sender may send, the first in each record.

    Only what holds under all settings is looked at here, so that no setting can make a rule
    file wrong: how long after its start a record still counts is looked at when it is run.
    """
    for place, snapshot in enumerate(_snapshots(records)):
        found = _first_breach(snapshot)
        if found is not None:
            yield Breach(place, *found)


@dataclass(frozen=True)
class _Snapshot:
    """One record with all that is known of its event; `number` counts those of the event."""

    told: StoryRecord
    spec: EventSpec
    fields: Mapping[str, Value]
    source: str
    number: int


def _snapshots(records: Sequence[StoryRecord]) -> Iterator[_Snapshot]:
    known: dict[str, _Snapshot] = {}
    for told in records:
        spec, before = EVENTS[told.event], known.get(told.name)
        fields = _first_fields(told, spec) if before is None else before.fields
        known[told.name] = _Snapshot(
            told=told,
            spec=spec,
            fields={n: v for n, v in {**fields, **told.fields}.items() if v is not None},
            source=(told.source or _SOURCES[spec.side]) if before is None else before.source,
            number=1 if before is None else before.number + 1,
        )
        yield known[told.name]


def _on_the_wire(snapshot: _Snapshot) -> dict[str, Any]:
    told, spec, fields = snapshot.told, snapshot.spec, snapshot.fields
    record: dict[str, Any] = {
        "specversion": "1.0",
        # Of two records of one time the later told has the greater id, so it stands.
        "id": told.name if snapshot.number == 1 else f"{told.name}.{snapshot.number:03}",
        "source": snapshot.source,
        "type": spec.wire_type,
        "time": format_moment(_time_us(told, spec, fields)),
        "data": _data(spec, fields),
    }
    if told.sequence is not None:
        record["sequence"] = told.sequence
    return record


def _first_breach(snapshot: _Snapshot) -> tuple[str, str] | None:
    """Return the field at which a record breaks the contract, and how."""
    told, spec, fields = snapshot.told, snapshot.spec, snapshot.fields
    if len({value.currency for value in fields.values() if isinstance(value, Money)}) > 1:
        return "", f"{told.name} has money of two currencies"
    try:
        spec.model.model_validate(_data(spec, fields))
    except ValidationError as error:
        first = error.errors()[0]
        field, message = str(first["loc"][0]), str(first["msg"])
        if first["type"] == "missing":
            return field, f"'{field}' is missing in a record of {spec.name}"
        return field, f"{field}: {message[0].lower()}{message[1:]}"
    start_us = fields[spec.start_field] if spec.start_field else told.at_us
    ahead_us = DAY_US if spec.name == "official_call" else _AHEAD_US
    if isinstance(start_us, int) and start_us - _time_us(told, spec, fields) > ahead_us:
        return "time", f"{told.name} starts too long after its time, it would be refused"
    return None


def _first_fields(told: StoryRecord, spec: EventSpec) -> dict[str, Value]:
    """Return what stands in an event's first record before its author has said anything."""
    fields = {
        name: DEFAULTS[name] for name, f in spec.fields.items() if f.required and name in DEFAULTS
    }
    if told.event == "alert":
        fields = dict(_ALERT)
    if told.event in _DIRECTIONS:
        fields["direction"] = _DIRECTIONS[told.event]
    if spec.id_field is not None:
        fields[spec.id_field] = told.name
    if spec.start_field is not None:
        fields[spec.start_field] = told.at_us
    return fields


def _time_us(told: StoryRecord, spec: EventSpec, fields: Mapping[str, Value]) -> int:
    if told.time_us is not None:
        return told.time_us
    if spec.start_field is None:
        return told.at_us
    moments = (v for name, v in fields.items() if spec.fields[name].kind is Kind.MOMENT)
    return max(told.at_us, *(moment for moment in moments if isinstance(moment, int)))


def _data(spec: EventSpec, fields: Mapping[str, Value]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Money):
            data[name] = format_amount(value.amount)
            data.setdefault("currency", value.currency)
        elif spec.fields[name].kind is Kind.MOMENT and isinstance(value, int):
            data[name] = format_moment(value)
        else:
            data[name] = value
    return data
