from dataclasses import replace

import pytest

from rules.condition import Condition
from rules.fact import Mark
from rules.moment import HOUR_US, MINUTE_US
from rules.rule import By, Rule, RuleSet
from rules.stages import Claims, event_of
from rules.watermark import END_US
from tests.rules.build import (
    SIGNAL,
    TIMING,
    Bench,
    at,
    bench,
    bound,
    build_rule,
    call_record,
    call_then_pay,
    compare,
    condition,
    facts_of,
    fan_in,
    field,
    led_transfer,
    record_of,
    relation,
    says,
    step_of,
    transfer_record,
)
from tests.rules.build import event_of as event_of_record
from tests.rules.oracle import Record

PAID = build_rule(
    [step_of("pay", "transfer", call_then_pay().steps[1].where)], TIMING, name="paid"
)


def campaign(first: Rule = PAID) -> Bench:
    """A first-stage rule, and a campaign of two persons who pay to one account."""
    return bench(first, fan_in([first]))


def by_rule(told: Bench, rule: str) -> list[tuple[str, bool]]:
    return says([alert for alert in told.written if alert.content["rule"]["id"] == rule])


def two_victims() -> list[Record]:
    return [
        transfer_record("p-1", at("10:00")),
        transfer_record("p-2", at("11:00"), person="wei"),
    ]


def test_alerts_about_two_persons_who_pay_to_one_account_are_a_campaign() -> None:
    told = campaign()
    assert says(told.tell(two_victims()[0])) == [("raised", False)]
    paid, hits = told.tell(two_victims()[1])
    assert (paid.content["rule"]["id"], hits.content["rule"]["id"]) == ("paid", "fan_in")
    assert (hits.content["by"], hits.content["key"]) == ("payee", "account-1")
    # The set shows the transfers that the bank can act on, not the alerts about them.
    assert bound(hits) == ["p-1", "p-2"]
    assert hits.content["anchor"]["id"] == paid.alert_id
    assert hits.content["anchor"]["type"] == "alert"


def test_an_alert_that_is_withdrawn_takes_its_campaign_with_it() -> None:
    told = campaign()
    for record in two_victims():
        told.tell(record)
    told.tell(transfer_record("p-1", at("10:00"), sequence=1, status="rejected"))
    told.end()
    assert by_rule(told, "fan_in") == [
        ("raised", False),
        ("withdrawn", False),
        ("withdrawn", True),
    ]


def test_a_campaign_whose_last_victim_comes_too_late_to_wait_for_says_so() -> None:
    #   09:55 c-1   10:00 p-1   10:55 c-2   11:00 p-2   17:00 all has settled, then p-2 comes
    told = campaign(call_then_pay())
    first, second = two_victims()
    told.tell(call_record("c-1", at("09:55"), until_us=at("10:10")))
    told.tell(call_record("c-2", at("10:55"), until_us=at("11:10"), person="wei"))
    told.tell(first)
    told.mark(at("17:00") + MINUTE_US)
    paid, hits = told.tell(second, late=True)
    assert paid.content["late"]
    assert says([hits]) == [("raised", True)]
    assert hits.content["late"]


def test_marks_may_wait_until_an_alert_is_due_and_then_until_its_campaign_is() -> None:
    #   10:00, 11:00 paid      16:00, 17:00 final      18:00 so is the campaign
    first = [PAID, replace(PAID, id="paid_too", span=replace(PAID.span, settle_us=7 * HOUR_US))]
    told = bench(PAID, fan_in(first))
    assert told.engine.next_due_us == END_US
    for record in two_victims():
        told.tell(record)
    for moment in ("16:00", "17:00", "18:00"):
        assert told.engine.next_due_us == at(moment)
        assert told.mark(at(moment)) == []
        assert says(told.mark(at(moment) + 1)) == [("raised", True)]
    assert told.engine.next_due_us == END_US


def test_an_alert_that_comes_back_brings_its_campaign_back() -> None:
    told = campaign()
    for record in two_victims():
        told.tell(record)
    told.tell(transfer_record("p-1", at("10:00"), sequence=1, status="rejected"))
    told.tell(transfer_record("p-1", at("10:00"), sequence=2, status="settled"))
    told.end()
    assert by_rule(told, "fan_in")[-2:] == [("raised", False), ("raised", True)]


def called_person(first: Rule) -> Rule:
    """Two alerts about calls of one caller."""
    hits = step_of("hits", "alert", each=True, window_us=HOUR_US)
    settles_us = first.span.forward_us + first.span.settle_us
    return build_rule([hits], TIMING, name="called", by="caller", settles_after_us=settles_us)


def test_an_alert_is_taken_back_from_a_key_that_it_no_longer_names() -> None:
    # A later call, of somebody else, becomes the greatest: the alert names another caller.
    first = call_then_pay()
    told = bench(first, called_person(first))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(call_record("c-2", at("10:10"), until_us=at("10:15"), caller="handle-2"))
    told.end()
    last = {(a.content["rule"]["id"], a.content["key"]): a.state for a in told.written}
    assert last == {
        ("rule_a", "lin"): "raised",
        ("called", "handle-1"): "withdrawn",
        ("called", "handle-2"): "raised",
    }


def test_the_same_alert_under_two_keys_is_two_alerts() -> None:
    first = call_then_pay()
    told = bench(first, called_person(first))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(call_record("c-2", at("10:10"), until_us=at("10:15"), caller="handle-2"))
    ids = {a.alert_id for a in told.written if a.content["rule"]["id"] == "called"}
    assert len(ids) == 2


