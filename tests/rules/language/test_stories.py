"""The stories of a rule file: what their authors may leave out, and what they may not say."""

from dataclasses import replace

import pytest

from rules.language import Miss, Story, StoryAlert, load_stories
from rules.moment import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_moment
from rules.money import parse_money
from tests.rules.language.texts import RULE, TIMING, mistakes

DAY_0_US = parse_moment("2023-07-08T00:00:00Z")
ONE = """\
  - title: one
    events:
      - {at: "10:00", call_invitation: c1, media: video, caller: +8613800000001,
         answered_at: "10:01:30"}
      - {at: "1d 09:00:00.5", transfer: p1, amount: 20000 CNY, first: true, payee_times_paid: 0,
         source: other}
      - {at: "1d 10:00", update: p1, status: rejected, sequence: 3,
         time: "2023-07-09T12:00:00+02:00"}
    alerts: [{anchor: p1, action: warn, with: [c1]}]
"""


def told(stories: str) -> list[Story]:
    """Return the stories of a file."""
    files = {"tried.yaml": f"{RULE}stories:\n{stories}"}
    return list(load_stories(files, TIMING)["tried"])


def refused(stories: str) -> list[str]:
    """Return what is wrong with the stories of a file."""
    return mistakes(f"{RULE}stories:\n{stories}")


def test_a_story_is_what_its_author_says() -> None:
    (story,) = told(ONE)
    call, pay, update = story.records

    assert (story.title, story.misses, story.arrival, story.lateness_us) == (
        "one",
        None,
        None,
        None,
    )
    assert story.alerts == (StoryAlert("p1", "warn", ("c1",)),)
    assert (call.name, call.event, call.at_us) == (
        "c1",
        "call_invitation",
        DAY_0_US + 10 * HOUR_US,
    )
    assert call.fields == {
        "media": "video",
        "caller": "+8613800000001",
        "answered_at": DAY_0_US + 10 * HOUR_US + 90 * SECOND_US,
    }
    assert pay.at_us == DAY_0_US + DAY_US + 9 * HOUR_US + 500_000
    assert (pay.source, pay.time_us, pay.sequence, pay.update) == ("other", None, None, False)
    assert pay.fields == {
        "amount": parse_money("20000 CNY"),
        "first": True,
        "payee_times_paid": 0,
    }
    assert (update.name, update.event, update.update) == ("p1", "transfer", True)
    assert (update.sequence, update.time_us) == (3, DAY_0_US + DAY_US + 10 * HOUR_US)
    assert update.fields == {"status": "rejected"}


def test_an_alert_of_another_rule_is_told_by_its_fields() -> None:
    (story,) = told(
        "  - {title: one, alerts: [{anchor: a1, severity: high, score: 70}], events: ["
        '{at: "10:00", alert: a1, rule: a_rule, score: 70, severity: high, amount: 3 CNY}]}\n'
    )
    (record,) = story.records

    assert (record.event, record.name, record.update) == ("alert", "a1", False)
    assert record.fields == {
        "rule": "a_rule",
        "score": 70,
        "severity": "high",
        "amount": parse_money("3 CNY"),
    }
    assert story.alerts == (StoryAlert("a1", None, (), "high", 70),)
    assert dict(story.alerts[0].says) == {"severity": "high", "score": 70}


def test_a_story_may_be_like_another_but_for_some_fields() -> None:
    first, second, third = told(
        ONE
        + """\
  - title: two
    like: one
    change: {c1: {at: "10:01", answered_at: null}, p1: {first: false}}
    alerts: []
  - {title: three, like: two, alerts: []}
"""
    )
    call = first.records[0]

    assert second.records == (
        replace(call, at_us=call.at_us + MINUTE_US, fields={**call.fields, "answered_at": None}),
        replace(first.records[1], fields={**first.records[1].fields, "first": False}),
        first.records[2],
    )
    assert third.records == second.records


def test_a_story_may_say_what_is_nearly_there_and_in_which_order_records_arrive() -> None:
    (story,) = told(
        f"{ONE}    misses: {{step: call, on: within}}\n    arrival: [p1, c1, p1]\n"
        "    lateness: 15m\n"
    )

    assert story.misses == Miss("call", "within")
    assert story.arrival == (1, 0, 2)
    assert story.lateness_us == 15 * MINUTE_US


