"""What the alerts of a rule were worth: how many were right, how many a day, and how early."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from rules.authoring.outcomes import CONFIRMED, VERDICTS
from rules.authoring.standings import Standings, Total, in_words, total_of
from rules.fact import Identity
from rules.moment import DAY_US, format_duration
from rules.money import format_amount

NONE: Final = "none"
"""Said of an alert that no outcome is known of."""
_THOUSAND: Final = 1_000


@dataclass(frozen=True)
class Ground:
    """What alerts are measured on.

    Attributes:
        verdicts: What alerts turned out to be, by id.
        owners: Of alerts that were not raised, the rule that could have raised them.
        gone_at_us: When the money of a transfer can no longer be called back, where that is known.
        people: How many people the logs speak of.
        span_us: How much event time the logs cover; at least a day, so that an hour's log is not
            blown up.
    """

    verdicts: Mapping[str, str]
    owners: Mapping[str, str]
    gone_at_us: Mapping[Identity, int]
    people: int
    span_us: int

    @property
    def days(self) -> float:
        """How many days the logs count as."""
        return max(self.span_us, DAY_US) / DAY_US


@dataclass(frozen=True)
class Result:
    """What a rule's alerts were worth.

    Attributes:
        rule: The rule's id.
        total: The alerts that are raised in the end.
        confirmed: Those of them that were fraud.
        verdicts: How many of them turned out to be what; `none` where nobody has said.
        missed: Frauds of which an outcome names an alert of this rule that was not raised.
        spared: Alerts that outcomes call no fraud, and that were not raised.
        leads_us: How long before the money was gone each alert was first raised, in microseconds,
            where that moment is known; negative where it was too late. In ascending order.
        rate: Alerts per 1,000 people and day; None if the logs speak of nobody.
    """

    rule: str
    total: Total
    confirmed: Total
    verdicts: Mapping[str, int]
    missed: int
    spared: int
    leads_us: Sequence[int]
    rate: float | None

    @property
    def judged(self) -> int:
        """How many alerts somebody has said something certain of."""
        return self.total.alerts - self.verdicts["unknown"] - self.verdicts[NONE]

    @property
    def precision(self) -> float | None:
        """How many of the judged alerts were fraud; None if none was judged."""
        return self.confirmed.alerts / self.judged if self.judged else None

    @property
    def recall(self) -> float | None:
        """How many of the frauds that outcomes know of were raised; None if they know of none."""
        frauds = self.confirmed.alerts + self.missed
        return self.confirmed.alerts / frauds if frauds else None

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values; durations in seconds."""
        leads = self.leads_us
        return {
            "rule": self.rule,
            **self.total.as_json(),
            "confirmed_amounts": {c: format_amount(a) for c, a in self.confirmed.amounts.items()},
            "verdicts": dict(self.verdicts),
            "missed": self.missed,
            "spared": self.spared,
            "precision": _rounded(self.precision),
            "recall": _rounded(self.recall),
            "alerts_per_1000_people_and_day": _rounded(self.rate),
            "lead": {
                "measured": len(leads),
                "in_time": sum(lead > 0 for lead in leads),
                "median_seconds": median(leads) / 1e6 if leads else None,
                "least_seconds": leads[0] / 1e6 if leads else None,
            },
        }

    def as_lines(self) -> Iterator[str]:
        """Yield it in words."""
        rate = (
            "" if self.rate is None else f"; {figure(self.rate)} alerts per 1,000 people and day"
        )
        yield f"{self.rule}: {self.total}{rate}"
        words = {NONE: "without any"}
        told = ", ".join(f"{n:,} {words.get(v, v)}" for v, n in self.verdicts.items() if n)
        if told:
            yield f"  outcomes: {told}; confirmed at stake: {in_words(self.confirmed.amounts)}"
        yield f"  precision {self._precision()}; recall {self._recall()}"
        if self.spared:
            yield f"  not raised though outcomes know it as no fraud: {self.spared:,}"
        yield f"  lead: {self._lead()}"

    def _precision(self) -> str:
        if self.precision is None:
            return "unknown (no alert of it was judged)"
        return f"{figure(self.precision)} ({self.confirmed.alerts:,} of {self.judged:,} judged)"

    def _recall(self) -> str:
        if self.recall is None:
            return "unknown (no fraud is known)"
        frauds = self.confirmed.alerts + self.missed
        return f"{figure(self.recall)} ({self.confirmed.alerts:,} of {frauds:,} known frauds)"

    def _lead(self) -> str:
        leads, of = self.leads_us, f"of {self.total.alerts:,}"
        if not leads:
            return f"unknown (none {of} says when the money is gone)"
        in_time = sum(lead > 0 for lead in leads)
        middle, least = (format_duration(round(us)) for us in (median(leads), leads[0]))
        return (
            f"{middle} in the middle, {least} at least; {in_time:,} before the money was gone"
            f" (measured on {len(leads):,} {of}, whose irrevocable_at is known)"
        )


def results(rules: Iterable[str], standings: Standings, ground: Ground) -> list[Result]:
    """Return what the alerts of each rule were worth, in the order of the rules."""
    raised = {n: s for n, s in standings.items() if s.state == "raised"}
    return [_result(rule, raised, ground) for rule in rules]


def _result(rule: str, raised: Standings, ground: Ground) -> Result:
    own = {n: s for n, s in raised.items() if s.rule == rule}
    said = Counter(ground.verdicts.get(alert_id, NONE) for alert_id in own)
    silent = Counter(
        verdict
        for alert_id, verdict in ground.verdicts.items()
        if alert_id not in own and ground.owners.get(alert_id) == rule
    )
    leads = [
        ground.gone_at_us[s.anchor] - s.raised_at_us
        for s in own.values()
        if s.anchor in ground.gone_at_us
    ]
    people = ground.people / _THOUSAND
    return Result(
        rule=rule,
        total=total_of(own.values()),
        confirmed=total_of(s for n, s in own.items() if ground.verdicts.get(n) == CONFIRMED),
        verdicts={verdict: said[verdict] for verdict in (*VERDICTS, NONE)},
        missed=silent[CONFIRMED],
        spared=silent["false_positive"] + silent["benign"],
        leads_us=sorted(leads),
        rate=len(own) / people / ground.days if people else None,
    )


def figure(value: float) -> str:
    """Return a figure as a person reads it: three digits behind the point at most."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def shortfalls(
    found: Iterable[Result], min_precision: Decimal | None, max_rate: Decimal | None
) -> Iterator[str]:
    """Yield a sentence for each rule that does not keep to a threshold."""
    results_, judged = list(found), False
    for result in results_:
        if min_precision is not None and result.precision is not None:
            judged = True
            if result.precision < min_precision:
                yield (
                    f"rule {result.rule} has a precision of {figure(result.precision)}, wanted"
                    f" {min_precision} or more"
                )
        if max_rate is not None and result.rate is not None and result.rate > max_rate:
            yield (
                f"rule {result.rule} raises {figure(result.rate)} alerts per 1,000 people and day,"
                f" wanted {max_rate} or fewer"
            )
    if min_precision is not None and not judged:
        yield f"no alert was judged, so no precision is known, wanted {min_precision} or more"
