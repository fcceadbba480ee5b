"""The event types that steps can bind, alone or as alternatives of each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rules.events import EVENTS, KEYS, EventSpec, FieldSpec
from rules.language.mistakes import quoted, sole, suggestion
from rules.language.section import Section
from rules.rule import By

# What is no event of a pattern.
_NO_STEP = frozenset({"heartbeat", "outcome"})
# An alert is known by its rule and its anchor; its own id tells a condition nothing.
_ALERT = replace(
    EVENTS["alert"], fields={n: f for n, f in EVENTS["alert"].fields.items() if n != "alert_id"}
)
EVENT_TYPES: Mapping[str, EventSpec] = {
    name: _ALERT if name == "alert" else event
    for name, event in EVENTS.items()
    if name not in _NO_STEP
}


def read_event(section: Section, key: str, by: By) -> EventSpec | None:
    """Return the event type named under a key, if it can be found under what a rule goes by."""
    name = section.word(key)
    if name is None:
        return None
    event = EVENT_TYPES.get(name)
    if event is None:
        what = f"{quoted(name)} is no event of a pattern"
        hint = suggestion(name, EVENT_TYPES, "events", sure=sole(name, EVENT_TYPES))
        section.wrong(key, what, hint)
    elif KEYS[by] not in event.fields:
        what = f"{name} has no {KEYS[by]}, so it is found under no {by}"
        names = sorted(n for n, e in EVENT_TYPES.items() if KEYS[by] in e.fields)
        section.wrong(key, what, f"events with {KEYS[by]}: {', '.join(names)}")
        return None
    return event


def common(events: Sequence[EventSpec]) -> EventSpec:
    """Return what can be said of an event that is of one of these types."""
    first, *others = events
    shared = {
        name: _joined(field, [event.fields[name] for event in others])
        for name, field in first.fields.items()
        if all(_alike(field, event.fields.get(name)) for event in others)
    }
    return replace(first, name=" or ".join(event.name for event in events), fields=shared)


def _alike(field: FieldSpec, other: FieldSpec | None) -> bool:
    return other is not None and (field.kind, field.pseudonym) == (other.kind, other.pseudonym)


def _joined(field: FieldSpec, others: Sequence[FieldSpec]) -> FieldSpec:
    fields = (field, *others)
    return replace(
        field,
        open=any(f.open for f in fields),
        required=all(f.required for f in fields),
        classes=tuple(dict.fromkeys(value for f in fields for value in f.classes)),
    )
