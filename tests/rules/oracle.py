"""A slow second opinion on which alerts a set of records ends with, read off the design alone.

No watermark, no state, no order of arrival: every choice of events is tried. Of the code under
test it uses only the shape of rules and of their expressions, never what computes with them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from math import floor
from typing import Any, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from rules.condition import (
    Aggregate,
    Among,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
)
from rules.events import Scalar
from rules.money import Money
from rules.rule import Rule, RuleSet, Step
from rules.timing import Timing

Name = tuple[str, str, str]
"""The identity of an event: source, type, own id."""

_KEY_FIELDS = {
    "person": "person",
    "payee": "payee_account",
    "caller": "caller",
    "meeting": "meeting",
    "area": "area",
}
_STARTS = {
    "call_invitation": "invited_at",
    "screen_share": "started_at",
    "official_call": "valid_from",
    "transfer": "initiated_at",
    "loan_drawdown": "drawn_at",
    "funds_moved": "moved_at",
}
_NAMESPACE = UUID("293d4950-186f-428b-b851-8c8e19aec016")
_ENDS = {"call_invitation": "ended_at", "screen_share": "ended_at", "official_call": "valid_to"}
_AMOUNTS = ("amount", "balance_before", "limit")


class Record(NamedTuple):
    """What one valid record says of an event: `data` in normal form, after pseudonyms."""

    source: str
    type: str
    id: str
    record_id: str
    sequence: int
    time_us: int
    data: Mapping[str, Scalar]

    @property
    def name(self) -> Name:
        """The identity of the event that it tells of."""
        return (self.source, self.type, self.id)


@dataclass(frozen=True)
class Told:
    """An event as all its records together tell it; an alert with the anchor that it is about."""

    record: Record
    start_us: int
    end_us: int
    values: Mapping[str, Any]
    about: Name | None = None

    @property
    def place(self) -> tuple[int, str, str, str]:
        """What bindings are compared by."""
        return (self.start_us, *self.record.name)


Shown = tuple[str, Name] | tuple[str, int, tuple[Name, ...]]
"""A step with what it binds: an event, or how many and the latest 20 of them."""


@dataclass(frozen=True)
class Claim:
    """An alert that is raised in the end."""

    score: int
    severity: str
    action: str
    shown: tuple[Shown, ...]


Claims = dict[tuple[str, str, Name], Claim]
"""By the rule's id, the key's value and the anchor's identity."""


@dataclass(frozen=True)
class _Binding:
    """Events for all `event` steps and an anchor, with what follows from them for the rest."""

    rule: Rule
    anchor: Told
    single: tuple[Told, ...]
    bound: Mapping[str, Any]
    score: int


def final_alerts(records: Iterable[Record], rule_set: RuleSet, timing: Timing) -> Claims:
    """Return what each alert that is raised in the end says, those of both stages."""
    events = told(records, timing)
    found: Claims = {}
    alerts: list[Told] = []
    for rule in rule_set.rules:
        if not _reads_alerts(rule):
            for key, binding in _reported(rule, events):
                found[rule.id, key, binding.anchor.record.name] = _claim(binding)
                alerts.append(_alert(binding))
    for rule in rule_set.rules:
        if _reads_alerts(rule):
            for key, binding in _reported(rule, events + alerts):
                found[rule.id, key, binding.anchor.record.name] = _claim(binding)
    return found


def _reads_alerts(rule: Rule) -> bool:
    return any(option.event == "alert" for part in rule.parts for option in part.options)


def _reported(rule: Rule, events: list[Told]) -> Iterable[tuple[str, _Binding]]:
    """Yield the reported binding of each anchor: the highest score, and then the greatest."""
    by_key: dict[str, list[Told]] = defaultdict(list)
    for event in events:
        if _KEY_FIELDS[rule.by] in event.record.data:
            by_key[str(event.record.data[_KEY_FIELDS[rule.by]])].append(event)
    for key, several in by_key.items():
        best: dict[Name, _Binding] = {}
        for binding in _bindings(rule, sorted(several, key=lambda e: e.place)):
            name = binding.anchor.record.name
            if name not in best or _strength(binding) > _strength(best[name]):
                best[name] = binding
        yield from ((key, binding) for binding in best.values())


