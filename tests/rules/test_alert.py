import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from rules.alert import Alert, alert_id, encode_alert
from rules.claim import show
from rules.condition import Call, Constant, Expression, Gap, Junction, Thresholds
from rules.events import Kind, Value
from rules.fact import Identity
from rules.moment import HOUR_US, MINUTE_US
from rules.money import Money
from rules.reach import RelationKind
from rules.rule import Band, Message, Rule
from tests.rules.build import (
    TIMING,
    Bench,
    among,
    at,
    build_rule,
    call_record,
    call_then_pay,
    compare,
    condition,
    field,
    parameter,
    relation,
    step_of,
    transfer_record,
    unknown,
)
from tests.rules.oracle import Record

GOLDEN = Path(__file__).parent / "golden"
LEAST: Thresholds = {"CNY": Decimal(3000), "EUR": Decimal(400)}


def call(name: str) -> Expression:
    return field("call", "call_invitation", name)


def pay(name: str) -> Expression:
    return field("pay", "transfer", name)


def shanghai() -> Rule:
    """The first rule of the rule page, as far as steps go."""
    media = field("call", "call_invitation", "media")
    talk = field("call", "call_invitation", "talk_time")
    long_enough = compare(talk, ">=", parameter("min_talk", MINUTE_US, talk))
    kind, status = field("pay", "transfer", "payee_kind"), field("pay", "transfer", "status")
    amount = field("pay", "transfer", "amount")
    steps = [
        step_of(
            "call",
            "call_invitation",
            (
                condition(compare(media, "==", "video"), 'call.media == "video"'),
                condition(call("answered"), "call.answered"),
                condition(
                    Junction("or", (unknown(talk), long_enough)),
                    "call.talk_time is None or call.talk_time >= min_talk",
                ),
            ),
        ),
        step_of(
            "pay",
            "transfer",
            (
                condition(pay("payee_is_new"), "pay.payee_is_new"),
                condition(
                    among(status, "rejected", "recalled", negated=True),
                    'pay.status not in ("rejected", "recalled")',
                ),
                condition(unknown(kind), "pay.payee_kind is None"),
                condition(
                    compare(amount, ">=", parameter("min_amount", LEAST, amount)),
                    "pay.amount >= min_amount",
                ),
                condition(
                    compare(field("pay", "transfer", "initiated_at"), ">", call("invited_at")),
                    "pay.initiated_at > call.invited_at",
                ),
            ),
            (relation("after", "call", 2 * HOUR_US),),
        ),
    ]
    message = Message(
        (pay("amount"), " ", pay("currency"), " to a new payee ", Gap("call", "pay"), " after")
    )
    advice = "Call back on the number of record."
    return build_rule(
        steps, TIMING, name="video_call_then_new_payee", message=message, advice=advice
    )


def raise_one(rule: Rule, *records: Record) -> Alert:
    """The only record of the only alert that these records give."""
    told = Bench([rule], TIMING, ("bank", "calls"))
    (alert,) = [alert for record in records for alert in told.tell(record)]
    return alert


def the_call() -> Record:
    return call_record(
        "c-1", at("10:00"), until_us=at("11:10"), answered_at=at("10:01"), meeting="meeting-1"
    )


def data_of(alert: Alert) -> dict[str, object]:
    found = json.loads(encode_alert(alert))["data"]
    assert isinstance(found, dict)
    return found


def test_a_whole_alert_reads_as_the_event_contract_says() -> None:
    #   10:00 rings  10:01 answers       11:10 hangs up     11:42 pays
    #   |------------|-------------------|..................|
    alert = raise_one(shanghai(), the_call(), transfer_record("p-1", at("11:42"), area="pudong"))
    text = json.dumps(json.loads(encode_alert(alert)), indent=2, ensure_ascii=False) + "\n"
    assert text == (GOLDEN / "alert_video_call_then_new_payee.json").read_text()


