"""The steps of a rule: their events, conditions, and how they lie to each other."""

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.condition import Condition
from rules.events import EVENTS, KEYS, EventSpec, Kind
from rules.language.conditions import read_condition
from rules.language.literals import Param
from rules.language.mistakes import Mistakes, Place, quoted, suggestion
from rules.language.names import Scope
from rules.language.parameters import NAME
from rules.language.read import Items, Leaf, Node, describe
from rules.language.section import Section, as_leaf, as_table
from rules.moment import format_duration, parse_duration
from rules.reach import Relation, RelationKind
from rules.rule import By, Step

# What is no event of a pattern; `alert` is one, of the rules of a second stage.
_NO_STEP = frozenset({"heartbeat", "outcome", "alert"})
EVENT_TYPES: Mapping[str, EventSpec] = {n: e for n, e in EVENTS.items() if n not in _NO_STEP}
_KINDS: tuple[RelationKind, ...] = ("after", "before", "around", "during")
_KEYS = ("as", "event", "where", *_KINDS, "within", "relations")
_MOST = 50
_LATER = ("each", "either", "having", "weight")
_WITHIN = "a duration such as 90s, 15m or 2h, or a parameter's name"


@dataclass(frozen=True)
class Surroundings:
    """What all steps of one rule share."""

    by: By
    parameters: Mapping[str, Param | None]
    timezone: str
    mistakes: Mistakes


@dataclass(frozen=True)
class CheckedStep:
    """A step, its event type if that is known, and where it stands."""

    step: Step
    event: EventSpec | None
    at: Place


def read_steps(nodes: Sequence[Node], around: Surroundings) -> tuple[CheckedStep, ...]:
    """Return the steps that can be told apart; what is wrong with each is noted."""
    if len(nodes) > _MOST:
        # How far steps can lie from each other costs the cube of their number.
        what = f"a rule has at most {_MOST} steps, found {len(nodes)}"
        around.mistakes.add(nodes[_MOST].at, what)
        return ()
    sections = []
    for node in nodes:
        table = as_table(node, "a step", around.mistakes)
        if table is not None:
            sections.append(
                Section(
                    table,
                    "a step",
                    around.mistakes,
                    known=_KEYS,
                    required=("as",) if {*_LATER} & {*table.entries} else ("as", "event"),
                    later=_LATER,
                )
            )
    names = [_name(section) for section in sections]
    done: dict[str, CheckedStep] = {}
    for place, (section, name) in enumerate(zip(sections, names, strict=True)):
        if name in done:
            section.wrong("as", f"a second step '{name}', wanted another name")
        elif name is not None:
            later = frozenset(n for n in names[place + 1 :] if n is not None) - {*done, name}
            done[name] = _step(section, name, done, later, around)
    return tuple(done.values())


def _name(section: Section) -> str | None:
    name = section.matching("as", NAME, "small letters, digits and _")
    if name is not None and keyword.iskeyword(name):
        section.wrong("as", f"'{name}' is a word of conditions, wanted another name")
        return None
    return name


def _step(
    section: Section,
    name: str,
    earlier: Mapping[str, CheckedStep],
    later: frozenset[str],
    around: Surroundings,
) -> CheckedStep:
    event = _event(section, around.by)
    scope = Scope(
        step=name,
        own=event,
        steps={n: checked.event for n, checked in earlier.items()},
        later=later,
        parameters=around.parameters,
        timezone=around.timezone,
    )
    step = Step(
        name=name,
        event=event.name if event is not None else "",
        where=_where(section, scope, around.mistakes),
        relations=_relations(section, scope, around),
    )
    return CheckedStep(step, event, section.at)


def _event(section: Section, by: By) -> EventSpec | None:
    name = section.word("event")
    if name is None:
        return None
    if name == "alert":
        section.wrong("event", "event 'alert' is not supported yet by this version")
        return None
    event = EVENT_TYPES.get(name)
    if event is None:
        what = f"{quoted(name)} is no event of a pattern"
        section.wrong("event", what, suggestion(name, EVENT_TYPES, "events"))
    elif KEYS[by] not in event.fields:
        what = f"{name} has no {KEYS[by]}, so it is found under no {by}"
        names = sorted(n for n, e in EVENT_TYPES.items() if KEYS[by] in e.fields)
        section.wrong("event", what, f"events with {KEYS[by]}: {', '.join(names)}")
        return None
    return event


def _where(section: Section, scope: Scope, mistakes: Mistakes) -> tuple[Condition, ...]:
    leaves = [
        as_leaf(item, "a condition", mistakes)
        for item in section.items("where", "a list of conditions")
    ]
    if scope.own is None:
        return ()
    read = [read_condition(leaf, scope, mistakes) for leaf in leaves if leaf is not None]
    return tuple(condition for condition in read if condition is not None)


