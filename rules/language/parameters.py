"""The parameters of a rule: durations, money in each currency, numbers and texts."""

import keyword
import re
from collections.abc import Mapping
from decimal import Decimal

from rules.events import EVENTS, Kind, Value
from rules.language.literals import Param
from rules.language.mistakes import Mistakes, quoted
from rules.language.read import Items, Leaf, Node, Table, describe
from rules.language.section import as_leaf, as_table
from rules.moment import parse_duration
from rules.money import parse_money
from rules.operators import Thresholds

NAME = r"[a-z][a-z0-9_]{0,63}"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,12})?")
_WANTED = "a duration, a number, a text, or a list of money"


def read_parameters(node: Node | None, mistakes: Mistakes) -> Mapping[str, Param | None]:
    """Return the parameters by name; None for one that has a mistake in it."""
    table = None if node is None else as_table(node, "a mapping of parameters", mistakes)
    if table is None:
        return {}
    return {name: _parameter(table, name, mistakes) for name in table.entries}


def _parameter(table: Table, name: str, mistakes: Mistakes) -> Param | None:
    key, node = table.entries[name]
    if not re.fullmatch(NAME, name) or keyword.iskeyword(name):
        mistakes.add(key.at, f"{quoted(name)} is no name, wanted small letters, digits and _")
        return None
    events = [event.name for event in EVENTS.values() if name in event.fields]
    if events:
        mistakes.add(key.at, f"parameter '{name}' has the name of a field of {events[0]}")
        return None
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
