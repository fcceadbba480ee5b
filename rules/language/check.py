"""A rule file's tree, checked key by key: everything a rule says, each part typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast, get_args

from rules.events import KEYS, Action, Severity, Stage
from rules.language.conditions import read_message
from rules.language.literals import Param
from rules.language.mistakes import Mistakes, quoted
from rules.language.names import Scope
from rules.language.parameters import read_parameters
from rules.language.read import Table
from rules.language.section import Section, as_table
from rules.language.steps import CheckedStep, Surroundings, read_steps
from rules.language.story import Story, read_stories
from rules.rule import Band, By, Message, Step

T = TypeVar("T")

REQUIRED = ("id", "version", "title", "status", "typology", "stage", "steps")
KNOWN = (
    *REQUIRED,
    *("tags", "about", "provenance", "blind_spots", "confusers", "advice", "params", "by"),
    *("anchor", "score", "severity", "action", "raise", "message", "stories"),
)
LATER = ("unless", "evidence")
STATUSES = ("experimental", "test", "stable", "deprecated")
_WORD = r"[a-z][a-z0-9_]{2,63}"


@dataclass(frozen=True)
class CheckedRule:
    """What a rule file says, with nothing wrong in it."""

    id: str
    version: str
    title: str
    status: str
    typology: str
    stage: str
    tags: tuple[str, ...]
    advice: str
    by: By
    parameters: Mapping[str, Param]
    steps: tuple[Step, ...]
    anchor: str
    base: int
    bands: tuple[Band, ...]
    message: Message | None
    message_text: str
    raises: str
    stories: tuple[Story, ...]


def check(table: Table, timezone: str, mistakes: Mistakes) -> CheckedRule | None:
    """Return what a rule file says, or None after noting what is wrong with it.

    Args:
        table: the tree of the file.
        timezone: the zone in which its conditions read hours and weekdays.
        mistakes: where everything goes that is wrong with it.
    """
    section = Section(table, "a rule", mistakes, known=KNOWN, required=REQUIRED, later=LATER)
    rule_id = _id(section, mistakes)
    _check_reading(section, mistakes)
    by = section.one_of("by", KEYS) if "by" in section else "person"
    around = Surroundings(
        by=cast("By", by or "person"),
        parameters=read_parameters(section.node("params"), mistakes),
        timezone=timezone,
        mistakes=mistakes,
    )
    nodes = section.items("steps", "a list of steps", one="at least one step")
    steps = read_steps(nodes, around)
    anchor = _anchor(section, steps)
    base, bands = _outcome(section, mistakes)
    message = _message(section, steps, around)
    texts = {
        "version": section.matching("version", r"\d+\.\d+\.\d+", "a form like 1.0.0"),
        "title": section.text("title"),
        "status": section.one_of("status", STATUSES),
        "typology": section.matching("typology", _WORD, "small letters, digits and _"),
        "stage": section.one_of("stage", get_args(Stage)),
        "advice": section.text("advice"),
        "raises": _raises(section),
    }
    tags = _tags(section, mistakes)
    stories = read_stories(section.node("stories"), steps, mistakes)
    if mistakes.errors:
        return None
    return CheckedRule(
        **{name: text or "" for name, text in texts.items()},
        id=_sure(rule_id),
        tags=tags,
        by=around.by,
        parameters={name: _sure(p) for name, p in around.parameters.items()},
        steps=tuple(checked.step for checked in steps),
        anchor=_sure(anchor),
        base=base,
        bands=bands,
        message=message,
        message_text=section.text("message") or "",
        stories=stories,
    )


def _sure(value: T | None) -> T:
    assert value is not None, "what is missing here has been noted as a mistake"
    return value


def _id(section: Section, mistakes: Mistakes) -> str | None:
    """Return the rule's id, which is its file's name as well."""
    rule_id = section.matching("id", _WORD, "3 to 64 small letters, digits and _")
    name = mistakes.file.rpartition("/")[2].removesuffix(".yaml")
    if rule_id is not None and rule_id != name:
        section.wrong("id", f"id {quoted(rule_id)} differs from the file's name {quoted(name)}")
    return rule_id


def _check_reading(section: Section, mistakes: Mistakes) -> None:
    """Check what is there for people only."""
    section.text("about")
    section.texts("blind_spots")
    section.texts("confusers")
    keys = ("what", "published", "by")
    for item in section.items("provenance"):
        table = as_table(item, "a mapping with what, published, by", mistakes)
        if table is not None:
            entry = Section(table, "provenance", mistakes, known=keys, required=("what", "by"))
            entry.text("what")
            entry.text("by")
            entry.matching("published", r"\d{4}(-\d{2}(-\d{2})?)?", "a day like 2023-07-10")


def _raises(section: Section) -> str | None:
    raises = section.one_of("raise", ("at_once", "when_final")) if "raise" in section else None
    if raises == "when_final":
        section.wrong("raise", "'when_final' is not supported yet by this version")
    return raises or "at_once"


def _tags(section: Section, mistakes: Mistakes) -> tuple[str, ...]:
    tags: list[str] = []
    for leaf in section.texts("tags"):
        words = leaf.text.replace(".", "_")
        if not (words.isascii() and words.replace("_", "").isalnum() and words == words.lower()):
            wanted = "small letters, digits, _ and points"
            mistakes.add(leaf.at, f"{quoted(leaf.text)} is no tag, wanted {wanted}")
        elif leaf.text in tags:
            mistakes.add(leaf.at, f"tag '{leaf.text}' stands here twice")
        tags.append(leaf.text)
    return tuple(tags)


def _anchor(section: Section, steps: tuple[CheckedStep, ...]) -> str | None:
    if "anchor" not in section:
        return steps[-1].step.name if steps else None
    return section.one_of("anchor", [checked.step.name for checked in steps])


def _outcome(section: Section, mistakes: Mistakes) -> tuple[int, tuple[Band, ...]]:
    """Return the base score and the bands; one outcome is a single band from 0."""
    single = [key for key in ("severity", "action") if key in section]
    if "score" not in section:
        if len(single) < 2:  # noqa: PLR2004 - severity and action
            what = "'score' is missing in a rule, or else 'severity' and 'action'"
            mistakes.add(section.at, what)
        return 0, (_band(section, 0),)
    for key in single:
        mistakes.add(section.place(key), f"'{key}' stands beside 'score', wanted it in a band")
    node = section.node("score")
    table = None if node is None else as_table(node, "a mapping with base and bands", mistakes)
    if table is None:
        return 0, ()
    keys = ("base", "bands")
    score = Section(table, "score", mistakes, known=keys, required=keys)
    base = score.integer("base")
    bands = _bands(score, mistakes)
    if base is not None and bands and bands[0].floor > base:
        what = f"the first band starts at {bands[0].floor}, above the base {base}"
        score.wrong("bands", what)
    return base or 0, bands


def _bands(score: Section, mistakes: Mistakes) -> tuple[Band, ...]:
    bands: list[Band] = []
    nodes = score.items("bands", "a list of bands", one="at least one band")
    keys = ("from", "severity", "action")
    for item in nodes:
        table = as_table(item, "a mapping with from, severity, action", mistakes)
        if table is None:
            continue
        entry = Section(table, "a band", mistakes, known=keys, required=keys)
        band = _band(entry, entry.integer("from"))
        if bands and band.floor <= bands[-1].floor:
            mistakes.add(table.at, "bands go up, wanted a 'from' above the one before")
        bands.append(band)
    if len(nodes) > 1:
        mistakes.add(nodes[1].at, "more than one band is not supported yet by this version")
    return tuple(bands)


def _band(section: Section, floor: int | None) -> Band:
    severity = section.one_of("severity", get_args(Severity)) or "info"
    action = section.one_of("action", get_args(Action)) or "none"
    return Band(floor or 0, cast("Severity", severity), cast("Action", action))


def _message(
    section: Section, steps: tuple[CheckedStep, ...], around: Surroundings
) -> Message | None:
    if section.text("message") is None:
        return None
    leaf = section.leaf("message")
    assert leaf is not None, "it has just been read as text"
    scope = Scope(
        step="",
        own=None,
        steps={checked.step.name: checked.event for checked in steps},
        later=frozenset(),
        parameters=around.parameters,
        timezone=around.timezone,
    )
    return read_message(leaf, scope, around.mistakes)
