"""A rule changed in one place, and what its own stories make of it.

A mutant is what the rule would be if its author had erred in one thing. Stories that notice none
of it say nothing about that thing. Each is tried in file order, against all that the stories
claim, the nearest miss included.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rules.authoring.changes import changes
from rules.authoring.trials import Order, try_story
from rules.language.build import build
from rules.language.check import CheckedRule
from rules.language.mistakes import Place
from rules.language.relations import Tie
from rules.language.steps import CheckedStep, Line, Parts, Role
from rules.moment import SECOND_US, format_duration
from rules.reach import Relation, RelationKind
from rules.rule import Option, Rule
from rules.timing import Timing

_CLAIMS: dict[Role, str] = {
    "step": "and no alert",
    "unless": "and an alert all the same",
    "evidence": "and a score without it",
}
_OTHER_KINDS: dict[RelationKind, tuple[RelationKind, ...]] = {
    "after": ("around",),
    "before": ("around",),
    "around": ("after", "before"),
    "during": (),
}


class Mutant(NamedTuple):
    """A changed rule: where, what was changed, and the story that would notice it."""

    at: Place
    says: str
    story: str
    rule: CheckedRule


@dataclass(frozen=True)
class Tried:
    """A mutant, and the title of the first story that notices it, None if all let it pass."""

    at: Place
    says: str
    story: str
    noticed_by: str | None


def try_mutants(checked: CheckedRule, timing: Timing) -> list[Tried]:
    """Return what a rule's own stories make of each of its mutants, in file order.

    Raises:
        StoryError: A record of a story breaks the event contract.
    """
    ordered = sorted(mutants(checked), key=lambda mutant: mutant.at)
    return [
        Tried(m.at, m.says, m.story, _noticed(build(m.rule, timing), checked, timing))
        for m in ordered
    ]


def score_of(tried: Sequence[Tried]) -> float:
    """Return how many of a hundred mutants are noticed; all of them if there are none."""
    noticed = sum(mutant.noticed_by is not None for mutant in tried)
    return 100 * noticed / len(tried) if tried else 100.0


def _noticed(rule: Rule, checked: CheckedRule, timing: Timing) -> str | None:
    for story in checked.stories:
        places = story.arrival or tuple(range(len(story.records)))
        if try_story(rule, story, timing, [Order("in file order", places)]).wrong:
            return story.title
    return None


def mutants(checked: CheckedRule) -> Iterator[Mutant]:
    """Yield a rule with each change that can be made of it."""
    for part in checked.parts.all:
        for line in part.lines:
            yield from _of_line(checked, part, line)
        for tie in part.ties:
            yield from _of_tie(checked, part, tie)
        yield from _of_window(checked, part)
        yield from _without(checked, part)
    for place, band in enumerate(checked.bands[1:], 1):
        bands = (*checked.bands[:place], *checked.bands[place + 1 :])
        says = f"without the band from {band.floor}"
        story = f"a score that just reaches {band.floor}, and what it asks for"
        yield Mutant(checked.stories_at, says, story, replace(checked, bands=bands))


# Conditions ----------------------------------------------------------------------------------


def _of_line(checked: CheckedRule, part: CheckedStep, line: Line) -> Iterator[Mutant]:
    text, claim = line.condition.text, _CLAIMS[part.role]
    left = tuple(other for other in part.lines if other is not line)
    story = f"all as it should be but '{text}', {claim}"
    yield Mutant(line.at, f"without '{text}'", story, _with(checked, _lined(part, left)))
    for change in changes(line.condition.expression):
        condition = replace(line.condition, expression=change.expression)
        lines = tuple(replace(o, condition=condition) if o is line else o for o in part.lines)
        says = f"in '{text}' {change.says}"
        yield Mutant(line.at, says, change.shown_by, _with(checked, _lined(part, lines)))


def _lined(part: CheckedStep, lines: tuple[Line, ...]) -> CheckedStep:
    """Return a step with other conditions."""
    options = tuple(
        Option(option.event, tuple(n.condition for n in lines if n.option == option.event))
        for option in part.step.options
    )
    step = replace(
        part.step,
        options=options,
        where=tuple(n.condition for n in lines if n.option is None and not n.of_set),
        having=tuple(n.condition for n in lines if n.of_set),
    )
    return replace(part, step=step, lines=lines)


# Relations -----------------------------------------------------------------------------------


def _of_tie(checked: CheckedRule, part: CheckedStep, tie: Tie) -> Iterator[Mutant]:
    relation = tie.relation
    says = f"{part.step.name} {relation.text}"
    for other, words, story in _relations(relation):
        ties = tuple(replace(t, relation=other) if t is tie else t for t in part.ties)
        yield Mutant(tie.at, f"in '{says}' {words}", story, _with(checked, _tied(part, ties)))
    if len(part.ties) > 1:
        ties = tuple(other for other in part.ties if other is not tie)
        story = f"all as it should be but '{says}', {_CLAIMS[part.role]}"
        yield Mutant(tie.at, f"without '{says}'", story, _with(checked, _tied(part, ties)))


def _relations(relation: Relation) -> Iterator[tuple[Relation, str, str]]:
    within_us = relation.within_us
    if relation.kind == "during":
        loose = replace(relation, kind="around", within_us=SECOND_US)
        yield loose, "'around' within 1s for 'during'", "a second before it, and one after it"
    else:
        for moved_us in (within_us + SECOND_US, within_us - SECOND_US):
            if moved_us >= 0:
                words = f"{format_duration(moved_us)} for {format_duration(within_us)}"
                story = f"a gap of exactly {format_duration(within_us)}, and a second more"
                yield replace(relation, within_us=moved_us), words, story
    for kind in _OTHER_KINDS[relation.kind]:
        story = "the two the other way about"
        yield replace(relation, kind=kind), f"'{kind}' for '{relation.kind}'", story


def _tied(part: CheckedStep, ties: tuple[Tie, ...]) -> CheckedStep:
    relations = tuple(tie.relation for tie in ties)
    return replace(part, step=replace(part.step, relations=relations), ties=ties)


def _of_window(checked: CheckedRule, part: CheckedStep) -> Iterator[Mutant]:
    window_us = part.step.window_us
    if window_us is None or part.window_at is None:
        return
    for moved_us in (window_us + SECOND_US, window_us - SECOND_US):
        says = f"{format_duration(moved_us)} for {format_duration(window_us)}"
        story = f"a member exactly {format_duration(window_us)} before, and a second more"
        changed = replace(part, step=replace(part.step, window_us=moved_us))
        yield Mutant(part.window_at, says, story, _with(checked, changed))


# Steps ---------------------------------------------------------------------------------------


def _with(checked: CheckedRule, changed: CheckedStep) -> CheckedRule:
    """Return the rule with one step changed; names tell which."""

    def swapped(parts: Sequence[CheckedStep]) -> tuple[CheckedStep, ...]:
        return tuple(changed if p.step.name == changed.step.name else p for p in parts)

    return replace(checked, parts=_each(checked.parts, swapped))


def _each(
    parts: Parts, change: Callable[[Sequence[CheckedStep]], tuple[CheckedStep, ...]]
) -> Parts:
    return Parts(change(parts.steps), change(parts.unless), change(parts.evidence), parts.anchor)


def _without(checked: CheckedRule, part: CheckedStep) -> Iterator[Mutant]:
    """Yield the rule without a step, and without all that names it, if one is left to be bound."""
    name = part.step.name
    if name == checked.anchor:
        return

    def left(parts: Sequence[CheckedStep]) -> tuple[CheckedStep, ...]:
        return tuple(_forgetting(p, name) for p in parts if p.step.name != name)

    parts = _each(checked.parts, left)
    loose = [p for p in parts.all if not p.ties and p.window_at is None]
    if len(loose) > 1 or (loose and loose[0] is not parts.steps[0]):
        return
    what = {"step": "step", "unless": "'unless'", "evidence": "evidence"}[part.role]
    story = f"all as it should be but '{name}' missing"
    if part.role == "unless":
        story = f"all as it should be and '{name}' there"
    rule = replace(checked, parts=parts, message=None)
    yield Mutant(part.at, f"without the {what} '{name}'", story, rule)


def _forgetting(part: CheckedStep, name: str) -> CheckedStep:
    lines = tuple(line for line in part.lines if name not in line.condition.steps)
    ties = tuple(tie for tie in part.ties if tie.relation.other != name)
    return _tied(_lined(part, lines), ties)
