from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.condition import Constant, Junction, Parameter
from rules.events import Kind, Value
from rules.judging import Judging, OwnConditions
from rules.money import parse_money
from rules.rule import Rule
from rules.timing import Timing
from tests.rules import build
from tests.rules.oracle import Record, evaluate, told
from tests.rules.worlds import World, draw_world, leaves

TIMING = Timing()
KNOWN = build.transfer_record("p-1", build.ORIGIN_US)


def judged_one_by_one(rules: Sequence[Rule], records: Sequence[Record]) -> tuple[object, object]:
    """By the oracle: what fits each part, and how many each lost for something unknown."""
    fits: dict[tuple[str, str, str], set[tuple[int, int]]] = defaultdict(set)
    lost: Counter[tuple[int, int, str]] = Counter()
    for event in told(records, TIMING):
        for number, rule in enumerate(rules):
            for part, step in enumerate(rule.parts):
                own = step.own.get(event.record.type)
                if own is None:
                    continue
                found = [evaluate(c.expression, {step.name: event}) for c in own]
                if all(value is True for value in found):
                    fits[event.record.name].add((number, part))
                elif False not in found:
                    lost[number, part, event.record.type] += 1
    return fits, lost


def judged_at_once(rules: Sequence[Rule], records: Sequence[Record]) -> tuple[object, object]:
    """The same, by what is judged for all rules at once."""
    judging = Judging(rules)
    fits: dict[tuple[str, str, str], set[tuple[int, int]]] = defaultdict(set)
    for event in [build.event_of(each.record, TIMING) for each in told(records, TIMING)]:
        masks = {
            by: own.fits(event)
            for (by, event_type), own in judging.own.items()
            if event_type == event.identity.type
        }
        for number, rule in enumerate(rules):
            for part, signatures in enumerate(judging.signatures(number)):
                if masks.get(rule.by, 0) & signatures.get(event.identity.type, 0):
                    fits[event.identity].add((number, part))
    lost = Counter[tuple[int, int, str]]()
    for number in range(len(rules)):
        for part, by_event in enumerate(judging.lost(number)):
            for event_type, counted in by_event.items():
                lost[number, part, event_type] += sum(counted.values())
    return fits, +lost


def agrees(world: World) -> None:
    rules, records = world.rule_set.first_stage.rules, world.records
    assert judged_at_once(rules, records) == judged_one_by_one(rules, records)


@given(st.randoms(use_true_random=False).map(draw_world))
def test_judging_all_at_once_is_judging_each_condition_by_itself(world: World) -> None:
    agrees(world)


def test_so_it_is_in_many_seeded_worlds() -> None:
    for seed in range(300):
        agrees(draw_world(Random(seed)))  # noqa: S311 - nothing is kept secret by it


def variants(number: int) -> list[Rule]:
    """Rules whose own conditions differ in one threshold, direction or demand."""
    random = Random(number)  # noqa: S311 - nothing is kept secret by it
    amount = build.field("pay", "transfer", "amount")
    paid = build.field("pay", "transfer", "payee_times_paid")
    rules = []
    for n in range(number):
        ops: tuple[build.Op, ...] = (">=", ">", "<", "<=")
        op = random.choice(ops)
        money = random.choice(
            (
                parse_money(f"{random.randrange(5)} CNY"),
                {c: parse_money(f"{random.randrange(5)} CNY").amount for c in ("CNY", "EUR")},
            )
        )
        enough = build.compare(amount, op, build.parameter("least", money, amount))
        times = build.compare(paid, op, Constant(random.randrange(4), Kind.INTEGER))
        maybe = Junction("or", (build.unknown(paid), times))
        first = random.choice(leaves("pay", "transfer", 1))
        chosen = random.choice(((enough,), (enough, maybe), (maybe, first), (times, enough)))
        both = Junction("and", chosen) if len(chosen) > 1 else chosen[0]
        pay = build.step_of("pay", "transfer", (build.condition(both),))
        rules.append(build.build_rule([pay], TIMING, name=f"rule_{n}"))
    return rules


