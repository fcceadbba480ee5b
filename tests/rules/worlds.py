"""Drawn rule sets and the records that there are: what the laws of the engine are tried on.

The grid's step is one microsecond, so that bounds, ties and overlaps are met all the time; this
file is used by properties only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod

from hypothesis import strategies as st

from rules.condition import (
    Arithmetic,
    Call,
    Compare,
    Condition,
    Constant,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    walk,
)
from rules.events import EVENTS, KEYS, Kind, Scalar
from rules.money import Money
from rules.reach import Relation, RelationKind
from rules.rule import By, Rule, RuleSet, Step
from rules.timing import Timing
from tests.rules.build import (
    ALL_KEYS,
    ORIGIN_US,
    Op,
    among,
    build_rule,
    compare,
    condition,
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
TYPES = ("transfer", "call_invitation", "screen_share", "payee_added", "loan_drawdown")
THRESHOLDS = {"CNY": Decimal(3000), "EUR": Decimal("400.5")}
LONGEST_US = 9
_KINDS: tuple[RelationKind, ...] = ("after", "before", "around", "during")


@dataclass(frozen=True)
class World:
    """A rule set, and the records that there are."""

    timing: Timing
    rule_set: RuleSet
    records: tuple[Record, ...]


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
                unknown(own["status"], negated=True),
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
                op: Op = ">=" if name == "amount" else "=="
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


def _moving(step: str, event: str) -> st.SearchStrategy[tuple[Condition, ...]]:
    """One condition on an open field, or none."""
    found = [
        (condition(leaf),)
        for leaf in leaves(step, event)
        if any(isinstance(node, Field) and node.open for node in walk(leaf))
    ]
    return st.sampled_from(found) if found else st.just(())


@st.composite
def relations(draw: st.DrawFn, earlier: Sequence[Step]) -> tuple[Relation, ...]:
    """How a step lies to one or two of the steps before it."""
    others = draw(
        st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique_by=lambda s: s.name)
    )
    return tuple(
        relation(
            kind, other.name, 0 if kind == "during" else draw(st.sampled_from((2, 5, 8, 1, 0)))
        )
        for other in others
        for kind in [draw(st.sampled_from(_KINDS))]
    )


@st.composite
def rules(draw: st.DrawFn, name: str, types: Sequence[str], timing: Timing) -> Rule:
    """A rule of one to four steps over these event types."""
    steps: list[Step] = []
    # What open fields decide takes matches away again: in half of the rules nothing else counts.
    moving = draw(st.booleans())
    for number in range(draw(st.sampled_from((2, 2, 1, 3, 3, 4)))):
        event, step = draw(st.sampled_from(types)), f"s{number}"
        if moving:
            where = draw(_moving(step, event))
        else:
            some = draw(st.sampled_from((0, 1, 0, 2) if number < 2 else (0, 0, 1)))
            where = tuple(draw(conditions(step, event, tuple(steps))) for _ in range(some))
        tied = draw(relations(tuple(steps))) if steps else ()
        steps.append(Step(step, event, where, tied))
    fields = [EVENTS[step.event].fields for step in steps]
    keys: list[By] = [by for by in ALL_KEYS if all(KEYS[by] in known for known in fields)]
    anchor = draw(st.sampled_from(steps)).name
    # Persons more often: the other keys can be unknown.
    by = draw(st.sampled_from(("person", "person", *keys)))
    return build_rule(steps, timing, name=name, anchor=anchor, by=by)


# --- records ----------------------------------------------------------------------------------

# One choice out of many draws far faster than many choices, and still shrinks towards the first.
Choices = Mapping[str, Sequence[Scalar | None]]

_COMMON: Choices = {"person": ("lin", "lin", "lin", "wei"), "area": (None, None, "shanghai")}
_MONEY = ("20000", "3000", "400.5", "400")
_FIXED: Mapping[str, Choices] = {
    "call_invitation": {
        **_COMMON,
        "media": ("video", "video", "audio"),
        "relationship": ("stranger", "stranger", "contact", None),
        "caller": ("handle-1", "handle-2", None),
        "meeting": (None, "meeting-1"),
    },
    "screen_share": {
        **_COMMON,
        "app_category": ("meeting", "other", None),
        "meeting": (None, "meeting-1"),
        "first": (True, False, None),
    },
    "transfer": {
        **_COMMON,
        "amount": _MONEY,
        "currency": ("CNY", "EUR", "USD"),
        "payee_account": ("account-1", "account-1", "account-2"),
        "payee_times_paid": (0, 0, 1, None),
        "payee_first_paid_at": (None, 0, -1),
        "payee_added_at": (None, -3, -4),
        "balance_before": (None, "40000", "800", "0"),
        "first": (None, True),
    },
    "payee_added": {
        **_COMMON,
        "payee_account": ("account-1", "account-1", "account-2"),
        "limit": (*_MONEY, None),
        "currency": ("CNY", "EUR"),
        "channel": ("mobile", "web", None),
    },
    "loan_drawdown": {
        **_COMMON,
        "amount": (*_MONEY, None),
        "currency": ("CNY", "EUR"),
        "first": (True, False, None),
    },
}
_OPEN: Mapping[str, Choices] = {
    "call_invitation": {
        "answered_at": (0, 1, 2, 0, 1, None),
        "ended_at": (None, None, None, *range(2, 14)),
        "camera_on": (None, False, True),
    },
    "screen_share": {"ended_at": (None, *range(14)), "remote_input": (None, False, True)},
    "transfer": {"status": (None, "attempted", "settled", "rejected")},
    "payee_added": {},
    "loan_drawdown": {},
}


def _chosen(choices: Choices) -> st.SearchStrategy[dict[str, Scalar]]:
    """One way to choose, unknown fields left out: one integer says all of it."""
    ways = prod(len(values) for values in choices.values())

    def choose(number: int) -> dict[str, Scalar]:
        chosen: dict[str, Scalar] = {}
        for name, values in choices.items():
            number, at = divmod(number, len(values))
            value = values[at]
            if value is not None:
                chosen[name] = value
        return chosen

    return st.integers(0, ways - 1).map(choose)


_FIXED_FIELDS = {event: _chosen(choices) for event, choices in _FIXED.items()}
_OPEN_FIELDS = {event: _chosen(choices) for event, choices in _OPEN.items()}
_RECORD_IDS = st.sampled_from(tuple(product((0, 1), ("r1", "r2"))))
_STARTS_US = st.integers(ORIGIN_US, ORIGIN_US + LONGEST_US)
_SOME_RECORDS = st.sampled_from((2, 1, 3, 2))


def _data(event: str, start_us: int, *drawn: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The normal form of drawn fields: moments are drawn relative to the start."""
    start_field = EVENTS[event].start_field
    data: dict[str, Scalar] = {} if start_field is None else {start_field: start_us}
    for name, value in (item for part in drawn for item in part.items()):
        is_moment = EVENTS[event].fields[name].kind is Kind.MOMENT
        data[name] = int(value) + start_us if is_moment else value
    if not {"amount", "limit"} & data.keys():
        data.pop("currency", None)
    return data


