"""What all event models share: their strictness, and the checks that need more than one field."""

from decimal import Decimal
from typing import Any, Final, LiteralString

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from rules.events.kinds import OwnId, Person, Text

OPEN: Final[dict[str, Any]] = {"x-ringfence-open": True}
"""Marks a field that may differ between records of one event."""


class Event(BaseModel):
    """The data of one record: unknown fields are ignored, missing and null ones are unknown."""

    # A run meets a few of the types, and building the validators of all takes a short run's time.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class OfPerson(Event):
    """An event that concerns one customer."""

    person: Person = Field(description="The customer it concerns. ISO 20022: Dbtr.")
    area: Text | None = Field(None, description="A coarse code of where, never an address.")


class RecordOfPerson(OfPerson):
    """An event whose own id is its record's, and which starts at the record's `time`."""

    event_id: OwnId | None = Field(
        None, description="The own id, where a producer makes a new record id for each retry."
    )


def not_before(start: str) -> AfterValidator:
    """A check that a moment, if known, is not before the field `start`."""

    def check(value: int | None, info: ValidationInfo) -> int | None:
        # A start that was refused is not in `info.data`; it is the mistake to report.
        if value is not None and value < info.data.get(start, value):
            raise _out_of_order(info, f"wanted a moment not before {start}")
        return value

    return AfterValidator(check)


def not_after(end: str) -> AfterValidator:
    """A check that a moment, if known, is not after the field `end`, if that is known."""

    def check(value: int | None, info: ValidationInfo) -> int | None:
        latest = info.data.get(end)
        if value is not None and latest is not None and value > latest:
            raise _out_of_order(info, f"wanted a moment not after {end}")
        return value

    return AfterValidator(check)


def goes_with(*amounts: str) -> AfterValidator:
    """A check that a currency is known if and only if one of its amounts, all above it, is."""

    def check(value: str | None, info: ValidationInfo) -> str | None:
        known = any(info.data.get(name) is not None for name in amounts)
        if known and value is None:
            raise _missing("currency", "an amount needs its currency")
        if value is not None and not known:
            raise _missing(amounts[0], "a currency needs its amount")
        return value

    return AfterValidator(check)


def needed_by(amount: str) -> AfterValidator:
    """A check that a currency is known if the amount above it is; another may follow below."""

    def check(value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get(amount) is not None:
            raise _missing("currency", "an amount needs its currency")
        return value

    return AfterValidator(check)


def second_to(amount: str) -> AfterValidator:
    """A check of a second amount in the same currency: the currency goes with either of them."""

    def check(value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        currency = info.data.get("currency")
        if value is not None and currency is None:
            raise _missing("currency", "an amount needs its currency")
        if currency is not None and value is None and info.data.get(amount) is None:
            raise _missing(amount, "a currency needs its amount")
        return value

    return AfterValidator(check)


def _missing(field: str, text: LiteralString) -> PydanticCustomError:
    return PydanticCustomError("missing_partner", text, {"field": field})


def _out_of_order(info: ValidationInfo, text: str) -> PydanticCustomError:
    return PydanticCustomError("out_of_order", "{text}", {"field": info.field_name, "text": text})