def payments() -> list[Record]:
    """Transfers of every small amount, in several currencies, paid before so often or unsaid."""
    return [
        KNOWN._replace(
            id=f"p-{amount}-{currency}-{paid}",
            data={
                **{k: v for k, v in KNOWN.data.items() if k != "payee_times_paid"},
                "amount": str(amount),
                "currency": currency,
                **({} if paid is None else {"payee_times_paid": paid}),
            },
        )
        for amount in range(6)
        for currency in ("CNY", "EUR", "JPY")
        for paid in (None, 0, 1, 2, 5)
    ]


@pytest.mark.parametrize("most", [10_000, 1])
def test_a_hundred_thresholds_are_judged_as_one_is(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counts are added up when there are too many ways to stand; nothing is lost by it.
    monkeypatch.setattr("rules.judging._MOST_STANDINGS", most)
    rules, records = variants(100), payments()
    assert judged_at_once(rules, records) == judged_one_by_one(rules, records)


def own(*expressions: object) -> OwnConditions:
    return OwnConditions([[build.condition(e) for e in expressions]])  # type: ignore[arg-type]  # nodes


def test_equal_conditions_are_one_signature_whatever_the_step_is_called() -> None:
    asked = [
        [build.condition(build.compare(build.field(name, "transfer", "amount"), ">=", least))]
        for name, least in (
            ("pay", parse_money("1 CNY")),
            ("out", parse_money("1 CNY")),
            ("pay", parse_money("2 CNY")),
        )
    ]
    bits = OwnConditions(asked).bits
    assert bits[0] == bits[1] != bits[2]


def test_true_and_one_are_not_taken_for_each_other() -> None:
    first = build.field("pay", "transfer", "first")
    bits = OwnConditions(
        [
            [build.condition(build.compare(first, "==", Constant(value, Kind.BOOL)))]
            for value in (True, 1)
        ]
    ).bits
    assert bits[0] != bits[1]


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        ({}, {}),
        ({"payee_times_paid": None}, {("payee_is_new",): 1}),
        ({"currency": "JPY"}, {("amount",): 1}),
        ({"currency": "JPY", "payee_times_paid": None}, {("amount", "payee_is_new"): 1}),
        ({"amount": "1", "payee_times_paid": None}, {}),
    ],
)
def test_what_is_lost_is_told_by_the_fields_that_were_unknown(
    data: dict[str, Value | None], lost: dict[tuple[str, ...], int]
) -> None:
    amount = build.field("pay", "transfer", "amount")
    least = Parameter("least", {"CNY": parse_money("3000 CNY").amount}, Kind.MONEY)
    conditions = own(
        build.compare(amount, ">=", least), build.field("pay", "transfer", "payee_is_new")
    )
    told_data = {k: v for k, v in {**KNOWN.data, **data}.items() if v is not None}
    event = build.event_of(KNOWN._replace(data=told_data), TIMING)  # type: ignore[arg-type]  # scalars
    conditions.fits(event)
    assert conditions.lost(conditions.bits[0]) == lost
    conditions.fits(build.event_of(KNOWN, TIMING), instead_of=event)
    assert conditions.lost(conditions.bits[0]) == {}, "as it stands now nothing is unknown"


def test_of_a_condition_on_several_fields_the_unknown_ones_are_named() -> None:
    amount = build.field("pay", "transfer", "amount")
    balance = build.field("pay", "transfer", "balance_before")
    conditions = own(build.compare(amount, ">=", balance))
    event = build.event_of(KNOWN, TIMING)
    conditions.fits(event)
    assert conditions.lost(1) == {("balance_before",): 1}
    other = {**KNOWN.data, "balance_before": "5", "currency": "JPY"}
    conditions.fits(build.event_of(KNOWN._replace(id="p-2", data=other), TIMING))
    assert conditions.lost(1) == {("balance_before",): 1}
