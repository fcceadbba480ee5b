"""What can be planted: the stories of rule files that alert, and those of their confusers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rules.alert import Alert
from rules.authoring.stories import differences, run_story
from rules.language import Story, check_files
from rules.language.build import build_all
from rules.language.check import CheckedRule
from rules.rule import Rule, RuleSet
from rules.timing import Timing

PartKind = Literal["case", "confuser"]


@dataclass(frozen=True)
class Part:
    """What is planted once in each round: one of these stories, each as good as the others."""

    kind: PartKind
    rule: Rule
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class Host:
    """A story of a rule on outside events that ends in one alert: such an alert can be had."""

    rule: Rule
    story: Story
    alert: Alert


@dataclass(frozen=True)
class Repertoire:
    """The rules of some files with what their stories have to offer."""

    rule_set: RuleSet
    parts: tuple[Part, ...]
    timing: Timing

    @cached_property
    def hosts(self) -> Sequence[Host]:
        """The stories that can stand for an alert of a rule on outside events."""
        cases = (part for part in self.parts if part.kind == "case")
        told = ((part.rule, story) for part in cases for story in part.stories)
        found = (self._host(rule, story) for rule, story in told if not rule.reads_alerts)
        return [host for host in found if host is not None]

    def _host(self, rule: Rule, story: Story) -> Host | None:
        alerts = self.alerts(rule, story)
        return Host(rule, story, alerts[0]) if len(alerts) == 1 else None

    def alerts(self, rule: Rule, story: Story) -> list[Alert]:
        """Return the alerts of a rule that a story gives, with all rules that it can rest on."""
        below = self.rule_set.first_stage.rules if rule.reads_alerts else ()
        rule_set = RuleSet((*below, rule))
        alerts = run_story(rule_set, story, self.timing, range(len(story.records)))
        return [alert for alert in alerts if alert.content["rule"]["id"] == rule.id]

    def holds(self, rule: Rule, story: Story) -> bool:
        """Tell whether a story gives the alerts of its rule that it claims, and no others."""
        return not differences(story, self.alerts(rule, story))


def repertoire(files: Mapping[str, str], timing: Timing) -> Repertoire:
    """Return what the rules of these files, given as file name and text, have to offer.

    Raises:
        ExceptionGroup: As `rules.language.load_rules` does.
    """
    checked = check_files(files, timing)
    rule_set = build_all(checked, timing)
    by_id = {rule.id: rule for rule in rule_set.rules}
    in_order = sorted(checked, key=lambda rule: rule.id)
    parts = (part for told in in_order for part in _parts(told, by_id[told.id]))
    return Repertoire(rule_set, tuple(part for part in parts if part.stories), timing)


def _parts(told: CheckedRule, rule: Rule) -> Iterator[Part]:
    # In a town nothing is late.
    stories = [story for story in told.stories if story.lateness_us is None and story.records]
    yield Part("case", rule, tuple(story for story in stories if story.alerts))
    for confuser in told.confusers:
        silent = (s for s in stories if s.title == confuser.text and not s.alerts)
        yield Part("confuser", rule, tuple(silent))