def test_a_rule_that_is_silent_until_it_is_certain_is_silent_to_the_second_stage_too() -> None:
    waiting = build_rule(PAID.steps, TIMING, name="paid", raises="when_final")
    told = campaign(waiting)
    for record in two_victims():
        assert told.tell(record) == []
    told.mark(at("17:00") + 1)
    assert by_rule(told, "fan_in") == [("raised", True)]


def test_a_signal_feeds_the_second_stage() -> None:
    signal = build_rule(PAID.steps, TIMING, name="paid", bands=SIGNAL)
    told = campaign(signal)
    first, second = (told.tell(record) for record in two_victims())
    assert first[0].is_signal
    assert [alert.is_signal for alert in second] == [True, False]


def test_a_second_stage_rule_may_name_outside_events_as_well() -> None:
    #   10:00 paid        10:30 a loan
    hit = step_of(
        "hit", "alert", (condition(compare(field("hit", "alert", "rule"), "==", "paid")),)
    )
    loan = step_of("loan", "loan_drawdown", (), (relation("after", "hit", HOUR_US),))
    settles_us = PAID.span.forward_us + PAID.span.settle_us
    both = build_rule([hit, loan], TIMING, name="both", settles_after_us=settles_us)
    told = bench(PAID, both)
    told.tell(transfer_record("p-1", at("10:00")))
    (alert,) = told.tell(record_of("loan_drawdown", "l-1", at("10:30")))
    assert [shown["type"] for shown in alert.content["evidence"]] == ["alert", "loan_drawdown"]
    assert says(told.end()) == [("raised", True), ("raised", True)]


def test_a_better_informed_alert_replaces_its_predecessor_for_the_second_stage() -> None:
    # A campaign of alerts that ask for a hold; the evidence comes later, in the tenth step or so.
    first = led_transfer()
    high = condition(compare(field("hits", "alert", "action"), "==", "hold"))
    hits = step_of("hits", "alert", (high,), each=True, window_us=HOUR_US)
    settles_us = first.span.forward_us + first.span.settle_us
    held = build_rule([hits], TIMING, name="held", settles_after_us=settles_us)
    told = bench(first, held)
    for own_id in "abcdefgh":
        told.tell(record_of("loan_drawdown", own_id, at("02:00")))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    told.tell(transfer_record("p-1", at("10:42")))
    assert by_rule(told, "held") == []
    told.tell(record_of("loan_drawdown", "l-1", at("10:20")))
    assert by_rule(told, "held") == [("raised", False)]


def test_without_a_second_stage_there_is_only_the_first() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:42")))
    assert told.engine.second.remembered() == (0, 0)
    assert told.engine.second.observe([Mark("alerts", 0, END_US)], 99) == []


def facts_of_claims(*where: Condition, key: By = "payee") -> list[list[tuple[str, bool]]]:
    """The facts of a raised alert, of one that says the same, and of a withdrawn one."""
    hits = step_of("hits", "alert", where, each=True, window_us=HOUR_US)
    second = build_rule([hits], TIMING, name="second", by=key)
    told = bench(PAID)
    told.tell(transfer_record("p-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:00"), sequence=1, status="rejected"))
    claims = Claims(RuleSet((second,)))
    return [[(f.key, f.event.gone) for f in claims.facts(a)] for a in told.written]


def test_an_alert_becomes_a_fact_under_every_key_that_some_rule_reads_alerts_by() -> None:
    assert facts_of_claims() == [[("payee:account-1", False)], [("payee:account-1", True)]]
    assert facts_of_claims(key="caller") == [[], []], "no caller is named"


def test_an_alert_that_no_rule_could_use_becomes_no_fact() -> None:
    other = condition(compare(field("hits", "alert", "rule"), "==", "another"))
    assert facts_of_claims(other) == [[], []]


def test_an_alert_is_an_instant_at_its_anchors_start() -> None:
    told = bench(led_transfer())
    told.tell(call_record("c-1", at("10:00")))
    (alert,) = told.tell(transfer_record("p-1", at("10:42")))
    event = event_of(alert)
    assert event.identity == ("ringfence", "alert", alert.alert_id)
    assert event.start_us == event.end_us == event.time_us == at("10:42")
    assert (event.sequence, event.open, event.late, event.gone) == (2, False, False, False)
    assert event.keys() == {"person": "lin", "payee": "account-1", "caller": "handle-1"}
    assert event.data["anchor_id"] == "p-1"
    assert str(event.fields["amount"]) == "Money(amount=Decimal('20000'), currency='CNY')"


def test_alerts_come_after_the_events_of_their_step_and_before_its_marks() -> None:
    # All in one step: two victims, and the end of all feeds.
    told = campaign()
    events = [event_of_record(record, TIMING) for record in two_victims()]
    rows = [fact for event in events for fact in facts_of(event)]
    alerts = told.observe([*rows, Mark("bank", 0, END_US)])
    assert says(alerts) == [("raised", True)] * 3


@pytest.mark.parametrize("reverse", [True, False])
def test_a_campaign_is_the_same_whichever_victim_is_heard_of_first(*, reverse: bool) -> None:
    told = campaign()
    for record in sorted(two_victims(), key=lambda r: r.id, reverse=reverse):
        told.tell(record)
    told.end()
    last = {a.alert_id: a for a in told.written if a.content["rule"]["id"] == "fan_in"}
    assert [bound(a) for a in last.values() if a.state == "raised"] == [["p-1", "p-2"]]


def test_a_partition_that_joins_later_starts_at_the_minimum_and_holds_it_there() -> None:
    told = bench(feeds=("bank",))
    told.mark(at("12:00"))
    assert told.engine.join(("calls", 0)) == at("12:00")
    told.mark(at("13:00"), "bank")
    assert told.correlator.watermarks.minimum_us == at("12:00")
