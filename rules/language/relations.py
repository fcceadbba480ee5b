"""How a step lies to others: after, before, around, during, and within which bound."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.events import Kind
from rules.language.keys import RELATION
from rules.language.literals import Param
from rules.language.mistakes import Mistakes, Place, quoted, suggestion
from rules.language.names import Scope
from rules.language.read import Items, Leaf, describe
from rules.language.section import Section, as_leaf, as_table
from rules.moment import format_duration, parse_duration
from rules.reach import Relation, RelationKind
from rules.rule import By

KINDS: tuple[RelationKind, ...] = ("after", "before", "around", "during")
_WITHIN = "a duration such as 90s, 15m or 2h, or a parameter's name"


@dataclass(frozen=True)
class Surroundings:
    """What all steps of one rule share; `anchor` is the anchor's name, if that is known."""

    by: By
    anchor: str | None
    parameters: Mapping[str, Param | None]
    timezone: str
    mistakes: Mistakes


@dataclass(frozen=True)
class Tie:
    """A relation, and where its bound stands in the file."""

    relation: Relation
    at: Place


def read_ties(
    section: Section, scope: Scope, around: Surroundings, *, required: bool
) -> tuple[Tie, ...]:
    """Return the relations of a step; with `required`, none is a mistake."""
    if "relations" not in section:
        return _ties(section, scope, around, required=required)
    for key in section.keys():  # noqa: SIM118 - a section is no mapping
        if key in KINDS or key == "within":
            at = section.place(key)
            around.mistakes.add(at, f"'{key}' stands beside 'relations', wanted it inside")
    found: list[Tie] = []
    for item in section.items("relations", "a list of relations", one="at least one relation"):
        table = as_table(item, "a relation", around.mistakes)
        if table is not None:
            entry = Section(table, "a relation", around.mistakes, known=RELATION)
            found += _ties(entry, scope, around, required=True)
    return tuple(found)


def has_relation(section: Section) -> bool:
    """Tell whether a step says how it lies to another."""
    return any(key in section for key in (*KINDS, "relations"))


def _ties(
    section: Section, scope: Scope, around: Surroundings, *, required: bool
) -> tuple[Tie, ...]:
    """Return the relations to each of the steps named by one of after, before, around, during."""
    kinds = [kind for kind in KINDS if kind in section]
    if len(kinds) > 1:
        hint = "give each its own entry under 'relations'"
        where = section.place(kinds[1])
        around.mistakes.add(where, f"'{kinds[1]}' stands beside '{kinds[0]}'", hint)
        return ()
    if not kinds:
        if "within" in section or required:
            what = "a relation is missing: after, before, around or during an earlier step"
            hint = "without one, nothing ties it to the anchor"
            around.mistakes.add(section.place("within"), what, hint)
        return ()
    within = _within(section, kinds[0], around)
    names = _others(section, kinds[0], scope, around.mistakes)
    if within is None:
        return ()
    within_us, text = within
    at = section.value_place("within" if "within" in section else kinds[0])
    texts = {name: " ".join(filter(None, (text, kinds[0], name))) for name in names}
    return tuple(
        Tie(Relation(kinds[0], name, within_us, words), at) for name, words in texts.items()
    )


def _within(section: Section, kind: str, around: Surroundings) -> tuple[int, str] | None:
    """Return the bound of a relation and how the rule says it; `during` has none."""
    if (kind == "during") is ("within" not in section):
        return (0, "") if kind == "during" else read_bound(section, around)
    if kind == "during":
        around.mistakes.add(section.place("within"), "'during' takes no 'within'")
    else:
        what = f"'{kind}' without 'within', wanted {_WITHIN}"
        around.mistakes.add(section.place(kind), what)
    return None


def read_bound(section: Section, around: Surroundings) -> tuple[int, str] | None:
    """Return what stands under `within`, in microseconds, and how the rule says it."""
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
    """Return the steps that a relation names."""
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
        elif leaf.text in scope.single and leaf.text != scope.step:
            names.append(leaf.text)
        else:
            _refuse(leaf, scope, mistakes)
    return names


def _refuse(leaf: Leaf, scope: Scope, mistakes: Mistakes) -> None:
    if leaf.text == scope.step:
        mistakes.add(leaf.at, f"'{leaf.text}' is this step itself, wanted an earlier one")
    elif leaf.text in scope.barred:
        mistakes.add(leaf.at, scope.barred[leaf.text])
    elif leaf.text in scope.sets:
        hint = "a set has a relation to it only if it is the anchor"
        mistakes.add(leaf.at, f"'{leaf.text}' is a set, wanted a step that binds one event", hint)
    else:
        hint = suggestion(leaf.text, scope.single - {scope.step}, "earlier steps")
        mistakes.add(leaf.at, f"unknown step {quoted(leaf.text)}", hint)