def _strength(binding: _Binding) -> tuple[int, list[tuple[int, str, str, str]]]:
    return binding.score, [event.place for event in binding.single]


def _bindings(rule: Rule, events: list[Told]) -> Iterable[_Binding]:
    """Yield every binding that holds."""
    names = [step.name for step in rule.steps if not step.each]
    for single in product(events, repeat=len(names)):
        bound: dict[str, Any] = dict(zip(names, single, strict=True))
        anchors = [bound[rule.anchor]] if rule.anchor in bound else events
        for anchor in anchors if len({e.place for e in single}) == len(single) else ():
            score = _judge(rule, anchor, single, bound, events)
            if score is not None:
                yield _Binding(rule, anchor, single, dict(bound), score)


def _judge(
    rule: Rule,
    anchor: Told,
    single: tuple[Told, ...],
    bound: dict[str, Any],
    events: list[Told],
) -> int | None:
    """Return the score of a choice if it holds, and add to `bound` what follows from it."""
    if not all(
        _fits(rule, step, bound[step.name], bound, anchor) for step in rule.steps if not step.each
    ):
        return None
    others = [event for event in events if event not in single]
    for step in rule.steps:
        if step.each:
            bound[step.name] = _members(rule, step, bound, anchor, others)
            if not _is_enough(step, bound[step.name], bound):
                return None
    if isinstance(bound[rule.anchor], tuple) and anchor not in bound[rule.anchor]:
        return None
    if any(_found(rule, part, bound, anchor, others) for part in rule.unless):
        return None
    evidence = {part.name: _found(rule, part, bound, anchor, others) for part in rule.evidence}
    bound.update(evidence)
    return rule.base + sum(part.weight for part in rule.evidence if evidence[part.name])


def _found(
    rule: Rule, part: Step, bound: Mapping[str, Any], anchor: Told, others: list[Told]
) -> Any:  # noqa: ANN401 - an event, a set or nothing
    """Return what satisfies an `unless` or an evidence: the greatest event, or the set."""
    members = _members(rule, part, bound, anchor, others)
    if not part.each:
        return members[-1] if members else None
    # A set may be satisfied by having no member.
    return (members,) if _is_enough(part, members, {**bound, part.name: members}) else None


def _members(
    rule: Rule, step: Step, bound: Mapping[str, Any], anchor: Told, others: list[Told]
) -> tuple[Told, ...]:
    found = tuple(e for e in others if _fits(rule, step, e, {**bound, step.name: e}, anchor))
    if step.name != rule.anchor:
        return found
    return tuple(
        event
        for event in found
        if event.start_us <= anchor.start_us
        and (step.window_us is None or gap(event, anchor) <= step.window_us)
    )


def _is_enough(step: Step, members: tuple[Told, ...], bound: Mapping[str, Any]) -> bool:
    if not step.having:
        return len(members) > 0
    return all(evaluate(c.expression, bound) is True for c in step.having)


def _fits(rule: Rule, step: Step, event: Told, bound: Mapping[str, Any], anchor: Told) -> bool:
    """Tell whether an event may stand for a step, or in its set, beside the events chosen."""
    options = [option for option in step.options if option.event == event.record.type]
    if not options:
        return False
    for relation in step.relations:
        # To the set that is the anchor a relation is one to the anchor.
        other = anchor if relation.other == rule.anchor else bound[relation.other]
        if not _lies(relation.kind, event, other, relation.within_us):
            return False
    named = {**bound, step.name: event}
    if step.name != rule.anchor:
        named[rule.anchor] = anchor
    where = (*options[0].where, *step.where)
    return all(evaluate(c.expression, named) is True for c in where)


def _claim(binding: _Binding) -> Claim:
    rule = binding.rule
    band = [band for band in rule.bands if band.floor <= binding.score][-1]
    shown: list[Shown] = []
    for part in rule.parts:
        bound = binding.bound.get(part.name)
        if part in rule.evidence and part.each and bound:
            (bound,) = bound
        if isinstance(bound, Told):
            shown.append((part.name, bound.record.name))
        elif bound is not None:
            names = tuple(event.about or event.record.name for event in bound[-20:])
            shown.append((part.name, len(bound), names))
    return Claim(binding.score, band.severity, band.action, tuple(shown))


