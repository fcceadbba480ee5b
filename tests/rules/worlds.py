"""Drawn rule sets, logs and ways in which a log can arrive: what the laws of the engine are tried on.

One microsecond is the grid's step, so that bounds, ties and overlaps are met all the time; this
file is used by properties only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st

from rules.alert import Alert
from rules.condition import (
    Arithmetic,
    Call,
    Compare,
    Condition,
    Constant,
    Expression,
    Gap,
    Junction,
    Negation,
)
from rules.engine import Correlator
from rules.events import EVENTS, KEYS, Kind, Scalar
from rules.fact import Event, Fact, Mark
from rules.money import Money
from rules.reach import Relation
from rules.rule import By, Rule, RuleSet, Step
from rules.screen import Screen
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from tests.rules.build import (
    ALL_KEYS,
    ORIGIN_US,
    among,
    build_rule,
    compare,
    condition,
    event_of,
    facts_of,
    field,
    parameter,
    relation,
    unknown,
)
from tests.rules.oracle import Record

TIMINGS = (
    Timing(settle_us=8, open_for_us=3),
    Timing(settle_us=6, open_for_us=2, settle_by_type_us={"transfer": 0, "screen_share": 9}),
    Timing(settle_us=4, open_for_us=7, settle_by_type_us={"transfer": 12, "payee_added": 1}),
)
# Mostly intervals and what follows them; a type that starts at its record's time is among them.
TYPES = ("call_invitation", "transfer", "screen_share", "payee_added", "loan_drawdown")
THRESHOLDS = {"CNY": Decimal(3000), "EUR": Decimal("400.5")}
LONGEST_US = 16


@dataclass(frozen=True)
class World:
    """A rule set, and the records that there are."""

    timing: Timing
    rule_set: RuleSet
    records: tuple[Record, ...]


class Arrival(NamedTuple):
    """One record as it comes in, and the marks that follow it.

    `apart` says how the rows fall into steps: each on its own, all together, or all of them
    still in the step of the arrival before.
    """

    record: Record
    late: bool
    marks: tuple[Mark, ...]
    apart: str


@dataclass(frozen=True)
class Delivery:
    """A way in which the records of a world come in, repeats included."""

    roster: tuple[Partition, ...]
    arrivals: tuple[Arrival, ...]


# --- rules ------------------------------------------------------------------------------------


def leaves(step: str, event: str) -> list[Expression]:
    """Conditions that the step's own event decides: on fixed, open and derived fields."""
    own = {name: field(step, event, name) for name in EVENTS[event].fields}
    # Every type has an area; most tests leave it out.
    common: list[Expression] = [unknown(own["area"]), unknown(own["area"], negated=True)]
    match event:
        case "call_invitation":
            return [
                *common,
                compare(own["media"], "==", "video"),
                among(own["relationship"], "stranger", "one_way_prior"),
                own["answered"],
                Junction("or", (unknown(own["talk_time"]), compare(own["talk_time"], ">=", 2))),
                compare(own["talk_time"], "<", 2),
                own["camera_on"],
                unknown(own["caller"], negated=True),
                unknown(compare(own["talk_time"], "<", 2)),
            ]
        case "transfer":
            amount, balance = own["amount"], own["balance_before"]
            return [
                *common,
                own["payee_is_new"],
                unknown(own["payee_is_new"]),
                compare(amount, ">=", parameter("least", THRESHOLDS, amount)),
                compare(amount, "<", Constant(Money(Decimal(400), "EUR"), Kind.MONEY)),
                among(own["status"], "rejected", "recalled", negated=True),
                unknown(own["status"]),
                Compare(
                    ">=",
                    Call("ratio", (amount, balance), Kind.NUMBER),
                    Constant(Decimal("0.5"), Kind.NUMBER),
                ),
                Compare(
                    "<=",
                    Arithmetic("-", own["initiated_at"], own["payee_added_at"], Kind.DURATION),
                    Constant(3, Kind.DURATION),
                ),
            ]
        case "screen_share":
            return [
                *common,
                own["remote_input"],
                Negation(own["remote_input"]),
                compare(own["app_category"], "!=", "other"),
                own["first"],
            ]
        case "payee_added":
            limit = own["limit"]
            return [
                *common,
                compare(limit, ">=", parameter("least", THRESHOLDS, limit)),
                unknown(limit),
                compare(own["channel"], "==", "mobile"),
            ]
        case _:
            amount = own["amount"]
            return [
                *common,
                compare(amount, ">", Money(Decimal(500), "CNY")),
                unknown(compare(amount, ">", Money(Decimal(500), "CNY")), negated=True),
                own["first"],
            ]


