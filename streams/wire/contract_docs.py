"""The generator of the contract in print: `python -m streams.wire.contract_docs [--check]`."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rules.events import EVENTS, KEYS, EventSpec, FieldSpec, Kind
from rules.events.claims import AlertClaim
from streams.wire.dead_letters import REASONS
from streams.wire.examples import example_of
from streams.wire.schemas import asyncapi, dead_letter_schema, event_schema

_COMMAND: Final = "python -m streams.wire.contract_docs"
DOCS: Final = Path(__file__).parents[2] / "docs"

_HEAD: Final = """\
<!-- Generated from rules/events by `python -m streams.wire.contract_docs`; change it there. -->

# The event contract

Every record is one CloudEvents 1.0 JSON object: on Kafka in structured mode or, where `ce_*`
headers are there, in binary mode. The same contract stands as JSON Schema in
[`schemas/`](schemas) and as an AsyncAPI document in [`asyncapi.json`](asyncapi.json).
How two senders come to name a person alike is told in [`identity.md`](identity.md).

```json
{example}
```

## The envelope

| attribute | rule |
|---|---|
| `specversion` | `"1.0"` |
| `id` | Names the *record*, unique within `source`. Repeats are harmless. |
| `source` | Who says so; part of the event's identity. |
| `type` | `ringfence.<event>.v1`. |
| `time` | A moment: when what this record reports happened. |
| `sequence` | An integer, or its digits as text; 0 if missing. Of two records of one event the \
higher completes or corrects the lower. |
| `data` | The event's fields. Unknown ones are ignored; missing and null ones are unknown. |
| `recordedtime`, `feed`, `partition` | Written into logs by `ringfence record`. |
| others | Accepted and ignored. |

Limits: 64 KiB, 16 levels of brackets, 256 fields in an object, every name once.

## Values

* *moment*: RFC 3339 **with an offset**, from 1970 to 2261; finer fractions than microseconds are
  cut; no leap second.
* *money*: an amount that goes with the `currency` (ISO 4217, upper case) beside it, always
  together. The amount is a JSON text or number, not negative, of at most 15 digits before the
  point and 6 behind it; numbers may have an exponent. It is never read through a float.
* *integer*: 0 to 2^63-1; never a float, text, true or false.
* *one of …*: a closed list.
* ✱ marks *identifiers*: text of 1 to 256 characters, in whose place a keyed pseudonym of the kind
  named is put before anything is written. Equal texts of different kinds differ. `person` and
  `caller` are made comparable first: text that starts with `+` loses spaces, `-`, `.`, `(` and
  `)`; text with an `@` is lower-cased. A `caller` that is a word for a withheld number
  (`anonymous unknown private restricted unavailable withheld`, settable, in any case) is unknown.
* ◦ marks *open* fields: the only ones that may differ between records of one event.

**Each record carries all that its sender knows of the event.** The sender of a lasting call or
share repeats it at least every `open_for` (90 minutes, settable). Required fields are in bold. An
end before its start, and an `answered_at` outside start and end, is a `bad_value`. One system is
the source of record for one type and person; two sources are two events. A record dated more than
`settle` (6 hours, settable) after its event's start is refused, and so is one whose event starts
more than 5 minutes (an `official_call`: 1 day) after it.

An event whose own id is its record's starts at the record's `time`. There `time` must be the same
in all records of the event: a retry repeats it, under the same `id`, or under a new one with the
first one's in `event_id`. Derived fields are for rules only: no record carries them.
"""

_SECTIONS: Final = {
    "calls": "Events of the call side",
    "bank": "Events of the bank side",
    "everyone": "Everyone's",
}

_DEAD_LETTERS: Final = """\
## Dead letters

A refused record goes to the topic `ringfence.dead-letters` (in a replay: to the file that
`--dead-letters` names) as where to find it and what is wrong with it, with no excerpt of its
content: {fields}. In a file, `offset` is the line number from 0 and `feed` the path as given.
The checks run in this order, and the first that fails names the reason: the bytes, the JSON, the
envelope, the clock, the person, the start, then the fields of `data` in the order of this page.
With `--validate kept`, the default, a record that no loaded rule needs is checked as far as the
person and the fields that the rules look at; with `--validate all` every record is checked whole.

| reason | meaning |
|---|---|
{reasons}

## Parquet logs

