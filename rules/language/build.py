"""A checked rule file as the rule that the engine runs."""

import hashlib

import msgspec

from rules.language.check import CheckedRule
from rules.reach import span_of
from rules.rule import Rule
from rules.timing import Timing


def build(checked: CheckedRule, timing: Timing) -> Rule:
    """Return the rule; its span and its digest depend on the timing as well."""
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
        steps=checked.steps,
        anchor=checked.anchor,
        base=checked.base,
        bands=checked.bands,
        message=checked.message,
        digest=digest(checked, timing),
        # Every step but the first has a relation to an earlier one, so none is loose.
        span=span_of(
            [(step.name, step.event, step.relations) for step in checked.steps],
            checked.anchor,
            timing,
        ),
    )


def digest(checked: CheckedRule, timing: Timing) -> str:
    """Return the SHA-256, in hex, of everything that can change what the rule raises.

    That is the effective rule in one JSON text, with sorted keys: what only people read is not in
    it, parameters are, and so are the settings that decide when its events end and are certain.
    """
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
        "steps": [
            {
                "as": step.name,
                "event": step.event,
                "where": [condition.text for condition in step.where],
                "relations": [(r.kind, r.other, r.within_us, r.text) for r in step.relations],
            }
            for step in checked.steps
        ],
        "anchor": checked.anchor,
        "base": checked.base,
        "bands": [(band.floor, band.severity, band.action) for band in checked.bands],
        "raise": checked.raises,
        "message": checked.message_text,
        "settle": {step.event: timing.settle(step.event) for step in checked.steps},
        "open_for": timing.open_for_us,
        "timezone": timing.timezone,
    }
    return hashlib.sha256(msgspec.json.encode(effective, order="deterministic")).hexdigest()
