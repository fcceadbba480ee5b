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
from zoneinfo import ZoneInfo

from rules.condition import (
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
from rules.rule import Rule, RuleSet
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
    """An event as all its records together tell it."""

    record: Record
    start_us: int
    end_us: int
    values: Mapping[str, Any]

    @property
    def place(self) -> tuple[int, str, str, str]:
        """What bindings are compared by."""
        return (self.start_us, *self.record.name)


def final_alerts(
    records: Iterable[Record], rule_set: RuleSet, timing: Timing
) -> dict[tuple[str, Name], tuple[Name, ...]]:
    """Return what is bound, step by step, by each alert that is raised in the end.

    The keys are the rule's id and the anchor's identity.
    """
    events = told(records, timing)
    found: dict[tuple[str, Name], tuple[Told, ...]] = {}
    for rule in rule_set.rules:
        anchor = [step.name for step in rule.steps].index(rule.anchor)
        for binding in _bindings(rule, events):
            key = (rule.id, binding[anchor].record.name)
            rival = found.get(key)
            if rival is None or _places(binding) > _places(rival):
                found[key] = binding
    return {key: tuple(e.record.name for e in binding) for key, binding in found.items()}


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


def _bindings(rule: Rule, events: list[Told]) -> Iterable[tuple[Told, ...]]:
    by_key: dict[Scalar, list[Told]] = defaultdict(list)
    for event in events:
        if _KEY_FIELDS[rule.by] in event.record.data:
            by_key[event.record.data[_KEY_FIELDS[rule.by]]].append(event)
    for several in by_key.values():
        choices = [[e for e in several if e.record.type == step.event] for step in rule.steps]
        for binding in product(*choices):
            if len({e.record.name for e in binding}) == len(binding) and _holds(rule, binding):
                yield binding


def _places(binding: tuple[Told, ...]) -> list[tuple[int, str, str, str]]:
    return [event.place for event in binding]


def _holds(rule: Rule, binding: tuple[Told, ...]) -> bool:
    bound = {step.name: event for step, event in zip(rule.steps, binding, strict=True)}
    for step in rule.steps:
        for relation in step.relations:
            pair = (bound[step.name], bound[relation.other])
            if not _lies(relation.kind, *pair, relation.within_us):
                return False
        if any(evaluate(c.expression, bound) is not True for c in step.where):
            return False
    return True


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
    node: Expression, bound: Mapping[str, Told]
) -> Any:  # noqa: ANN401 - a value of any kind
    """Return the value of an expression, or None for unknown."""
    match node:
        case Constant() | Parameter():
            return node.value
        case Field():
            return bound[node.step].values.get(node.name)
        case Gap():
            return gap(bound[node.first], bound[node.second])
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


def _compare(op: str, left: Any, right: Any) -> bool | None:  # noqa: ANN401 - as above
    if left is None or right is None:
        return None
    if isinstance(left, Money | Mapping) or isinstance(right, Money | Mapping):
        pair = _in_one_currency(left, right)
        if pair is None:
            return None
        left, right = pair
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
