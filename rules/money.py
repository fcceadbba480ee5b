"""Money: an exact amount and its currency, never a float."""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import NamedTuple

from iso4217 import Currency

CURRENCIES: frozenset[str] = frozenset(currency.value for currency in Currency)
"""The currency codes of ISO 4217, upper case."""

_TEXT = re.compile(r"\d{1,15}(\.\d{1,6})?", re.ASCII)
_WHOLE_LIMIT = 10**15
_MICROS = Decimal("0.000001")
# 15 digits before the point and 6 behind it: what does not fit exactly is refused, never rounded.
_FITS = Context(prec=21, traps=[Inexact, InvalidOperation])
_TOO_LONG = "an amount has at most 15 digits before the point and 6 behind it"


class Money(NamedTuple):
    """An amount in a currency."""

    amount: Decimal
    currency: str


def parse_amount(value: str | int | Decimal) -> Decimal:
    """The amount that a JSON text or number says; a number may be written with an exponent.

    Raises:
        ValueError: It is negative, or has more than 15 digits before the point or 6 behind it.
    """
    if isinstance(value, str):
        if not _TEXT.fullmatch(value):
            raise ValueError(f'"{value}" is not an amount like 20000 or 0.5')
        return Decimal(value)
    try:
        amount = _FITS.quantize(Decimal(value), _MICROS)
    except (Inexact, InvalidOperation) as error:
        raise ValueError(_TOO_LONG) from error
    if amount < 0:
        raise ValueError("an amount is not negative")
    return abs(amount)


def is_amount(value: str | int) -> bool:
    """Tell whether a JSON text, or a number without a point, is an amount of the contract."""
    if isinstance(value, str):
        return _TEXT.fullmatch(value) is not None
    return 0 <= value < _WHOLE_LIMIT


def format_amount(amount: Decimal) -> str:
    """The one way to write an amount: no exponent, no zeros at the end (`20000`, `0.5`)."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_money(text: str) -> Money:
    """The money of `3000 CNY`.

    Raises:
        ValueError: It is not an amount, one space, and a currency of ISO 4217.
    """
    amount, _, currency = text.partition(" ")
    if currency not in CURRENCIES or not _TEXT.fullmatch(amount):
        raise ValueError(f'"{text}" is not an amount and a currency of ISO 4217 like 3000 CNY')
    return Money(Decimal(amount), currency)
