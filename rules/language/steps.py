"""The steps of a rule, its `unless` and its evidence: what they bind, and when it fits."""

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rules.condition import Condition
from rules.events import EventSpec
from rules.language.conditions import read_condition
from rules.language.keys import EVIDENCE, OPTION, STEP, required
from rules.language.kinds_of_event import common, read_event
from rules.language.mistakes import Place
from rules.language.names import Scope
from rules.language.parameters import NAME
from rules.language.read import Items, Leaf, Node, Table
from rules.language.relations import Surroundings, Tie, has_relation, read_bound, read_ties
from rules.language.section import Section, as_leaf, as_table
from rules.rule import Option, Step

Role = Literal["step", "unless", "evidence"]

_WHAT: Mapping[Role, str] = {
    "step": "a step",
    "unless": "an entry of 'unless'",
    "evidence": "an entry of 'evidence'",
}
_BINDS = ("event", "either", "each")
_MOST = 50
_WEIGHT = "a whole number from 1 up"


@dataclass(frozen=True)
class Line:
    """A condition and where it stands; `option` is the event type of its entry of `either`."""

    condition: Condition
    at: Place
    option: str | None = None
    of_set: bool = False


@dataclass(frozen=True)
class CheckedStep:
    """A step, and what is known of it beyond what the engine needs.

    Attributes:
        events: What it can bind; None for a type that is mistaken.
        event: What can be said of whatever it binds; None if a type is mistaken.
        lines: Its conditions with their places.
        ties: Its relations with their places.
        window_at: Where the bound of the set that is the anchor stands.
    """

    role: Role
    step: Step
    events: tuple[EventSpec | None, ...]
    event: EventSpec | None
    at: Place
    lines: tuple[Line, ...]
    ties: tuple[Tie, ...]
    window_at: Place | None = None


@dataclass(frozen=True)
class Parts:
    """All steps of a rule that have a name, by role, and the anchor's name."""

    steps: tuple[CheckedStep, ...]
    unless: tuple[CheckedStep, ...]
    evidence: tuple[CheckedStep, ...]
    anchor: str | None

    @property
    def all(self) -> tuple[CheckedStep, ...]:
        """Every step that reads events, as `Rule.parts` has them."""
        return self.steps + self.unless + self.evidence


@dataclass(frozen=True)
class _Entry:
    """A step as written."""

    role: Role
    name: str
    section: Section
    each: bool


def read_parts(rule: Section, around: Surroundings) -> Parts:
    """Return the steps that can be told apart; what is wrong with each is noted."""
    entries = _entries(rule, around)
    anchor = _anchor(rule, [entry for entry in entries if entry.role == "step"])
    around = replace(around, anchor=anchor)
    others = {
        entry.name: f"'{entry.name}' stands under '{entry.role}', wanted a step"
        for entry in entries
        if entry.role != "step"
    }
    done: dict[str, CheckedStep] = {}
    for place, entry in enumerate(entries):
        later = {
            following.name: f"step '{following.name}' comes later, wanted an earlier one"
            for following in entries[place + 1 :]
            if following.role == "step"
        }
        visible = {name: step for name, step in done.items() if step.role == "step"}
        barred = {name: why for name, why in others.items() if name != entry.name}
        done[entry.name] = _Reader(entry, visible, {**barred, **later}, around).step()
    steps = done.values()
    return Parts(
        tuple(step for step in steps if step.role == "step"),
        tuple(step for step in steps if step.role == "unless"),
        tuple(step for step in steps if step.role == "evidence"),
        anchor,
    )


# Names -------------------------------------------------------------------------------------


