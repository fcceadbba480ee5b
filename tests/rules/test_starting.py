"""A new rule is one that its author can trust before the first change."""

from rules.authoring.lint import lint
from rules.authoring.starting import new_rule
from rules.authoring.stories import differences, run_story
from rules.language import load_rules, load_stories
from rules.timing import Timing

TIMING = Timing()
FILES = {"rent_scam.yaml": new_rule("rent_scam")}


def test_a_new_rule_has_nothing_wrong() -> None:
    assert lint(FILES, TIMING) == []


def test_a_new_rule_holds_its_two_stories() -> None:
    rule_set = load_rules(FILES, TIMING)
    stories = load_stories(FILES, TIMING)["rent_scam"]
    assert [bool(story.alerts) for story in stories] == [True, False]
    for story in stories:
        alerts = run_story(rule_set, story, TIMING, range(len(story.records)))
        assert differences(story, alerts) == []
