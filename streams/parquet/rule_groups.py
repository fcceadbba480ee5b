"""Rules that differ only in conditions and windows, and what each of their steps needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rules.rule import By, Rule, RuleSet, Step
from rules.screen import Screen


@dataclass(frozen=True)
class RuleGroup:
    """Rules of one key whose steps read the same types: they differ in conditions and windows.

    Attributes:
        by: What they correlate by.
        rules: The rules.
        number: Its place among the groups.
    """

    by: By
    rules: tuple[Rule, ...]
    number: int

    @property
    def key(self) -> str:
        """The column of the candidates' table that holds the key."""
        return f"key_{self.by}"

    @property
    def helps(self) -> str:
        """The column that says whether it could be of use to what a match can do without."""
        return f"helps_{self.number}"

    def serves(self, place: int) -> str:
        """Return the column that says whether the row could be the event of a required step.

        Another record of the event may tell otherwise what is open in this one.
        """
        return f"serves_{self.number}_{place}"

    def fits(self, place: int) -> str:
        """Return the column that says whether it could be that as the row itself tells it."""
        return f"fits_{self.number}_{place}"

    @property
    def places(self) -> range:
        """The places of the required steps."""
        return range(len(_required(self.rules[0])))

    def steps(self, place: int) -> Sequence[Step]:
        """Return one required step of each rule."""
        return [_required(rule)[place] for rule in self.rules]

    def screen(self, place: int) -> Screen:
        """Return the screen of one required step."""
        steps = self.steps(place)
        alone = (_alone(rule, step) for rule, step in zip(self.rules, steps, strict=True))
        return Screen(RuleSet(tuple(alone)))

    @property
    def screen_of_others(self) -> Screen:
        """The screen of the parts that a match can do without."""
        others = (
            _alone(rule, part)
            for rule in self.rules
            for part in rule.parts
            if part not in _required(rule)
        )
        return Screen(RuleSet(tuple(others)))

    @property
    def anchor(self) -> int:
        """The place of the anchor among the required steps."""
        steps = _required(self.rules[0])
        return next(n for n, step in enumerate(steps) if step.name == self.rules[0].anchor)

    def range_of(self, place: int) -> tuple[int, int]:
        """Return how far from the anchor's start a required step's event can start."""
        ranges = [rule.span.ranges[_required(rule)[place].name] for rule in self.rules]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def gap_of(self, place: int) -> int | None:
        """Return how far apart the anchor and a required step's event can lie; None if unknown."""
        gaps = [_gap(rule, _required(rule)[place]) for rule in self.rules]
        known = [gap for gap in gaps if gap is not None]
        return max(known) if len(known) == len(gaps) else None

    @property
    def whole_range(self) -> tuple[int, int]:
        """The same of any part of any of the rules."""
        ranges = [r for rule in self.rules for r in rule.span.ranges.values()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)


def _gap(rule: Rule, step: Step) -> int | None:
    """Return how far from the anchor a step's event can lie at most; None if by no relation."""
    anchor = next(each for each in rule.steps if each.name == rule.anchor)
    if anchor.each:
        # A relation to a set means its latest member.
        return None
    related = [r for r in step.relations if r.other == anchor.name]
    related += [r for r in anchor.relations if r.other == step.name]
    return min((relation.within_us for relation in related), default=None)


def rule_groups(rule_set: RuleSet) -> Sequence[RuleGroup]:
    """Return all rules of a set in groups."""
    found: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rule_set.rules:
        types = tuple(tuple(sorted(step.own)) for step in _required(rule))
        anchor = next(n for n, s in enumerate(_required(rule)) if s.name == rule.anchor)
        found.setdefault((rule.by, anchor, types), []).append(rule)
    return [RuleGroup(rules[0].by, tuple(rules), n) for n, rules in enumerate(found.values())]


def _required(rule: Rule) -> tuple[Step, ...]:
    """Return the steps that each need an event; sets can be empty, but for the anchor's."""
    return tuple(step for step in rule.steps if not step.each or step.name == rule.anchor)


def _alone(rule: Rule, part: Step) -> Rule:
    """Return a rule of one part."""
    return replace(rule, steps=(part,), unless=(), evidence=())
