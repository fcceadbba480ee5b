"""The contract as JSON Schema 2020-12 and as an AsyncAPI 3.0 document, from the models."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rules.events import EVENTS, INTEGER_LIMIT, EventSpec, FieldSpec, Kind, own_fields
from rules.events.claims import AlertClaim
from streams.wire.dead_letters import REASONS
from streams.wire.examples import example_of
from streams.wire.json_text import FIELD_LIMIT

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = {"type": "string", "minLength": 1}
_MOMENT: Final = {"type": "string", "format": "date-time"}


def event_schema(spec: EventSpec) -> Schema:
    """The schema of a whole record of one event type, envelope included."""
    data = _alert_data() if spec.name == "alert" else _event_data(spec)
    required = ["specversion", "id", "source", "type", "time", "data"]
    if spec.name == "heartbeat":
        required.remove("time")
    schema = {
        "$schema": _DIALECT,
        "$id": f"urn:ringfence:{spec.name}:v1",
        "title": spec.wire_type,
        "description": _doc(spec.model if spec.name != "alert" else AlertClaim),
        "type": "object",
        "required": required,
        "maxProperties": FIELD_LIMIT,
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _described(_NAME, "Names the record, unique within `source`."),
            "source": _described(_NAME, "Who says so; part of the event's identity."),
            "type": {"const": spec.wire_type},
            "time": _described(_MOMENT, "When what this record reports happened."),
            "sequence": _sequence(),
            **_extensions(),
            "data": data,
        },
    }
    if spec.name == "outcome":
        required.remove("data")
    if spec.name != "alert":
        schema["examples"] = [example_of(spec.name)]
    return schema


def dead_letter_schema() -> Schema:
    """The schema of a dead letter."""
    text: Schema = {"type": ["string", "null"]}
    count = {"type": "integer", "minimum": 0}
    properties = {
        "reason": {"enum": list(REASONS), "description": "Which check failed first."},
        "detail": {"type": "string", "description": "What is wanted and what was found."},
        "field": _described(text, "The path of the field at fault, if it is one field's."),
        "feed": {"type": "string", "description": "The topic, or the file as it was given."},
        "partition": _described(count, "The topic's partition; 0 for a file."),
        "offset": _described(count, "The offset there, or the line number from 0."),
        "record_time": _described(
            {"type": ["string", "null"], "format": "date-time"}, "The record's time, if readable."
        ),
        "bytes": _described(count, "The record's size."),
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "source": _described(text, "The record's source, if readable, cut to 256 characters."),
        "type": _described(text, "The record's type, likewise."),
        "id": _described(text, "The record's id, likewise."),
    }
    return {
        "$schema": _DIALECT,
        "$id": "urn:ringfence:dead_letter:v1",
        "title": "dead letter",
        "description": "Where a refused record lies and what is wrong with it.",
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _described(schema: Mapping[str, Any], description: str) -> Schema:
    return {**schema, "description": description}


def _sequence() -> Schema:
    return {
        "description": "Of two records of one event the higher completes or corrects the lower.",
        "default": 0,
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": INTEGER_LIMIT},
            {"type": "string", "pattern": "^[0-9]+$"},
            {"type": "null"},
        ],
    }


def _extensions() -> Schema:
    return {
        "recordedtime": {"description": "In a recorded log: when it was recorded."},
        "feed": {"description": "In a recorded log: the topic that it came from."},
        "partition": {"description": "In a recorded log: the partition that it came from."},
    }


def _doc(model: type) -> str:
    return " ".join((model.__doc__ or "").split())


def _event_data(spec: EventSpec) -> Schema:
    schema = spec.model.model_json_schema()
    properties = schema["properties"]
    for name, field in properties.items():
        field.pop("title")
        pseudonym = spec.fields[name].pseudonym if name in spec.fields else None
        if pseudonym is not None:
            field["x-ringfence-pseudonym"] = pseudonym
    data: Schema = {"type": "object", "maxProperties": FIELD_LIMIT}
    if "required" in schema:
        data["required"] = schema["required"]
    data["properties"] = properties
    pairs = list(_money_and_currency(spec))
    return data | ({"allOf": pairs} if pairs else {})


def _alert_data() -> Schema:
    """The alert's data, with the models it is built from written out in their places."""
    schema = AlertClaim.model_json_schema()
    definitions = schema.pop("$defs")
    written_out: Schema = _written_out(schema, definitions)
    return {name: written_out[name] for name in ("type", "required", "properties")}


