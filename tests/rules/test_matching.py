import pytest

from rules.condition import Compare, Constant, Gap
from rules.events import Kind
from rules.history import History, Rows
from rules.judging import Judging
from rules.matching import match as find
from rules.moment import HOUR_US, MINUTE_US
from rules.plan import make_plan
from rules.rule import Option, Rule
from rules.tally import Members
from tests.rules.build import (
    TIMING,
    at,
    build_rule,
    call_record,
    compare,
    condition,
    count,
    event_of,
    field,
    loan_record,
    record_of,
    relation,
    step_of,
    transfer_record,
    unknown,
)
from tests.rules.oracle import Record

CALL = step_of("call", "call_invitation")
PAY = step_of("pay", "transfer", (), (relation("after", "call", 2 * HOUR_US),))


def remember(rule: Rule, judging: Judging, records: list[Record]) -> History:
    """A history that holds these events, each with what it fits."""
    history = History()
    for record in records:
        event = event_of(record, TIMING)
        history.put(event, judging.own[rule.by, record.type].fits(event))
    return history


def match(rule: Rule, anchor: str, *records: Record) -> list[str] | None:
    """The own ids that a rule binds at this anchor."""
    judging = Judging([rule])
    history = remember(rule, judging, list(records))
    events = [event_of(record, TIMING) for record in records]
    (found,) = [history.row(event.identity) for event in events if event.identity.id == anchor]
    assert found is not None
    binding, _ = find(make_plan(0, rule, judging), history, found[2])
    if binding is None:
        return None
    several = [b if isinstance(b, Members) else [b] for b in binding.bound if b is not None]
    return [event.identity.id for events in several for event in events]


def call(own_id: str, clock: str, until: str = "", **data: str) -> Record:
    until_us = at(until or clock)
    return call_record(own_id, at(clock), until_us=until_us, **data)  # type: ignore[arg-type]  # fields of the call


def test_of_several_bindings_the_greatest_in_file_order_is_reported() -> None:
    #   10:00 c-1   10:10 c-2    10:20 p-1   10:30 p-2
    rule = build_rule([CALL, PAY], TIMING, anchor="call")
    records = [transfer_record("p-1", at("10:20")), transfer_record("p-2", at("10:30"))]
    assert match(rule, "c-1", call("c-1", "10:00"), *records) == ["c-1", "p-2"]
    rule = build_rule([CALL, PAY], TIMING)
    calls = [call("c-2", "10:10"), call("c-1", "10:00")]
    assert match(rule, "p-2", *calls, records[1]) == ["c-2", "p-2"]


def test_an_earlier_step_outweighs_all_later_ones() -> None:
    # The later call binds, though only the earlier one would leave the later loan.
    loan = step_of("loan", "transfer", (), (relation("before", "call", HOUR_US),))
    rule = build_rule([CALL, loan, PAY], TIMING)
    records = [
        call("c-1", "10:00"),
        call("c-2", "10:50"),
        transfer_record("l-1", at("09:55")),
        transfer_record("p-1", at("11:00")),
    ]
    assert match(rule, "p-1", *records) == ["c-2", "l-1", "p-1"]
    too_far = transfer_record("l-2", at("09:49"))
    assert match(rule, "p-1", *records[:2], too_far, records[3]) == ["c-1", "l-2", "p-1"]


def test_the_search_goes_back_when_the_greatest_choice_leads_nowhere() -> None:
    # c-3 and c-2 fit the transfer, but only c-1 was by the caller of the second call.
    second = step_of(
        "second",
        "call_invitation",
        (
            condition(
                compare(
                    field("second", "call_invitation", "caller"),
                    "==",
                    field("call", "call_invitation", "caller"),
                )
            ),
        ),
        (relation("after", "call", HOUR_US),),
    )
    rule = build_rule([CALL, PAY, second], TIMING, anchor="pay")
    records = [
        call("c-1", "10:00", caller="handle-1"),
        call("c-2", "10:05", caller="handle-2"),
        call("c-3", "10:10", caller="handle-3"),
        call("c-4", "10:20", caller="handle-1"),
        transfer_record("p-1", at("10:42")),
    ]
    assert match(rule, "p-1", *records) == ["c-1", "p-1", "c-4"]
    assert match(rule, "p-1", *records[1:]) is None


def test_equal_starts_are_told_apart_by_source_then_type_then_id() -> None:
    rule = build_rule([CALL, PAY], TIMING)
    pay = transfer_record("p-1", at("10:42"))
    calls = [call("c-1", "10:00"), call("c-2", "10:00")]
    assert match(rule, "p-1", *calls, pay) == ["c-2", "p-1"]
    assert match(rule, "p-1", calls[0]._replace(source="//z.example"), calls[1], pay) == [
        "c-1",
        "p-1",
    ]


def test_no_event_is_bound_twice() -> None:
    again = step_of("again", "call_invitation", (), (relation("around", "call", HOUR_US),))
    rule = build_rule([CALL, again], TIMING)
    assert match(rule, "c-1", call("c-1", "10:00")) is None
    assert match(rule, "c-1", call("c-1", "10:00"), call("c-2", "10:10")) == ["c-2", "c-1"]


def test_all_relations_of_a_step_must_hold() -> None:
    #   10:00 c-1           11:00 l-1  11:10 p-1
    pay = step_of(
        "pay",
        "transfer",
        (),
        (relation("after", "call", HOUR_US), relation("after", "loan", 15 * MINUTE_US)),
    )
    tied = step_of("loan", "loan_drawdown", (), (relation("after", "call", 2 * HOUR_US),))
    rule = build_rule([CALL, tied, pay], TIMING)
    drawn = loan_record("l-1", at("11:00"))
    records = [drawn, transfer_record("p-1", at("11:10"))]
    assert match(rule, "p-1", call("c-1", "10:00"), *records) is None
    assert match(rule, "p-1", call("c-1", "10:10"), *records) == ["c-1", "l-1", "p-1"]


