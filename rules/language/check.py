"""A rule file's tree, checked key by key: everything a rule says, each part typed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast, get_args

from rules.events import KEYS, Stage
from rules.language.conditions import read_message
from rules.language.keys import PROVENANCE, RULE, required
from rules.language.literals import Param
from rules.language.mistakes import Mistakes, Place, Suggestion, quoted
from rules.language.names import Scope
from rules.language.parameters import Given, read_parameters
from rules.language.read import Leaf, Table
from rules.language.relations import Surroundings
from rules.language.score import read_outcome
from rules.language.section import Section, as_table
from rules.language.steps import Parts, read_parts
from rules.language.story import read_stories
from rules.language.told import Story
from rules.language.vain import note_vain_lines
from rules.rule import Band, By, Message, Raise

T = TypeVar("T")

STATUSES = ("experimental", "test", "stable", "deprecated")
WORD = r"[a-z][a-z0-9_]{2,63}"
TWICE_HINT = "take one of them away"
_VERSION = r"\d+\.\d+\.\d+"


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
    parts: Parts
    anchor: str
    base: int
    bands: tuple[Band, ...]
    message: Message | None
    message_text: str
    raises: Raise
    stories: tuple[Story, ...]
    confusers: tuple[Leaf, ...]
    file: str
    stories_at: Place


def check(table: Table, timezone: str, given: Given, mistakes: Mistakes) -> CheckedRule | None:
    """Return what a rule file says, or None after noting what is wrong with it.

    Args:
        table: the tree of the file.
        given: the parameters that were set from outside.
        timezone: the zone in which its conditions read hours and weekdays.
        mistakes: where everything goes that is wrong with it.
    """
    section = Section(table, "a rule", mistakes, known=RULE, required=required(RULE))
    rule_id = _id(section, mistakes)
    _check_reading(section, mistakes)
    by = section.one_of("by", KEYS) if "by" in section else "person"
    around = Surroundings(
        by=cast("By", by or "person"),
        anchor=None,
        parameters=read_parameters(section.node("params"), given, mistakes),
        timezone=timezone,
        mistakes=mistakes,
    )
    parts = read_parts(section, around)
    _check_stage(section, parts, mistakes)
    weights = tuple(part.step.weight for part in parts.evidence)
    base, bands = read_outcome(section, weights, mistakes)
    message = _message(section, parts, around)
    texts = {
        "version": _version(section),
        "title": section.text("title"),
        "status": section.one_of("status", STATUSES),
        "typology": section.matching("typology", WORD, "small letters, digits and _"),
        "stage": section.one_of("stage", get_args(Stage)),
        "advice": section.text("advice"),
    }
    raises = _raises(section)
    tags = _tags(section, mistakes)
    stories = read_stories(section.node("stories"), parts.all, mistakes)
    note_vain_lines(parts, given.values, mistakes)
    if mistakes.errors or given.mistakes.errors:
        return None
    return CheckedRule(
        **{name: text or "" for name, text in texts.items()},
        id=_sure(rule_id),
        tags=tags,
        by=around.by,
        parameters={name: _sure(p) for name, p in around.parameters.items()},
        parts=parts,
        anchor=_sure(parts.anchor),
        base=base,
        bands=bands,
        message=message,
        message_text=section.text("message") or "",
        raises=raises,
        stories=stories,
        confusers=section.texts("confusers"),
        file=mistakes.file,
        stories_at=section.place("stories"),
    )


def _sure(value: T | None) -> T:
    assert value is not None, "what is missing here has been noted as a mistake"
    return value


def _id(section: Section, mistakes: Mistakes) -> str | None:
    """Return the rule's id, which is its file's name as well."""
    rule_id = section.matching("id", WORD, "3 to 64 small letters, digits and _")
    name = mistakes.file.rpartition("/")[2].removesuffix(".yaml")
    if rule_id is not None and rule_id != name:
        section.wrong("id", f"id {quoted(rule_id)} differs from the file's name {quoted(name)}")
    return rule_id


def _version(section: Section) -> str | None:
    text = section.word("version")
    if text is None or re.fullmatch(_VERSION, text, re.ASCII):
        return text
    wanted = "wanted a form like 1.0.0"
    short = re.fullmatch(r"v?(\d+(?:\.\d+){0,2})", text, re.ASCII)
    whole = ".".join([*short[1].split("."), "0", "0"][:3]) if short else ""
    hint = Suggestion(f"did you mean '{whole}'?", text, whole) if short else None
    section.wrong("version", f"version is {quoted(text)}, {wanted}", hint)
    return None


def _check_reading(section: Section, mistakes: Mistakes) -> None:
    """Check what is there for people only."""
    section.text("about")
    section.texts("blind_spots")
    section.texts("confusers")
    for item in section.items("provenance"):
        table = as_table(item, "a mapping with what, published, by", mistakes)
        if table is not None:
            entry = Section(
                table, "provenance", mistakes, known=PROVENANCE, required=required(PROVENANCE)
            )
            entry.text("what")
            entry.text("by")
            entry.matching("published", r"\d{4}(-\d{2}(-\d{2})?)?", "a day like 2023-07-10")


def _raises(section: Section) -> Raise:
    raises = section.one_of("raise", get_args(Raise)) if "raise" in section else None
    return cast("Raise", raises or "at_once")


def _check_stage(section: Section, parts: Parts, mistakes: Mistakes) -> None:
    """Check that a rule of the second stage has nothing that would wait for other rules."""
    events = {option.event for part in parts.all for option in part.step.options}
    if "alert" in events and parts.unless:
        what = "a rule that reads alerts has no 'unless'"
        mistakes.add(section.place("unless"), what)


def _tags(section: Section, mistakes: Mistakes) -> tuple[str, ...]:
    tags: list[str] = []
    for leaf in section.texts("tags"):
        words = leaf.text.replace(".", "_")
        if not (words.isascii() and words.replace("_", "").isalnum() and words == words.lower()):
            wanted = "small letters, digits, _ and points"
            mistakes.add(leaf.at, f"{quoted(leaf.text)} is no tag, wanted {wanted}")
        elif leaf.text in tags:
            mistakes.add(leaf.at, f"tag '{leaf.text}' stands here twice", TWICE_HINT)
        tags.append(leaf.text)
    return tuple(tags)


def _message(section: Section, parts: Parts, around: Surroundings) -> Message | None:
    if section.text("message") is None:
        return None
    leaf = section.leaf("message")
    assert leaf is not None, "it has just been read as text"
    steps = {part.step.name: part.event for part in parts.steps if not part.step.each}
    sets = {part.step.name: part.event for part in parts.steps if part.step.each}
    scope = Scope(
        place="a message",
        step="",
        own=None,
        steps=steps,
        sets=sets,
        single=frozenset({*steps, *(name for name in sets if name == parts.anchor)}),
        barred={
            part.step.name: f"'{part.step.name}' stands under '{part.role}', wanted a step"
            for part in parts.unless + parts.evidence
        },
        adds_up=True,
        parameters=around.parameters,
        timezone=around.timezone,
    )
    return read_message(leaf, scope, around.mistakes)
