"""What an alert says of a match: the values, the evidence and the reasons, as JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from rules.alert import Json, incident_of
from rules.condition import Aggregate, Condition, Field, Gap, Parameter, Read, Thresholds, gap_us
from rules.events import KEYS, Kind, Value
from rules.fact import Event
from rules.matching import Match
from rules.moment import format_duration, format_moment
from rules.money import Money, format_amount
from rules.operators import aggregate
from rules.plan import Piece, Plan, place_of
from rules.reach import Relation
from rules.rule import Rule, Step
from rules.tally import Members

_SAMPLE: Final = 20
_MOST_TOLD: Final = 256

Chosen = Sequence[Any]
"""What each part of a rule binds, and the anchor's event at the end."""

Line = Callable[[Chosen], str]
"""Tells a condition with its values, or how an event lies to another."""


class _Told(NamedTuple):
    """What is told of one event of one part, whatever else is bound.

    `lines` has None for each line that needs other events too.
    """

    entry: Json
    keys: Mapping[str, Any]
    lines: Sequence[str | None]


class _Teller:
    """Tells of the events of one part, and remembers what it said of the last few.

    Of an alert that changes most events are the same as before.
    """

    def __init__(self, rule: Rule, step: Step) -> None:
        self.step = step
        self.is_step = step in rule.steps
        self._looked_at = rule.looked_at.get(step.name, ())
        self._relations = [_relation_line(rule, step.name, r) for r in step.relations]
        self._place = rule.index[step.name]
        self._own = {
            option.event: [
                (condition_line(rule, condition, step.name), condition.steps <= {step.name})
                for condition in (*option.where, *step.where)
            ]
            for option in reversed(step.options)
        }
        self._having = [condition_line(rule, condition) for condition in step.having]
        self._told: dict[Event, _Told] = {}

    def of_event(self, event: Event) -> _Told:
        """Return what is told of an event by itself."""
        told = self._told.get(event)
        if told is None:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            told = self._told[event] = self._tell(event)
        return told

    def _tell(self, event: Event) -> _Told:
        entry = {
            "step": self.step.name,
            **_coordinates(event),
            "until": format_moment(event.end_us),
            "late": event.late,
            "fields": {f.name: _json(event.fields.get(f.name), f.kind) for f in self._looked_at},
        }
        alone: list[Any] = [event] * (self._place + 1)
        lines = [line(alone) if own else None for line, own in self._own[event.identity.type]]
        return _Told(entry, _keys(event), lines)

    def lines(self, told: _Told, event: Event, chosen: Chosen) -> Iterator[str]:
        """Yield why an event is there, for what else is chosen."""
        for line in self._relations:
            yield line(chosen)
        if None not in told.lines:
            yield from told.lines  # type: ignore[misc]  # none of them is None
            return
        for said, (line, _) in zip(told.lines, self._own[event.identity.type], strict=True):
            yield line(chosen) if said is None else said

    def of_set(self, members: Members) -> Json:
        """Return what is told of a set."""
        return {
            "step": self.step.name,
            "count": len(members),
            "totals": _totals(self._looked_at, members),
            "sample": [_sampled(event) for event in members.latest(_SAMPLE)],
        }

    def lines_of_set(self, members: Members, chosen: Chosen) -> Iterator[str]:
        """Yield why a set is there, for what else is chosen."""
        many = f"  ({len(members)} of them)"
        for relation in self.step.relations:
            yield f"{self.step.name} {relation.text}{many}"
        for condition in (*self.step.options[0].where, *self.step.where):
            yield f"{condition.text}{many}"
        for line in self._having:
            yield line(chosen)


class Teller:
    """Tells of the matches of one rule."""

    def __init__(self, plan: Plan) -> None:
        """Make ready what is the same in all that it tells."""
        self._plan = plan
        rule = plan.rule
        self._rule = {
            "id": rule.id,
            "version": rule.version,
            "title": rule.title,
            "digest": rule.digest,
        }
        self._tags = list(rule.tags)
        self._parts = [_Teller(rule, step) for step in rule.parts]

    def content(self, key: str, match: Match) -> dict[str, Any]:
        """Return what an alert says of a match, as JSON values in a fixed order."""
        rule, anchor = self._plan.rule, match.anchor
        band = rule.band(match.score)
        chosen = (*match.bound, anchor)
        evidence, because, keys = self._told(match, chosen)
        content: dict[str, Any] = {
            "rule": self._rule,
            "by": rule.by,
            "key": key,
            "incident": incident_of(rule, key, anchor.start_us),
            **keys,
            "typology": rule.typology,
            "stage": rule.stage,
            "tags": self._tags,
            "severity": band.severity,
            "action": band.action,
            "score": match.score,
            "anchor": _coordinates(anchor),
            **_at_stake(anchor),
            "evidence": evidence,
            "because": because,
        }
        if any(bound.late for bound in match.bound if bound is not None):
            content["late"] = True
        if self._plan.message:
            content["message"] = "".join([_words(p, chosen) for p in self._plan.message])
        if rule.advice:
            content["advice"] = rule.advice
        return content

    def _told(self, match: Match, chosen: Chosen) -> tuple[list[Json], list[str], Json]:
        """Return the evidence, the reasons, and the keys that the anchor or another step names."""
        evidence: list[Json] = []
        because: list[str] = []
        found: dict[str, Any] = {}
        for teller, bound in zip(self._parts, match.bound, strict=True):
            if type(bound) is Members:
                evidence.append(teller.of_set(bound))
                because += teller.lines_of_set(bound, chosen)
            elif type(bound) is Event:
                told = teller.of_event(bound)
                evidence.append(told.entry)
                because += teller.lines(told, bound, chosen)
                if teller.is_step:
                    # What an earlier step names stands.
                    found = {**told.keys, **found}
        found |= _keys(match.anchor)
        return evidence, because, {name: found[name] for name in KEYS.values() if name in found}


