"""Drawn rule sets and the records that there are: what the laws of the engine are tried on.

Times lie on a coarse grid, so that bounds, ties and overlaps are met all the time; its step is a
minute, or a microsecond, since rows are kept by whole minutes. Everything is drawn from a
`random.Random`, which may be Hypothesis's own or a seeded one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import TypeVar

from rules.condition import (
    Aggregate,
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
from rules.moment import MINUTE_US
from rules.money import Money
from rules.reach import Relation, RelationKind
from rules.rule import By, Option, Rule, RuleSet, Step
from rules.timing import Timing
from tests.rules.build import (
    ALL_KEYS,
    BANDS,
    ORIGIN_US,
    SIGNAL,
    Op,
    among,
    build_rule,
    compare,
    condition,
    field,
    parameter,
    relation,
    step_of,
    unknown,
)
from tests.rules.oracle import Record

# In steps of the grid: settle, open_for, and the settle of single types.
_TIMINGS: Sequence[tuple[int, int, Mapping[str, int]]] = (
    (8, 3, {}),
    (6, 2, {"transfer": 0, "screen_share": 9}),
    (4, 7, {"transfer": 12, "payee_added": 1}),
    (1, 1, {}),
)
# Mostly intervals and what follows them; types that start at their record's time are among them.
TYPES = (
    "transfer",
    "call_invitation",
    "screen_share",
    "payee_added",
    "loan_drawdown",
    "official_call",
    "contact_blocked",
)
THRESHOLDS = {"CNY": Decimal(3000), "EUR": Decimal("400.5")}
_KINDS: tuple[RelationKind, ...] = ("around", "after", "before", "around", "after", "during")
# A small letter is a step that binds one event or a set, the capital the set that is the anchor.
_SHAPES = ("ee", "e", "es", "A", "ee", "eA", "eee", "Ae", "ees", "ese", "As", "eeA", "esA")
_T = TypeVar("_T")


@dataclass(frozen=True)
class World:
    """A rule set, and the records that there are; `unit_us` is the grid's step."""

    timing: Timing
    rule_set: RuleSet
    records: tuple[Record, ...]
    unit_us: int
    longest_us: int


@dataclass(frozen=True)
class _Pen:
    """What rules are drawn with."""

    random: Random
    unit_us: int
    types: tuple[str, ...]
    # What open fields decide takes matches away again: in half of the rules nothing else counts.
    moving: bool

    def one(self, choices: Sequence[_T]) -> _T:
        """One of these, the first when an example is made simpler."""
        return choices[self.random.randrange(len(choices))]


# --- conditions -------------------------------------------------------------------------------


Own = Mapping[str, Field]


def leaves(step: str, event: str, unit_us: int) -> list[Expression]:
    """Conditions that the step's own event decides: on fixed, open and derived fields."""
    own = {name: field(step, event, name) for name in EVENTS[event].fields}
    # Every type has an area; most tests leave it out.
    common: list[Expression] = [unknown(own["area"]), unknown(own["area"], negated=True)]
    return common + _LEAVES.get(event, _of_others)(own, unit_us)


def _of_call(own: Own, unit_us: int) -> list[Expression]:
    talk = own["talk_time"]
    return [
        own["answered"],
        Junction("or", (unknown(talk), compare(talk, ">=", 2 * unit_us))),
        compare(own["media"], "==", "video"),
        among(own["relationship"], "stranger", "one_way_prior"),
        compare(talk, "<", 2 * unit_us),
        own["camera_on"],
        unknown(own["caller"], negated=True),
        unknown(compare(talk, "<", 2 * unit_us)),
    ]


def _of_share(own: Own, _unit_us: int) -> list[Expression]:
    different = compare(own["app_category"], "!=", "other")
    return [Negation(own["remote_input"]), own["remote_input"], different, own["first"]]


def _of_added(own: Own, _unit_us: int) -> list[Expression]:
    limit = own["limit"]
    enough = compare(limit, ">=", parameter("least", THRESHOLDS, limit))
    return [enough, unknown(limit), compare(own["channel"], "==", "mobile")]


