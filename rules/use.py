"""What an event of one type under one kind of key is good for, and for how long."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.groups import Group, group_plans
from rules.judging import Judging, OwnConditions
from rules.plan import Plan


@dataclass(frozen=True, slots=True)
class Use:
    """What is asked of an event by itself, which rules it can serve, and for how long."""

    own: OwnConditions
    groups: tuple[Group, ...]
    keep_us: int


def make_uses(plans: Sequence[Plan], judging: Judging) -> Mapping[tuple[str, str], Use]:
    """Return the use of each type of event, by kind of key and type."""
    groups: dict[tuple[str, str], list[Group]] = defaultdict(list)
    keep_us: Counter[tuple[str, str]] = Counter()
    for group in group_plans(plans):
        for event_type in group.types:
            groups[group.by, event_type].append(group)
    for plan in plans:
        for event_type in {t for of_part in plan.signatures for t in of_part}:
            key = (plan.rule.by, event_type)
            keep_us[key] = max(keep_us[key], plan.rule.keep_us)
    return {
        key: Use(judging.own[key], tuple(found), keep_us[key]) for key, found in groups.items()
    }
