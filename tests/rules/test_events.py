from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from rules.events import (
    BY_WIRE_TYPE,
    EVENTS,
    KEYS,
    WANTED,
    EventSpec,
    FieldSpec,
    Kind,
    normalise,
    values_of,
)
from rules.events.claims import AlertClaim
from rules.moment import parse_moment
from rules.money import Money
from tests.strategies import record_objects

# The contract once more, in shorthand: `!` required, `~` open, `(kind)` identifier, `a|b` class,
# `?` true or false, `#` integer, `$` money, `@` moment, `=` derived, text otherwise.
CONTRACT = {
    "call_invitation": "person!(person) area call_id! invited_at!@ ended_at~@ caller!(handle) "
    "service!=facetime|whatsapp|wechat|telegram|meeting|ims_video|volte|cs_voice|other "
    "media!=audio|video|screen direction!=incoming|outgoing "
    "relationship=contact|prior_mutual|one_way_prior|stranger|unknown "
    "display_name_class=none|personal|institution_like|official_verified answered_at~@ "
    "meeting(meeting) device(device) camera_on~? "
    "number_validation=passed|failed|none|not_applicable +answered~? +talk_time~duration",
    "screen_share": "person!(person) area share_id! started_at!@ ended_at~@ "
    "app_category=meeting|remote_control|other remote_input~? bank_app_foreground~? "
    "meeting(meeting) device(device) first?",
    "app_install": "person!(person) area package(package) "
    "category=meeting|remote_control|unknown_finance|vpn|other store=official|sideload|link "
    "publisher_known? device(device)",
    "web_visit": "person!(person) area domain(domain) domain_age_days# lookalike_of "
    "category=bank|authority|finance|shopping|other form_posted?",
    "contact_blocked": "person!(person) area by=counterparty|subject "
    "evidence=unreachable_calls|message_rejected|victim_report|app_event caller(handle) "
    "payee_account(account)",
    "call_forwarding": "person!(person) area mode=inactive|unconditional|conditional",
    "sim_swap": "person!(person) area",
    "official_call": "person!(person) area call_id! valid_from!@ valid_to@ institution! "
    "caller(handle)",
    "transfer": "person!(person) area transfer_id! initiated_at!@ amount!$ currency! "
    "payee_account!(account) direction!=out|in "
    "payee_kind=personal|merchant|own|government|unknown payee_times_paid# "
    "payee_first_paid_at@ payee_added_at@ status~=drafted|attempted|submitted|accepted|settled"
    "|rejected|held|released|recalled balance_before$ "
    "channel=mobile|web|branch|atm|phone|other session device(device) first? rail "
    "irrevocable_at~@ purpose_class=clearing|deposit|unfreeze|verification|fee|refund|other "
    "payee_name_check=match|close|no_match|unavailable end_to_end_id uetr +payee_is_new?",
    "payee_added": "person!(person) area payee_account!(account) limit$ currency "
    "channel=mobile|web|branch|atm|phone|other session "
    "payee_name_check=match|close|no_match|unavailable",
    "loan_drawdown": "person!(person) area loan_id! drawn_at!@ amount$ currency "
    "facility=bank_loan|consumer_credit|card_cash first? applied_at@",
    "funds_moved": "person!(person) area move_id! moved_at!@ "
    "kind!=term_to_current|current_to_term|fund_redemption|own_sweep amount$ currency "
    "balance_before$ at_maturity?",
    "session_opened": "person!(person) area session "
    "channel=mobile|web|branch|atm|phone|other device(device)",
    "heartbeat": "watermark!@",
    "outcome": "person(person) area alert_id "
    "verdict=confirmed_fraud|false_positive|benign|unknown by loss$ prevented$ currency",
    "alert": "alert_id! rule! typology! "
    "stage!=contact|pretext|control|liquidity|exfiltration|cut_off|campaign "
    "severity!~=info|low|medium|high|critical action!~=none|warn|review|hold|block|recall "
    "score!~number person~(person) payee_account~(account) caller~(handle) meeting~(meeting) "
    "area~ amount$ currency",
}
SHAPES = {
    "call_invitation": ("calls", "call_id", "invited_at", "ended_at"),
    "screen_share": ("calls", "share_id", "started_at", "ended_at"),
    "app_install": ("calls", None, None, None),
    "web_visit": ("calls", None, None, None),
    "contact_blocked": ("calls", None, None, None),
    "call_forwarding": ("calls", None, None, None),
    "sim_swap": ("calls", None, None, None),
    "official_call": ("calls", "call_id", "valid_from", "valid_to"),
    "transfer": ("bank", "transfer_id", "initiated_at", None),
    "payee_added": ("bank", None, None, None),
    "loan_drawdown": ("bank", "loan_id", "drawn_at", None),
    "funds_moved": ("bank", "move_id", "moved_at", None),
    "session_opened": ("bank", None, None, None),
    "heartbeat": ("everyone", None, None, None),
    "outcome": ("everyone", None, None, None),
    "alert": ("everyone", "alert_id", None, None),
}