One row per record: the envelope's attributes and every field of `data` as columns. Moments are
TIMESTAMP (microseconds, UTC) or text, amounts DECIMAL or text, the rest text, integers, booleans.
"""


def render() -> dict[str, str]:
    """Every generated file, by its path below `docs/`."""
    files = {"events.md": _page(), "asyncapi.json": _json(asyncapi())}
    for name, spec in EVENTS.items():
        files[f"schemas/{name}.v1.json"] = _json(event_schema(spec))
    files["schemas/dead_letter.v1.json"] = _json(dead_letter_schema())
    return files


def main(arguments: Sequence[str], docs: Path = DOCS) -> int:
    """Write the files, or with `--check` name those that are not current; 0 is all is well."""
    return write(render(), docs, _COMMAND, check="--check" in arguments)


def write(files: Mapping[str, str], docs: Path, command: str, *, check: bool) -> int:
    """Write generated files below a folder, or name those that are not current.

    Args:
        files: the texts, by path.
        docs: the folder.
        command: what makes them current.
        check: write nothing.
    """
    stale = 0
    for name, text in files.items():
        path = docs / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            sys.stderr.write(f"{path}: not current, run {command}\n")
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return stale


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _page() -> str:
    parts = [_HEAD.replace("{example}", _example("call_invitation"))]
    for side, title in _SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += ["\n".join(_event(spec)) for spec in EVENTS.values() if spec.side == side]
    reasons = "\n".join(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items())
    fields = ", ".join(f"`{name}`" for name in dead_letter_schema()["properties"])
    parts.append(_DEAD_LETTERS.replace("{fields}", fields).replace("{reasons}", reasons))
    return "\n".join(parts)


def _event(spec: EventSpec) -> Iterator[str]:
    yield f"### `{spec.name}`\n"
    yield f"{' '.join((spec.model.__doc__ or '').split())}\n"
    if spec.name == "alert":
        yield from _alert(spec)
        return
    yield f"{_identity(spec)}\n"
    yield "| field | holds | meaning |"
    yield "|---|---|---|"
    for field in spec.fields.values():
        yield _row(field)
    yield f"\n```json\n{_example(spec.name)}\n```\n"


def _identity(spec: EventSpec) -> str:
    if spec.name == "heartbeat":
        return "It is no event: it raises the watermark of its partition, and its `time` counts \
for nothing. It may not lie more than 5 minutes after the clock of whoever reads it."
    own_id = f"`{spec.id_field}`" if spec.id_field else "`event_id`, else the record's `id`"
    start = f"`{spec.start_field}`" if spec.start_field else "the record's `time`"
    end = f" Ends at `{spec.end_field}`." if spec.end_field else ""
    keys = ", ".join(f"`{key}`" for key, name in KEYS.items() if name in spec.fields)
    return f"Own id: {own_id}. Starts at {start}.{end} Keys: {keys}."


def _row(field: FieldSpec) -> str:
    name = f"**`{field.name}`**" if field.required else f"`{field.name}`"
    marks = "✱" * (field.pseudonym is not None) + "◦" * field.open
    needs = f" Derived from {', '.join(f'`{need}`' for need in field.needs)}."
    return f"| {name}{marks} | {_holds(field)} | {field.description}{needs * field.derived} |"


def _holds(field: FieldSpec) -> str:
    if field.classes:
        return f"one of {' '.join(f'`{value}`' for value in field.classes)}"
    if field.pseudonym is not None:
        return f"identifier ({field.pseudonym})"
    words = {Kind.BOOL: "true or false", Kind.MONEY: f"money (in `{field.currency}`)"}
    return words.get(field.kind, field.kind.value)


def _example(event: str) -> str:
    record = example_of(event)
    data = json.dumps(record.pop("data"), ensure_ascii=False)
    return f'{json.dumps(record)[:-1]},\n "data": {data}}}'


def _alert(spec: EventSpec) -> Iterator[str]:
    yield (
        "On the topic `ringfence.alerts`, by `alert_id`; from outside it is a dead letter. "
        "`source` is `ringfence`, `id` is `<alert_id>.<revision>`, `sequence` the revision, "
        "`time` the anchor's start. Consumers take the greatest revision of an `alert_id`, never "
        "the last record. Nothing in it depends on a clock or a worker.\n"
    )
    yield "| field | meaning |"
    yield "|---|---|"
    for name, info in AlertClaim.model_fields.items():
        yield f"| {f'**`{name}`**' if info.is_required() else f'`{name}`'} | {info.description} |"
    yield "\nRules that read alerts see of it: " + ", ".join(f"`{name}`" for name in spec.fields)
    yield "(`rule` is the rule's id there).\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
