"""The stories that a stable rule wants and does not have."""

from collections.abc import Iterator, Mapping

from rules.authoring.bounds import bounds_of, sides_met
from rules.authoring.stories import StoryError, events_of
from rules.fact import Event
from rules.language import RuleFileError, Story, check_files
from rules.language.check import CheckedRule
from rules.language.mistakes import Place, quoted
from rules.timing import Timing


def missing_stories(files: Mapping[str, str], timing: Timing) -> list[RuleFileError]:
    """Return what is missing among the stories of stable rules, in order of place.

    A stable rule wants a story that alerts; for each confuser a story that has its text as title
    and claims that nothing is raised; and one on each side of every bound, as
    `rules.authoring.bounds` has it.

    Args:
        files: the rule files, file name and text.
        timing: the settings under which the stories are run.

    Raises:
        ExceptionGroup: As `rules.language.load_rules` does.
    """
    found: list[RuleFileError] = []
    for rule in check_files(files, timing):
        if rule.status == "stable":
            missing = sorted(_missing(rule, timing), key=lambda m: m[0])
            found += [
                RuleFileError(rule.file, at.line, at.column, message) for at, message in missing
            ]
    return found


def _missing(rule: CheckedRule, timing: Timing) -> Iterator[tuple[Place, str]]:
    if not any(story.alerts for story in rule.stories):
        yield rule.stories_at, "no story alerts"
    silent = {story.title for story in rule.stories if not story.alerts}
    for confuser in rule.confusers:
        if confuser.text not in silent:
            yield confuser.at, f"no story with the title {quoted(confuser.text)} stays silent"
    told = [_events(story, timing) for story in rule.stories]
    for bound in bounds_of(rule.parts):
        met = {side for events in told for side in sides_met(bound, rule.parts, rule.by, events)}
        for side in bound.sides:
            if side not in met:
                yield bound.at, f"no story has {bound.words(side)}: {bound.says}"


def _events(story: Story, timing: Timing) -> list[Event]:
    try:
        return events_of(story, timing)
    except StoryError:
        # Under these settings it cannot be run, which whoever runs it is told.
        return []