def _alert(binding: _Binding) -> Told:
    """Return an alert as an event of the second stage."""
    rule, anchor = binding.rule, binding.anchor
    claim = _claim(binding)
    text = json.dumps([rule.id, *anchor.record.name], separators=(",", ":"), ensure_ascii=False)
    data: dict[str, Scalar] = {}
    for event in (anchor, *binding.single):
        for name in _KEY_FIELDS.values():
            if name in event.record.data:
                data.setdefault(name, event.record.data[name])
    if "amount" in anchor.record.data:
        data |= {name: anchor.record.data[name] for name in ("amount", "currency")}
    data |= {"rule": rule.id, "typology": rule.typology, "stage": rule.stage}
    data |= {"severity": claim.severity, "action": claim.action, "score": claim.score}
    own_id = str(uuid5(_NAMESPACE, text))
    record = Record("ringfence", "alert", own_id, "", 0, anchor.start_us, data)
    values = {**_values(data), "alert_id": own_id}
    return Told(record, anchor.start_us, anchor.start_us, values, anchor.record.name)


def told(records: Iterable[Record], timing: Timing) -> list[Told]:
    """Return each event once, as the greatest of its records tells it."""
    by_name: dict[Name, list[Record]] = defaultdict(list)
    for record in records:
        by_name[record.name].append(record)
    return [_told(max(several, key=_rank), timing) for several in by_name.values()]


