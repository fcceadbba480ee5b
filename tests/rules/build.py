"""Rules and records written down by hand: what tests of the engine are told with, this file is."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, cast

from rules.alert import Alert
from rules.condition import (
    Among,
    Compare,
    Condition,
    Constant,
    Expression,
    Field,
    Parameter,
    Thresholds,
    Unknown,
)
from rules.engine import Correlator
from rules.events import EVENTS, KEYS, Scalar, Value
from rules.fact import Event, Fact, Identity, Mark, key_of, make_event
from rules.moment import HOUR_US, MINUTE_US, format_duration
from rules.money import Money
from rules.reach import Relation, RelationKind, span_of
from rules.rule import Band, By, Message, Rule, RuleSet, Step
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US
from tests.rules.oracle import Record

ORIGIN_US = 1_688_781_600_000_000
"""2023-07-08T02:00:00Z: where the time of the tests begins."""

Op = Literal["==", "!=", "<", "<=", ">", ">="]


def field(step: str, event: str, name: str) -> Field:
    """A field of a step's event, as the contract has it."""
    spec = EVENTS[event].fields[name]
    return Field(step, name, spec.kind, spec.open)


def compare(left: Field, op: Op, right: Value | Expression) -> Compare:
    """`left op right`; a plain value becomes a constant of the field's kind."""
    if isinstance(right, str | int | Decimal | Money):
        right = Constant(right, left.kind)
    return Compare(op, left, right)


def among(item: Field, *choices: Value, negated: bool = False) -> Among:
    """`item in (…)`."""
    return Among(item, choices, negated)


def unknown(item: Expression, *, negated: bool = False) -> Unknown:
    """`item is None`."""
    return Unknown(item, negated)


def condition(expression: Expression, text: str = "as drawn") -> Condition:
    """A line under `where`."""
    return Condition(text, expression)


def relation(kind: RelationKind, other: str, within_us: int = 0) -> Relation:
    """A relation with the text that a rule would have."""
    within = f"within {format_duration(within_us)} " if kind != "during" else ""
    return Relation(kind, other, within_us, f"{within}{kind} {other}")


def build_rule(
    steps: Sequence[Step],
    timing: Timing,
    *,
    name: str = "rule_a",
    anchor: str | None = None,
    by: By = "person",
    message: Message | None = None,
    advice: str = "",
) -> Rule:
    """A rule of these steps; the anchor is the last of them unless named."""
    anchor = anchor or steps[-1].name
    return Rule(
        id=name,
        version="1.0.0",
        title="A rule of the tests",
        status="test",
        typology="video_call_led_transfer",
        stage="exfiltration",
        tags=("f3.monetization",),
        advice=advice,
        by=by,
        steps=tuple(steps),
        anchor=anchor,
        base=40,
        bands=(Band(0, "low", "review"), Band(40, "medium", "warn"), Band(70, "high", "hold")),
        message=message,
        digest="0" * 64,
        span=span_of([(s.name, s.event, s.relations) for s in steps], anchor, timing),
    )


def event_of(record: Record, timing: Timing, *, late: bool = False) -> Event:
    """The event that a record tells, as ingest makes it."""
    return make_event(
        Identity(*record.name),
        record_id=record.record_id,
        sequence=record.sequence,
        time_us=record.time_us,
        data=record.data,
        late=late,
        timing=timing,
    )


ALL_KEYS = cast("tuple[By, ...]", tuple(KEYS))


def facts_of(event: Event, kinds: Sequence[By] = ALL_KEYS) -> list[Fact]:
    """One fact for each of these kinds of key that the event names."""
    named: Mapping[str, str] = event.keys()
    return [Fact(key_of(by, named[by]), event) for by in kinds if by in named]


def parameter(name: str, value: Value | Thresholds, like: Field) -> Parameter:
    """A parameter of the rule, of a field's kind."""
    return Parameter(name, value, like.kind)