PERSON = "+12025550101"
START = "2023-07-08T10:00:00Z"
CALL = {
    "person": PERSON,
    "call_id": "c-1",
    "invited_at": START,
    "caller": "+12025550199",
    "service": "facetime",
    "media": "video",
    "direction": "incoming",
}
TRANSFER = {
    "person": PERSON,
    "transfer_id": "p-1",
    "initiated_at": START,
    "amount": "20000",
    "currency": "CNY",
    "payee_account": "acc-new",
    "direction": "out",
}
PAYEE = {"person": PERSON, "payee_account": "acc-new"}
MOVE = {"person": PERSON, "move_id": "m-1", "moved_at": START, "kind": "own_sweep"}
ALERT = {
    "alert_id": "335e4d06-965f-5ca2-aded-c989d3a2ccc8",
    "rule": "video_call_then_new_payee",
    "typology": "video_call_led_transfer",
    "stage": "exfiltration",
    "severity": "high",
    "action": "hold",
    "score": 70,
}


def shorthand(field: FieldSpec) -> str:
    marks = "!" * field.required + "~" * field.open
    kind = {
        Kind.TEXT: "",
        Kind.PSEUDONYM: f"({field.pseudonym})",
        Kind.CLASS: f"={'|'.join(field.classes)}",
        Kind.BOOL: "?",
        Kind.INTEGER: "#",
        Kind.MONEY: "$",
        Kind.MOMENT: "@",
    }.get(field.kind, field.kind.value)
    return f"{'+' * field.derived}{field.name}{marks}{kind}"


def fields_of(event: str, data: dict[str, Any]) -> dict[str, Any]:
    """What conditions see of a record's data."""
    spec = EVENTS[event]
    return values_of(spec, normalise(spec.model.model_validate(data)))


def mistake_of(event: str, data: dict[str, Any]) -> tuple[str, str]:
    """Type and place of the first mistake in a record's data."""
    with pytest.raises(ValidationError) as caught:
        EVENTS[event].model.model_validate(data)
    first = caught.value.errors()[0]
    return first["type"], first.get("ctx", {}).get("field", str(first["loc"][0]))


@pytest.mark.parametrize("event", CONTRACT)
def test_an_event_has_the_fields_of_the_contract_in_its_order(event: str) -> None:
    assert " ".join(map(shorthand, EVENTS[event].fields.values())) == CONTRACT[event]


@pytest.mark.parametrize("event", SHAPES)
def test_an_event_has_the_identity_start_and_end_of_the_contract(event: str) -> None:
    spec = EVENTS[event]
    assert (spec.side, spec.id_field, spec.start_field, spec.end_field) == SHAPES[event]
    assert spec.interval == (spec.end_field is not None)


def test_the_contract_has_no_further_events() -> None:
    assert list(EVENTS) == list(CONTRACT)
    assert {spec.wire_type: spec.name for spec in BY_WIRE_TYPE.values()} == {
        f"ringfence.{name}.v1": name for name in CONTRACT
    }


def test_every_key_is_a_field_of_some_event() -> None:
    fields = {name for spec in EVENTS.values() for name in spec.fields}
    assert set(KEYS.values()) <= fields