def _of_loan(own: Own, _unit_us: int) -> list[Expression]:
    few = compare(own["amount"], ">", Money(Decimal(500), "CNY"))
    return [few, unknown(few, negated=True), own["first"]]


def _of_others(own: Own, _unit_us: int) -> list[Expression]:
    return [unknown(own["caller"]), unknown(own["caller"], negated=True)]


def _of_transfer(own: Own, unit_us: int) -> list[Expression]:
    amount, balance = own["amount"], own["balance_before"]
    since_added = Arithmetic("-", own["initiated_at"], own["payee_added_at"], Kind.DURATION)
    half = Constant(Decimal("0.5"), Kind.NUMBER)
    return [
        among(own["status"], "rejected", "recalled", negated=True),
        own["payee_is_new"],
        unknown(own["payee_is_new"]),
        compare(amount, ">=", parameter("least", THRESHOLDS, amount)),
        compare(amount, "<", Constant(Money(Decimal(400), "EUR"), Kind.MONEY)),
        unknown(own["status"], negated=True),
        unknown(own["status"]),
        Compare(">=", Call("ratio", (amount, balance), Kind.NUMBER), half),
        Compare("<=", since_added, Constant(3 * unit_us, Kind.DURATION)),
    ]


def _of_alert(own: Own, _unit_us: int) -> list[Expression]:
    return [
        compare(own["rule"], "==", "rule_a"),
        compare(own["action"], "!=", "warn"),
        among(own["severity"], "medium", "high"),
        compare(own["score"], ">=", Decimal(55)),
        unknown(own["caller"], negated=True),
        compare(own["amount"], ">=", parameter("least", THRESHOLDS, own["amount"])),
    ]


_LEAVES: Mapping[str, Callable[[Own, int], list[Expression]]] = {
    "call_invitation": _of_call,
    "transfer": _of_transfer,
    "screen_share": _of_share,
    "payee_added": _of_added,
    "loan_drawdown": _of_loan,
    "alert": _of_alert,
}


def _types(step: Step) -> list[str]:
    return [option.event for option in step.options]


def _shared(types: Sequence[str], name: str) -> bool:
    return all(name in EVENTS[event].fields for event in types)


def _joints(
    pen: _Pen, step: str, types: Sequence[str], earlier: Sequence[Step]
) -> list[Expression]:
    """Conditions that need an earlier step's event too."""
    found: list[Expression] = []
    for other in earlier:
        close = Constant(2 * pen.unit_us, Kind.DURATION)
        found.append(Compare("<=", Gap(step, other.name), close))
        for name in () if other.each else ("area", "amount", "payee_account", "caller", "meeting"):
            if _shared(types, name) and _shared(_types(other), name):
                theirs = field(other.name, _types(other)[0], name)
                op: Op = ">=" if name == "amount" else "=="
                found.append(compare(field(step, types[0], name), op, theirs))
    return found


def _conditions(
    pen: _Pen, step: str, types: Sequence[str], earlier: Sequence[Step]
) -> tuple[Condition, ...]:
    """The lines under `where`."""
    simple = leaves(step, types[0], pen.unit_us)
    if len(types) > 1:
        simple = simple[:2]
    if pen.moving:
        simple = [
            leaf
            for leaf in simple
            if any(isinstance(node, Field) and node.open for node in walk(leaf))
        ]
        return (condition(pen.one(simple[:2])),) if simple else ()
    joints = _joints(pen, step, types, earlier)
    return tuple(
        condition(_condition(pen, simple, joints))
        for _ in range(pen.one((0, 0, 1, 0, 0, 0, 1, 0, 2)))
    )