@st.composite
def tellings(draw: st.DrawFn, number: int, types: Sequence[str], timing: Timing) -> list[Record]:
    """One to three records of one event, which differ in open fields only."""
    event = draw(st.sampled_from(types))
    # Two sources use the same own ids, so that only the whole identity tells events apart.
    source, own_id = ("//a.example", "//b.example")[number % 2], f"e{number // 2}"
    start_us = draw(_STARTS_US)
    fixed = draw(_FIXED_FIELDS[event])
    starts_at_time = EVENTS[event].start_field is None
    # A record may also be dated a little before its own start; the last moment that counts is
    # the one at which alerts are about to become final.
    settle_us = timing.settle(event)
    ahead = st.sampled_from((0,) if starts_at_time else (0, settle_us, *range(-1, settle_us + 1)))
    told = []
    for _ in range(draw(_SOME_RECORDS)):
        sequence, record_id = draw(_RECORD_IDS)
        data = _data(event, start_us, fixed, draw(_OPEN_FIELDS[event]))
        time_us = start_us + draw(ahead)
        told.append(Record(source, event, own_id, record_id, sequence, time_us, data))
    return told


# Two come first, since what is simplest is drawn most.
_how_many = st.sampled_from((2, 3, 4, 4, 5, 5, 6, 6, 1, 0))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three rules, and up to six events of the types that they read."""
    timing = draw(st.sampled_from(TIMINGS))
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True))
    names = [f"rule_{letter}" for letter in "abc"[: draw(st.integers(1, 3))]]
    rule_set = RuleSet(tuple(draw(rules(name, types, timing)) for name in names))
    told = [draw(tellings(number, types, timing)) for number in range(draw(_how_many))]
    return World(timing, rule_set, tuple(record for several in told for record in several))