def _entries(rule: Section, around: Surroundings) -> list[_Entry]:
    """Return what is written, each with a name of its own; the others have been noted."""
    found: list[tuple[Role, Node]] = []
    for role in _WHAT:
        key = "steps" if role == "step" else role
        one = "at least one step" if role == "step" else None
        found += [(role, node) for node in rule.items(key, "a list of steps", one=one)]
    if len(found) > _MOST:
        # How far steps can lie from each other costs the cube of their number.
        what = f"a rule has at most {_MOST} steps, found {len(found)}"
        around.mistakes.add(found[_MOST][1].at, what)
        return []
    tables = [(role, as_table(node, _WHAT[role], around.mistakes)) for role, node in found]
    sections = [
        (role, table, _section(role, table, around)) for role, table in tables if table is not None
    ]
    names = [_name(section) for _, _, section in sections]
    taken = {name for name in names if name is not None}
    entries: dict[str, _Entry] = {}
    for (role, table, section), given in zip(sections, names, strict=True):
        name = given
        if role != "step" and "as" not in section:
            name = _unused(_first_word(table), taken)
            taken.add(name)
        if name in entries:
            section.wrong("as", f"a second step '{name}', wanted another name")
        elif name is not None:
            entries[name] = _Entry(role, name, section, "each" in section)
    return list(entries.values())


def _section(role: Role, table: Table, around: Surroundings) -> Section:
    known = EVIDENCE if role == "evidence" else STEP
    needed = ("as",) if role == "step" else required(known)
    return Section(table, _WHAT[role], around.mistakes, known=known, required=needed)


def _name(section: Section) -> str | None:
    name = section.matching("as", NAME, "small letters, digits and _")
    if name is not None and keyword.iskeyword(name):
        section.wrong("as", f"'{name}' is a word of conditions, wanted another name")
        return None
    return name


def _first_word(table: Table) -> str:
    """Return the event type that gives an entry without a name its name."""
    for key in _BINDS:
        node = table.entries[key][1] if key in table.entries else None
        if isinstance(node, Items) and node.items and isinstance(node.items[0], Table):
            event = node.items[0].entries.get("event")
            node = None if event is None else event[1]
        if isinstance(node, Leaf):
            return node.text
    return "entry"


def _unused(word: str, taken: set[str]) -> str:
    number, name = 1, word
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name


def _anchor(rule: Section, steps: Sequence[_Entry]) -> str | None:
    if "anchor" in rule:
        return rule.one_of("anchor", [entry.name for entry in steps], own=True)
    single = [entry.name for entry in steps if not entry.each]
    if steps and not single:
        what = "key 'anchor' is missing in a rule, and no step binds one event"
        rule.wrong("steps", what, "it names the set whose latest member an alert is about")
    return single[-1] if single else None


# One step ----------------------------------------------------------------------------------


