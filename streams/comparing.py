"""What two epochs raise differently: the alerts of one topic beside those of another."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rules.moment import format_moment, parse_moment
from rules.money import format_amount
from rules.watermark import NEVER_US

Claim = Mapping[str, Any]
"""The data of an alert's record."""

_SAYS: Final = ("severity", "action", "score")


@dataclass(frozen=True)
class Window:
    """The anchors that both have judged: from one moment until before another."""

    from_us: int
    until_us: int

    def raised(self, values: Iterable[bytes]) -> Mapping[str, Claim]:
        """Return the alerts in the window that stand raised, by id."""
        claims = (json.loads(value)["data"] for value in values)
        return {
            claim["alert_id"]: claim
            for claim in claims
            if claim["state"] == "raised"
            and self.from_us <= parse_moment(claim["anchor"]["at"]) < self.until_us
        }


def compared(
    current: Mapping[str, Claim], shadow: Mapping[str, Claim], window: Window
) -> dict[str, Any]:
    """Return what two epochs raise alike and differently, as a JSON object."""
    both = current.keys() & shadow.keys()
    changed = {i for i in both if any(current[i][say] != shadow[i][say] for say in _SAYS)}
    return {
        "from": _moment(window.from_us),
        "until": _moment(window.until_us),
        "both": _part(current[i] for i in sorted(both)),
        "changed": {**_part(shadow[i] for i in sorted(changed)), "alert_ids": sorted(changed)},
        "only_current": _alone(current, shadow),
        "only_shadow": _alone(shadow, current),
    }


def _moment(moment_us: int) -> str | None:
    return None if moment_us == NEVER_US else format_moment(moment_us)


def _alone(these: Mapping[str, Claim], others: Mapping[str, Claim]) -> dict[str, Any]:
    ids = sorted(these.keys() - others.keys())
    rules = Counter(str(these[i]["rule"]["id"]) for i in ids)
    return {
        **_part(these[i] for i in ids),
        "by_rule": dict(sorted(rules.items())),
        "alert_ids": ids,
    }


def _part(claims: Iterable[Claim]) -> dict[str, Any]:
    claims = list(claims)
    at_stake: dict[str, Decimal] = {}
    for claim in {json.dumps(c["anchor"], sort_keys=True): c for c in claims}.values():
        # Several alerts about one transfer put its amount at stake once, and alerts about alerts
        # nothing more.
        if "amount" in claim and claim["anchor"]["type"] != "alert":
            currency = claim["currency"]
            at_stake[currency] = at_stake.get(currency, Decimal(0)) + Decimal(claim["amount"])
    return {
        "alerts": len(claims),
        "people": len({c["person"] for c in claims if "person" in c}),
        "at_stake": {c: format_amount(a) for c, a in sorted(at_stake.items())},
    }


def shown(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a comparison as lines for a person."""
    start = found["from"] or "the beginning"
    yield f"anchors from {start} until {found['until']}, which both epochs have judged"
    for name, title in (
        ("both", "raised by both"),
        ("changed", "  of these with another score, severity or action"),
        ("only_current", "raised by the current epoch only"),
        ("only_shadow", "raised by the shadow only"),
    ):
        part = found[name]
        stake = ", ".join(f"{amount} {c}" for c, amount in part["at_stake"].items()) or "nothing"
        yield f"{title}: {part['alerts']:,} alerts, {part['people']:,} people, at stake {stake}"
        for rule, count in part.get("by_rule", {}).items():
            yield f"  {rule}: {count:,}"