def call_record(
    own_id: str,
    start_us: int,
    *,
    until_us: int | None = None,
    time_us: int | None = None,
    sequence: int = 0,
    **data: Scalar,
) -> Record:
    """A stranger's video call, answered as it rings; still on unless `until_us` is given."""
    facts: dict[str, Scalar] = {
        "call_id": own_id,
        "person": "lin",
        "caller": "handle-1",
        "service": "facetime",
        "media": "video",
        "direction": "incoming",
        "invited_at": start_us,
        "answered_at": start_us,
        **({} if until_us is None else {"ended_at": until_us}),
        **data,
    }
    time_us = start_us if time_us is None else time_us
    source = "//telecom.example/ott"
    return Record(source, "call_invitation", own_id, f"r-{own_id}", sequence, time_us, facts)


def transfer_record(
    own_id: str,
    start_us: int,
    *,
    time_us: int | None = None,
    sequence: int = 0,
    **data: Scalar,
) -> Record:
    """A transfer to somebody never paid before."""
    facts: dict[str, Scalar] = {
        "transfer_id": own_id,
        "person": "lin",
        "payee_account": "account-1",
        "initiated_at": start_us,
        "amount": "20000",
        "currency": "CNY",
        "direction": "out",
        "payee_times_paid": 0,
        "status": "attempted",
        **data,
    }
    time_us = start_us if time_us is None else time_us
    source = "//bank.example/core"
    return Record(source, "transfer", own_id, f"r-{own_id}", sequence, time_us, facts)


def loan_record(own_id: str, start_us: int) -> Record:
    """A loan paid out, of which nothing else is known."""
    data: dict[str, Scalar] = {"person": "lin", "drawn_at": start_us}
    return Record("//bank.example", "loan_drawdown", own_id, f"r-{own_id}", 0, start_us, data)


TIMING = Timing()
CALL = Step("call", "call_invitation", (condition(field("call", "call_invitation", "answered")),))
NOT_REJECTED = condition(among(field("pay", "transfer", "status"), "rejected", negated=True))


def at(clock: str) -> int:
    """The moment of a time of day; 10:00 is where the tests begin."""
    hours, minutes = clock.split(":")
    return ORIGIN_US + (int(hours) - 10) * HOUR_US + int(minutes) * MINUTE_US


def call_then_pay(
    kind: RelationKind = "after", within: int = 2 * HOUR_US, anchor: str = "pay"
) -> Rule:
    """A call, and a transfer that lies so to it: reach 8 h, final 6 h after a transfer."""
    pay = Step("pay", "transfer", (NOT_REJECTED,), (relation(kind, "call", within),))
    return build_rule([CALL, pay], TIMING, anchor=anchor)


def bench(*rules: Rule, feeds: tuple[str, ...] = ("bank",)) -> "Bench":
    """A bench with these rules, or with the one above."""
    return Bench(rules or (call_then_pay(),), TIMING, feeds)


def says(alerts: list[Alert]) -> list[tuple[str, bool]]:
    """Each record's state, and whether it is final."""
    return [(alert.state, alert.final) for alert in alerts]


def bound(alert: Alert) -> list[str]:
    """The own ids of the events that an alert names, in step order."""
    return [shown["id"] for shown in alert.content["evidence"]]


class Bench:
    """A correlator that is told one row or record at a step, and all that it has written."""

    def __init__(
        self, rules: Sequence[Rule], timing: Timing, feeds: Sequence[str] = ("bank",)
    ) -> None:
        self.timing = timing
        self.rule_set = RuleSet(tuple(rules))
        self.feeds = tuple(feeds)
        self.correlator = Correlator(self.rule_set, {(feed, 0): NEVER_US for feed in feeds})
        self.written: list[Alert] = []
        self.revision = 0

    def observe(self, rows: Sequence[Fact | Mark]) -> list[Alert]:
        """Take one step."""
        self.revision += 1
        alerts = self.correlator.observe(rows, self.revision)
        self.written += alerts
        return alerts

    def tell(self, record: Record, *, late: bool = False) -> list[Alert]:
        """Bring one record, under every key that some rule correlates by."""
        kinds = sorted({rule.by for rule in self.rule_set.rules})
        return self.observe(facts_of(event_of(record, self.timing, late=late), kinds))

    def mark(self, watermark_us: int, *feeds: str) -> list[Alert]:
        """Raise the watermarks of these feeds, or of all, in one step."""
        return self.observe([Mark(feed, 0, watermark_us) for feed in feeds or self.feeds])

    def end(self) -> list[Alert]:
        """Say that nothing more will come."""
        return self.mark(END_US)
