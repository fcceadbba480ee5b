import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from rules.alert import Alert, encode_alert
from rules.condition import Aggregate, Compare, Condition, Constant, Gap
from rules.events import Kind
from rules.moment import HOUR_US, MINUTE_US
from rules.rule import Message, Option, Rule
from tests.rules.build import (
    CALL,
    TIMING,
    at,
    bench,
    build_rule,
    call_record,
    call_then_pay,
    compare,
    condition,
    count,
    fan_in,
    field,
    led_transfer,
    parameter,
    record_of,
    relation,
    step_of,
    transfer_record,
    unknown,
)
from tests.rules.oracle import Record

GOLDEN = Path(__file__).parent / "golden"
LEAST = {"CNY": Decimal(30000), "EUR": Decimal(400)}


def data_of(alert: Alert) -> dict[str, Any]:
    found = json.loads(encode_alert(alert))["data"]
    assert isinstance(found, dict)
    return found


def last_of(rule: Rule, *records: Record) -> dict[str, Any]:
    """What the last alert of a rule says."""
    told = bench(rule)
    for record in records:
        told.tell(record)
    return data_of(told.written[-1])


def summed(step: str) -> Condition:
    """The amounts of a set add up to enough."""
    amount = field(step, "transfer", "amount")
    total = Aggregate("sum", step, amount, Kind.MONEY)
    return condition(
        Compare(">=", total, parameter("least", LEAST, amount)), f"sum({step}.amount) >= least"
    )


def many_transfers() -> Rule:
    """Transfers after a call that add up to enough, and the call's own gap to the last."""
    pays = step_of(
        "pays",
        "transfer",
        (condition(compare(field("pays", "transfer", "direction"), "==", "out"), "pays.out"),),
        (relation("after", "call", 2 * HOUR_US),),
        each=True,
        having=(summed("pays"), count("pays", ">=", 2)),
    )
    return build_rule([CALL, pays], TIMING, name="many_transfers", anchor="call")


def paid(own_id: str, clock: str, amount: str, currency: str = "CNY") -> Record:
    return transfer_record(own_id, at(clock), amount=amount, currency=currency)


def golden(name: str, alert: Alert) -> None:
    """Compare a whole alert with its file."""
    text = json.dumps(json.loads(encode_alert(alert)), indent=2, ensure_ascii=False) + "\n"
    assert text == (GOLDEN / f"alert_{name}.json").read_text()


def test_an_alert_with_evidence_reads_as_the_event_contract_says() -> None:
    told = bench(led_transfer())
    told.tell(call_record("c-1", at("10:00"), until_us=at("11:10")))
    told.tell(record_of("screen_share", "s-1", at("10:05"), ended_at=at("10:50")))
    told.tell(record_of("loan_drawdown", "l-1", at("10:20")))
    told.tell(transfer_record("p-1", at("10:42")))
    golden("led_transfer", told.written[-1])


def test_an_alert_with_a_set_reads_as_the_event_contract_says() -> None:
    told = bench(many_transfers())
    told.tell(call_record("c-1", at("10:00"), until_us=at("11:10")))
    for record in (paid("p-1", "10:20", "20000"), paid("p-2", "10:30", "10000.50")):
        told.tell(record)
    golden("many_transfers", told.written[-1])


def test_an_alert_of_alerts_reads_as_the_event_contract_says() -> None:
    first = led_transfer()
    told = bench(first, fan_in([first]))
    for person in ("lin", "wei"):
        told.tell(call_record(f"c-{person}", at("10:00"), until_us=at("11:10"), person=person))
        told.tell(transfer_record(f"p-{person}", at("10:42"), person=person))
    golden("fan_in", told.written[-1])


def test_a_set_shows_its_latest_twenty_and_the_totals_of_all() -> None:
    calls = [call_record("c-1", at("10:00"), until_us=at("11:10"))]
    records = [transfer_record(f"p-{n:02}", at("10:00") + n * MINUTE_US) for n in range(25)]
    pays = last_of(many_transfers(), *calls, *records)["evidence"][1]
    assert pays["count"] == 25
    assert [each["id"] for each in pays["sample"]] == [f"p-{n:02}" for n in range(5, 25)]
    assert pays["totals"] == {"amount": {"CNY": "500000"}}


