"""A story tried in several orders of arrival: whether it holds what it claims, and if not, why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rules.alert import Alert
from rules.authoring.explain import NoAnchorError, explain, nearest_misses
from rules.authoring.stories import differences, events_of, run_story
from rules.fact import Event
from rules.language import Story
from rules.rule import Rule, RuleSet
from rules.timing import Timing


@dataclass(frozen=True)
class Order:
    """One order of arrival: what it is called, and the places of the records as they come."""

    name: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Trial:
    """What became of one story of a rule: nothing in `wrong` if it holds.

    `diff` sets what the story claims against what came, `reasons` explain it.
    """

    rule: Rule
    story: Story
    wrong: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def try_story(rule: Rule, story: Story, timing: Timing, orders: Sequence[Order]) -> Trial:
    """Run a story through the real engine in each of these orders, and check what it misses.

    The trial ends at the first order in which something is wrong.

    Raises:
        StoryError: A record of the story breaks the event contract.
    """
    first: list[Alert] | None = None
    for order in orders:
        alerts = run_story(RuleSet((rule,)), story, timing, order.places)
        wrong = differences(story, alerts)
        first = alerts if first is None else first
        if not wrong and _contents(alerts) != _contents(first):
            wrong = ["the alerts say something else than in another order of arrival"]
        if wrong:
            said = tuple(f"{text} ({order.name})" for text in wrong)
            reasons = tuple(_reasons(rule, story, timing, alerts))
            return Trial(rule, story, said, tuple(_diff(story, alerts)), reasons)
    return _missing(rule, story, timing)


def _contents(alerts: Sequence[Alert]) -> dict[str, Any]:
    return {alert.alert_id: alert.content for alert in alerts}


def _missing(rule: Rule, story: Story, timing: Timing) -> Trial:
    """Check the nearest miss that a story claims: one of what the nearest choice fails on."""
    wanted = story.misses
    if wanted is None:
        return Trial(rule, story)
    events = events_of(story, timing)
    found = nearest_misses(rule, events)
    if any((miss.step, miss.on) == (wanted.step, wanted.on) for miss in found):
        return Trial(rule, story)
    said = [f"{miss.step} on {miss.on}" for miss in found] or ["nothing"]
    wrong = f"the nearest miss is {', '.join(said)}, not {wanted.step} on {wanted.on}"
    diff = (
        f"wanted  misses {wanted.step} on {wanted.on}",
        *(f"found   misses {miss.step} on {miss.on}: {miss.says}" for miss in found),
    )
    return Trial(rule, story, (wrong,), diff, tuple(_explained(rule, events, None)))


def _diff(story: Story, alerts: Sequence[Alert]) -> Iterator[str]:
    for claim in story.alerts:
        resting = f" with {', '.join(claim.others)}" if claim.others else ""
        says = "".join(f", {key} {value}" for key, value in claim.says.items())
        yield f"wanted  an alert about {claim.anchor}{says}{resting}"
    if not story.alerts:
        yield "wanted  no alert"
    for alert in alerts:
        content = alert.content
        shown = [entry for e in content["evidence"] for entry in e.get("sample", [e])]
        says = "".join(f", {key} {content[key]}" for key in ("action", "severity", "score"))
        resting = ", ".join(entry["id"] for entry in shown)
        yield f"found   an alert about {content['anchor']['id']}{says} with {resting}"
    if not alerts:
        yield "found   no alert"


def _reasons(rule: Rule, story: Story, timing: Timing, alerts: Sequence[Alert]) -> Iterator[str]:
    """Yield why what the story claims did not come, and why what it does not claim did."""
    events = events_of(story, timing)
    claimed = [claim.anchor for claim in story.alerts]
    found = [alert.content["anchor"]["id"] for alert in alerts]
    for anchor in dict.fromkeys((*claimed, *found)):
        if (anchor in claimed) is not (anchor in found):
            yield from _explained(rule, events, anchor)


def _explained(rule: Rule, events: Sequence[Event], anchor: str | None) -> Iterator[str]:
    """Yield the explanation for each key under which there is such an anchor, or any."""
    keys = dict.fromkeys(event.keys().get(rule.by) for event in events)
    for key in keys:
        if key is None:
            continue
        of_key = [event for event in events if event.keys().get(rule.by) == key]
        try:
            yield from explain(rule, of_key, anchor).as_lines()
        except NoAnchorError:
            continue
