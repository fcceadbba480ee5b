from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.condition import (
    Aggregate,
    Among,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
)
from rules.events import Kind, Value
from rules.fact import Event
from rules.rule import By, Option, Rule, RuleSet, Step
from rules.screen import Screen, looked_at
from rules.timing import Timing
from tests.rules.build import (
    ORIGIN_US,
    among,
    build_rule,
    call_record,
    compare,
    condition,
    event_of,
    field,
    parameter,
    relation,
    step_of,
    transfer_record,
    unknown,
)
from tests.rules.oracle import evaluate
from tests.rules.worlds import World, draw_world

TIMING = Timing()
WORLDS = st.randoms(use_true_random=False).map(draw_world)
UNDETERMINED: Any = object()


def reference(rule_set: RuleSet, event: Event) -> set[By]:
    """The kinds of key to keep a record under, as the design's sentence has it.

    A record is dropped only if, for every step of its type in every rule, some condition is
    known to be false from its fixed fields alone.
    """
    return {
        rule.by
        for rule in rule_set.rules
        for step in rule.parts
        for option in step.options
        if option.event == event.identity.type
        and not any(
            decide(c.expression, step.name, event.fields) is False
            for c in (*option.where, *step.where)
        )
    }


def decide(node: Expression, step: str, fields: Mapping[str, Value]) -> Any:  # noqa: ANN401 - a value of any kind
    """The value of an expression as far as fixed fields decide it, else UNDETERMINED."""
    match node:
        case Constant() | Parameter():
            return node.value
        case Gap() | Aggregate():
            return UNDETERMINED
        case Field():
            # Pseudonyms are made after the screen: a withheld caller is not unknown yet.
            fixed = node.step == step and not node.open and node.kind is not Kind.PSEUDONYM
            return fields.get(node.name) if fixed else UNDETERMINED
    values = [decide(part, step, fields) for part in _parts(node)]
    if isinstance(node, Junction) and any(value is (node.op == "or") for value in values):
        return node.op == "or"
    if any(value is UNDETERMINED for value in values):
        return UNDETERMINED
    return evaluate(_known(node, [Constant(value, Kind.TEXT) for value in values]), {})


Inner = Among | Arithmetic | Call | Compare | Junction | Negation | Unknown


def _parts(node: Inner) -> tuple[Expression, ...]:
    match node:
        case Junction():
            return node.parts
        case Call():
            return node.arguments
        case Among() | Unknown():
            return (node.item,)
        case Negation():
            return (node.part,)
        case Compare() | Arithmetic():
            return (node.left, node.right)


def _known(node: Inner, parts: list[Constant]) -> Expression:
    match node:
        case Junction():
            return replace(node, parts=tuple(parts))
        case Call():
            return replace(node, arguments=tuple(parts))
        case Among() | Unknown():
            return replace(node, item=parts[0])
        case Negation():
            return replace(node, part=parts[0])
        case Compare() | Arithmetic():
            return replace(node, left=parts[0], right=parts[1])


@given(WORLDS)
def test_the_screen_decides_as_the_designs_sentence_does(world: World) -> None:
    screen = Screen(world.rule_set)
    for record in world.records:
        event = event_of(record, world.timing)
        kept = screen.keys(event.identity.type, event.fields)
        assert set(kept) == reference(world.rule_set, event)
        assert len(set(kept)) == len(kept)


@given(WORLDS)
def test_all_records_of_one_event_are_decided_alike(world: World) -> None:
    screen = Screen(world.rule_set)
    decided: dict[object, object] = {}
    for record in world.records:
        event = event_of(record, world.timing)
        kept = screen.keys(event.identity.type, event.fields)
        assert decided.setdefault(record.name, kept) == kept


def rule(*where: Expression, by: By = "person", name: str = "rule_a") -> Rule:
    """A stranger's call, then a transfer of which all of this is true."""
    return build_rule(
        [
            step_of(
                "call",
                "call_invitation",
                (condition(field("call", "call_invitation", "answered")),),
            ),
            step_of(
                "pay",
                "transfer",
                tuple(condition(expression) for expression in where),
                (relation("after", "call", 5),),
            ),
        ],
        TIMING,
        by=by,
        name=name,
    )


def keys(*rules: Rule, **data: Any) -> tuple[By, ...]:  # noqa: ANN401 - fields of any kind
    """The kinds of key under which these rules could use a transfer."""
    event = event_of(transfer_record("p-1", ORIGIN_US, **data), TIMING)
    return Screen(RuleSet(rules)).keys("transfer", event.fields)


def pay(name: str) -> Field:
    return field("pay", "transfer", name)


