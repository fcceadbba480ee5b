"""The reference of the rule language as Markdown: every key, function and tag, in tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.authoring.schema import rule_schema
from rules.authoring.tags import OWN, TAGS
from rules.language import keys
from rules.language.keys import Keys
from rules.language.kinds_of_event import EVENT_TYPES

_SECTIONS: Mapping[str, Keys] = {
    "A rule file": keys.RULE,
    "An entry of `provenance`": keys.PROVENANCE,
    "A step, an entry of `unless` or one of `evidence`": keys.STEP,
    "An entry of `evidence` besides": keys.WEIGHT,
    "An entry of `either`": keys.OPTION,
    "An entry of `relations`": keys.RELATION,
    "`score`": keys.SCORE,
    "A band": keys.BAND,
    "A story": keys.STORY,
    "A record of a story": keys.RECORD,
    "An alert that a story claims": keys.CLAIM,
    "`misses`": keys.MISS,
}
_RECORD = (
    "Beside these stand the event's type with the event's own id, or `update` with the id of an"
    " earlier record, and the fields of [the contract](events.md). Money is written with its"
    " currency: `amount: 20000 CNY`. What the contract requires and a story leaves out is filled"
    " in; `null` takes it away."
)
FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "hour": ("`hour(moment)`", "The hour of the day, 0 to 23, in the setting `timezone`."),
    "weekday": ("`weekday(moment)`", "The day of the week; Monday is 0."),
    "gap": ("`gap(a, b)`", "The gap of two steps' events: zero where they overlap."),
    "startswith": ('`startswith(text, "…")`', "Whether a text begins so."),
    "ratio": ("`ratio(money, money)`", "The one by the other, of one currency, as a number."),
    "number": ("`number(money)`", "The amount without its currency."),
    "count": ("`count(x)`, `count(x.field)`", "The members of a set; its distinct known values."),
    "sum": ("`sum(x.field)`", "The sum over a set, of money for each currency."),
    "least": ("`least(x.field)`", "The least value in a set."),
    "greatest": ("`greatest(x.field)`", "The greatest value in a set."),
}
"""How each function is written, and what it gives; the last four stand under `having` only."""


def reference() -> str:
    """Return the reference."""
    return "\n".join([*_keys(), *_functions(), *_events(), *_tags()]) + "\n"


def _keys() -> Iterator[str]:
    values = rule_schema()["properties"]
    for title, section in _SECTIONS.items():
        yield f"### {title}\n"
        yield "| key | says |"
        yield "|---|---|"
        for name, key in section.items():
            shown = f"**`{name}`**" if key.required else f"`{name}`"
            listed = _listed(values[name]) if section is keys.RULE else ""
            yield f"| {shown} | {key.says}{listed} |"
        yield f"\n{_RECORD}\n" if section is keys.RECORD else ""


def _listed(schema: Mapping[str, Any]) -> str:
    """Return the values that a key can have, if they are a list."""
    values = schema.get("enum")
    return "" if values is None else f" One of {' '.join(f'`{value}`' for value in values)}."


def _functions() -> Iterator[str]:
    yield "### Functions\n"
    yield "| function | gives |"
    yield "|---|---|"
    yield from (f"| {written} | {gives} |" for written, gives in FUNCTIONS.values())
    yield ""


def _events() -> Iterator[str]:
    yield "### Events\n"
    names = ", ".join(f"`{name}`" for name in sorted(EVENT_TYPES))
    yield f"Steps bind {names}. Their fields, and the values of each, stand in"
    yield "[the contract](events.md).\n"


def _tags() -> Iterator[str]:
    yield "### Tags\n"
    yield "| tag | stands for |"
    yield "|---|---|"
    yield from (f"| `{tag}` | {says} |" for tag, says in TAGS.items())
    yield f"| `{OWN}…` | whatever a site means by it |"
