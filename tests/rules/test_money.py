from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.money import CURRENCIES, Money, format_amount, parse_amount, parse_money


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("20000", "20000"),
        ("0.50", "0.5"),
        ("007", "7"),
        ("0", "0"),
        ("0.000000", "0"),
        ("999999999999999.999999", "999999999999999.999999"),
        (5, "5"),
        (999_999_999_999_999, "999999999999999"),
        (Decimal("1e3"), "1000"),
        (Decimal("1.5E-5"), "0.000015"),
        (Decimal("1.100000000000000000000000000000000"), "1.1"),
        (Decimal("0e999999"), "0"),
        (Decimal("-0.0"), "0"),
    ],
)
def test_an_amount_has_one_writing(written: str | int | Decimal, canonical: str) -> None:
    assert format_amount(parse_amount(written)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "-1", "+1", ".5", "5.", "1e3", "1,000", "0x10", "٣", "NaN", "1\n"),
        *("1234567890123456", "1.1234567"),
    ],
)
def test_a_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount like 20000"):
        parse_amount(text)


@pytest.mark.parametrize(
    "number",
    [
        10**15,
        Decimal("1e15"),
        Decimal("1e-7"),
        Decimal("1e999999"),
        Decimal("1e-999999"),
        Decimal("Infinity"),
        Decimal("1.00000000000000000000000000000000001"),
    ],
)
def test_a_number_that_does_not_fit_is_refused_and_never_rounded(number: int | Decimal) -> None:
    with pytest.raises(ValueError, match="at most 15 digits before the point and 6 behind it"):
        parse_amount(number)


@pytest.mark.parametrize("number", [-1, Decimal("-0.000001")])
def test_a_negative_number_is_refused(number: int | Decimal) -> None:
    with pytest.raises(ValueError, match="an amount is not negative"):
        parse_amount(number)


@given(st.decimals(0, 10**15 - 1, places=6))
def test_a_written_amount_is_read_back(amount: Decimal) -> None:
    text = format_amount(amount)
    assert parse_amount(text) == amount
    assert format_amount(parse_amount(text)) == text


def test_money_is_an_amount_a_space_and_a_currency() -> None:
    assert parse_money("3000 CNY") == Money(Decimal(3000), "CNY")
    assert parse_money("0.5 EUR") == Money(Decimal("0.5"), "EUR")


@pytest.mark.parametrize(
    "text", ["", "3000", "CNY", "3000 cny", "3000  CNY", "CNY 3000", "-1 CNY"]
)
def test_what_is_no_money_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount and a currency of ISO 4217"):
        parse_money(text)


def test_currencies_are_those_of_iso_4217() -> None:
    assert {"CNY", "EUR", "GBP", "USD", "JPY"} <= CURRENCIES
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)
