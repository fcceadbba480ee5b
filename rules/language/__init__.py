"""The rule language: the text of rule files in, checked rules and stories out.

Three steps, each in a place of its own: `read` makes a tree with positions of YAML text, `check`
types it key by key and notes every mistake, `build` makes the rule that the engine runs.
"""

from collections.abc import Mapping

from rules.language.build import build_all
from rules.language.check import CheckedRule, check
from rules.language.mistakes import Mistakes, Place, RuleFileError, raise_all
from rules.language.overrides import Overrides, read_overrides
from rules.language.parameters import Given
from rules.language.read import read
from rules.language.told import Miss, Story, StoryAlert, StoryRecord
from rules.rule import RuleSet
from rules.timing import Timing

__all__ = [
    "Miss",
    "Overrides",
    "RuleFileError",
    "Story",
    "StoryAlert",
    "StoryRecord",
    "check_files",
    "load_rules",
    "load_stories",
    "read_overrides",
]


def load_rules(
    files: Mapping[str, str], timing: Timing, overrides: Overrides | None = None
) -> RuleSet:
    """Return the rules of these files, given as file name and text.

    Args:
        files: the rule files.
        timing: the settings that their spans and digests rest on.
        overrides: values that take the place of the rules' own parameters.

    Raises:
        ExceptionGroup: Of a RuleFileError for every mistake of every file, in order of place.
    """
    return build_all(check_files(files, timing, overrides), timing)


def load_stories(files: Mapping[str, str], timing: Timing) -> Mapping[str, tuple[Story, ...]]:
    """Return the stories of these files, by the id of their rule.

    Raises:
        ExceptionGroup: As `load_rules` does.
    """
    checked = sorted(check_files(files, timing), key=lambda rule: rule.id)
    return {rule.id: rule.stories for rule in checked}


def check_files(
    files: Mapping[str, str], timing: Timing, overrides: Overrides | None = None
) -> list[CheckedRule]:
    """Return what the files say, with places, for those who judge rules.

    Raises:
        ExceptionGroup: As `load_rules` does.
    """
    given = overrides or Overrides("", {})
    of_given = Mistakes(given.file)
    rules: dict[str, CheckedRule] = {}
    errors: list[RuleFileError] = []
    names: set[str] = set()
    for file in sorted(files):
        mistakes = Mistakes(file)
        tree = read(files[file], mistakes)
        name = _name(file)
        values = Given(given.of(name), of_given)
        rule = None if tree is None else check(tree, timing.timezone, values, mistakes)
        if name in names:
            mistakes.add(Place(1, 1), f"a second file has the rule '{name}'")
        elif rule is not None:
            rules[name] = rule
        names.add(name)
        errors += mistakes.errors
    errors += sorted([*of_given.errors, *given.strangers(names)], key=lambda e: (e.line, e.column))
    raise_all(errors, "rule files")
    return list(rules.values())


def _name(file: str) -> str:
    """Return the id of the rule in a file: its name."""
    return file.rpartition("/")[2].removesuffix(".yaml")