def test_an_alert_is_one_line_of_json_in_utf8_without_spaces() -> None:
    alert = raise_one(shanghai(), the_call(), transfer_record("p-1", at("11:42"), area="浦东"))
    encoded = encode_alert(alert)
    assert (
        encoded
        == json.dumps(json.loads(encoded), separators=(",", ":"), ensure_ascii=False).encode()
    )
    assert "浦东".encode() in encoded


def test_the_alert_id_is_made_of_the_rule_and_the_anchor_alone() -> None:
    anchor = Identity("//bank.example/core", "transfer", "p-1")
    expected = "335e4d06-965f-5ca2-aded-c989d3a2ccc8"
    assert alert_id(shanghai(), anchor, "lin") == expected
    assert UUID(expected).version == 5
    alert = raise_one(shanghai(), the_call(), transfer_record("p-1", at("10:42")))
    assert alert.alert_id == expected
    assert alert_id(shanghai(), anchor, "wei") == expected
    assert alert_id(shanghai(), anchor._replace(id="p-2"), "lin") != expected


def test_an_alert_id_does_not_escape_what_json_need_not() -> None:
    # JSON without spaces, UTF-8: é stays é.
    rule = replace(call_then_pay(), id="r")
    found = alert_id(rule, Identity("é", "transfer", "p"), "lin")
    assert found == "1fe0aacc-8968-5071-acd7-f78ebc5e91d9"


def test_alerts_of_one_key_and_day_share_an_incident_whatever_the_rule() -> None:
    records = [the_call(), transfer_record("p-1", at("10:42"))]
    first = data_of(raise_one(shanghai(), *records))["incident"]
    assert data_of(raise_one(call_then_pay(), *records))["incident"] == first
    # 10:00 stands for two in the morning in UTC: the day ends at 32:00.
    late_call = call_record("c-1", at("31:00"))
    last = transfer_record("p-1", at("32:00") - 1)
    assert data_of(raise_one(call_then_pay(), late_call, last))["incident"] == first
    next_day = transfer_record("p-1", at("32:00"))
    assert data_of(raise_one(call_then_pay(), late_call, next_day))["incident"] != first
    by_area = build_rule(call_then_pay().steps, TIMING, by="area")
    placed = [record._replace(data={**record.data, "area": "lin"}) for record in records]
    assert data_of(raise_one(by_area, *placed))["incident"] != first


def test_key_fields_are_the_anchors_else_those_of_the_first_step_that_has_them() -> None:
    again = step_of("again", "call_invitation", (), (relation("after", "call", HOUR_US),))
    rule = build_rule([*call_then_pay().steps, again], TIMING, anchor="pay")
    second = call_record("c-2", at("10:20"), caller="handle-2", meeting="meeting-2", area="b")
    alert = raise_one(
        rule,
        call_record("c-1", at("10:00"), until_us=at("10:05"), caller="handle-1", area="a"),
        transfer_record("p-1", at("10:19")),
        second,
    )
    data = data_of(alert)
    assert (data["person"], data["payee_account"]) == ("lin", "account-1")
    assert (data["caller"], data["meeting"], data["area"]) == ("handle-1", "meeting-2", "a")
    placed = transfer_record("p-1", at("10:19"), area="z")
    elsewhere = call_record("c-1", at("10:00"), area="a")
    assert data_of(raise_one(call_then_pay(), elsewhere, placed))["area"] == "z"


def test_unknown_key_fields_and_stakes_are_left_out() -> None:
    rule = call_then_pay(anchor="call")
    data = data_of(raise_one(rule, the_call(), transfer_record("p-1", at("10:42"))))
    assert {"area", "amount", "currency"}.isdisjoint(data), "a call has nothing at stake"
    assert {"late", "message", "advice", "truncated"}.isdisjoint(data)


@pytest.mark.parametrize(
    ("base", "severity", "action"),
    [(0, "low", "review"), (39, "low", "review"), (40, "medium", "warn"), (99, "high", "hold")],
)
def test_the_highest_band_that_the_score_reaches_says_what_to_do(
    base: int, severity: str, action: str
) -> None:
    rule = call_then_pay()
    bands = (Band(40, "medium", "warn"), Band(70, "high", "hold"), Band(0, "low", "review"))
    scored = replace(rule, base=base, bands=bands)
    data = data_of(raise_one(scored, the_call(), transfer_record("p-1", at("10:42"))))
    assert (data["score"], data["severity"], data["action"]) == (base, severity, action)