def _relations(section: Section, scope: Scope, around: Surroundings) -> tuple[Relation, ...]:
    if "relations" not in section:
        return _relation(section, scope, around, required=bool(scope.steps))
    for key in section.keys():  # noqa: SIM118 - a section is no mapping
        if key in _KINDS or key == "within":
            at = section.place(key)
            around.mistakes.add(at, f"'{key}' stands beside 'relations', wanted it inside")
    found: list[Relation] = []
    for item in section.items("relations", "a list of relations", one="at least one relation"):
        table = as_table(item, "a relation", around.mistakes)
        if table is not None:
            keys = (*_KINDS, "within")
            entry = Section(table, "a relation", around.mistakes, known=keys)
            found += _relation(entry, scope, around, required=True)
    return tuple(found)


def _relation(
    section: Section, scope: Scope, around: Surroundings, *, required: bool
) -> tuple[Relation, ...]:
    """Return the relations to each of the steps named by one of after, before, around, during."""
    kinds = [kind for kind in _KINDS if kind in section]
    if len(kinds) > 1:
        hint = "give each its own entry under 'relations'"
        where = section.place(kinds[1])
        around.mistakes.add(where, f"'{kinds[1]}' stands beside '{kinds[0]}'", hint)
        return ()
    if not kinds:
        if "within" in section or required:
            what = "a relation is missing: after, before, around or during an earlier step"
            around.mistakes.add(section.place("within"), what)
        return ()
    within = _within(section, kinds[0], around)
    names = _others(section, kinds[0], scope, around.mistakes)
    if within is None:
        return ()
    within_us, text = within
    return tuple(
        Relation(kinds[0], name, within_us, " ".join(filter(None, (text, kinds[0], name))))
        for name in names
    )


def _within(section: Section, kind: str, around: Surroundings) -> tuple[int, str] | None:
    """Return the bound of a relation and how the rule says it; `during` has none."""
    if (kind == "during") is ("within" not in section):
        return (0, "") if kind == "during" else _bound(section, around)
    if kind == "during":
        around.mistakes.add(section.place("within"), "'during' takes no 'within'")
    else:
        what = f"'{kind}' without 'within', wanted {_WITHIN}"
        around.mistakes.add(section.place(kind), what)
    return None


def _bound(section: Section, around: Surroundings) -> tuple[int, str] | None:
    word = section.word("within")
    if word is None:
        return None
    if word in around.parameters:
        return _named_bound(section, around.parameters[word])
    try:
        return parse_duration(word), f"within {word}"
    except ValueError:
        durations = [n for n, p in around.parameters.items() if p and p.kind is Kind.DURATION]
        hint = suggestion(word, durations, "parameters that are durations")
        section.wrong("within", f"found {quoted(word)}, wanted {_WITHIN}", hint)
        return None


def _named_bound(section: Section, parameter: Param | None) -> tuple[int, str] | None:
    if parameter is None:
        return None
    if parameter.kind is Kind.DURATION and isinstance(parameter.value, int):
        return parameter.value, f"within {format_duration(parameter.value)}"
    section.wrong("within", f"parameter '{parameter.name}' is no duration, wanted {_WITHIN}")
    return None


def _others(section: Section, kind: str, scope: Scope, mistakes: Mistakes) -> list[str]:
    """Return the earlier steps that a relation names."""
    node = section.node(kind)
    nodes = node.items if isinstance(node, Items) else (node,)
    names: list[str] = []
    if not nodes:
        section.wrong(kind, f"found an empty list, wanted steps to be {kind}")
    for item in nodes:
        leaf = as_leaf(item, "a step's name", mistakes)
        if leaf is None:
            continue
        if leaf.text in names:
            mistakes.add(leaf.at, f"step {describe(leaf)} is named twice")
        elif leaf.text in scope.steps:
            names.append(leaf.text)
        else:
            _refuse_step(leaf, scope, mistakes)
    return names


def _refuse_step(leaf: Leaf, scope: Scope, mistakes: Mistakes) -> None:
    if leaf.text == scope.step:
        mistakes.add(leaf.at, f"'{leaf.text}' is this step itself, wanted an earlier one")
    elif leaf.text in scope.later:
        mistakes.add(leaf.at, f"step '{leaf.text}' comes later, wanted an earlier one")
    else:
        hint = suggestion(leaf.text, scope.steps, "earlier steps")
        mistakes.add(leaf.at, f"unknown step {quoted(leaf.text)}", hint)