def _written_out(part: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(part, list):
        return [_written_out(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        meant = definitions[part["$ref"].removeprefix("#/$defs/")]
        part = {**meant, **{name: one for name, one in part.items() if name != "$ref"}}
    return {
        name: _written_out(one, definitions)
        for name, one in part.items()
        # Pydantic puts titles on everything; a property of that name holds an object.
        if name != "title" or isinstance(one, dict)
    }


def _money_and_currency(spec: EventSpec) -> Iterator[Schema]:
    """The rule that an amount and its currency are known together, where both may be missing."""
    own = own_fields(spec)
    amounts = [field for field in own if field.kind is Kind.MONEY]
    if not amounts or spec.fields["currency"].required:
        return
    yield from (_if_known(field, [spec.fields["currency"]]) for field in amounts)
    yield _if_known(spec.fields["currency"], amounts)


def _if_known(field: FieldSpec, others: list[FieldSpec]) -> Schema:
    wanted = [_known(other) for other in others]
    return {"if": _known(field), "then": wanted[0] if len(wanted) == 1 else {"anyOf": wanted}}


def _known(field: FieldSpec) -> Schema:
    return {
        "required": [field.name],
        "properties": {field.name: {"not": {"type": "null"}}},
    }


_CHANNELS: Final[Mapping[str, tuple[str, str, str]]] = {
    "calls": ("calls", "receive", "Events of the call side."),
    "transactions": ("transactions", "receive", "Events of the bank side."),
    "alerts": ("ringfence.alerts", "send", "Alerts, by alert id."),
    "deadLetters": ("ringfence.dead-letters", "send", "What was refused, and why."),
}
_MIXED: Final = " Any event type is accepted on any of ringfence's input topics."


def asyncapi() -> Schema:
    """The AsyncAPI document: channels, operations, and messages that name the schemas."""
    messages = {name: _message(spec) for name, spec in EVENTS.items()}
    messages["dead_letter"] = {
        "name": "dead letter",
        "contentType": "application/json",
        "payload": {"$ref": "./schemas/dead_letter.v1.json"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ringfence",
            "version": "1.0.0",
            "description": "Reads call events and bank events, joins them per person, and sends "
            "alerts while the transfer can still be held.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {name: _channel(name) for name in _CHANNELS},
        "operations": {
            f"{action}{name[0].upper()}{name[1:]}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name, (_, action, _) in _CHANNELS.items()
        },
        "components": {"messages": messages},
    }


def _channel(name: str) -> Schema:
    address, action, description = _CHANNELS[name]
    return {
        "address": address,
        "description": description + (_MIXED if action == "receive" else ""),
        "messages": {
            message: {"$ref": f"#/components/messages/{message}"} for message in _messages(name)
        },
    }


def _messages(channel: str) -> list[str]:
    by_side = {
        side: [spec.name for spec in EVENTS.values() if spec.side == side]
        for side in ("calls", "bank")
    }
    return {
        "calls": [*by_side["calls"], "heartbeat"],
        "transactions": [*by_side["bank"], "outcome", "heartbeat"],
        "alerts": ["alert"],
        "deadLetters": ["dead_letter"],
    }[channel]


def _message(spec: EventSpec) -> Schema:
    message: Schema = {
        "name": spec.wire_type,
        "title": spec.name,
        "summary": _doc(spec.model if spec.name != "alert" else AlertClaim),
        "payload": {"$ref": f"./schemas/{spec.name}.v1.json"},
    }
    if spec.name == "alert":
        key = {"type": "string", "description": "The alert id."}
        message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    else:
        message["examples"] = [{"name": spec.name, "payload": example_of(spec.name)}]
    return message
