"""Stories tried in several orders: what is said of those that do not hold."""

import pytest

from rules.authoring.trials import Order, Trial, try_story
from rules.language import load_rules, load_stories
from rules.timing import Timing

TIMING = Timing()
RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
steps:
  - as: call
    event: call_invitation
    where: [media == "video"]
  - as: pay
    event: transfer
    after: call
    within: 2h
  - as: others
    each: transfer
    before: pay
    within: 1h
    having: [count(others) < 2]
stories:
"""
CALL = "{at: '10:00', call_invitation: c1}"
PAY = "{at: '10:05', transfer: p1}"
LATER = "{at: '23:00', transfer: p2}"


def tried(story: str, *orders: Order, rule: str = RULE) -> Trial:
    """Try a story of a rule in these orders, or as it stands in the file."""
    text = f"{rule}  - {{title: one, {story}}}\n"
    (loaded,) = load_rules({"tried.yaml": text}, TIMING).rules
    (told,) = load_stories({"tried.yaml": text}, TIMING)["tried"]
    in_file = Order("in file order", tuple(range(len(told.records))))
    return try_story(loaded, told, TIMING, orders or [in_file])


@pytest.mark.parametrize(
    "story",
    [
        f"events: [{CALL}, {PAY}], alerts: [{{anchor: p1, action: warn, with: [c1]}}]",
        f"events: [{LATER}], alerts: [], misses: {{step: call, on: event}}",
        f"events: [{CALL}, {LATER}], alerts: [], misses: {{step: pay, on: within}}",
    ],
)
def test_of_a_story_that_holds_nothing_is_said(story: str) -> None:
    trial = tried(story)
    assert (trial.wrong, trial.diff, trial.reasons) == ((), (), ())


def test_an_alert_that_does_not_come_is_explained_by_its_nearest_miss() -> None:
    audio = CALL.replace("c1", "c1, media: audio")
    trial = tried(f"events: [{audio}, {PAY}], alerts: [{{anchor: p1, action: warn, with: [c1]}}]")
    assert trial.wrong == ("no alert about p1 (in file order)",)
    assert trial.diff == (
        "wanted  an alert about p1, action warn with c1",
        "found   no alert",
    )
    assert "  call: media is audio, wanted video" in trial.reasons


def test_an_alert_that_is_not_claimed_is_explained_by_its_match() -> None:
    trial = tried(f"events: [{CALL}, {PAY}], alerts: []")
    assert trial.wrong == ("an alert about p1 that it does not claim (in file order)",)
    assert trial.diff == (
        "wanted  no alert",
        "found   an alert about p1, action warn, severity low, score 0 with c1, p1",
    )
    assert trial.reasons[0].startswith("tried 1.0.0 matches at pay p1 of bank")


def test_an_alert_that_is_only_different_needs_no_explanation() -> None:
    trial = tried(f"events: [{CALL}, {PAY}], alerts: [{{anchor: p1, action: hold}}]")
    assert trial.wrong == ("action warn about p1, wanted hold (in file order)",)
    assert trial.reasons == ()


def test_a_member_of_a_set_is_shown_among_what_an_alert_rests_on() -> None:
    again = PAY.replace("10:05", "10:04").replace("p1", "p0")
    trial = tried(f"events: [{CALL}, {again}, {PAY}], alerts: [{{anchor: p1}}]")
    assert trial.diff[-1].endswith("about p1, action warn, severity low, score 0 with c1, p1, p0")


def test_another_miss_than_the_claimed_one_is_named_and_explained() -> None:
    trial = tried(f"events: [{CALL}, {LATER}], alerts: [], misses: {{step: call, on: media}}")
    assert trial.wrong == ("the nearest miss is pay on within, not call on media",)
    assert trial.diff == (
        "wanted  misses call on media",
        "found   misses pay on within: came 11h after the window (within 2h after call)",
    )
    assert trial.reasons[0].startswith("tried 1.0.0 does not match; it comes nearest at pay p2")


def test_a_claimed_miss_of_a_story_in_which_everything_matches_is_wrong() -> None:
    miss = "misses: {step: call, on: media}"
    trial = tried(f"events: [{CALL}, {PAY}], alerts: [{{anchor: p1}}], {miss}")
    assert trial.wrong == ("the nearest miss is nothing, not call on media",)


def test_keys_without_such_an_anchor_explain_nothing() -> None:
    other = PAY.replace("p1", "p2, person: wei")
    trial = tried(f"events: [{CALL}, {PAY}, {other}], alerts: []")
    assert sum("matches at" in line for line in trial.reasons) == 1


def test_events_without_a_key_explain_nothing() -> None:
    by_payee = RULE.split("steps:", maxsplit=1)[0] + (
        "by: payee\nsteps:\n  - {as: pay, event: transfer}\n"
        "  - {as: blocked, event: contact_blocked, after: pay, within: 1h}\n"
        "anchor: pay\nstories:\n"
    )
    blocked = "{at: '10:10', contact_blocked: b1}"
    story = f"events: [{PAY}, {blocked}], alerts: [{{anchor: p1}}]"
    trial = tried(story, rule=by_payee)
    assert "  blocked: there is no contact_blocked" in trial.reasons


def test_alerts_that_depend_on_the_order_of_arrival_are_wrong() -> None:
    orders = [Order("in file order", (0, 1, 2)), Order("in another", (0, 2, 1))]
    story = f"events: [{CALL}, {PAY}, {LATER}], alerts: [{{anchor: p1}}], lateness: 15m"
    trial = tried(story, *orders)
    assert trial.wrong == (
        "the alerts say something else than in another order of arrival (in another)",
    )
