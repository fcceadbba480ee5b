"""The parameters of a rule: durations, money in each currency, numbers and texts."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from rules.events import EVENTS, Kind, Value
from rules.language.literals import KIND_NAMES, Param
from rules.language.mistakes import Mistakes, quoted, suggestion
from rules.language.overrides import Values
from rules.language.read import Items, Leaf, Node, Table, describe
from rules.language.section import as_leaf, as_table, as_text
from rules.moment import parse_duration
from rules.money import parse_money
from rules.operators import Thresholds

NAME = r"[a-z][a-z0-9_]{0,63}"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,12})?")
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
_WANTED = "a duration, a number, a text, or a list of money"


@dataclass(frozen=True)
class Given:
    """What was set from outside: values by name, and where their mistakes go."""

    values: Values
    mistakes: Mistakes


def read_parameters(
    node: Node | None, given: Given, mistakes: Mistakes
) -> Mapping[str, Param | None]:
    """Return the parameters by name; None for one that has a mistake in it.

    Args:
        node: what the rule's own file says.
        given: what takes the place of it.
        mistakes: where what is wrong with the rule's own file goes.
    """
    table = None if node is None else as_table(node, "a mapping of parameters", mistakes)
    entries = {} if table is None else table.entries
    for name, (key, _) in given.values.items():
        if name not in entries:
            hint = suggestion(name, entries, "parameters")
            given.mistakes.add(key.at, f"there is no parameter {quoted(name)}", hint)
    own = {name: _named(name, *entries[name], mistakes) for name in entries}
    return {
        name: _replaced(parameter, given.values[name][1], given.mistakes)
        if name in given.values and parameter is not None
        else parameter
        for name, parameter in own.items()
    }


def _replaced(own: Param, node: Node, mistakes: Mistakes) -> Param | None:
    """Return a parameter with the value given from outside, which must be of its kind."""
    if own.kind is Kind.TEXT:
        # What looks like a duration is a text all the same where a text is wanted.
        leaf = as_text(node, mistakes)
        return None if leaf is None else Param(own.name, leaf.text, Kind.TEXT)
    found = _parameter(own.name, node, mistakes)
    if found is None or found.kind is own.kind or {found.kind, own.kind} <= _NUMBERS:
        return found
    wanted = f"parameter '{own.name}' is {KIND_NAMES[own.kind]}"
    mistakes.add(node.at, f"found {KIND_NAMES[found.kind]}, but {wanted}")
    return None


def _named(name: str, key: Leaf, node: Node, mistakes: Mistakes) -> Param | None:
    if not re.fullmatch(NAME, name) or keyword.iskeyword(name):
        mistakes.add(key.at, f"{quoted(name)} is no name, wanted small letters, digits and _")
        return None
    events = [event.name for event in EVENTS.values() if name in event.fields]
    if events:
        mistakes.add(key.at, f"parameter '{name}' has the name of a field of {events[0]}")
        return None
    return _parameter(name, node, mistakes)


def _parameter(name: str, node: Node, mistakes: Mistakes) -> Param | None:
    if isinstance(node, Items):
        amounts = _amounts(node, mistakes)
        return None if amounts is None else Param(name, amounts, Kind.MONEY)
    if isinstance(node, Table):
        mistakes.add(node.at, f"found {describe(node)}, wanted {_WANTED}")
        return None
    read = _scalar(node, mistakes)
    return None if read is None else Param(name, *read)


def _scalar(leaf: Leaf, mistakes: Mistakes) -> tuple[Value | Thresholds, Kind] | None:
    if leaf.kind in ("integer", "number") and _NUMBER.fullmatch(leaf.text):
        if leaf.kind == "integer":
            return int(leaf.text), Kind.INTEGER
        return Decimal(leaf.text), Kind.NUMBER
    if leaf.kind != "text":
        mistakes.add(leaf.at, f"found {describe(leaf)}, wanted {_WANTED}")
        return None
    try:
        return parse_duration(leaf.text), Kind.DURATION
    except ValueError:
        pass
    try:
        money = parse_money(leaf.text)
    except ValueError:
        return leaf.text, Kind.TEXT
    return {money.currency: money.amount}, Kind.MONEY


def _amounts(items: Items, mistakes: Mistakes) -> Thresholds | None:
    """Return an amount for each currency; a list that is empty or mistaken is None."""
    amounts: dict[str, Decimal] = {}
    sound = bool(items.items)
    if not sound:
        mistakes.add(items.at, "found an empty list, wanted money such as 3000 CNY")
    for item in items.items:
        leaf = as_leaf(item, "money such as 3000 CNY", mistakes)
        try:
            money = None if leaf is None else parse_money(leaf.text)
        except ValueError:
            money = None
            mistakes.add(item.at, f"found {describe(item)}, wanted money such as 3000 CNY")
        if money is not None and money.currency in amounts:
            mistakes.add(item.at, f"a second amount in {money.currency}, wanted one per currency")
            money = None
        if money is None:
            sound = False
        else:
            amounts[money.currency] = money.amount
    return amounts if sound else None