class _Reader:
    """Reads one step, given the steps that it may name."""

    def __init__(
        self,
        entry: _Entry,
        visible: Mapping[str, CheckedStep],
        barred: Mapping[str, str],
        around: Surroundings,
    ) -> None:
        self._entry = entry
        self._section = entry.section
        self._visible = visible
        self._barred = barred
        self._around = around
        self._mistakes = around.mistakes

    def step(self) -> CheckedStep:
        """Return the step."""
        entry, section = self._entry, self._section
        events, option_lines = self._binds()
        known = [event for event in events if event is not None]
        event = common(known) if known and len(known) == len(events) else None
        scope = self._scope(event)
        where = self._lines(section, "where", scope)
        having = self._having(event)
        is_first = entry.role == "step" and not self._visible
        ties: tuple[Tie, ...] = ()
        window: tuple[int | None, Place | None] = (None, None)
        if entry.each and is_first and not has_relation(section):
            window = self._window()
        else:
            ties = read_ties(section, scope, self._around, required=not is_first)
        step = Step(
            name=entry.name,
            options=tuple(
                Option(e.name, tuple(n.condition for n in option_lines if n.option == e.name))
                for e in known
            ),
            where=tuple(line.condition for line in where),
            relations=tuple(tie.relation for tie in ties),
            each=entry.each,
            having=tuple(line.condition for line in having),
            window_us=window[0],
            weight=self._weight(),
        )
        lines = (*option_lines, *where, *having)
        return CheckedStep(entry.role, step, events, event, section.at, lines, ties, window[1])

    def _binds(self) -> tuple[tuple[EventSpec | None, ...], tuple[Line, ...]]:
        """Return the event types that it can bind, and the conditions of the entries of either."""
        section, by = self._section, self._around.by
        keys = [key for key in _BINDS if key in section]
        if not keys:
            what = f"key 'event' is missing in {_WHAT[self._entry.role]}"
            self._mistakes.add(section.at, f"{what}, or else 'either' or 'each'")
        elif len(keys) > 1:
            what = f"'{keys[1]}' stands beside '{keys[0]}', wanted one of them"
            self._mistakes.add(section.place(keys[1]), what)
        elif keys == ["either"]:
            return self._either()
        else:
            return (read_event(section, keys[0], by),), ()
        return (None,), ()

    def _either(self) -> tuple[tuple[EventSpec | None, ...], tuple[Line, ...]]:
        events: dict[str, EventSpec | None] = {}
        lines: list[Line] = []
        items = self._section.items("either", "a list of events", one="at least one event")
        for item in items:
            table = as_table(item, "an entry of 'either'", self._mistakes)
            if table is None:
                events[""] = None
                continue
            section = Section(
                table,
                "an entry of 'either'",
                self._mistakes,
                known=OPTION,
                required=required(OPTION),
            )
            event = read_event(section, "event", self._around.by)
            name = "" if event is None else event.name
            if name and name in events:
                hint = "join their conditions with 'or'"
                section.wrong("event", f"{name} stands here twice, wanted each event once", hint)
            events[name] = event
            read = self._lines(section, "where", self._scope(event))
            lines += [replace(line, option=name) for line in read]
        return tuple(events.values()) or (None,), tuple(lines)

    def _lines(self, section: Section, key: str, scope: Scope) -> tuple[Line, ...]:
        one = "at least one condition" if key == "having" else None
        leaves = [
            as_leaf(item, "a condition", self._mistakes)
            for item in section.items(key, "a list of conditions", one=one)
        ]
        if scope.own is None and key == "where":
            return ()
        read = [
            (read_condition(leaf, scope, self._mistakes), leaf.at)
            for leaf in leaves
            if leaf is not None
        ]
        return tuple(
            Line(condition, at, of_set=key == "having")
            for condition, at in read
            if condition is not None
        )

    def _having(self, event: EventSpec | None) -> tuple[Line, ...]:
        section, name = self._section, self._entry.name
        if "having" not in section:
            return ()
        if not self._entry.each:
            self._mistakes.add(section.place("having"), "'having' without 'each', it is for sets")
            return ()
        scope = self._scope(event)
        is_anchor = name == self._around.anchor
        scope = replace(
            scope,
            place="'having'",
            own=None,
            sets={**scope.sets, name: event},
            single=scope.single | {name} if is_anchor else scope.single - {name},
            adds_up=True,
        )
        return self._lines(section, "having", scope)

    def _window(self) -> tuple[int | None, Place | None]:
        """Return how far before the anchor its own set reaches, and where that stands."""
        section, anchor = self._section, self._around.anchor
        if self._entry.name == anchor and "within" in section:
            bound = read_bound(section, self._around)
            return None if bound is None else bound[0], section.value_place("within")
        if self._entry.name == anchor:
            what = "key 'within' is missing in the set that is the anchor"
            self._mistakes.add(section.at, what, "it says how far before the anchor members lie")
        elif anchor is not None:
            what = f"set '{self._entry.name}' comes first, so nothing ties it to the anchor"
            self._mistakes.add(section.at, what, "put it behind the step that it lies to")
        return None, None

    def _weight(self) -> int:
        if self._entry.role != "evidence":
            return 0
        weight = self._section.integer("weight", _WEIGHT)
        if weight == 0:
            self._section.wrong("weight", f"found '0', wanted {_WEIGHT}")
        return weight or 0

    # What its lines may name ---------------------------------------------------------------

    def _scope(self, event: EventSpec | None) -> Scope:
        entry, visible = self._entry, self._visible
        steps = {n: checked.event for n, checked in visible.items() if not checked.step.each}
        sets = {n: checked.event for n, checked in visible.items() if checked.step.each}
        single = {*steps, *(name for name in sets if name == self._around.anchor)}
        return Scope(
            place="a condition" if event is None else f"a condition on {event.name}",
            step=entry.name,
            own=event,
            steps=steps,
            sets=sets,
            # Of a set, its name stands for the member that is asked about.
            single=frozenset({*single, entry.name}),
            barred=self._barred,
            adds_up=False,
            parameters=self._around.parameters,
            timezone=self._around.timezone,
        )
