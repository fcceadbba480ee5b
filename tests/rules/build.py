"""Rules and records written down by hand: what tests of the engine are told with, this file is."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, cast

from rules.alert import Alert
from rules.condition import (
    Aggregate,
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
from rules.events import EVENTS, KEYS, Kind, Scalar, Value
from rules.fact import Event, Fact, Identity, Mark, key_of, make_event
from rules.moment import HOUR_US, MINUTE_US, format_duration
from rules.money import Money
from rules.reach import Reading, Relation, RelationKind, span_of
from rules.rule import Band, By, Message, Option, Raise, Rule, RuleSet, Step
from rules.stages import Engine
from rules.timing import MAX_HISTORY, Timing
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


def step_of(
    name: str,
    event: str | Sequence[Option],
    where: Sequence[Condition] = (),
    relations: Sequence[Relation] = (),
    *,
    each: bool = False,
    having: Sequence[Condition] = (),
    window_us: int | None = None,
    weight: int = 0,
) -> Step:
    """A step that binds one type of event, or the first of these options that fits."""
    options = (Option(event),) if isinstance(event, str) else tuple(event)
    return Step(
        name=name,
        options=options,
        where=tuple(where),
        relations=tuple(relations),
        each=each,
        having=tuple(having),
        window_us=window_us,
        weight=weight,
    )


def reading_of(step: Step, *, optional: bool = False) -> Reading:
    """A step as far as the span needs it."""
    events = tuple(option.event for option in step.options)
    return Reading(step.name, events, step.relations, step.each, step.window_us, optional)


BANDS = (Band(0, "low", "review"), Band(40, "medium", "warn"), Band(70, "high", "hold"))
SIGNAL = (Band(0, "info", "none"),)


def build_rule(
    steps: Sequence[Step],
    timing: Timing,
    *,
    name: str = "rule_a",
    anchor: str | None = None,
    by: By = "person",
    message: Message | None = None,
    advice: str = "",
    unless: Sequence[Step] = (),
    evidence: Sequence[Step] = (),
    bands: Sequence[Band] = BANDS,
    raises: Raise = "at_once",
    settles_after_us: int = 0,
) -> Rule:
    """A rule of these steps; the anchor is the last of them unless named."""
    anchor = anchor or steps[-1].name
    readings = [reading_of(step) for step in steps]
    readings += [reading_of(part, optional=True) for part in (*unless, *evidence)]
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
        bands=tuple(bands),
        message=message,
        digest="0" * 64,
        span=span_of(readings, anchor, timing),
        unless=tuple(unless),
        evidence=tuple(evidence),
        raises=raises,
        settles_after_us=settles_after_us,
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


def record_of(
    event: str,
    own_id: str,
    start_us: int,
    *,
    time_us: int | None = None,
    sequence: int = 0,
    **data: Scalar,
) -> Record:
    """A record of any type of event of which nothing else is known."""
    spec = EVENTS[event]
    facts: dict[str, Scalar] = {"person": "lin", **data}
    if spec.start_field is not None:
        facts[spec.start_field] = start_us
    time_us = start_us if time_us is None else time_us
    source = "//bank.example" if spec.side == "bank" else "//telecom.example"
    return Record(source, event, own_id, f"r-{own_id}", sequence, time_us, facts)


def loan_record(own_id: str, start_us: int) -> Record:
    """A loan paid out, of which nothing else is known."""
    return record_of("loan_drawdown", own_id, start_us)


TIMING = Timing()
CALL = step_of(
    "call", "call_invitation", (condition(field("call", "call_invitation", "answered")),)
)
NOT_REJECTED = condition(among(field("pay", "transfer", "status"), "rejected", negated=True))


def at(clock: str) -> int:
    """The moment of a time of day; 10:00 is where the tests begin."""
    hours, minutes = clock.split(":")
    return ORIGIN_US + (int(hours) - 10) * HOUR_US + int(minutes) * MINUTE_US


def call_then_pay(
    kind: RelationKind = "after", within: int = 2 * HOUR_US, anchor: str = "pay"
) -> Rule:
    """A call, and a transfer that lies so to it: reach 8 h, final 6 h after a transfer."""
    pay = step_of("pay", "transfer", (NOT_REJECTED,), (relation(kind, "call", within),))
    return build_rule([CALL, pay], TIMING, anchor=anchor)


def count(step: str, op: Op, number: int, of: Field | None = None) -> Condition:
    """A line under `having`: how many members a set has, or values of one of their fields."""
    members = Aggregate("count", step, of, Kind.INTEGER)
    return condition(Compare(op, members, Constant(number, Kind.INTEGER)), f"count({step})")


def led_transfer() -> Rule:
    """A call and a transfer, unless an institution called; a screen and a loan add to it."""
    around = (relation("around", "call", 10 * MINUTE_US),)
    loan = (relation("before", "pay", 6 * HOUR_US),)
    return build_rule(
        call_then_pay().steps,
        TIMING,
        name="led_transfer",
        unless=[step_of("official", "official_call", (), around)],
        evidence=[
            step_of("shared", "screen_share", (), (relation("during", "call"),), weight=40),
            step_of("loan", "loan_drawdown", (), loan, weight=30),
        ],
    )


def fan_in(first: Sequence[Rule], least: int = 2, window_us: int = 72 * HOUR_US) -> Rule:
    """Alerts about several persons who pay to one account."""
    person = field("hits", "alert", "person")
    hits = step_of(
        "hits",
        "alert",
        each=True,
        having=(count("hits", ">=", least, person),),
        window_us=window_us,
    )
    settles_us = max(rule.span.forward_us + rule.span.settle_us for rule in first)
    return build_rule([hits], TIMING, name="fan_in", by="payee", settles_after_us=settles_us)


def many_called(least: int = 3) -> Rule:
    """One caller, and this many calls within two hours."""
    calls = step_of(
        "calls",
        "call_invitation",
        each=True,
        having=(count("calls", ">=", least),),
        window_us=2 * HOUR_US,
    )
    return build_rule([calls], TIMING, name="many_called", by="caller", bands=SIGNAL)


def bench(
    *rules: Rule, feeds: tuple[str, ...] = ("bank",), max_history: int = MAX_HISTORY
) -> "Bench":
    """A bench with these rules, or with a call and a transfer."""
    return Bench(rules or (call_then_pay(),), TIMING, feeds, max_history)


def says(alerts: list[Alert]) -> list[tuple[str, bool]]:
    """Each record's state, and whether it is final."""
    return [(alert.state, alert.final) for alert in alerts]


def bound(alert: Alert) -> list[str]:
    """The own ids of the events that an alert names, in step order; of sets their samples'."""
    shown = [each for e in alert.content["evidence"] for each in e.get("sample", [e])]
    return [each["id"] for each in shown]


class Bench:
    """An engine that is told one row or record at a step, and all that it has written."""

    def __init__(
        self,
        rules: Sequence[Rule],
        timing: Timing,
        feeds: Sequence[str] = ("bank",),
        max_history: int = MAX_HISTORY,
    ) -> None:
        self.timing = timing
        self.rule_set = RuleSet(tuple(rules), max_history)
        self.feeds = tuple(feeds)
        roster = {(feed, 0): NEVER_US for feed in feeds}
        self.engine = Engine(self.rule_set, roster, timing=timing)
        self.correlator = self.engine.first
        self.written: list[Alert] = []
        self.revision = 0

    def observe(self, rows: Sequence[Fact | Mark]) -> list[Alert]:
        """Take one step."""
        self.revision += 1
        alerts = self.engine.observe(rows, self.revision)
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