@pytest.mark.parametrize("spec", EVENTS.values(), ids=list(EVENTS))
def test_every_field_says_what_it_means(spec: EventSpec) -> None:
    assert all(field.description.endswith(".") for field in spec.fields.values())


def test_every_kind_that_a_record_can_hold_is_put_in_words() -> None:
    held = {f.kind for spec in EVENTS.values() for f in spec.fields.values() if not f.derived}
    assert held == WANTED.keys() | {Kind.CLASS}


def test_every_field_of_an_alert_that_rules_see_stands_in_the_claim() -> None:
    assert EVENTS["alert"].fields.keys() <= AlertClaim.model_fields.keys()


def test_a_derived_field_is_open_if_one_of_its_needs_is() -> None:
    call, transfer = EVENTS["call_invitation"].fields, EVENTS["transfer"].fields
    assert call["talk_time"].needs == ("answered_at", "ended_at")
    assert call["talk_time"].open
    assert not transfer["payee_is_new"].open


def test_normal_form_keeps_known_fields_only_and_reads_moments_and_amounts() -> None:
    data = TRANSFER | {"amount": "020000.50", "area": None, "colour": "red", "first": False}
    record = EVENTS["transfer"].model.model_validate(data)
    assert normalise(record) == {
        "person": PERSON,
        "transfer_id": "p-1",
        "initiated_at": parse_moment(START),
        "amount": "20000.5",
        "currency": "CNY",
        "payee_account": "acc-new",
        "direction": "out",
        "first": False,
    }


def test_the_own_id_beside_the_data_is_no_field() -> None:
    record = EVENTS["sim_swap"].model.model_validate({"person": PERSON, "event_id": "e-1"})
    assert normalise(record) == {"person": PERSON}


def test_every_amount_is_money_in_the_currency_beside_it() -> None:
    seen = fields_of("transfer", TRANSFER | {"balance_before": Decimal("3.50")})
    assert seen["amount"] == Money(Decimal(20000), "CNY")
    assert seen["balance_before"] == Money(Decimal("3.5"), "CNY")
    assert fields_of("payee_added", PAYEE | {"limit": 5, "currency": "EUR"})["limit"] == Money(
        Decimal(5), "EUR"
    )


@pytest.mark.parametrize("score", [70, Decimal("72.5")])
def test_the_score_of_an_alert_is_a_number_without_a_currency(score: int | Decimal) -> None:
    assert fields_of("alert", ALERT | {"score": score})["score"] == score


@pytest.mark.parametrize("score", ["70", True, None])
def test_a_score_is_neither_text_nor_true_or_false(score: object) -> None:
    assert mistake_of("alert", ALERT | {"score": score}) == ("wrong_type", "score")


@pytest.mark.parametrize(
    ("told", "answered", "talk_time"),
    [
        ({}, False, None),
        ({"ended_at": "2023-07-08T10:01:00Z"}, False, None),
        ({"answered_at": "2023-07-08T10:01:00Z"}, True, None),
        (
            {"answered_at": "2023-07-08T10:01:00Z", "ended_at": "2023-07-08T10:03:30.5Z"},
            True,
            150_500_000,
        ),
        ({"answered_at": START, "ended_at": START}, True, 0),
    ],
)
def test_a_call_is_answered_if_its_sender_knows_when(
    told: dict[str, str], *, answered: bool, talk_time: int | None
) -> None:
    seen = fields_of("call_invitation", CALL | told)
    assert seen["answered"] is answered
    assert seen.get("talk_time") == talk_time


@pytest.mark.parametrize(
    ("told", "new"),
    [
        ({}, None),
        ({"payee_times_paid": 0}, True),
        ({"payee_times_paid": 1}, False),
        ({"payee_times_paid": 1, "payee_first_paid_at": START}, False),
        ({"payee_times_paid": 0, "payee_first_paid_at": "2023-07-01T00:00:00Z"}, True),
        ({"payee_first_paid_at": "2023-07-08T09:59:59.999999Z"}, False),
        ({"payee_first_paid_at": START}, True),
        ({"payee_first_paid_at": "2023-07-08T10:00:00.000001Z"}, True),
    ],
)
def test_a_payee_is_new_who_was_never_paid_before_the_start(
    told: dict[str, Any], *, new: bool | None
) -> None:
    assert fields_of("transfer", TRANSFER | told).get("payee_is_new") is new