def joints(step: str, event: str, earlier: Sequence[Step]) -> list[Expression]:
    """Conditions that need an earlier step's event too."""
    found: list[Expression] = []
    for other in earlier:
        found += [
            compare(field(step, event, "area"), "==", field(other.name, other.event, "area")),
            Compare("<=", Gap(step, other.name), Constant(2, Kind.DURATION)),
        ]
        for name in ("amount", "payee_account", "caller", "meeting", "first"):
            if name in EVENTS[event].fields and name in EVENTS[other.event].fields:
                theirs = field(other.name, other.event, name)
                op = ">=" if name == "amount" else "=="
                found.append(compare(field(step, event, name), op, theirs))
    return found


@st.composite
def conditions(draw: st.DrawFn, step: str, event: str, earlier: Sequence[Step]) -> Condition:
    """One line under `where`."""
    simple = st.sampled_from(leaves(step, event))
    shape = draw(st.sampled_from(("leaf", "leaf", "joint", "not", "and", "or", "mixed")))
    if shape == "joint" and earlier:
        return condition(draw(st.sampled_from(joints(step, event, earlier))))
    if shape == "mixed" and earlier:
        return condition(
            Junction("or", (draw(simple), draw(st.sampled_from(joints(step, event, earlier)))))
        )
    if shape == "not":
        return condition(Negation(draw(simple)))
    if shape in ("and", "or"):
        return condition(Junction("and" if shape == "and" else "or", (draw(simple), draw(simple))))
    return condition(draw(simple))


@st.composite
def relations(draw: st.DrawFn, earlier: Sequence[Step]) -> tuple[Relation, ...]:
    """How a step lies to one or two of the steps before it."""
    others = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True))
    return tuple(
        relation(kind, other.name, 0 if kind == "during" else draw(st.integers(0, 5)))
        for other in others
        for kind in [draw(st.sampled_from(("after", "before", "around", "during")))]
    )


@st.composite
def rules(draw: st.DrawFn, name: str, types: Sequence[str], timing: Timing) -> Rule:
    """A rule of one to four steps over these event types."""
    steps: list[Step] = []
    for number in range(draw(st.sampled_from((1, 2, 2, 2, 3, 3, 4)))):
        event, step = draw(st.sampled_from(types)), f"s{number}"
        where = draw(st.lists(conditions(step, event, tuple(steps)), max_size=2))
        tied = draw(relations(tuple(steps))) if steps else ()
        steps.append(Step(step, event, tuple(where), tied))
    fields = [EVENTS[step.event].fields for step in steps]
    by: list[By] = [by for by in ALL_KEYS if all(KEYS[by] in known for known in fields)]
    anchor = draw(st.sampled_from(steps)).name
    key = draw(st.sampled_from(["person", *by]))
    return build_rule(steps, timing, name=name, anchor=anchor, by=key)  # type: ignore[arg-type]  # a kind of key


# --- records ----------------------------------------------------------------------------------

Fields = Mapping[str, Scalar]
_small = st.integers(0, 5)
_maybe = st.booleans()
_money = st.sampled_from(("400", "400.5", "3000", "20000"))
_currency = st.sampled_from(("CNY", "CNY", "EUR", "USD"))
_common = {"area": st.just("shanghai")}