def test_a_record_is_dropped_if_a_fixed_field_makes_a_condition_false() -> None:
    least = compare(pay("amount"), ">=", parameter("least", {"CNY": Decimal(3000)}, pay("amount")))
    assert keys(rule(least), amount="3000") == ("person",)
    assert keys(rule(least), amount="2999.999999") == ()


def test_an_open_field_is_never_judged() -> None:
    # A later record may still say that the rejected transfer was accepted after all.
    not_rejected = among(pay("status"), "rejected", negated=True)
    assert keys(rule(not_rejected), status="rejected") == ("person",)
    assert keys(rule(unknown(pay("status"))), status="rejected") == ("person",)


def test_a_derived_field_is_judged_unless_it_needs_an_open_one() -> None:
    assert keys(rule(pay("payee_is_new")), payee_times_paid=1) == ()
    unanswered: dict[str, Value] = {"person": "lin", "answered": False}
    assert Screen(RuleSet((rule(),))).keys("call_invitation", unanswered) == ("person",)


def test_a_condition_that_stays_unknown_keeps_the_record() -> None:
    assert keys(rule(compare(pay("payee_kind"), "==", "personal"))) == ("person",)


def test_a_fixed_field_known_to_be_missing_is_judged() -> None:
    assert keys(rule(unknown(pay("payee_kind"), negated=True))) == ()
    assert keys(rule(unknown(pay("payee_kind")))) == ("person",)


def test_a_missing_pseudonym_is_not_judged() -> None:
    # Whether a caller is withheld is known only where pseudonyms are made, after the screen.
    assert keys(rule(unknown(pay("device"), negated=True))) == ("person",)


def test_a_fixed_part_decides_a_line_that_has_an_open_part_as_well() -> None:
    both = Junction("and", (pay("payee_is_new"), unknown(pay("status"))))
    either = Junction("or", (pay("payee_is_new"), unknown(pay("status"))))
    assert keys(rule(both), payee_times_paid=1) == ()
    assert keys(rule(either), payee_times_paid=1) == ("person",)
    assert keys(rule(Negation(either)), payee_times_paid=0) == ()


def test_whether_an_open_field_is_known_is_never_judged() -> None:
    both = Junction("and", (pay("payee_is_new"), unknown(pay("status"), negated=True)))
    record = transfer_record("p-1", ORIGIN_US)
    data = {name: value for name, value in record.data.items() if name != "status"}
    event = event_of(record._replace(data=data), TIMING)
    assert Screen(RuleSet((rule(both),))).keys("transfer", event.fields) == ("person",)


def test_a_line_that_names_another_step_is_not_judged() -> None:
    same_area = compare(pay("area"), "==", field("call", "call_invitation", "area"))
    assert keys(rule(same_area), area="shanghai") == ("person",)


def test_one_rule_that_could_use_the_record_is_enough() -> None:
    known, new = Negation(pay("payee_is_new")), pay("payee_is_new")
    assert keys(rule(known), rule(new)) == ("person",)
    assert keys(rule(known), rule(known)) == ()


def test_each_kind_of_key_is_judged_by_its_own_rules() -> None:
    known, new = Negation(pay("payee_is_new")), pay("payee_is_new")
    assert keys(rule(known, by="person"), rule(new, by="area", name="rule_b")) == ("area",)
    assert set(keys(rule(by="person"), rule(by="area", name="rule_b"))) == {"person", "area"}


def test_a_type_that_no_rule_reads_is_dropped() -> None:
    event = event_of(call_record("c-1", ORIGIN_US), TIMING)
    assert Screen(RuleSet((rule(),))).keys("screen_share", event.fields) == ()


def test_what_conditions_look_at_is_told_by_type_in_own_fields() -> None:
    # payee_is_new is derived, money needs its currency, another step's field is its type's.
    same_area = compare(pay("area"), "==", field("call", "call_invitation", "area"))
    least = parameter("least", {"CNY": Decimal(3000)}, pay("balance_before"))
    balance = compare(pay("balance_before"), ">=", least)
    found = looked_at(RuleSet((rule(pay("payee_is_new"), same_area), rule(balance))))
    assert found == {
        "call_invitation": {"answered_at", "area"},
        "transfer": {
            "initiated_at",
            "payee_times_paid",
            "payee_first_paid_at",
            "area",
            "balance_before",
            "currency",
        },
    }


def test_of_either_each_type_is_looked_at_for_the_fields_that_it_has() -> None:
    new = condition(pay("payee_is_new"))
    both = Step("pay", (Option("transfer", (new,)), Option("payee_added")))
    found = looked_at(RuleSet((build_rule([both], TIMING),)))
    times, first = "payee_times_paid", "payee_first_paid_at"
    assert found == {"transfer": {"initiated_at", times, first}, "payee_added": set()}