def _condition(
    pen: _Pen, simple: Sequence[Expression], joints: Sequence[Expression]
) -> Expression:
    match pen.one(("leaf", "leaf", "joint", "not", "and", "or", "mixed")):
        case "joint" if joints:
            return pen.one(joints)
        case "mixed" if joints:
            return Junction("or", (pen.one(simple), pen.one(joints)))
        case "not":
            return Negation(pen.one(simple))
        case "and":
            return Junction("and", (pen.one(simple), pen.one(simple)))
        case "or":
            return Junction("or", (pen.one(simple), pen.one(simple)))
    return pen.one(simple)


def _having(pen: _Pen, step: str, event: str, earlier: Sequence[Step]) -> tuple[Condition, ...]:
    """A line over a set: how many there are, of what kinds, and what they add up to."""
    members = Aggregate("count", step, None, Kind.INTEGER)
    sizes: Sequence[tuple[Op, int]] = ((">=", 2), (">=", 1), ("<", 2), ("==", 0), ("==", 2))
    found: list[Expression] = [
        Compare(op, members, Constant(number, Kind.INTEGER)) for op, number in sizes
    ]
    for name in ("area", "payee_account", "caller", "media", "person", "score"):
        if name in EVENTS[event].fields:
            values = Aggregate("count", step, field(step, event, name), Kind.INTEGER)
            found.append(Compare(">=", values, Constant(pen.one((1, 2)), Kind.INTEGER)))
    if "amount" in EVENTS[event].fields:
        amount = field(step, event, "amount")
        money = Aggregate(pen.one(("sum", "least", "greatest")), step, amount, Kind.MONEY)
        found += [
            Compare(pen.one((">=", "<")), money, parameter("least", THRESHOLDS, amount)),
            *(
                Compare(">", money, field(other.name, _types(other)[0], "amount"))
                for other in earlier
                if not other.each and _shared(_types(other), "amount")
            ),
        ]
    if event == "transfer":
        paid = field(step, event, "payee_times_paid")
        number = Aggregate(pen.one(("sum", "least", "greatest")), step, paid, Kind.INTEGER)
        found.append(Compare(">=", number, Constant(1, Kind.INTEGER)))
    return (condition(pen.one(found)),)


# --- rules ------------------------------------------------------------------------------------


def _relations(pen: _Pen, earlier: Sequence[Step]) -> tuple[Relation, ...]:
    """How a step lies to one or two of the steps before it."""
    others = {pen.one(earlier).name for _ in range(pen.one((1, 1, 1, 2)))}
    kinds = {other: pen.one(_KINDS) for other in sorted(others)}
    return tuple(
        relation(kind, other, 0 if kind == "during" else pen.one((5, 2, 8, 8, 1, 0)) * pen.unit_us)
        for other, kind in kinds.items()
    )


def _part(pen: _Pen, name: str, kind: str, earlier: Sequence[Step]) -> Step:
    """A step of one kind: `e` binds one event, `s` a set, `A` is the set that is the anchor."""
    types = [pen.one(pen.types)]
    if kind == "e" and len(pen.types) > 1 and pen.one((False, False, False, True)):
        types = list(pen.types)[:2]
    if len(types) > 1:
        event: str | list[Option] = [
            Option(each, _conditions(pen, name, [each], earlier)) for each in types
        ]
    else:
        event = types[0]
    having: tuple[Condition, ...] = ()
    if kind != "e" and pen.one((True, False)):
        having = _having(pen, name, types[0], earlier)
    return step_of(
        name,
        event,
        _conditions(pen, name, types, earlier),
        _relations(pen, earlier) if earlier else (),
        each=kind != "e",
        having=having,
        window_us=pen.one((8, 5, 2, 20)) * pen.unit_us if kind == "A" and not earlier else None,
    )