@pytest.mark.parametrize(
    ("event", "data", "mistake"),
    [
        (
            "call_invitation",
            CALL | {"ended_at": "2023-07-08T09:59:59.999999Z"},
            ("out_of_order", "ended_at"),
        ),
        (
            "call_invitation",
            CALL | {"answered_at": "2023-07-08T09:59:59.999999Z"},
            ("out_of_order", "answered_at"),
        ),
        (
            "call_invitation",
            CALL | {"ended_at": START, "answered_at": "2023-07-08T10:00:00.000001Z"},
            ("out_of_order", "answered_at"),
        ),
        # The start is the mistake, not what is compared with it.
        (
            "call_invitation",
            CALL | {"invited_at": "yesterday", "ended_at": START},
            ("bad_time", "invited_at"),
        ),
        ("payee_added", PAYEE | {"limit": 5}, ("missing_partner", "currency")),
        ("payee_added", PAYEE | {"currency": "CNY"}, ("missing_partner", "limit")),
        ("funds_moved", MOVE | {"amount": 5}, ("missing_partner", "currency")),
        ("funds_moved", MOVE | {"balance_before": 5}, ("missing_partner", "currency")),
        ("funds_moved", MOVE | {"currency": "CNY"}, ("missing_partner", "amount")),
        ("outcome", {"loss": 5}, ("missing_partner", "currency")),
        ("outcome", {"prevented": 5}, ("missing_partner", "currency")),
        ("outcome", {"currency": "CNY"}, ("missing_partner", "loss")),
    ],
)
def test_fields_that_belong_together_are_checked_together(
    event: str, data: dict[str, Any], mistake: tuple[str, str]
) -> None:
    assert mistake_of(event, data) == mistake


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("call_invitation", CALL | {"answered_at": START, "ended_at": START}),
        ("payee_added", PAYEE | {"limit": 0, "currency": "CNY"}),
        ("funds_moved", MOVE | {"balance_before": 5, "currency": "CNY"}),
        ("funds_moved", MOVE | {"amount": 5, "currency": "CNY"}),
        ("outcome", {"prevented": 5, "currency": "CNY"}),
        ("outcome", {}),
    ],
)
def test_fields_that_belong_together_may_come_together(event: str, data: dict[str, Any]) -> None:
    assert normalise(EVENTS[event].model.model_validate(data)).keys() == data.keys()


@pytest.mark.parametrize(
    ("told", "mistake"),
    [
        ({"amount": True}, ("wrong_type", "amount")),
        ({"amount": 0.5}, ("wrong_type", "amount")),
        ({"amount": -1}, ("bad_value", "amount")),
        ({"currency": 5}, ("wrong_type", "currency")),
        ({"currency": "cny"}, ("bad_value", "currency")),
        ({"initiated_at": 5}, ("wrong_type", "initiated_at")),
        ({"payee_added_at": "yesterday"}, ("bad_time", "payee_added_at")),
    ],
)
def test_values_are_read_strictly(told: dict[str, Any], mistake: tuple[str, str]) -> None:
    assert mistake_of("transfer", TRANSFER | told) == mistake


@given(record_objects())
def test_what_conditions_see_can_be_had_again_from_the_normal_form(record: dict[str, Any]) -> None:
    spec = BY_WIRE_TYPE[record["type"]]
    told = {
        name: str(value) if isinstance(value, float) else value
        for name, value in record["data"].items()
    }
    data = normalise(spec.model.model_validate(told))
    seen = values_of(spec, data)
    own = {name for name, value in told.items() if value is not None and name != "event_id"}
    assert data.keys() == own
    assert seen.keys() - data.keys() <= {n for n, f in spec.fields.items() if f.derived}
    for name, value in seen.items():
        kind = spec.fields[name].kind
        wanted = {Kind.MONEY: Money, Kind.BOOL: bool}.get(kind, (str, int))
        assert isinstance(value, wanted), name