def test_an_anchor_that_its_own_step_refuses_to_lie_with_the_rest_matches_nothing() -> None:
    rule = build_rule([CALL, PAY], TIMING)
    assert match(rule, "p-1", call("c-1", "10:43"), transfer_record("p-1", at("10:42"))) is None


@pytest.mark.parametrize("anchor", ["c-1", "p-1"])
def test_a_condition_may_ask_for_the_gap_to_an_earlier_step(anchor: str) -> None:
    close = Compare("<=", Gap("pay", "call"), Constant(MINUTE_US, Kind.DURATION))
    pay = step_of("pay", "transfer", (condition(close),), PAY.relations)
    name = "call" if anchor == "c-1" else "pay"
    rule = build_rule([CALL, pay], TIMING, anchor=name)
    records = [call("c-1", "10:00", "10:30"), transfer_record("p-1", at("10:31"))]
    assert match(rule, anchor, *records) == ["c-1", "p-1"]
    records[1] = transfer_record("p-1", at("10:31") + 1)
    assert match(rule, anchor, *records) is None


def test_only_true_satisfies() -> None:
    # The areas are unknown, so whether they are the same is unknown too.
    same = compare(
        field("pay", "transfer", "area"), "==", field("call", "call_invitation", "area")
    )
    rule = build_rule(
        [CALL, step_of("pay", "transfer", (condition(same),), PAY.relations)], TIMING
    )
    records = [call("c-1", "10:00"), transfer_record("p-1", at("10:42"))]
    assert match(rule, "p-1", *records) is None
    placed = [call("c-1", "10:00", area="x"), transfer_record("p-1", at("10:42"), area="x")]
    assert match(rule, "p-1", *placed) == ["c-1", "p-1"]


def test_an_anchor_that_does_not_fit_its_own_set_matches_nothing() -> None:
    #   10:00 c-1   10:30 p-1          11:01 p-2
    #   |.................1h..........|
    pays = step_of("pays", "transfer", (), (relation("after", "call", HOUR_US),), each=True)
    rule = build_rule([CALL, pays], TIMING)
    records = [
        call("c-1", "10:00"),
        transfer_record("p-1", at("10:30")),
        transfer_record("p-2", at("11:01")),
    ]
    assert match(rule, "p-1", *records) == ["c-1", "p-1"]
    assert match(rule, "p-2", *records) is None


def test_an_entry_of_several_types_asks_something_of_other_steps_for_its_own_type_only() -> None:
    #   10:00 c-1 of a caller in x   10:05 a loan, in x or elsewhere   10:10 p-1
    same = compare(
        field("first", "loan_drawdown", "area"), "==", field("call", "call_invitation", "area")
    )
    first = step_of(
        "first",
        [Option("loan_drawdown", (condition(same),)), Option("payee_added")],
        (),
        (relation("after", "call", HOUR_US),),
    )
    rule = build_rule([CALL, first, PAY], TIMING)
    records = [call("c-1", "10:00", area="x"), transfer_record("p-1", at("10:10"))]
    loans = {
        area: record_of("loan_drawdown", "l-1", at("10:05"), area=area) for area in ("x", "y")
    }
    assert match(rule, "p-1", *records, loans["x"]) == ["c-1", "l-1", "p-1"]
    assert match(rule, "p-1", *records, loans["y"]) is None
    added = record_of("payee_added", "a-1", at("10:04"))
    assert match(rule, "p-1", *records, loans["y"], added) == ["c-1", "a-1", "p-1"]


@pytest.mark.parametrize("few", [0, 16])
def test_a_member_of_the_anchors_set_is_asked_for_its_own_gap(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    #   10:00 c-1   10:01 p-1   10:10 p-2   10:30 p-3, the anchor
    #   |.......within 15m of it: p-1, p-2
    monkeypatch.setattr(Rows, "FEW", few)
    close = Compare("<=", Gap("pays", "call"), Constant(30 * MINUTE_US, Kind.DURATION))
    far = Compare(">=", Gap("pays", "call"), Constant(5 * MINUTE_US, Kind.DURATION))
    pays = step_of(
        "pays",
        "transfer",
        (condition(close), condition(far)),
        (relation("after", "call", 2 * HOUR_US),),
        each=True,
    )
    rule = build_rule([CALL, pays], TIMING)
    clocks = {"p-1": "10:01", "p-2": "10:10", "p-3": "10:30", "p-4": "10:31"}
    paid = [transfer_record(own_id, at(clock)) for own_id, clock in clocks.items()]
    assert match(rule, "p-3", call("c-1", "10:00"), *paid) == ["c-1", "p-2", "p-3"]
    assert match(rule, "p-4", call("c-1", "10:00"), *paid) is None, "too far itself"


def test_a_set_without_members_may_be_evidence_for_one_choice_and_not_for_another() -> None:
    placed = condition(unknown(field("call", "call_invitation", "area"), negated=True))
    loans = step_of(
        "loans",
        "loan_drawdown",
        (),
        (relation("before", "call", HOUR_US),),
        each=True,
        having=(count("loans", "==", 0), placed),
        weight=30,
    )
    rule = build_rule([CALL, PAY], TIMING, evidence=[loans])
    calls = [call("c-1", "10:00", area="x"), call("c-2", "10:10")]
    assert match(rule, "p-1", *calls, transfer_record("p-1", at("10:42"))) == ["c-1", "p-1"]
