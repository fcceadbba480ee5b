"""The values of fields in a story, as the author writes them."""

from collections.abc import Callable, Mapping

from rules.events import INTEGER_LIMIT, FieldSpec, Kind, Value
from rules.language.literals import read_literal
from rules.language.mistakes import Suggestion
from rules.language.read import Leaf
from rules.language.told import TIME_WANTED, parse_time
from rules.money import parse_money

_TRUTHS = {"yes": "true", "on": "true", "true": "true"}
_TRUTHS |= {"no": "false", "off": "false", "false": "false"}


def _parse_truth(leaf: Leaf) -> bool:
    if leaf.kind != "truth":
        raise ValueError(leaf.text)
    return leaf.text.lower() == "true"


def truth_hint(leaf: Leaf) -> Suggestion | None:
    """Return what YAML 1.1 took such a word for, or a quoted truth; None if it is no truth."""
    truth = _TRUTHS.get(leaf.text.lower())
    if truth is None:
        return None
    return Suggestion(f"did you mean {truth}?", leaf.source, truth)


def _parse_count(leaf: Leaf) -> int:
    if leaf.kind != "integer" or not leaf.text.isdigit() or int(leaf.text) > INTEGER_LIMIT:
        raise ValueError(leaf.text)
    return int(leaf.text)


VALUES: Mapping[Kind, Callable[[Leaf, FieldSpec], Value]] = {
    Kind.TEXT: lambda leaf, _: leaf.text,
    Kind.PSEUDONYM: lambda leaf, _: leaf.text,
    Kind.CLASS: lambda leaf, field: read_literal(leaf.text, Kind.CLASS, field),
    Kind.BOOL: lambda leaf, _: _parse_truth(leaf),
    Kind.INTEGER: lambda leaf, _: _parse_count(leaf),
    Kind.NUMBER: lambda leaf, _: _parse_count(leaf),
    Kind.MONEY: lambda leaf, _: parse_money(leaf.text),
    Kind.MOMENT: lambda leaf, _: parse_time(leaf.text),
}
WANTED: Mapping[Kind, str] = {
    Kind.CLASS: "a class",
    Kind.BOOL: "true or false",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a whole number",
    Kind.MONEY: "money such as 3000 CNY",
    Kind.MOMENT: TIME_WANTED,
}
