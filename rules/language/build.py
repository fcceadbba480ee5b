"""A checked rule file as the rule that the engine runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from rules.condition import Condition
from rules.language.check import CheckedRule
from rules.language.steps import CheckedStep
from rules.reach import Reading, span_of
from rules.rule import Rule, RuleSet, Step
from rules.timing import Timing


def build_all(checked: Sequence[CheckedRule], timing: Timing) -> RuleSet:
    """Return the rules, by id in ascending order."""
    return together([build(rule, timing) for rule in checked], timing.max_history)


def together(rules: Sequence[Rule], max_history: int) -> RuleSet:
    """Return rules as one set, by id in ascending order.

    A rule that reads alerts waits for those of the first stage, which can change until they are
    final: for as long as any rule there can take.
    """
    built = sorted(rules, key=lambda rule: rule.id)
    waits_us = [
        r.span.forward_us + r.span.settle_us for r in RuleSet(tuple(built)).first_stage.rules
    ]
    longest_us = max(waits_us, default=0)
    return RuleSet(
        tuple(
            replace(rule, settles_after_us=longest_us) if rule.reads_alerts else rule
            for rule in built
        ),
        max_history,
    )


def build(checked: CheckedRule, timing: Timing) -> Rule:
    """Return the rule; its span and its digest depend on the timing as well."""
    parts = checked.parts
    return Rule(
        id=checked.id,
        version=checked.version,
        title=checked.title,
        status=checked.status,
        typology=checked.typology,
        stage=checked.stage,
        tags=checked.tags,
        advice=checked.advice,
        by=checked.by,
        steps=_steps(parts.steps),
        anchor=checked.anchor,
        base=checked.base,
        bands=checked.bands,
        message=checked.message,
        digest=digest(checked, timing),
        # Every step has a relation to another, or is the first, or is the anchor: none is loose.
        span=span_of([_reading(part) for part in parts.all], checked.anchor, timing),
        unless=_steps(parts.unless),
        evidence=_steps(parts.evidence),
        raises=checked.raises,
    )


def _steps(parts: Sequence[CheckedStep]) -> tuple[Step, ...]:
    return tuple(part.step for part in parts)


def _reading(part: CheckedStep) -> Reading:
    step = part.step
    return Reading(
        step.name,
        tuple(option.event for option in step.options),
        step.relations,
        each=step.each,
        window_us=step.window_us,
        optional=part.role != "step",
    )


def digest(checked: CheckedRule, timing: Timing) -> str:
    """Return the SHA-256, in hex, of everything that can change what the rule raises.

    That is the effective rule in one JSON text, with sorted keys: what only people read is not in
    it, parameters are, and so are the settings that decide when its events end and are certain.
    """
    parts = checked.parts
    read = {option.event for part in parts.all for option in part.step.options}
    effective = {
        "id": checked.id,
        "version": checked.version,
        "title": checked.title,
        "status": checked.status,
        "typology": checked.typology,
        "stage": checked.stage,
        "tags": checked.tags,
        "advice": checked.advice,
        "params": {name: param.digest_form() for name, param in checked.parameters.items()},
        "by": checked.by,
        "steps": [_digest_form(part.step) for part in parts.steps],
        "anchor": checked.anchor,
        "unless": [_digest_form(part.step) for part in parts.unless],
        "evidence": [_digest_form(part.step) for part in parts.evidence],
        "base": checked.base,
        "bands": [(band.floor, band.severity, band.action) for band in checked.bands],
        "raise": checked.raises,
        "message": checked.message_text,
        "settle": {event: timing.settle(event) for event in read},
        "open_for": timing.open_for_us,
        "timezone": timing.timezone,
    }
    return hashlib.sha256(msgspec.json.encode(effective, order="deterministic")).hexdigest()


def _digest_form(step: Step) -> dict[str, object]:
    return {
        "as": step.name,
        "options": [(option.event, _texts(option.where)) for option in step.options],
        "where": _texts(step.where),
        "relations": [(r.kind, r.other, r.within_us, r.text) for r in step.relations],
        "each": step.each,
        "having": _texts(step.having),
        "window": step.window_us,
        "weight": step.weight,
    }


def _texts(conditions: Sequence[Condition]) -> list[str]:
    return [condition.text for condition in conditions]
