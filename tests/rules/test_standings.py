"""How alerts stand, and what several of them come to."""

from dataclasses import replace
from decimal import Decimal

from rules.authoring.standings import Total, in_words, total_of
from rules.fact import Identity
from rules.money import Money
from tests.rules.test_attribution import FIRST


def test_an_event_that_several_alerts_are_about_counts_once_in_money() -> None:
    paid = replace(FIRST, money=Money(Decimal(100), "CNY"))
    other = replace(paid, anchor=Identity("//bank.example/core", "transfer", "p2"), person="else")
    euros = replace(other, money=Money(Decimal("0.5"), "EUR"), anchor=Identity("a", "b", "c"))
    total = total_of([paid, paid, other, euros, replace(FIRST, anchor=Identity("x", "y", "z"))])
    assert total == Total(5, 2, {"CNY": Decimal(200), "EUR": Decimal("0.5")})
    assert str(total) == "5 alerts of 2 people, 200 CNY and 0.5 EUR"
    assert total.as_json()["amounts"] == {"CNY": "200", "EUR": "0.5"}


def test_one_and_none_are_said_as_such() -> None:
    assert str(total_of([FIRST])) == "1 alert of 1 person, no amount"
    assert str(total_of([])) == "0 alerts"
    assert in_words({}) == "no amount"