@pytest.mark.parametrize(
    ("kind", "within", "clock", "position"),
    [
        ("around", HOUR_US, "09:30", "30m before it"),
        ("around", HOUR_US, "10:00", "during it"),
        ("around", HOUR_US, "11:10", "during it"),
        ("around", HOUR_US, "11:25", "15m after it"),
        ("before", HOUR_US, "09:59", "1m before it"),
    ],
)
def test_because_says_where_an_event_lies(
    kind: RelationKind, within: int, clock: str, position: str
) -> None:
    rule = call_then_pay(kind, within)
    data = data_of(raise_one(rule, the_call(), transfer_record("p-1", at(clock))))
    because = data["because"]
    assert isinstance(because, list)
    assert because[1] == f"pay within 1h {kind} call  ({position})"


def test_because_names_the_thresholds_of_the_currency_that_was_compared() -> None:
    rule = shanghai()
    paid = transfer_record("p-1", at("10:42"), amount="400.50", currency="EUR")
    because = data_of(raise_one(rule, the_call(), paid))["because"]
    assert isinstance(because, list)
    assert because[-2] == "pay.amount >= min_amount  (400.5 EUR, 400 EUR)"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, Kind.MONEY, "unknown"),
        (True, Kind.BOOL, "true"),
        (False, Kind.BOOL, "false"),
        (Money(Decimal("20000.00"), "CNY"), Kind.MONEY, "20000 CNY"),
        (LEAST, Kind.MONEY, "3000 CNY | 400 EUR"),
        (at("10:42"), Kind.MOMENT, "2023-07-08T02:42:00Z"),
        (69 * MINUTE_US, Kind.DURATION, "1h9m"),
        (Decimal("0.50"), Kind.NUMBER, "0.5"),
        (3, Kind.NUMBER, "3"),
        (3, Kind.INTEGER, "3"),
        ("video", Kind.CLASS, "video"),
    ],
)
def test_values_read_as_a_person_writes_them(
    value: Value | Thresholds | None, kind: Kind, text: str
) -> None:
    assert show(value, kind) == text


def test_a_message_may_hold_any_value_and_leaves_currencies_to_their_own_place() -> None:
    pieces = ("at ", Call("hour", (pay("initiated_at"),), Kind.INTEGER), ": ", pay("amount"))
    rule = build_rule(
        call_then_pay().steps, TIMING, message=Message((*pieces, ", area ", pay("area")))
    )
    data = data_of(raise_one(rule, the_call(), transfer_record("p-1", at("10:42"))))
    assert data["message"] == "at 2: 20000, area unknown"


def test_a_condition_that_reads_nothing_stands_alone_in_because() -> None:
    always = condition(Constant(value=True, kind=Kind.BOOL), "True")
    pay_step = step_of("pay", "transfer", (always,), call_then_pay().steps[1].relations)
    rule = build_rule([call_then_pay().steps[0], pay_step], TIMING)
    because = data_of(raise_one(rule, the_call(), transfer_record("p-1", at("10:42"))))["because"]
    assert isinstance(because, list)
    assert because[-1] == "True"


def test_evidence_shows_each_field_once_in_the_form_of_its_kind() -> None:
    times, answered = field("pay", "transfer", "payee_times_paid"), call("answered")
    where = tuple(
        condition(expression)
        for expression in (compare(times, "<", 3), answered, compare(times, ">=", 0))
    )
    pay_step = step_of("pay", "transfer", where, call_then_pay().steps[1].relations)
    rule = build_rule([call_then_pay().steps[0], pay_step], TIMING)
    evidence = data_of(raise_one(rule, the_call(), transfer_record("p-1", at("10:42"))))[
        "evidence"
    ]
    assert isinstance(evidence, list)
    assert [shown["fields"] for shown in evidence] == [{"answered": True}, {"payee_times_paid": 0}]