def _fixed_fields(event: str, start_us: int) -> st.SearchStrategy[dict[str, Scalar]]:
    person = {"person": st.sampled_from(("lin", "lin", "lin", "wei"))}
    match event:
        case "call_invitation":
            return st.fixed_dictionaries(
                {
                    **person,
                    "invited_at": st.just(start_us),
                    "media": st.sampled_from(("video", "video", "audio")),
                },
                optional={
                    **_common,
                    "relationship": st.sampled_from(("stranger", "contact")),
                    "caller": st.sampled_from(("handle-1", "handle-2")),
                    "meeting": st.just("meeting-1"),
                },
            )
        case "screen_share":
            return st.fixed_dictionaries(
                {**person, "started_at": st.just(start_us)},
                optional={
                    **_common,
                    "app_category": st.sampled_from(("other", "meeting")),
                    "meeting": st.just("meeting-1"),
                    "first": _maybe,
                },
            )
        case "transfer":
            return st.fixed_dictionaries(
                {
                    **person,
                    "initiated_at": st.just(start_us),
                    "amount": _money,
                    "currency": _currency,
                    "payee_account": st.sampled_from(("account-1", "account-1", "account-2")),
                },
                optional={
                    **_common,
                    "payee_times_paid": st.integers(0, 1),
                    "payee_first_paid_at": st.integers(start_us - 1, start_us),
                    "payee_added_at": st.integers(start_us - 4, start_us),
                    "balance_before": st.sampled_from(("0", "800", "40000")),
                    "first": _maybe,
                },
            )
        case "payee_added":
            return st.one_of(
                st.fixed_dictionaries(
                    {**person, "payee_account": st.just("account-1")}, optional=_common
                ),
                st.fixed_dictionaries(
                    {
                        **person,
                        "payee_account": st.sampled_from(("account-1", "account-2")),
                        "limit": _money,
                        "currency": _currency,
                        "channel": st.sampled_from(("mobile", "web")),
                    }
                ),
            )
        case _:
            return st.one_of(
                st.fixed_dictionaries(
                    {**person, "drawn_at": st.just(start_us)},
                    optional={**_common, "first": _maybe},
                ),
                st.fixed_dictionaries(
                    {
                        **person,
                        "drawn_at": st.just(start_us),
                        "amount": _money,
                        "currency": _currency,
                    },
                    optional=_common,
                ),
            )


@st.composite
def _open_fields(draw: st.DrawFn, event: str, start_us: int) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    if event == "transfer":
        status = draw(st.sampled_from((None, "attempted", "settled", "rejected")))
        return {} if status is None else {"status": status}
    if event in ("call_invitation", "screen_share"):
        from_us = start_us
        if event == "call_invitation" and draw(st.sampled_from((True, True, False))):
            from_us += draw(st.integers(0, 2))
            found["answered_at"] = from_us
        if draw(_maybe):
            found["ended_at"] = from_us + draw(st.integers(0, 10))
        flag = draw(st.sampled_from((None, False, True)))
        if flag is not None:
            found["camera_on" if event == "call_invitation" else "remote_input"] = flag
    return found