def test_a_rule_without_stories_has_none() -> None:
    assert load_stories({"tried.yaml": RULE}, TIMING) == {"tried": ()}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("title: one", "name: one", "key 'title' is missing in a story"),
        ("    alerts:", "    # alerts:", "key 'alerts' is missing in a story"),
        ('at: "10:00", ', "", "key 'at' is missing in a record of call_invitation"),
        ('"10:00"', '"10"', "found '10', wanted a time such as"),
        ('"10:00"', '"24:00"', "found '24:00', wanted a time such as"),
        (
            "call_invitation: c1",
            "call_invitation: [c1]",
            "found a list, wanted the event's own id",
        ),
        ("call_invitation: c1, ", "", "found no event type in a record, wanted one"),
        ("media: video", "web_visit: w1", "found 'call_invitation' and 'web_visit' in a record"),
        ("media: video", "call_id: c2", "unknown key 'call_id' in a record of call_invitation"),
        ("media: video", "talk_time: 3m", "unknown key 'talk_time' in a record"),
        ("amount: 20000 CNY", "currency: CNY", "unknown key 'currency' in a record of transfer"),
        ("media: video", "media: vdeo", "'vdeo' is never a value of media"),
        ("media: video", "media: [video]", "found a list, wanted a class"),
        ("media: video", "area: [video]", "found a list, wanted text"),
        ("20000 CNY", "20000", "found '20000', wanted money such as 3000 CNY"),
        (
            "20000 CNY",
            "3 CNY, balance_before: 4 EUR",
            "all money of one record is of one currency",
        ),
        ("first: true", "first: yes", "found 'yes', wanted true or false"),
        ("payee_times_paid: 0", "payee_times_paid: '0'", "found '0', wanted a whole number"),
        ("payee_times_paid: 0", "payee_times_paid: -1", "found '-1', wanted a whole number"),
        ("payee_times_paid: 0", f"payee_times_paid: {2**63}", "wanted a whole number"),
        ("transfer: p1", "transfer: c1", "a second record of 'c1'"),
        ("update: p1", "update: p2", "there is no earlier record 'p2' to update"),
        ("status: rejected", "first: false", "'first' is the same in all records of one event"),
        ("sequence: 3", "sequence: x", "found 'x', wanted a whole number"),
        ("anchor: p1", "anchor: p2", "'p2' is never a value of anchor"),
        ("action: warn", "action: wave", "'wave' is never a value of action"),
        ("with: [c1]", "with: [c2]", "there is no record 'c2'"),
        ("with: [c1]", "with: c1", "found 'c1', wanted a list of texts"),
        ("[{anchor: p1, action: warn, with: [c1]}]", "[p1]", "found 'p1', wanted an alert"),
        ("    alerts:", "    change: {}\n    alerts:", "'change' without 'like'"),
        ("    alerts:", "    like: one\n    alerts:", "'events' stands beside 'like'"),
        ("    alerts:", "    arrival: [c1, p1]\n    alerts:", "record 'p1' never arrives"),
        ("    alerts:", "    arrival: [c1, c1]\n    alerts:", "no record 'c1' left to arrive"),
        ("    alerts:", "    misses: call\n    alerts:", "found 'call', wanted step and on"),
        (
            "    alerts:",
            "    misses: {step: x, on: y}\n    alerts:",
            "'x' is never a value of step",
        ),
        (
            "    alerts:",
            "    misses: {step: call, on: y}\n    alerts:",
            "'y' is never a value of on",
        ),
        (
            "    alerts:",
            "    lateness: x\n    alerts:",
            "found 'x', wanted a duration such as 15m",
        ),
        ("    alerts:", "    lateness: [x]\n    alerts:", "found a list, wanted a duration"),
        ("  - title: one", "  - one\n  - title: one", "found 'one', wanted a story"),
        (
            '      - {at: "10:00"',
            '      - c1\n      - {at: "10:00"',
            "found 'c1', wanted a record",
        ),
    ],
)
def test_what_is_wrong_in_a_story_is_named(before: str, after: str, message: str) -> None:
    assert before in ONE

    found = refused(ONE.replace(before, after, 1))
    assert any(message in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("story", "message"),
    [
        ("{title: one, like: one, alerts: []}", "a second story has the title 'one'"),
        ("{title: two, like: own, alerts: []}", "did you mean 'one'?"),
        ("{title: two, like: [one], alerts: []}", "found a list, wanted text"),
        ("{title: two, alerts: []}", "key 'events' is missing in a story, or else 'like'"),
        ("{title: two, like: one, change: c1, alerts: []}", "found 'c1', wanted a mapping"),
        ("{title: two, like: one, change: {c1: x}, alerts: []}", "wanted a mapping of fields"),
        ("{title: two, like: one, change: {c2: {}}, alerts: []}", "no record 'c2' to change"),
        ("{title: two, events: 3, alerts: []}", "found '3', wanted a list of records"),
        (
            "{title: two, events: [{at: '01:00', sim_swap: s}, {update: s}], alerts: []}",
            "a sim_swap is told by one record, it has no updates",
        ),
    ],
)
def test_what_is_wrong_in_a_later_story_is_named(story: str, message: str) -> None:
    found = refused(f"{ONE}  - {story}\n")

    assert any(message in mistake for mistake in found), found


def test_a_miss_at_a_mistaken_step_is_not_judged_as_well() -> None:
    stories = f"{ONE}    misses: {{step: call, on: media}}\n"
    text = f"{RULE}stories:\n{stories}".replace("event: call_invitation", "event: call")

    (mistake,) = mistakes(text)
    assert "'call' is no event of a pattern" in mistake
