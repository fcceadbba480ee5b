"""Stories as records on the wire, and what the engine makes of them."""

from typing import Any

import pytest

from rules.authoring.stories import StoryError, differences, records_of, run_story
from rules.language import Story, load_rules, load_stories
from rules.timing import Timing
from tests.rules.language.texts import RULE

TIMING = Timing()


def story_of(events: str, alerts: str = "[]", more: str = "") -> Story:
    """Return a story of a rule by which any transfer within 2h after any call is one."""
    text = f"{RULE}stories:\n  - {{title: one, events: {events}, alerts: {alerts}{more}}}\n"
    return load_stories({"tried.yaml": text}, TIMING)["tried"][0]


def records(events: str) -> list[dict[str, Any]]:
    """Return the records of a story with these entries."""
    return records_of(story_of(events))


def found(story: Story, order: tuple[int, ...]) -> list[str]:
    """Return in what the alerts that a story gives differ from what it claims."""
    alerts = run_story(load_rules({"tried.yaml": RULE}, TIMING), story, TIMING, order)
    return differences(story, alerts)


def test_what_a_record_leaves_out_is_filled_in() -> None:
    call, pay, move = records(
        "[{at: '10:00', call_invitation: c1}, {at: '10:05', transfer: p1},"
        " {at: '10:06', funds_moved: m1}]"
    )

    assert call == {
        "specversion": "1.0",
        "id": "c1",
        "source": "telecom",
        "type": "ringfence.call_invitation.v1",
        "time": "2023-07-08T10:00:00Z",
        "data": {
            "person": "person-1",
            "caller": "caller-1",
            "service": "facetime",
            "media": "video",
            "direction": "incoming",
            "call_id": "c1",
            "invited_at": "2023-07-08T10:00:00Z",
        },
    }
    assert (pay["source"], pay["data"]) == (
        "bank",
        {
            "person": "person-1",
            "amount": "10000",
            "currency": "CNY",
            "payee_account": "account-1",
            "direction": "out",
            "transfer_id": "p1",
            "initiated_at": "2023-07-08T10:05:00Z",
        },
    )
    assert move["data"]["kind"] == "own_sweep"


def test_a_record_is_told_at_the_latest_moment_it_carries() -> None:
    (call,) = records(
        "[{at: '10:00', call_invitation: c1, answered_at: '10:01', ended_at: '10:30'}]"
    )
    (given,) = records("[{at: '10:00', call_invitation: c1, time: '10:10', sequence: 4}]")

    assert call["time"] == "2023-07-08T10:30:00Z"
    assert call["data"]["invited_at"] == "2023-07-08T10:00:00Z"
    assert (given["time"], given["sequence"]) == ("2023-07-08T10:10:00Z", 4)


def test_an_event_that_is_its_record_starts_at_its_time() -> None:
    (swap,) = records("[{at: '10:00', sim_swap: s1, source: other, person: person-2}]")

    assert (swap["id"], swap["source"], swap["time"]) == ("s1", "other", "2023-07-08T10:00:00Z")
    assert swap["data"] == {"person": "person-2"}


def test_an_update_repeats_all_that_is_known_of_its_event() -> None:
    first, second, third = records(
        "[{at: '10:00', call_invitation: c1, source: other, area: a},"
        " {at: '10:01', update: c1, answered_at: '10:01'},"
        " {at: '10:30', update: c1, ended_at: '10:30', answered_at: null}]"
    )

    assert [record["id"] for record in (first, second, third)] == ["c1", "c1.002", "c1.003"]
    assert [record["time"][11:16] for record in (first, second, third)] == [
        "10:00",
        "10:01",
        "10:30",
    ]
    assert second["source"] == third["source"] == "other"
    assert second["data"] == {**first["data"], "answered_at": "2023-07-08T10:01:00Z"}
    assert third["data"] == {**first["data"], "ended_at": "2023-07-08T10:30:00Z"}


CALL_AND_PAY = "[{at: '10:00', call_invitation: c1}, {at: '10:05', transfer: p1}]"


@pytest.mark.parametrize(
    ("alerts", "texts"),
    [
        ("[{anchor: p1, action: warn, with: [c1]}]", []),
        ("[{anchor: p1}]", []),
        ("[]", ["an alert about p1 that it does not claim"]),
        ("[{anchor: p1}, {anchor: c1}]", ["no alert about c1"]),
        ("[{anchor: p1, action: hold}]", ["action warn about p1, wanted hold"]),
    ],
)
def test_a_story_and_its_alerts_are_compared(alerts: str, texts: list[str]) -> None:
    assert found(story_of(CALL_AND_PAY, alerts), (0, 1)) == texts


def test_an_alert_must_rest_on_the_events_that_the_story_names() -> None:
    events = CALL_AND_PAY.replace("]", ", {at: '09:00', sim_swap: s1}]")
    story = story_of(events, "[{anchor: p1, with: [s1]}]")

    assert found(story, (0, 1, 2)) == ["the alert about p1 does not rest on s1"]


def test_nothing_is_late_unless_the_story_says_how_late_records_may_be() -> None:
    #   08:00 p0          10:00 c1   10:05 p1           23:00 p2
    #   |.................|..........|...................|  p2 arrives before p1
    events = (
        "[{at: '10:00', call_invitation: c1}, {at: '10:05', transfer: p1},"
        " {at: '23:00', transfer: p2}]"
    )
    rule_set = load_rules({"tried.yaml": RULE}, TIMING)

    def run(more: str) -> list[object]:
        story = story_of(events, "[{anchor: p1}]", more)
        alerts = run_story(rule_set, story, TIMING, (0, 2, 1))
        return [alert.content.get("late") for alert in alerts]

    assert run("") == [None]
    assert run(", lateness: 15m") == [True]
    assert run(", lateness: 13h") == [None]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("[{at: '10:00', call_invitation: c1, ended_at: '09:00'}]", "c1: ended_at: "),
        ("[{at: '10:00', call_invitation: c1, caller: null}]", "c1: caller: "),
        (
            "[{at: '10:00', call_invitation: c1, time: '17:00'}]",
            "c1: its time is more than settle after its start, so it would be refused",
        ),
        ("[{at: '10:00', transfer: p1, balance_before: 3 EUR}]", "p1 has money of two currencies"),
    ],
)
def test_a_record_that_no_sender_may_send_is_named(events: str, message: str) -> None:
    with pytest.raises(StoryError) as raised:
        found(story_of(events), (0,))

    assert str(raised.value).startswith(message)
    assert raised.value.line > 1
