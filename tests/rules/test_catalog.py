"""The catalogue's rules hold their own stories, in every order of arrival."""

import random
from pathlib import Path

import pytest

from rules.authoring.explain import nearest_miss
from rules.authoring.missing import missing_stories
from rules.authoring.stories import differences, events_of, run_story
from rules.language import Story, load_rules, load_stories
from rules.rule import Rule, RuleSet
from rules.timing import Timing

CATALOG = Path(__file__).parents[2] / "rules" / "catalog"
FILES = {path.name: path.read_text() for path in sorted(CATALOG.glob("*.yaml"))}
TIMING = Timing()
RULES = {rule.id: rule for rule in load_rules(FILES, TIMING).rules}
TOLD = [
    pytest.param(RULES[rule_id], story, id=f"{rule_id}: {story.title}")
    for rule_id, stories in load_stories(FILES, TIMING).items()
    for story in stories
]


def orders(story: Story) -> list[tuple[int, ...]]:
    """Return the orders in which a story's records arrive, each record twice."""
    told = tuple(range(len(story.records)))
    if story.arrival is not None:
        return [story.arrival, story.arrival + story.arrival]
    if story.lateness_us is not None:
        return [told]
    shuffled = []
    for seed in range(10):
        twice = [*told, *told]
        random.Random(seed).shuffle(twice)  # noqa: S311 - an order, no secret
        shuffled.append(tuple(twice))
    return [told, told[::-1], told + told, *shuffled]


@pytest.mark.parametrize(("rule", "story"), TOLD)
def test_a_story_gives_the_alerts_it_claims_in_every_order(rule: Rule, story: Story) -> None:
    for order in orders(story):
        alerts = run_story(RuleSet((rule,)), story, TIMING, order)
        assert differences(story, alerts) == [], f"arriving as {order}"


@pytest.mark.parametrize(("rule", "story"), TOLD)
def test_the_order_of_arrival_changes_nothing_in_the_alerts(rule: Rule, story: Story) -> None:
    ended = {
        tuple((alert.alert_id, repr(alert.content)) for alert in alerts)
        for alerts in (run_story(RuleSet((rule,)), story, TIMING, o) for o in orders(story))
    }

    assert len(ended) == 1


@pytest.mark.parametrize(("rule", "story"), TOLD)
def test_a_claimed_miss_is_the_nearest(rule: Rule, story: Story) -> None:
    if story.misses is not None:
        failure = nearest_miss(rule, events_of(story, TIMING))

        assert failure is not None
        assert (failure.step, failure.on) == (story.misses.step, story.misses.on)


def test_no_story_is_missing() -> None:
    assert missing_stories(FILES, TIMING) == []
