"""The claim that a rule matched, with its evidence: made from a binding, always the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import msgspec

from rules.condition import (
    Condition,
    Field,
    Parameter,
    Thresholds,
    compile_expression,
    gap_us,
)
from rules.events import EVENTS, KEYS, Kind, Value
from rules.fact import Event, Identity
from rules.matching import Binding
from rules.moment import DAY_US, format_duration, format_moment
from rules.money import Money, format_amount
from rules.rule import Message, Rule

NAMESPACE = UUID("293d4950-186f-428b-b851-8c8e19aec016")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """One record of an alert: a revision of the claim.

    `content` is what the rule says of its binding; a later revision is better informed.
    """

    alert_id: str
    revision: int
    state: str
    final: bool
    anchor_start_us: int
    settles_at_us: int
    undecided: tuple[str, ...]
    content: Json

    def to_cloudevent(self) -> Json:
        """Return the alert as the CloudEvents object of the event contract."""
        return {
            "specversion": "1.0",
            "id": f"{self.alert_id}.{self.revision}",
            "source": "ringfence",
            "type": EVENTS["alert"].wire_type,
            "time": format_moment(self.anchor_start_us),
            "sequence": self.revision,
            "data": {
                "alert_id": self.alert_id,
                "revision": self.revision,
                "state": self.state,
                "final": self.final,
                "settles_at": format_moment(self.settles_at_us),
                "undecided": list(self.undecided),
                **self.content,
            },
        }


def encode_alert(alert: Alert) -> bytes:
    """Return the alert's record as one line of JSON, the same bytes for the same alert."""
    return msgspec.json.encode(alert.to_cloudevent())


def alert_id(rule_id: str, anchor: Identity) -> str:
    """Return the alert's id: UUIDv5 (RFC 9562) of the rule and the anchor, and nothing else."""
    return _uuid([rule_id, *anchor])


def _uuid(names: Sequence[str]) -> str:
    return str(uuid5(NAMESPACE, msgspec.json.encode(names).decode()))


def content_of(rule: Rule, key: str, binding: Binding) -> Json:
    """Return what an alert of this rule says of a binding, as JSON values in a fixed order."""
    anchor = binding[rule.index[rule.anchor]]
    score = rule.base
    band = rule.band(score)
    incident = _uuid([rule.by, key, str(anchor.start_us // DAY_US)])
    content: dict[str, Any] = {
        "rule": {
            "id": rule.id,
            "version": rule.version,
            "title": rule.title,
            "digest": rule.digest,
        },
        "by": rule.by,
        "key": key,
        "incident": incident,
        **_key_fields(anchor, binding),
        "typology": rule.typology,
        "stage": rule.stage,
        "tags": list(rule.tags),
        "severity": band.severity,
        "action": band.action,
        "score": score,
        "anchor": _coordinates(anchor),
        **_at_stake(anchor),
        "evidence": [
            _evidence(rule, step.name, event)
            for step, event in zip(rule.steps, binding, strict=True)
        ],
        "because": _because(rule, binding),
    }
    if any(event.late for event in binding):
        content["late"] = True
    if rule.message is not None:
        content["message"] = _render(rule, rule.message, binding)
    if rule.advice:
        content["advice"] = rule.advice
    return content


def _coordinates(event: Event) -> dict[str, Any]:
    source, event_type, own_id = event.identity
    return {
        "source": source,
        "type": event_type,
        "id": own_id,
        "at": format_moment(event.start_us),
    }


def _key_fields(anchor: Event, binding: Binding) -> Json:
    found: dict[str, Any] = {}
    for name in KEYS.values():
        for event in (anchor, *binding):
            if name in event.data:
                found[name] = event.data[name]
                break
    return found


def _at_stake(anchor: Event) -> Json:
    money = anchor.fields.get("amount")
    if not isinstance(money, Money):
        return {}
    return {"amount": format_amount(money.amount), "currency": money.currency}


def _evidence(rule: Rule, step: str, event: Event) -> Json:
    looked_at = dict.fromkeys(
        read
        for other in rule.steps
        for condition in other.where
        for read in condition.reads
        if isinstance(read, Field) and read.step == step
    )
    return {
        "step": step,
        **_coordinates(event),
        "until": format_moment(event.end_us),
        "late": event.late,
        "fields": {f.name: _json(event.fields.get(f.name), f.kind) for f in looked_at},
    }


def _json(value: Value | None, kind: Kind) -> str | int | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and kind not in (Kind.MOMENT, Kind.DURATION):
        return value
    return show(value, kind)


def show(value: Value | Thresholds | None, kind: Kind) -> str:
    """Return a value as a person reads it: `20000 CNY`, `1h9m`, `true`, `unknown`."""
    if value is None:
        return "unknown"
    if isinstance(value, Money):
        return f"{format_amount(value.amount)} {value.currency}"
    if isinstance(value, Mapping):
        return " | ".join(f"{format_amount(a)} {c}" for c, a in value.items())
    return _SHOW.get(kind, str)(value)


_SHOW: Mapping[Kind, Callable[[Any], str]] = {
    Kind.BOOL: lambda value: "true" if value else "false",
    Kind.MOMENT: format_moment,
    Kind.DURATION: lambda value: format_duration(int(value)),
    Kind.NUMBER: lambda value: format_amount(Decimal(value)),
}


def _because(rule: Rule, binding: Binding) -> list[str]:
    lines = []
    for step, event in zip(rule.steps, binding, strict=True):
        for relation in step.relations:
            other = binding[rule.index[relation.other]]
            lines.append(f"{step.name} {relation.text}  ({_position(event, other)})")
        lines += [_condition_line(rule, condition, binding) for condition in step.where]
    return lines


def _position(event: Event, other: Event) -> str:
    gap = gap_us(event, other)
    if gap == 0:
        return "during it"
    side = "after" if event.start_us > other.start_us else "before"
    return f"{format_duration(gap)} {side} it"


def _condition_line(rule: Rule, condition: Condition, binding: Binding) -> str:
    found = [
        read.value if isinstance(read, Parameter) else _field(rule, read, binding)
        for read in condition.reads
    ]
    currencies = {value.currency for value in found if isinstance(value, Money)}
    values = [
        show(_of_currencies(value, currencies), read.kind)
        for value, read in zip(found, condition.reads, strict=True)
    ]
    return f"{condition.text}  ({', '.join(values)})" if values else condition.text


def _field(rule: Rule, field: Field, binding: Binding) -> Value | None:
    return binding[rule.index[field.step]].fields.get(field.name)


def _of_currencies(
    value: Value | Thresholds | None, currencies: AbstractSet[str]
) -> Value | Thresholds | None:
    """Return of several thresholds those that the condition compared with."""
    if isinstance(value, Mapping) and currencies & value.keys():
        return {currency: value[currency] for currency in value if currency in currencies}
    return value


def _render(rule: Rule, message: Message, binding: Binding) -> str:
    pieces = []
    for piece in message.pieces:
        if isinstance(piece, str):
            pieces.append(piece)
            continue
        value = compile_expression(
            piece,
            lambda field: f"b[{rule.index[field.step]}].fields.get({field.name!r})",
            lambda step: f"b[{rule.index[step]}]",
        )(binding)
        # A sentence names the currency in its own place, as `{pay.amount} {pay.currency}`.
        pieces.append(
            format_amount(value.amount) if isinstance(value, Money) else show(value, piece.kind)
        )
    return "".join(pieces)
