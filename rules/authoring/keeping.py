"""What rules make the engine keep and how long, and when their alerts are final, in words."""

from collections.abc import Iterator

from rules.moment import format_duration
from rules.rule import Rule, RuleSet, Step


def in_words(rule_set: RuleSet) -> Iterator[str]:
    """Yield lines on each rule, then on what is kept in all under each kind of key."""
    for rule in rule_set.rules:
        yield f"{rule.id} {rule.version}, by {rule.by}"
        yield from (f"  {line}" for line in _of_rule(rule))
    kept: dict[str, dict[str, int]] = {}
    for rule in rule_set.rules:
        of_key = kept.setdefault(rule.by, {})
        for event in _types(rule):
            of_key[event] = max(rule.keep_us, of_key.get(event, 0))
    for by in sorted(kept):
        longest: dict[int, list[str]] = {}
        for event, us in sorted(kept[by].items(), key=lambda item: (-item[1], item[0])):
            longest.setdefault(us, []).append(event)
        each = (f"{', '.join(events)} for {format_duration(us)}" for us, events in longest.items())
        yield f"in all, kept under {by}: {'; '.join(each)}"


def _of_rule(rule: Rule) -> Iterator[str]:
    yield _final(rule)
    if rule.is_signal:
        yield "a signal: it feeds other rules and is kept off the alerts topic"
    if rule.span.reach_us:
        yield f"the events of a match start at most {_reach(rule)}"
    read = (f"{event} ({', '.join(parts)})" for event, parts in _types(rule).items())
    yield f"keeps for {format_duration(rule.keep_us)}: {', '.join(read)}"


def _final(rule: Rule) -> str:
    after = f"{format_duration(rule.settles_at(0))} after {rule.anchor}"
    said = f"raises at once; final at the latest {after}"
    if rule.raises == "when_final":
        said = f"silent until certain, {after}"
    if rule.settles_after_us:
        said += f", {format_duration(rule.settles_after_us)} of it for the alerts that it reads"
    return said


def _reach(rule: Rule) -> str:
    apart = f"{format_duration(rule.span.reach_us)} apart"
    if not rule.span.forward_us:
        return apart
    return f"{apart}, up to {format_duration(rule.span.forward_us)} after {rule.anchor}"


def _types(rule: Rule) -> dict[str, list[str]]:
    """Return the types of events that a rule reads, each with the parts that read it."""
    found: dict[str, list[str]] = {}
    for step in rule.parts:
        for option in step.options:
            parts = found.setdefault(option.event, [])
            parts += [] if _part(rule, step) in parts else [_part(rule, step)]
    return found


def _part(rule: Rule, step: Step) -> str:
    if step in rule.unless:
        return f"unless {step.name}"
    return f"evidence {step.name}" if step in rule.evidence else step.name