def test_money_is_added_up_currency_by_currency_and_compared_in_each() -> None:
    calls = [call_record("c-1", at("10:00"), until_us=at("11:10"))]
    some = [paid("p-1", "10:20", "100"), paid("p-2", "10:30", "300", "EUR")]
    enough = paid("p-3", "10:40", "100", "EUR")
    told = bench(many_transfers())
    for record in (*calls, *some):
        told.tell(record)
    assert told.written == []
    (alert,) = told.tell(enough)
    pays = alert.content["evidence"][1]
    assert pays["totals"] == {"amount": {"CNY": "100", "EUR": "400"}}
    assert alert.content["because"][-2:] == [
        "sum(pays.amount) >= least  (100 CNY | 400 EUR, 30000 CNY | 400 EUR)",
        "count(pays)  (3)",
    ]


def test_a_set_whose_amounts_are_unknown_has_no_totals() -> None:
    amount = field("loans", "loan_drawdown", "amount")
    tied = (relation("after", "call", HOUR_US),)
    unsaid = (condition(unknown(amount), "loans.amount is None"),)
    loans = step_of("loans", "loan_drawdown", unsaid, tied, each=True)
    rule = build_rule([CALL, loans], TIMING, anchor="call")
    loan = record_of("loan_drawdown", "l-1", at("10:01"))
    told = last_of(rule, call_record("c-1", at("10:00")), loan)
    assert told["evidence"][1]["totals"] == {}
    assert told["because"][-1] == "loans.amount is None  (1 of them)"


def test_the_conditions_of_the_entry_that_fitted_are_told() -> None:
    channel = field("first", "payee_added", "channel")
    kind = field("first", "funds_moved", "kind")
    first = step_of(
        "first",
        [
            Option("payee_added", (condition(compare(channel, "==", "mobile"), "by mobile"),)),
            Option("funds_moved", (condition(compare(kind, "==", "own_sweep"), "swept"),)),
        ],
    )
    pay = step_of("pay", "transfer", (), (relation("after", "first", HOUR_US),))
    rule = build_rule([first, pay], TIMING)
    moved = record_of("funds_moved", "m-1", at("10:00"), kind="own_sweep")
    told = last_of(rule, moved, transfer_record("p-1", at("10:30")))
    assert told["because"] == ["swept  (own_sweep)", "pay within 1h after first  (30m after it)"]
    assert told["evidence"][0]["type"] == "funds_moved"


def test_a_gap_is_told_as_a_duration() -> None:
    close = condition(
        Compare("<=", Gap("pay", "call"), Constant(HOUR_US, Kind.DURATION)), "gap(pay, call) <= 1h"
    )
    pay = step_of("pay", "transfer", (close,), call_then_pay().steps[1].relations)
    message = Message((Gap("call", "pay"), " later"))
    rule = build_rule([CALL, pay], TIMING, message=message)
    called = call_record("c-1", at("10:00"), until_us=at("10:12"))
    told = last_of(rule, called, transfer_record("p-1", at("10:42")))
    assert told["because"][-1] == "gap(pay, call) <= 1h  (30m)"
    assert told["message"] == "30m later"


def test_the_message_of_a_campaign_may_count_its_set() -> None:
    message = Message((Aggregate("count", "hits", None, Kind.INTEGER), " victims"))
    hits = step_of("hits", "transfer", each=True, window_us=HOUR_US)
    rule = build_rule([hits], TIMING, message=message, by="payee")
    told = last_of(rule, transfer_record("p-1", at("10:00")), transfer_record("p-2", at("10:01")))
    assert told["message"] == "2 victims"
    assert told["person"] == "lin", "the anchor's"


def test_evidence_that_is_late_makes_the_alert_late() -> None:
    told = bench(led_transfer())
    told.tell(call_record("c-1", at("10:00"), until_us=at("11:10")))
    told.tell(record_of("loan_drawdown", "l-1", at("10:20")), late=True)
    (alert,) = told.tell(transfer_record("p-1", at("10:42")))
    assert alert.content["late"] is True
    assert alert.content["score"] == 70
