"""The JSON Schema of a rule file, with which editors complete and check while one is written.

It accepts every file that `ringfence check` accepts; what conditions say is for `check` alone.
"""

from collections.abc import Mapping
from typing import Any, get_args

from rules.authoring.tags import OWN, TAGS
from rules.events import KEYS, Action, EventSpec, FieldSpec, Kind, Severity, Stage
from rules.language import keys
from rules.language.check import STATUSES, WORD
from rules.language.keys import Keys
from rules.language.kinds_of_event import EVENT_TYPES
from rules.language.parameters import NAME
from rules.language.story import is_told
from rules.rule import Raise

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = f"^{WORD}$"
_NAME = f"^{NAME}$"
_TEXT: Schema = {"type": "string"}
# What YAML takes for a number is as good a text where a day or a name is wanted.
_LOOSE: Schema = {"type": ["string", "number"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_CONDITIONS: Schema = {"type": "array", "items": {"type": "string", "maxLength": 2000}}
_EVENT: Schema = {"enum": sorted(EVENT_TYPES)}
_STEPS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_SEVERITY: Schema = {"enum": list(get_args(Severity))}
_ACTION: Schema = {"enum": list(get_args(Action))}


def rule_schema() -> Schema:
    """Return the schema of a rule file."""
    return {
        "$schema": _DIALECT,
        "$id": "urn:ringfence:rule",
        "title": "A rule file of ringfence",
        **_object(keys.RULE, _RULE_VALUES),
    }


def _object(section: Keys, values: Mapping[str, Schema], **more: Schema) -> Schema:
    """Return the schema of one section, each key with its description."""
    described = {name: {"description": key.says, **values[name]} for name, key in section.items()}
    schema: Schema = {"type": "object", "properties": {**described, **more}}
    if needed := keys.required(section):
        schema["required"] = list(needed)
    return schema | {"additionalProperties": False}


def _list(items: Schema, **more: int) -> Schema:
    return {"type": "array", "items": items, **more}


# Sections, from the inside out ---------------------------------------------------------------


_RELATION_VALUES: Mapping[str, Schema] = {
    **dict.fromkeys(("after", "before", "around", "during"), _STEPS),
    "within": _TEXT,
}
_OPTION = _object(keys.OPTION, {"event": _EVENT, "where": _CONDITIONS})
_STEP_VALUES: Mapping[str, Schema] = {
    "as": {"type": "string", "pattern": _NAME},
    "event": _EVENT,
    "either": _list(_OPTION, minItems=1),
    "each": _EVENT,
    "where": _CONDITIONS,
    "having": _CONDITIONS | {"minItems": 1},
    **_RELATION_VALUES,
    "relations": _list(_object(keys.RELATION, _RELATION_VALUES), minItems=1),
    "weight": {"type": "integer", "minimum": 1},
}
_BINDS: Schema = {"oneOf": [{"required": [name]} for name in ("event", "either", "each")]}
_STEP = _object(keys.STEP, _STEP_VALUES) | _BINDS
_EVIDENCE = _object(keys.EVIDENCE, _STEP_VALUES) | _BINDS
_BAND = _object(keys.BAND, {"from": _COUNT, "severity": _SEVERITY, "action": _ACTION})
_CLAIM = _object(
    keys.CLAIM,
    {
        "anchor": _LOOSE,
        "action": _ACTION,
        "severity": _SEVERITY,
        "score": _COUNT,
        "with": _list(_TEXT),
    },
)


def _field(field: FieldSpec) -> Schema:
    """Return what a story may write for a field; null takes a default away."""
    values: Mapping[Kind, Schema] = {
        Kind.BOOL: {"type": ["boolean", "null"]},
        Kind.INTEGER: {"type": ["integer", "null"], "minimum": 0},
        Kind.NUMBER: {"type": ["number", "null"]},
        Kind.MONEY: {"type": ["string", "null"], "pattern": r"^\d+(\.\d+)? [A-Z]{3}$"},
        Kind.CLASS: {"enum": [*field.classes, None]},
    }
    return {
        "description": field.description,
        **values.get(field.kind, {"type": ["string", "number", "null"]}),
    }


def _fields(event: EventSpec) -> dict[str, Schema]:
    return {name: _field(field) for name, field in event.fields.items() if is_told(field, event)}


_RECORD_VALUES: Mapping[str, Schema] = {
    "at": _TEXT,
    "time": _TEXT,
    "source": _TEXT,
    "sequence": _COUNT,
}


def _record(event: EventSpec) -> Schema:
    name: Schema = {"description": "The event's own id in the story.", **_LOOSE}
    record = _object(keys.RECORD, _RECORD_VALUES, **{event.name: name}, **_fields(event))
    return record | {"required": [event.name, "at"]}


def _update() -> Schema:
    anything = {n: f for event in EVENT_TYPES.values() for n, f in _fields(event).items()}
    loose = {name: {"description": schema["description"]} for name, schema in anything.items()}
    name: Schema = {"description": "The record that this one is a later snapshot of.", **_LOOSE}
    record = _object(keys.RECORD, _RECORD_VALUES, update=name, **loose)
    return record | {"required": ["update", "at"]}


_STORY = _object(
    keys.STORY,
    {
        "title": _TEXT,
        "events": _list({"anyOf": [*map(_record, EVENT_TYPES.values()), _update()]}),
        "like": _TEXT,
        "change": {"type": "object", "additionalProperties": {"type": "object"}},
        "alerts": _list(_CLAIM),
        "misses": _object(keys.MISS, {"step": _TEXT, "on": _TEXT}),
        "arrival": _list(_LOOSE),
        "lateness": _TEXT,
    },
) | {"oneOf": [{"required": ["events"]}, {"required": ["like"]}]}

_RULE_VALUES: Mapping[str, Schema] = {
    "id": {"type": "string", "pattern": _ID},
    "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    "title": _TEXT,
    "status": {"enum": list(STATUSES)},
    "typology": {"type": "string", "pattern": _ID},
    "stage": {"enum": list(get_args(Stage))},
    "tags": _list({"anyOf": [{"enum": list(TAGS)}, {"type": "string", "pattern": f"^{OWN}"}]}),
    "about": _TEXT,
    "provenance": _list(
        _object(keys.PROVENANCE, {"what": _TEXT, "published": _LOOSE, "by": _TEXT})
    ),
    "blind_spots": _list(_TEXT),
    "confusers": _list(_TEXT),
    "advice": _TEXT,
    "params": {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"anyOf": [_LOOSE, _list(_TEXT, minItems=1)]},
    },
    "by": {"enum": list(KEYS)},
    "steps": _list(_STEP, minItems=1),
    "anchor": _TEXT,
    "unless": _list(_STEP),
    "evidence": _list(_EVIDENCE),
    "score": _object(keys.SCORE, {"base": _COUNT, "bands": _list(_BAND, minItems=1)}),
    "severity": _SEVERITY,
    "action": _ACTION,
    "raise": {"enum": list(get_args(Raise))},
    "message": _TEXT,
    "stories": _list(_STORY),
}