def _rank(record: Record) -> tuple[int, int, str, bytes]:
    text = json.dumps(record.data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (record.sequence, record.time_us, record.record_id, text.encode())


def _told(record: Record, timing: Timing) -> Told:
    data, kind = record.data, record.type
    start_us = int(data[_STARTS[kind]]) if kind in _STARTS else record.time_us
    answered = kind != "call_invitation" or "answered_at" in data
    end_us = start_us
    if kind in _ENDS and answered:
        end = data.get(_ENDS[kind])
        end_us = record.time_us + timing.open_for_us if end is None else int(end)
        settle_us = timing.settle_by_type_us.get(kind, timing.settle_us)
        end_us = min(max(end_us, start_us), start_us + settle_us)
    return Told(record, start_us, end_us, {**_values(data), **_derived(record, start_us)})


def _values(data: Mapping[str, Scalar]) -> dict[str, Any]:
    values: dict[str, Any] = dict(data)
    for name in _AMOUNTS:
        if name in data:
            values[name] = Money(Decimal(data[name]), str(data["currency"]))
    return values


def _derived(record: Record, start_us: int) -> dict[str, Any]:
    data = record.data
    if record.type == "call_invitation":
        derived: dict[str, Any] = {"answered": "answered_at" in data}
        if "answered_at" in data and "ended_at" in data:
            derived["talk_time"] = int(data["ended_at"]) - int(data["answered_at"])
        return derived
    if record.type == "transfer":
        if "payee_times_paid" in data:
            return {"payee_is_new": data["payee_times_paid"] == 0}
        if "payee_first_paid_at" in data:
            return {"payee_is_new": int(data["payee_first_paid_at"]) >= start_us}
    return {}


def _lies(kind: str, event: Told, other: Told, within_us: int) -> bool:
    match kind:
        case "after":
            return event.start_us >= other.start_us and gap(event, other) <= within_us
        case "before":
            return _lies("after", other, event, within_us)
        case "around":
            return gap(event, other) <= within_us
        case _:
            return gap(event, other) == 0


def gap(one: Told, two: Told) -> int:
    """Return the microseconds that lie between two events; zero if they touch or overlap."""
    return max(0, two.start_us - one.end_us, one.start_us - two.end_us)


def evaluate(  # noqa: C901, PLR0911 - one case for each kind of node
    node: Expression, bound: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - a value of any kind
    """Return the value of an expression, or None for unknown."""
    match node:
        case Constant() | Parameter():
            return node.value
        case Field():
            return bound[node.step].values.get(node.name)
        case Gap():
            return gap(bound[node.first], bound[node.second])
        case Aggregate():
            return _aggregate(node, bound[node.step])
        case Unknown():
            return (evaluate(node.item, bound) is None) is not node.negated
        case Among():
            item = evaluate(node.item, bound)
            return None if item is None else (item in node.choices) is not node.negated
        case Negation():
            return {True: False, False: True}.get(evaluate(node.part, bound))
        case Junction():
            return _kleene(node.op, [evaluate(part, bound) for part in node.parts])
        case Compare():
            return _compare(node.op, evaluate(node.left, bound), evaluate(node.right, bound))
        case Arithmetic():
            return _arithmetic(node.op, evaluate(node.left, bound), evaluate(node.right, bound))
        case Call():
            return _call(node, [evaluate(part, bound) for part in node.arguments])


def _kleene(op: str, parts: list[bool | None]) -> bool | None:
    """Kleene's strong tables: the least of the parts for `and`, the greatest for `or`."""
    order = {False: 0, None: 1, True: 2}
    return (min if op == "and" else max)(parts, key=lambda part: order[part])


def _in_one_currency(left: Any, right: Any) -> tuple[Any, Any] | None:  # noqa: ANN401 - as above
    currencies = {side.currency for side in (left, right) if isinstance(side, Money)}
    if len(currencies) != 1:
        return None
    currency = currencies.pop()
    amounts = tuple(
        side.amount if isinstance(side, Money) else side.get(currency) for side in (left, right)
    )
    return None if None in amounts else (amounts[0], amounts[1])


def _aggregate(node: Aggregate, members: Iterable[Told]) -> Any:  # noqa: ANN401 - as above
    if node.field is None:
        return len(list(members))
    found = [member.values.get(node.field.name) for member in members]
    known = [value for value in found if value is not None]
    if node.function == "count":
        return len(set(known)) or None
    choose: Any = {"sum": sum, "least": min, "greatest": max}[node.function]
    if not any(isinstance(value, Money) for value in known):
        return choose(known) if known else None
    currencies = {value.currency for value in known}
    return {c: choose([v.amount for v in known if v.currency == c]) for c in currencies}


def _compare(op: str, left: Any, right: Any) -> bool | None:  # noqa: ANN401 - as above
    if left is None or right is None:
        return None
    if not isinstance(left, Money | Mapping):
        return _is_so(op, left, right)
    first, second = (
        {side.currency: side.amount} if isinstance(side, Money) else side for side in (left, right)
    )
    answers = [_is_so(op, first[c], second[c]) for c in first if c in second]
    return any(answers) if answers else None


def _is_so(op: str, left: Any, right: Any) -> bool:  # noqa: ANN401 - as above
    match op:
        case "==" | "!=":
            return (left == right) is (op == "==")
        case "<" | ">=":
            return bool(left < right) is (op == "<")
        case _:
            return bool(left > right) is (op == ">")


def _arithmetic(op: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as above
    if left is None or right is None:
        return None
    if op in "+-" and isinstance(left, Money | Mapping):
        pair = _in_one_currency(left, right)
        money = left if isinstance(left, Money) else right
        return None if pair is None else Money(_number(op, *pair), money.currency)
    if isinstance(left, Money):
        amount = _number(op, left.amount, right)
        return None if amount is None else Money(amount, left.currency)
    if isinstance(right, Money):
        return Money(left * right.amount, right.currency)
    return _number(op, left, right)


def _number(op: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as above
    if op in "/%" and right == 0:
        return None
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return Decimal(left) / Decimal(right)
        case _:
            return left - right * floor(Decimal(left) / Decimal(right))


def _call(node: Call, arguments: list[Any]) -> Any:  # noqa: ANN401 - as above
    if None in arguments:
        return None
    first = arguments[0]
    match node.function:
        case "hour" | "weekday":
            epoch = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
            local = (epoch + timedelta(microseconds=first)).astimezone(ZoneInfo(node.timezone))
            return local.hour if node.function == "hour" else local.weekday()
        case "startswith":
            return str(first)[: len(arguments[1])] == arguments[1]
        case "number":
            return first.amount
        case "ratio":
            pair = _in_one_currency(first, arguments[1])
            return None if pair is None or pair[1] == 0 else pair[0] / pair[1]