def draw_rule(
    random: Random,
    name: str,
    types: tuple[str, ...],
    *,
    timing: Timing,
    unit_us: int,
    settles_after_us: int = 0,
) -> Rule:
    """A rule over these event types, with everything that the language has."""
    pen = _Pen(random, unit_us, types, moving=random.random() < 0.5)
    shape = pen.one(_SHAPES)
    steps: list[Step] = []
    referable: list[Step] = []
    for number, kind in enumerate(shape):
        step = _part(pen, f"s{number}", kind, referable)
        steps.append(step)
        referable += [step] if kind != "s" else []
    single = [step for step in steps if not step.each]
    anchor = f"s{shape.index('A')}" if "A" in shape else pen.one(single).name
    others = [
        _part(pen, f"x{number}", pen.one("es"), referable)
        for number in range(pen.one((0, 1, 0, 1, 2, 3)))
    ]
    cut = 0 if "alert" in types else pen.one((0, 0, 1))
    weights = (30, 15, 30, 5)
    evidence = [replace(part, weight=pen.one(weights)) for part in others[cut:]]
    # Persons more often: the other keys can be unknown.
    keys: list[By] = ["person"] * (6 if "alert" in types else 4)
    keys += [by for by in ALL_KEYS if all(KEYS[by] in EVENTS[event].fields for event in types)]
    return build_rule(
        steps,
        timing,
        name=name,
        anchor=anchor,
        by=pen.one(keys),
        unless=others[:cut],
        evidence=evidence,
        bands=pen.one((BANDS, BANDS, BANDS, BANDS, SIGNAL)),
        raises=pen.one(("at_once", "at_once", "at_once", "at_once", "when_final")),
        settles_after_us=settles_after_us,
    )


# --- records ----------------------------------------------------------------------------------

Choices = Mapping[str, Sequence[Scalar | None]]

