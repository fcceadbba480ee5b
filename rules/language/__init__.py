"""The rule language: the text of rule files in, checked rules and stories out.

Three steps, each in a place of its own: `read` makes a tree with positions of YAML text, `check`
types it key by key and notes every mistake, `build` makes the rule that the engine runs.
"""

from collections.abc import Iterator, Mapping

from rules.language.build import build
from rules.language.check import CheckedRule, check
from rules.language.mistakes import Mistakes, Place, RuleFileError
from rules.language.read import read
from rules.language.story import Miss, Story, StoryAlert, StoryRecord
from rules.rule import RuleSet
from rules.timing import Timing

__all__ = [
    "Miss",
    "RuleFileError",
    "Story",
    "StoryAlert",
    "StoryRecord",
    "load_rules",
    "load_stories",
]


def load_rules(files: Mapping[str, str], timing: Timing) -> RuleSet:
    """Return the rules of these files, given as file name and text.

    Raises:
        ExceptionGroup: Of a RuleFileError for every mistake of every file, in order of place.
    """
    checked = _check_all(files, timing)
    return RuleSet(tuple(build(rule, timing) for rule in checked))


def load_stories(files: Mapping[str, str], timing: Timing) -> Mapping[str, tuple[Story, ...]]:
    """Return the stories of these files, by the id of their rule.

    Raises:
        ExceptionGroup: As `load_rules` does.
    """
    return {rule.id: rule.stories for rule in _check_all(files, timing)}


def _check_all(files: Mapping[str, str], timing: Timing) -> list[CheckedRule]:
    """Return what the files say, by rule id in ascending order."""
    rules: dict[str, CheckedRule] = {}
    errors: list[RuleFileError] = []
    for file in sorted(files):
        mistakes = Mistakes(file)
        tree = read(files[file], mistakes)
        rule = None if tree is None else check(tree, timing.timezone, mistakes)
        if rule is not None and rule.id in rules:
            mistakes.add(Place(1, 1), f"a second file has the rule '{rule.id}'")
        elif rule is not None:
            rules[rule.id] = rule
        errors += mistakes.errors
    if errors:
        count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        raise ExceptionGroup(f"{count} in rule files", errors)
    return list(_by_id(rules))


def _by_id(rules: Mapping[str, CheckedRule]) -> Iterator[CheckedRule]:
    for rule_id in sorted(rules):
        yield rules[rule_id]
