"""A record as it may be shown: what could name a person is told by its shape only.

Shown are the envelope's own attributes, and the known fields of `data` that hold what the contract
wants there: classes, moments, amounts, counts, and own ids, which stay as sent everywhere. Free
text and a value in the wrong place may be anybody's number, so they are masked like an identifier,
and so is all that the contract does not know.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rules.events import BY_WIRE_TYPE, INTEGER_LIMIT, EventSpec, FieldSpec, Kind, own_fields
from rules.moment import parse_moment
from rules.money import CURRENCIES, parse_amount
from streams.wire.json_text import Mistake, kind_of, read_object

_MARK: Final = "✱ "
_LONGEST: Final = 256
# What a programmer calls a field; anything else may be a value that is used as a name.
_FIELD_NAME: Final = re.compile("[A-Za-z_][A-Za-z_]{0,63}", re.ASCII)


def masked(raw: bytes) -> dict[str, Any] | Mistake:
    """Return a record with its personal values masked, or why nothing of it can be read."""
    value = read_object(raw)
    if isinstance(value, Mistake):
        return value
    spec = BY_WIRE_TYPE.get(str(value.get("type")))
    shown: dict[str, Any] = {}
    for number, (name, found) in enumerate(value.items(), 1):
        if name == "data" and isinstance(found, dict):
            shown[name] = _data(spec, found)
        else:
            is_right = _ENVELOPE.get(name, _never)
            shown[_name(name, number, known=name in _ENVELOPE)] = _shown(found, is_right)
    return shown


def _data(spec: EventSpec | None, data: Mapping[str, Any]) -> dict[str, Any]:
    fields = {} if spec is None else {f.name: f for f in own_fields(spec)}
    return {
        _name(name, number, known=name in fields): _shown(found, _test(fields.get(name), name))
        for number, (name, found) in enumerate(data.items(), 1)
    }


def _name(name: str, number: int, *, known: bool) -> str:
    return name if known or _FIELD_NAME.fullmatch(name) else f"{_MARK}name {number}"


def _shown(found: Any, is_right: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - any JSON value
    if found is None or is_right(found):
        return found
    what = kind_of(found)
    if isinstance(found, str):
        what = f"text of {len(found)} characters"
    return _MARK + what


def _test(field: FieldSpec | None, name: str) -> Callable[[Any], bool]:
    """Return what tells whether a value may be shown: that it is what its field wants."""
    if name == "event_id" or (field is not None and name.endswith("_id")):
        return _is_text
    if field is None:
        return _never
    if field.classes:
        return lambda found: isinstance(found, str) and found in field.classes
    return _is_currency if name == "currency" else _BY_KIND.get(field.kind, _never)


def _never(_found: object) -> bool:
    return False


def _is_text(found: object) -> bool:
    return isinstance(found, str) and 0 < len(found) <= _LONGEST


def _is_currency(found: object) -> bool:
    return isinstance(found, str) and found in CURRENCIES


def _is_count(found: object) -> bool:
    return type(found) is int and 0 <= found <= INTEGER_LIMIT


def _is_moment(found: object) -> bool:
    return isinstance(found, str) and _can(parse_moment, found)


def _is_amount(found: object) -> bool:
    return not isinstance(found, bool | dict | list) and _can(parse_amount, found)


def _can(read: Callable[[Any], object], found: object) -> bool:
    try:
        read(found)
    except ValueError:
        return False
    return True


_BY_KIND: Final[Mapping[Kind, Callable[[Any], bool]]] = {
    Kind.BOOL: lambda found: isinstance(found, bool),
    Kind.INTEGER: _is_count,
    Kind.MONEY: _is_amount,
    Kind.MOMENT: _is_moment,
}
_ENVELOPE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "specversion": lambda found: found == "1.0",
    # A dead letter names these three too.
    "id": _is_text,
    "source": _is_text,
    "type": _is_text,
    "time": _is_moment,
    "sequence": _is_count,
    "recordedtime": _is_moment,
    "feed": _is_text,
    "partition": _is_count,
    "data": _never,
}