_COMMON: Choices = {
    "person": ("lin", "lin", "lin", "lin", "lin", "lin", "wei"),
    "area": (None, "pudong"),
}
_MONEY = ("20000", "3000", "400.5", "400")
_FIXED: Mapping[str, Choices] = {
    "call_invitation": {
        **_COMMON,
        "media": ("video", "video", "audio"),
        "relationship": ("stranger", "stranger", "contact", None),
        "caller": ("handle-1", "handle-1", "handle-1", "handle-2", None),
        "meeting": ("meeting-1", None),
    },
    "screen_share": {
        **_COMMON,
        "app_category": ("meeting", "other", None),
        "meeting": ("meeting-1", None),
        "first": (True, False, None),
    },
    "transfer": {
        **_COMMON,
        "amount": _MONEY,
        "currency": ("CNY", "CNY", "EUR", "USD"),
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
    "official_call": {**_COMMON, "caller": ("handle-1", "handle-2"), "valid_to": (*range(14),)},
    "contact_blocked": {
        **_COMMON,
        "caller": ("handle-1", None),
        "payee_account": ("account-1", None),
    },
}
_OPEN: Mapping[str, Choices] = {
    "call_invitation": {
        "answered_at": (0, 1, 0, None),
        "ended_at": (None, 1, 2, 3, None, 5, 9, 13),
        "camera_on": (None, False, True),
    },
    "screen_share": {"ended_at": (None, *range(14)), "remote_input": (False, None, True)},
    "transfer": {"status": ("attempted", "rejected", None, "settled")},
}


def _chosen(random: Random, choices: Choices) -> dict[str, Scalar]:
    """One value for each field, unknown ones left out."""
    chosen: dict[str, Scalar] = {}
    for name, values in choices.items():
        value = values[random.randrange(len(values))]
        if value is not None:
            chosen[name] = value
    return chosen


def _first(choices: Choices) -> dict[str, Scalar]:
    """The first value of each field, with which the first conditions hold."""
    return {name: values[0] for name, values in choices.items() if values[0] is not None}


def _data(
    event: str, start_us: int, unit_us: int, drawn: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """The normal form of drawn fields: moments are drawn in steps of the grid after the start."""
    start_field = EVENTS[event].start_field
    data: dict[str, Scalar] = {} if start_field is None else {start_field: start_us}
    for name, value in drawn.items():
        is_moment = EVENTS[event].fields[name].kind is Kind.MOMENT
        data[name] = int(value) * unit_us + start_us if is_moment else value
    if not {"amount", "limit"} & data.keys():
        data.pop("currency", None)
    if "answered_at" in data and "ended_at" in data:
        data["answered_at"] = min(int(data["answered_at"]), int(data["ended_at"]))
    return data


def draw_records(
    random: Random, number: int, event: str, *, timing: Timing, unit_us: int, longest: int
) -> list[Record]:
    """One to three records of one event, which differ in open fields only."""
    # Two sources use the same own ids, so that only the whole identity tells events apart.
    source, own_id = ("//a.example", "//b.example")[number % 2], f"e{number // 2}"
    start_us = ORIGIN_US + (random.randrange(10) + random.choice((0, longest - 9))) * unit_us
    fixed = _chosen(random, _FIXED[event])
    settle = timing.settle(event) // unit_us
    # A record may also be dated a little before its own start; the last moment that counts is
    # the one at which alerts are about to become final.
    ahead = [0] if EVENTS[event].start_field is None else [0, settle, *range(-1, settle + 1)]
    # What turns out otherwise than it looked at first takes matches away.
    turning = random.random() < 0.6
    copies = (2, 1, 3, 2)[random.randrange(4)]
    times = [ahead[random.randrange(len(ahead))] for _ in range(copies)]
    told = []
    for copy, time in enumerate(sorted(times) if turning else times):
        record_id = ("r1", "r2")[random.randrange(2)]
        sequence = copy if turning else random.randrange(2)
        opened = _chosen(random, _OPEN.get(event, {}))
        if turning and copy == 0:
            opened = _first(_OPEN.get(event, {}))
        time_us = start_us + time * unit_us
        data = _data(event, start_us, unit_us, {**fixed, **opened})
        told.append(Record(source, event, own_id, record_id, sequence, time_us, data))
    return told


def _timing(random: Random, unit_us: int) -> Timing:
    settle, open_for, by_type = _TIMINGS[random.randrange(len(_TIMINGS))]
    return Timing(
        settle_us=settle * unit_us,
        open_for_us=open_for * unit_us,
        settle_by_type_us={event: each * unit_us for event, each in by_type.items()},
    )


def draw_world(random: Random, *, campaigns: bool | None = None) -> World:
    """One to three rules, and up to seven events of the types that they read.

    Args:
        random: what decides.
        campaigns: whether some rule reads alerts; None leaves it open.
    """
    unit_us = (MINUTE_US, 1)[random.randrange(2)]
    timing = _timing(random, unit_us)
    # Two types that things are often said about, or any.
    types = (
        TYPES[:2]
        if random.random() < 0.3
        else tuple(random.sample(TYPES, 1 + random.randrange(2)))
    )
    first = [
        draw_rule(random, f"rule_{letter}", types, timing=timing, unit_us=unit_us)
        for letter in "abc"[: 1 + random.randrange(2)]
    ]
    second: list[Rule] = []
    if campaigns or (campaigns is None and random.random() < 0.4):
        waits_us = max(rule.span.forward_us + rule.span.settle_us for rule in first)
        read = ("alert",) if random.random() < 0.7 else ("alert", types[0])
        rule = draw_rule(
            random, "rule_z", read, timing=timing, unit_us=unit_us, settles_after_us=waits_us
        )
        second = [rule] if rule.reads_alerts else []
    # Over a long time, what is needed no more is forgotten while other things still come.
    longest = (9, 9, 40, 9)[random.randrange(4)]
    number = (4, 3, 2, 5, 5, 6, 6, 7, 7, 1, 0)[random.randrange(11)]
    told = [
        draw_records(
            random,
            n,
            types[random.randrange(len(types))],
            timing=timing,
            unit_us=unit_us,
            longest=longest,
        )
        for n in range(number)
    ]
    return World(
        timing,
        RuleSet((*first, *second)),
        tuple(record for several in told for record in several),
        unit_us,
        longest * unit_us,
    )


def keys_of(rule_set: RuleSet) -> list[By]:
    """The kinds of key that some rule correlates by."""
    return sorted({rule.by for rule in rule_set.rules})