def _keys(event: Event) -> Json:
    fields = event.fields
    return {name: fields[name] for name in KEYS.values() if name in fields}


@lru_cache(4_096)
def _coordinates(event: Event) -> Json:
    source, event_type, own_id = event.identity
    return {
        "source": source,
        "type": event_type,
        "id": own_id,
        "at": format_moment(event.start_us),
    }


def _at_stake(anchor: Event) -> Json:
    money = anchor.fields.get("amount")
    if not isinstance(money, Money):
        return {}
    return {"amount": format_amount(money.amount), "currency": money.currency}


def _totals(looked_at: Sequence[Field], members: Members) -> Json:
    """Return what the looked-at amounts of a set add up to, in each currency."""
    sums = {f.name: members.known("sum", f.name) for f in looked_at if f.kind is Kind.MONEY}
    return {
        name: {currency: format_amount(amount) for currency, amount in total.items()}
        for name, total in sums.items()
        if total is not None
    }


def _sampled(event: Event) -> Json:
    """Return where a member of a set is found: of an alert, the anchor, where the bank can act."""
    if event.identity.type != "alert":
        return _coordinates(event)
    fields = event.fields
    return {
        "source": fields["anchor_source"],
        "type": fields["anchor_type"],
        "id": fields["anchor_id"],
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
    if kind is not Kind.MONEY:
        return _SHOW.get(kind, str)(value)
    amounts = {value.currency: value.amount} if isinstance(value, Money) else value
    assert isinstance(amounts, Mapping), "money is an amount, or one in each currency"
    return " | ".join([f"{format_amount(a)} {c}" for c, a in amounts.items()])


_SHOW: Mapping[Kind, Callable[[Any], str]] = {
    Kind.BOOL: lambda value: "true" if value else "false",
    Kind.MOMENT: format_moment,
    Kind.DURATION: lambda value: format_duration(int(value)),
    Kind.NUMBER: lambda value: format_amount(Decimal(value)),
}


def _relation_line(rule: Rule, step: str, relation: Relation) -> Line:
    own, other = rule.index[step], place_of(rule, relation.other)
    text = f"{step} {relation.text}"
    return lambda chosen: f"{text}  ({position(chosen[own], chosen[other])})"


def position(event: Event, other: Event) -> str:
    """Return how an event lies to another one, such as `3m12s after it`."""
    gap = gap_us(event, other)
    if gap == 0:
        return "during it"
    side = "after" if event.start_us > other.start_us else "before"
    return f"{format_duration(gap)} {side} it"


def condition_line(rule: Rule, condition: Condition, own: str = "") -> Line:
    """Return what tells a condition as written, with the values that it had in a match.

    `own` is the step under whose `where` it stands: of a set, that names the member.
    """
    text = condition.text
    readers = [(_reader(rule, read, own), read.kind) for read in condition.reads]
    if not readers:
        return lambda _chosen: text
    if any(kind is Kind.MONEY for _, kind in readers):
        sums = [isinstance(read, Aggregate) for read in condition.reads]
        return lambda chosen: f"{text}  ({', '.join(_of_money(readers, sums, chosen))})"
    return lambda chosen: f"{text}  ({', '.join([show(r(chosen), kind) for r, kind in readers])})"


_Reader = Callable[[Chosen], Value | Thresholds | None]


def _reader(rule: Rule, read: Read, own: str) -> _Reader:
    def place(step: str) -> int:
        return rule.index[step] if step == own else place_of(rule, step)

    match read:
        case Parameter():
            return lambda _chosen: read.value
        case Gap():
            first, second = place(read.first), place(read.second)
            return lambda chosen: gap_us(chosen[first], chosen[second])
        case Aggregate():
            part, of = rule.index[read.step], None if read.field is None else read.field.name
            compute = aggregate(read.function)
            return lambda chosen: compute(chosen[part], of)
    part, name = place(read.step), read.name
    return lambda chosen: chosen[part].fields.get(name)


def _of_money(
    readers: Iterable[tuple[_Reader, Kind]], sums: Iterable[bool], chosen: Chosen
) -> list[str]:
    """Return the values; of several thresholds those that the condition compared with."""
    found = [(read(chosen), kind) for read, kind in readers]
    currencies = {value.currency for value, _ in found if isinstance(value, Money)}
    for (value, _), is_sum in zip(found, sums, strict=True):
        if is_sum and isinstance(value, Mapping):
            currencies |= value.keys()
    return [show(_of_currencies(value, currencies), kind) for value, kind in found]


def _of_currencies(
    value: Value | Thresholds | None, currencies: AbstractSet[str]
) -> Value | Thresholds | None:
    if isinstance(value, Mapping) and currencies & value.keys():
        return {currency: value[currency] for currency in value if currency in currencies}
    return value


def _words(piece: Piece, chosen: Chosen) -> str:
    if isinstance(piece, str):
        return piece
    compute, kind = piece
    value = compute(chosen)
    # A sentence names the currency in its own place, as `{pay.amount} {pay.currency}`.
    return format_amount(value.amount) if isinstance(value, Money) else show(value, kind)
