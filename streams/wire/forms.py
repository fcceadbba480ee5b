"""Structs made from the event models: what the decoder fills when it reads a record."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from rules.events import IDENTIFIER_LIMIT, INTEGER_LIMIT, EventSpec, FieldSpec, Kind

NAME: Final = Annotated[str, msgspec.Meta(min_length=1)]
_INTEGER: Final = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_LIMIT)]
_IDENTIFIER: Final = Annotated[str, msgspec.Meta(min_length=1, max_length=IDENTIFIER_LIMIT)]
NOT_FROM_OUTSIDE: Final = frozenset({"heartbeat", "outcome", "alert"})
"""The types that no rule reads as an event from outside."""

_TYPES: Final = {
    Kind.TEXT: str,
    Kind.BOOL: bool,
    Kind.INTEGER: _INTEGER,
    Kind.MONEY: str | int,
    Kind.PSEUDONYM: _IDENTIFIER,
}

# Struct classes and annotations are made here from what the models say: types that only the
# decoder looks at.
_Type = Any


def data_struct(
    spec: EventSpec, fields: Sequence[FieldSpec], moment: _Type, more: Sequence[str] = ()
) -> _Type:
    """Return a Struct of some fields of an event type, those that may be missing as None.

    Args:
        spec: the event type.
        fields: own fields of it.
        moment: what moments are read as, `str` or `datetime`.
        more: further names of text that may be missing.
    """
    types = {field.name: _type_of(field, moment) for field in fields}
    return msgspec.defstruct(
        f"{spec.model.__name__}Data",
        [
            *((f.name, types[f.name]) for f in fields if f.required),
            *((f.name, types[f.name] | None, None) for f in fields if not f.required),
            *((name, NAME | None, None) for name in more),
        ],
        gc=False,
    )


def record_struct(spec: EventSpec, data: _Type, moment: _Type) -> _Type:
    """Return a Struct of a record with such data; its `type` tells it from those of others."""
    return msgspec.defstruct(
        f"{spec.model.__name__}Record",
        [
            ("specversion", Literal["1.0"]),
            ("id", NAME),
            ("source", NAME),
            ("time", moment),
            ("data", data),
            ("sequence", _INTEGER | None, None),
            ("feed", str | None, None),
            ("partition", _INTEGER | None, None),
            ("recordedtime", moment | None, None),
        ],
        tag_field="type",
        tag=spec.wire_type,
        gc=False,
    )


def _type_of(field: FieldSpec, moment: _Type) -> _Type:
    if field.classes:
        return Literal[field.classes]
    if field.kind is Kind.MOMENT:
        return moment
    # An own id is not empty; whether another id may be is left to the models.
    return NAME if field.name.endswith("_id") else _TYPES[field.kind]
