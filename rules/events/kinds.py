"""The kinds of values that a field can hold, and how each is read from a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from rules.moment import parse_moment
from rules.money import CURRENCIES, parse_amount

IDENTIFIER_LIMIT: Final = 256
INTEGER_LIMIT: Final = 2**63 - 1
AMOUNT_PATTERN: Final = r"^\d{1,15}(\.\d{1,6})?$"


class Kind(StrEnum):
    """What a condition may do with a field."""

    TEXT = "text"
    CLASS = "class"
    BOOL = "bool"
    INTEGER = "integer"
    NUMBER = "number"
    MONEY = "money"
    MOMENT = "moment"
    DURATION = "duration"
    PSEUDONYM = "pseudonym"


WANTED: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "text",
    Kind.BOOL: "true or false",
    Kind.INTEGER: "an integer from 0 to 2^63-1",
    Kind.NUMBER: "a number",
    Kind.MONEY: "an amount, not negative, of at most 15 digits before the point and 6 behind it",
    Kind.MOMENT: "a moment in RFC 3339 with an offset, from 1970 to 2261",
    Kind.PSEUDONYM: f"text of 1 to {IDENTIFIER_LIMIT} characters",
}
"""What a record has to hold for each kind, in words; a class has its own list."""


@dataclass(frozen=True)
class Marker:
    """What an annotation says beyond its Python type.

    Attributes:
        kind: The kind of the value.
        pseudonym: Of an identifier: the kind of pseudonym that ingest puts in its place.
    """

    kind: Kind
    pseudonym: str | None = None


# Pydantic's own texts are for programmers; readers turn these types into reasons and texts of
# their own, which never quote what was found.


def _read_moment(value: object) -> int:
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "a moment is text")
    try:
        return parse_moment(value)
    except ValueError as error:
        raise PydanticCustomError("bad_time", "no moment of RFC 3339 with an offset") from error


def _read_amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise PydanticCustomError("wrong_type", "an amount is a number, or its digits as text")
    try:
        return parse_amount(value)
    except ValueError as error:
        raise PydanticCustomError("bad_value", "no amount of the contract") from error


def _read_currency(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "a currency is text")
    if value not in CURRENCIES:
        raise PydanticCustomError("bad_value", "no currency of ISO 4217")
    return value


def _read_number(value: object) -> int | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("wrong_type", "a number is neither text nor true or false")
    return value


Moment = Annotated[
    int,
    BeforeValidator(_read_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Marker(Kind.MOMENT),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(_read_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": AMOUNT_PATTERN},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 10**15},
            ]
        }
    ),
    Marker(Kind.MONEY),
]
Currency = Annotated[
    str,
    BeforeValidator(_read_currency),
    WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES)}),
    Marker(Kind.TEXT),
]
Integer = Annotated[int, Field(ge=0, le=INTEGER_LIMIT), Marker(Kind.INTEGER)]
Number = Annotated[
    Decimal | int,
    BeforeValidator(_read_number),
    WithJsonSchema({"type": "number"}),
    Marker(Kind.NUMBER),
]
Text = Annotated[str, Marker(Kind.TEXT)]
OwnId = Annotated[str, StringConstraints(min_length=1), Marker(Kind.TEXT)]

_Identifier = Annotated[str, StringConstraints(min_length=1, max_length=IDENTIFIER_LIMIT)]
Person = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "person")]
Handle = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "handle")]
Account = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "account")]
Device = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "device")]
Meeting = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "meeting")]
Package = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "package")]
Domain = Annotated[_Identifier, Marker(Kind.PSEUDONYM, "domain")]
