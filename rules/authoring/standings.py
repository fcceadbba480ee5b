"""How the alerts of one rule set stand at the end of a log, and when each was first raised."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from rules.alert import Alert
from rules.fact import Identity
from rules.moment import format_moment
from rules.money import Money, format_amount


@dataclass(frozen=True)
class Standing:
    """An alert as its last record tells it.

    `raised_at_us` is how far event time had come when its first record was written, which the
    record numbered `record` caused. `key` is the rule's, `person` whom it concerns, else the key.
    """

    alert_id: str
    rule: str
    anchor: Identity
    anchor_at_us: int
    key: str
    person: str
    money: Money | None
    state: str
    severity: str
    action: str
    score: int
    raised_at_us: int
    record: int
    settles_at_us: int

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "state": self.state,
            "severity": self.severity,
            "action": self.action,
            "score": self.score,
            "raised_at": format_moment(self.raised_at_us),
            "record": self.record,
            "settles_at": format_moment(self.settles_at_us),
        }


Standings = Mapping[str, Standing]
"""Standings by the alert's id."""


def standing_of(alert: Alert, now_us: int) -> Standing:
    """Return how an alert stands by its first record, written when event time was `now_us`."""
    content: Mapping[str, Any] = alert.content
    anchor = content["anchor"]
    money = Money(Decimal(content["amount"]), content["currency"]) if "amount" in content else None
    return Standing(
        alert_id=alert.alert_id,
        rule=content["rule"]["id"],
        anchor=Identity(anchor["source"], anchor["type"], anchor["id"]),
        anchor_at_us=alert.anchor_start_us,
        key=content["key"],
        person=content.get("person", content["key"]),
        money=money,
        state=alert.state,
        severity=content["severity"],
        action=content["action"],
        score=content["score"],
        raised_at_us=now_us,
        record=alert.revision,
        settles_at_us=alert.settles_at_us,
    )


def updated(before: Standing, alert: Alert) -> Standing:
    """Return how an alert stands by a later record."""
    last = standing_of(alert, before.raised_at_us)
    return replace(last, record=before.record)


@dataclass(frozen=True)
class Total:
    """What some alerts come to: how many, of how many people, and the amounts at stake."""

    alerts: int
    people: int
    amounts: Mapping[str, Decimal]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values; amounts are texts, by currency."""
        amounts = {currency: format_amount(a) for currency, a in self.amounts.items()}
        return {"alerts": self.alerts, "people": self.people, "amounts": amounts}

    def __str__(self) -> str:
        """Return it in words: `2 alerts of 1 person, 20000 CNY`."""
        alerts = counted(self.alerts, "alert")
        if not self.alerts:
            return alerts
        people = "1 person" if self.people == 1 else f"{self.people:,} people"
        return f"{alerts} of {people}, {in_words(self.amounts)}"


def counted(number: int, what: str) -> str:
    """Return `1 alert`, `2 alerts`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def in_words(amounts: Mapping[str, Decimal]) -> str:
    """Return amounts by currency: `20000 CNY and 300 EUR`, or `no amount`."""
    told = [f"{format_amount(amount)} {currency}" for currency, amount in amounts.items()]
    return " and ".join(told) if told else "no amount"


def total_of(standings: Iterable[Standing]) -> Total:
    """Return what alerts come to; an event that several alerts are about counts once in money."""
    found = list(standings)
    # An amount at stake is the event's, and several rules may speak of one event.
    at_stake = {s.anchor: s.money for s in found if s.money is not None}
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for money in at_stake.values():
        amounts[money.currency] += money.amount
    people = len({s.person for s in found})
    return Total(len(found), people, dict(sorted(amounts.items())))
