"""One example record of every event type, for the contract in print."""

from collections.abc import Mapping
from typing import Any, Final

from rules.events import EVENTS

_PERSON: Final = "+12025550101"
_SOURCES: Final = {
    "calls": "//telecom.example/ott",
    "bank": "//bank.example/core",
    "everyone": "//bank.example/desk",
}

_DATA: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "call_invitation": (
        "2023-07-08T10:01:00+08:00",
        {
            "call_id": "c-1",
            "invited_at": "2023-07-08T10:00:00+08:00",
            "caller": "service@institution.example",
            "service": "facetime",
            "media": "video",
            "direction": "incoming",
            "relationship": "stranger",
            "display_name_class": "institution_like",
            "answered_at": "2023-07-08T10:01:00+08:00",
            "camera_on": True,
            "number_validation": "not_applicable",
        },
    ),
    "screen_share": (
        "2023-07-08T10:20:00+08:00",
        {
            "share_id": "s-1",
            "started_at": "2023-07-08T10:20:00+08:00",
            "app_category": "meeting",
            "remote_input": False,
            "bank_app_foreground": True,
            "meeting": "meeting-4711",
            "first": True,
        },
    ),
    "app_install": (
        "2023-07-08T10:10:00+08:00",
        {
            "package": "example.meeting",
            "category": "meeting",
            "store": "link",
            "publisher_known": False,
            "device": "device-1",
        },
    ),
    "web_visit": (
        "2023-07-08T10:12:00+08:00",
        {
            "domain": "bank-help.example",
            "domain_age_days": 3,
            "lookalike_of": "bank",
            "category": "bank",
            "form_posted": True,
        },
    ),
    "contact_blocked": (
        "2023-07-08T12:00:00+08:00",
        {
            "by": "counterparty",
            "evidence": "unreachable_calls",
            "caller": "service@institution.example",
        },
    ),
    "call_forwarding": ("2023-07-08T10:05:00+08:00", {"mode": "unconditional"}),
    "sim_swap": ("2023-07-08T09:00:00+08:00", {}),
    "official_call": (
        "2023-07-07T16:00:00+08:00",
        {
            "call_id": "registered-1",
            "valid_from": "2023-07-08T10:00:00+08:00",
            "valid_to": "2023-07-08T11:00:00+08:00",
            "institution": "bank",
            "caller": "+12025550199",
        },
    ),
    "transfer": (
        "2023-07-08T10:42:00+08:00",
        {
            "transfer_id": "p-1",
            "initiated_at": "2023-07-08T10:42:00+08:00",
            "amount": "20000",
            "currency": "CNY",
            "payee_account": "acc-new",
            "direction": "out",
            "payee_kind": "personal",
            "payee_times_paid": 0,
            "payee_added_at": "2023-07-08T10:40:00+08:00",
            "status": "attempted",
            "balance_before": "20350.5",
            "channel": "mobile",
            "session": "session-1",
            "device": "device-1",
            "first": False,
            "purpose_class": "deposit",
            "payee_name_check": "unavailable",
        },
    ),
    "payee_added": (
        "2023-07-08T10:40:00+08:00",
        {
            "payee_account": "acc-new",
            "limit": "50000",
            "currency": "CNY",
            "channel": "mobile",
            "session": "session-1",
            "payee_name_check": "unavailable",
        },
    ),
    "loan_drawdown": (
        "2023-07-08T10:30:00+08:00",
        {
            "loan_id": "l-1",
            "drawn_at": "2023-07-08T10:30:00+08:00",
            "amount": "15000",
            "currency": "CNY",
            "facility": "consumer_credit",
            "first": True,
            "applied_at": "2023-07-08T10:15:00+08:00",
        },
    ),
    "funds_moved": (
        "2023-07-08T10:35:00+08:00",
        {
            "move_id": "m-1",
            "moved_at": "2023-07-08T10:35:00+08:00",
            "kind": "term_to_current",
            "amount": "5000",
            "currency": "CNY",
            "balance_before": "350.5",
            "at_maturity": False,
        },
    ),
    "session_opened": (
        "2023-07-08T10:25:00+08:00",
        {"session": "session-1", "channel": "mobile", "device": "device-1"},
    ),
    "heartbeat": (
        "2023-07-08T11:00:00+08:00",
        {"watermark": "2023-07-08T10:59:00+08:00"},
    ),
    "outcome": (
        "2023-07-09T09:00:00+08:00",
        {
            "alert_id": "335e4d06-965f-5ca2-aded-c989d3a2ccc8",
            "verdict": "confirmed_fraud",
            "by": "fraud desk",
            "loss": "0",
            "prevented": "20000",
            "currency": "CNY",
        },
    ),
}


def example_of(event: str) -> dict[str, Any]:
    """A record of the event as it stands on a topic; of an alert there is none from outside."""
    time, data = _DATA[event]
    spec = EVENTS[event]
    person = {"person": _PERSON} if spec.side != "everyone" else {}
    return {
        "specversion": "1.0",
        "id": f"{event}-1",
        "source": _SOURCES[spec.side],
        "type": spec.wire_type,
        "time": time,
        "data": {**person, **data},
    }
