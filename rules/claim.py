"""What an alert says of a match: the values, the evidence and the reasons, as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, Final

from rules.alert import Json, incident_of
from rules.condition import Aggregate, Condition, Field, Gap, Parameter, Read, Thresholds, gap_us
from rules.events import KEYS, Kind, Value
from rules.fact import Event
from rules.matching import Match
from rules.moment import format_duration, format_moment
from rules.money import Money, format_amount
from rules.operators import aggregate
from rules.plan import Piece, Plan
from rules.reach import Relation
from rules.rule import Rule

_SAMPLE: Final = 20


def content_of(plan: Plan, key: str, match: Match) -> Json:
    """Return what an alert of this rule says of a match, as JSON values in a fixed order."""
    rule, anchor = plan.rule, match.anchor
    band = rule.band(match.score)
    content: dict[str, Any] = {
        "rule": {
            "id": rule.id,
            "version": rule.version,
            "title": rule.title,
            "digest": rule.digest,
        },
        "by": rule.by,
        "key": key,
        "incident": incident_of(rule, key, anchor.start_us),
        **_key_fields(rule, match),
        "typology": rule.typology,
        "stage": rule.stage,
        "tags": list(rule.tags),
        "severity": band.severity,
        "action": band.action,
        "score": match.score,
        "anchor": _coordinates(anchor),
        **_at_stake(anchor),
        "evidence": list(_evidence(rule, match)),
        "because": list(_because(rule, match)),
    }
    if any(bound.late for bound in match.bound if bound is not None):
        content["late"] = True
    if plan.message:
        content["message"] = "".join(_words(piece, match) for piece in plan.message)
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


def _key_fields(rule: Rule, match: Match) -> Json:
    steps = (match.bound[n] for n, step in enumerate(rule.steps) if not step.each)
    found: dict[str, Any] = {}
    for event in (match.anchor, *steps):
        assert isinstance(event, Event), "a step that is no set binds an event"
        for name in KEYS.values():
            if name in event.data:
                found.setdefault(name, event.data[name])
    return {name: found[name] for name in KEYS.values() if name in found}


def _at_stake(anchor: Event) -> Json:
    money = anchor.fields.get("amount")
    if not isinstance(money, Money):
        return {}
    return {"amount": format_amount(money.amount), "currency": money.currency}


def _evidence(rule: Rule, match: Match) -> Iterator[Json]:
    for step, bound in zip(rule.parts, match.bound, strict=True):
        if isinstance(bound, Event):
            yield {
                "step": step.name,
                **_coordinates(bound),
                "until": format_moment(bound.end_us),
                "late": bound.late,
                "fields": _fields(rule.looked_at.get(step.name, ()), bound),
            }
        elif bound is not None:
            yield {
                "step": step.name,
                "count": len(bound),
                "totals": _totals(rule.looked_at.get(step.name, ()), bound),
                "sample": [_sampled(event) for event in bound[-_SAMPLE:]],
            }


def _fields(looked_at: Sequence[Field], event: Event) -> Json:
    return {f.name: _json(event.fields.get(f.name), f.kind) for f in looked_at}


def _totals(looked_at: Sequence[Field], members: Sequence[Event]) -> Json:
    """Return what the looked-at amounts of a set add up to, in each currency."""
    sums = {f.name: aggregate("sum")(members, f.name) for f in looked_at if f.kind is Kind.MONEY}
    return {
        name: {currency: format_amount(amount) for currency, amount in total.items()}
        for name, total in sums.items()
        if total is not None
    }


def _sampled(event: Event) -> Json:
    """Return where a member of a set is found: of an alert, the anchor, where the bank can act."""
    data = event.data
    if event.identity.type != "alert":
        return _coordinates(event)
    return {
        "source": data["anchor_source"],
        "type": data["anchor_type"],
        "id": data["anchor_id"],
        "at": format_moment(event.start_us),
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


def _because(rule: Rule, match: Match) -> Iterator[str]:
    for step, bound in zip(rule.parts, match.bound, strict=True):
        if bound is None:
            continue
        if isinstance(bound, Event):
            for relation in step.relations:
                yield f"{step.name} {relation.text}  ({position(rule, bound, relation, match)})"
            own = next((o.where for o in step.options if o.event == bound.identity.type), ())
            for condition in (*own, *step.where):
                yield condition_line(rule, condition, match)
        else:
            for relation in step.relations:
                yield f"{step.name} {relation.text}  ({len(bound)} of them)"
            for condition in (*step.options[0].where, *step.where):
                yield f"{condition.text}  ({len(bound)} of them)"
            for condition in step.having:
                yield condition_line(rule, condition, match)


def position(rule: Rule, event: Event, relation: Relation, match: Match) -> str:
    """Return how an event lies to the one that a relation names, such as `3m12s after it`."""
    other = _event(rule, relation.other, match)
    gap = gap_us(event, other)
    if gap == 0:
        return "during it"
    side = "after" if event.start_us > other.start_us else "before"
    return f"{format_duration(gap)} {side} it"


def _event(rule: Rule, step: str, match: Match) -> Event:
    event = match.anchor if step == rule.anchor else match.bound[rule.index[step]]
    assert isinstance(event, Event), "a relation is to an event that is bound"
    return event


def condition_line(rule: Rule, condition: Condition, match: Match) -> str:
    """Return a condition as written, with the values that it had in a match."""
    found = [_value(rule, read, match) for read in condition.reads]
    currencies = {value.currency for value in found if isinstance(value, Money)}
    for value, read in zip(found, condition.reads, strict=True):
        if isinstance(read, Aggregate) and isinstance(value, Mapping):
            currencies |= value.keys()
    values = [
        show(_of_currencies(value, currencies), read.kind)
        for value, read in zip(found, condition.reads, strict=True)
    ]
    return f"{condition.text}  ({', '.join(values)})" if values else condition.text


def _value(rule: Rule, read: Read, found: Match) -> Value | Thresholds | None:
    match read:
        case Parameter():
            return read.value
        case Gap():
            return gap_us(_event(rule, read.first, found), _event(rule, read.second, found))
        case Aggregate():
            members = found.bound[rule.index[read.step]]
            assert isinstance(members, Sequence), "an aggregate is over a set"
            of = None if read.field is None else read.field.name
            value: Value | Thresholds | None = aggregate(read.function)(members, of)
            return value
    return _event(rule, read.step, found).fields.get(read.name)


def _of_currencies(
    value: Value | Thresholds | None, currencies: AbstractSet[str]
) -> Value | Thresholds | None:
    """Return of several thresholds those that the condition compared with."""
    if isinstance(value, Mapping) and currencies & value.keys():
        return {currency: value[currency] for currency in value if currency in currencies}
    return value


def _words(piece: Piece, match: Match) -> str:
    if isinstance(piece, str):
        return piece
    compute, kind = piece
    value = compute((*match.bound, match.anchor))
    # A sentence names the currency in its own place, as `{pay.amount} {pay.currency}`.
    return format_amount(value.amount) if isinstance(value, Money) else show(value, kind)
