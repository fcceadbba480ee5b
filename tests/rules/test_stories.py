"""Stories as records on the wire, and what the engine makes of them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rules.authoring.stories import StoryError, differences, events_of, records_of, run_story
from rules.language import Story, load_rules, load_stories
from rules.moment import HOUR_US, parse_moment
from rules.money import parse_money
from rules.rule import RuleSet
from rules.timing import Timing
from tests.rules.language.texts import RULE

TIMING = Timing()
DAY_0_US = parse_moment("2023-07-08T00:00:00Z")
CATALOG = Path(__file__).parents[2] / "rules" / "catalog"


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


def test_a_record_that_comes_too_late_to_count_is_named() -> None:
    story = story_of("[{at: '10:00', call_invitation: c1, time: '17:00'}]")

    with pytest.raises(StoryError) as raised:
        found(story, (0,))

    assert str(raised.value) == (
        "c1: its time is more than settle after its start, so it would be refused"
    )
    assert raised.value.line > 1


# Alerts of other rules ---------------------------------------------------------------------


def test_an_alert_in_a_story_stands_for_another_rules() -> None:
    story = story_of(
        "[{at: '10:00', alert: a1, amount: 20000 CNY, payee_account: mule, score: 70},"
        " {at: '11:00', alert: a2, person: person-2, rule: a_rule, severity: high}]"
    )
    first, second = events_of(story, TIMING)

    assert first.identity == ("ringfence", "alert", "a1")
    assert first.start_us == first.end_us == first.time_us == DAY_0_US + 10 * HOUR_US
    assert first.fields == {
        "alert_id": "a1",
        "rule": "another_rule",
        "typology": "another_typology",
        "stage": "exfiltration",
        "severity": "medium",
        "action": "warn",
        "score": Decimal(70),
        "person": "person-1",
        "payee_account": "mule",
        "amount": parse_money("20000 CNY"),
        "currency": "CNY",
        **{f"anchor_{name}": first.data[f"anchor_{name}"] for name in ("source", "type", "id")},
    }
    assert (second.fields["rule"], second.fields["severity"]) == ("a_rule", "high")
    assert dict(second.keys()) == {"person": "person-2"}


def both_stages() -> RuleSet:
    """Return the rule of a call and a transfer, and one on its alerts."""
    fan_in = (CATALOG / "mule_account_fan_in.yaml").read_text()
    calls = RULE.replace("stage: control", "stage: exfiltration")
    return load_rules({"tried.yaml": calls, "mule_account_fan_in.yaml": fan_in}, TIMING)


def victims(*people: str) -> str:
    """Return the entries of a call and a transfer to one account for each person."""
    return ", ".join(
        f"{{at: '10:0{n}', call_invitation: c-{p}, person: {p}}},"
        f" {{at: '10:1{n}', transfer: p-{p}, person: {p}, payee_account: mule}}"
        for n, p in enumerate(people)
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (1, 3, 5, 0, 2, 4)])
def test_alerts_of_the_first_stage_reach_the_rules_of_the_second(order: tuple[int, ...]) -> None:
    story = story_of(f"[{victims('x', 'y', 'z')}]")

    alerts = run_story(both_stages(), story, TIMING, order)

    assert sorted(alert.content["rule"]["id"] for alert in alerts) == [
        "mule_account_fan_in",
        *["tried"] * 3,
    ]
    (block,) = (a for a in alerts if a.content["action"] == "block")
    assert block.content["key"] == "mule"


def test_an_alert_of_a_story_and_those_of_the_first_stage_come_together() -> None:
    alert = "{at: '10:01', alert: a1, person: w, payee_account: mule}"
    story = story_of(f"[{victims('x', 'y')}, {alert}]")

    alerts = run_story(both_stages(), story, TIMING, (0, 1, 2, 3, 4))

    (block,) = (a for a in alerts if a.content["action"] == "block")
    (hits,) = block.content["evidence"]
    assert (hits["count"], hits["sample"][0]["id"]) == (3, "a1")


def test_an_alert_holds_back_no_time() -> None:
    #   10:00 c1   10:05 p1 ................ 3 days later: p2, c2, and only then the record of c1
    events = (
        "[{at: '10:00', call_invitation: c1}, {at: '10:05', transfer: p1},"
        " {at: '10:06', alert: a1}, {at: '3d 10:00', transfer: p2},"
        " {at: '3d 12:00', call_invitation: c2}]"
    )
    rule_set = load_rules({"tried.yaml": RULE}, TIMING)

    assert run_story(rule_set, story_of(events), TIMING, (2, 1, 3, 4, 0)) != []
    late = story_of(events, more=", lateness: 15m")
    assert run_story(rule_set, late, TIMING, (2, 1, 3, 4, 0)) == []


@pytest.mark.parametrize(
    ("alerts", "texts"),
    [
        ("[{anchor: p1, severity: low, score: 0}]", []),
        (
            "[{anchor: p1, severity: high, score: 40, action: hold}]",
            [
                "action warn about p1, wanted hold",
                "severity low about p1, wanted high",
                "score 0 about p1, wanted 40",
            ],
        ),
    ],
)
def test_severity_and_score_are_compared_as_well(alerts: str, texts: list[str]) -> None:
    assert found(story_of(CALL_AND_PAY, alerts), (0, 1)) == texts