@st.composite
def tellings(draw: st.DrawFn, own_id: str, types: Sequence[str], timing: Timing) -> list[Record]:
    """One to three records of one event, which differ in open fields only."""
    event = draw(st.sampled_from(types))
    source = draw(st.sampled_from(("//a.example", "//b.example")))
    start_us = ORIGIN_US + draw(st.integers(0, LONGEST_US))
    fixed = draw(_fixed_fields(event, start_us))
    starts_at_time = EVENTS[event].start_field is None
    told = []
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        ahead_us = 0 if starts_at_time else draw(st.integers(0, timing.settle(event)))
        if event == "call_invitation":
            # A record may be dated a little before its own start.
            ahead_us -= draw(st.sampled_from((0, 0, 1)))
        told.append(
            Record(
                source,
                event,
                own_id,
                draw(st.sampled_from(("r1", "r2"))),
                draw(st.integers(0, 1)),
                start_us + ahead_us,
                fixed | draw(_open_fields(event, start_us)),
            )
        )
    return told


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three rules, and up to seven events of the types that they read."""
    timing = draw(st.sampled_from(TIMINGS))
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True))
    names = [f"rule_{letter}" for letter in "abc"[: draw(st.integers(1, 3))]]
    rule_set = RuleSet(tuple(draw(rules(name, types, timing)) for name in names))
    # Own ids repeat among types, so that only the whole identity tells events apart.
    told = [draw(tellings(f"e{n}", types, timing)) for n in range(draw(st.integers(0, 7)))]
    return World(timing, rule_set, tuple(record for several in told for record in several))


# --- deliveries -------------------------------------------------------------------------------

ROSTER: tuple[Partition, ...] = (("bank", 0), ("calls", 0), ("calls", 1))


@st.composite
def deliveries(draw: st.DrawFn, world: World, *, truthful: bool = True) -> Delivery:
    """Any order of arrival, with repeats, in which no record is late.

    Args:
        draw: given by Hypothesis.
        world: whose records come in.
        truthful: False lets watermarks run ahead of what is still to come, so that records
            are late, as late as they like.
    """
    roster = ROSTER[: draw(st.integers(1, 3))]
    records = list(world.records)
    if records:
        records += draw(st.lists(st.sampled_from(records), max_size=3))
    spread_us = draw(st.sampled_from((0, 3, 2 * LONGEST_US)))
    order = sorted(records, key=lambda r: r.time_us + draw(st.integers(0, spread_us)))
    at = [draw(st.sampled_from(roster)) for _ in order]
    if truthful:
        lateness = {
            p: _disorder_us([r for r, q in zip(order, at, strict=True) if q == p]) for p in roster
        }
    else:
        lateness = {p: draw(st.integers(0, 6)) for p in roster}
    clocks = {p: FeedClock(lateness[p]) for p in roster}
    arrivals = []
    for number, (record, partition) in enumerate(zip(order, at, strict=True)):
        clock = clocks[partition]
        late = clock.is_late(record.time_us)
        assert not (late and truthful), "a truthful delivery has no late record"
        clock.observe(record.time_us)
        marks = []
        for p in draw(st.sampled_from(((), (partition,), roster))):
            if draw(_maybe):
                left = [
                    r for r, q in zip(order[number + 1 :], at[number + 1 :], strict=True) if q == p
                ]
                clocks[p].raise_to(_promise(draw, left, truthful=truthful))
            marks.append(Mark(*p, clocks[p].watermark_us))
        apart = draw(st.sampled_from(("rows", "together", "before")))
        arrivals.append(Arrival(record, late, tuple(marks), apart))
    return Delivery(roster, tuple(arrivals))


def _disorder_us(records: Sequence[Record]) -> int:
    """The least lateness with which none of these records, in this order, is late."""
    greatest_us, disorder_us = NEVER_US, 0
    for record in records:
        greatest_us = max(greatest_us, record.time_us)
        disorder_us = max(disorder_us, greatest_us - record.time_us)
    return disorder_us


def _promise(draw: st.DrawFn, left: Sequence[Record], *, truthful: bool) -> int:
    """A heartbeat: up to the least time that is still to come, or as far as it likes."""
    if not truthful:
        return ORIGIN_US + draw(st.integers(0, 4 * LONGEST_US))
    return min((record.time_us for record in left), default=END_US)


# --- runs -------------------------------------------------------------------------------------

Row = Fact | Mark


def steps_of(world: World, delivery: Delivery, screen: Screen | None = None) -> list[list[Row]]:
    """The steps of a delivery: facts that pass the screen, or all, each with the marks after it."""
    steps: list[list[Row]] = []
    for arrival in delivery.arrivals:
        event = event_of(arrival.record, world.timing, late=arrival.late)
        rows: list[Row] = [*facts_of(event, kinds_of(world, event, screen)), *arrival.marks]
        if arrival.apart == "rows":
            steps += [[row] for row in rows]
        elif arrival.apart == "before" and steps:
            steps[-1] += rows
        else:
            steps.append(rows)
    return steps


def kinds_of(world: World, event: Event, screen: Screen | None) -> Sequence[By]:
    """The kinds of key under which a record becomes a fact; without a screen, all that rules use."""
    if screen is not None:
        return screen.keys(event.identity.type, event.fields)
    return sorted({rule.by for rule in world.rule_set.rules})


def end_of(delivery: Delivery) -> list[Row]:
    """The marks with which a log ends."""
    return [Mark(*partition, END_US) for partition in delivery.roster]


def begin(world: World, delivery: Delivery) -> Correlator:
    """A correlator that has heard of no partition."""
    return Correlator(world.rule_set, dict.fromkeys(delivery.roster, NEVER_US))


def run(world: World, delivery: Delivery, screen: Screen | None = None) -> list[Alert]:
    """All that is written of a delivery from its first row to its end."""
    correlator = begin(world, delivery)
    steps = [*steps_of(world, delivery, screen), end_of(delivery)]
    return [a for number, rows in enumerate(steps) for a in correlator.observe(rows, number)]


def last_by_id(alerts: Sequence[Alert]) -> dict[str, Alert]:
    """The last record of each alert."""
    return {alert.alert_id: alert for alert in alerts}


def raised(
    alerts: Sequence[Alert],
) -> dict[tuple[str, tuple[str, str, str]], tuple[tuple[str, str, str], ...]]:
    """What is bound by each alert that is raised in the end, in the oracle's form."""
    found = {}
    for alert in last_by_id(alerts).values():
        if alert.state == "raised":
            anchor = alert.content["anchor"]
            name = (anchor["source"], anchor["type"], anchor["id"])
            found[alert.content["rule"]["id"], name] = tuple(
                (e["source"], e["type"], e["id"]) for e in alert.content["evidence"]
            )
    return found
