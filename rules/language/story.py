"""The stories in a rule's file: timed records, and the alerts that they must give."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from rules.events import EVENTS, Action, EventSpec, FieldSpec, Kind, Severity, Value
from rules.language.keys import CLAIM, MISS, RECORD, STORY, required
from rules.language.kinds_of_event import EVENT_TYPES
from rules.language.literals import LiteralError
from rules.language.mistakes import Mistakes, Place, quoted, suggestion, with_article
from rules.language.read import Items, Leaf, Node, Table, describe
from rules.language.records import breaches
from rules.language.section import Section, as_leaf, as_table
from rules.language.steps import CheckedStep
from rules.language.told import (
    TIME_WANTED,
    Miss,
    Story,
    StoryAlert,
    StoryRecord,
    parse_time,
)
from rules.language.values import VALUES, WANTED, truth_hint
from rules.moment import parse_duration
from rules.money import Money

_RELATIONS = ("after", "before", "around", "during", "within")
# What an explanation names where no field decided.
_OTHER_WORDS = (*_RELATIONS, "count", "gap", "where", "event", "unless")
_Entry = Mapping[str, tuple[Leaf, Node]]


@dataclass(frozen=True)
class _RawEntry:
    """An entry as written, with what a later story has changed in it."""

    at: Place
    entries: _Entry


def read_stories(
    node: Node | None, steps: Sequence[CheckedStep], mistakes: Mistakes
) -> tuple[Story, ...]:
    """Return the stories; what is wrong with them is noted."""
    if node is None:
        return ()
    if not isinstance(node, Items):
        mistakes.add(node.at, f"found {describe(node)}, wanted a list of stories")
        return ()
    reader = _Reader(steps, mistakes)
    tables = [as_table(item, "a story", mistakes) for item in node.items]
    stories = [reader.story(table) for table in tables if table is not None]
    return tuple(story for story in stories if story is not None)


class _Reader:
    """Reads stories in file order; a later one may be like an earlier one."""

    def __init__(self, steps: Sequence[CheckedStep], mistakes: Mistakes) -> None:
        self._steps = {checked.step.name: checked.events for checked in steps}
        self._mistakes = mistakes
        self._told: dict[str, list[_RawEntry]] = {}

    def story(self, table: Table) -> Story | None:
        section = Section(table, "a story", self._mistakes, known=STORY, required=required(STORY))
        title = section.text("title")
        if title in self._told:
            section.wrong("title", f"a second story has the title {quoted(title)}")
        raw = self._entries(section)
        types: dict[str, str] = {}
        noted_before = self._mistakes.noted
        read = [self._record(entry, types) for entry in raw]
        records = tuple(record for record in read if record is not None)
        if self._mistakes.noted == noted_before:
            self._check_contract(records, raw)
        if title is None:
            return None
        self._told.setdefault(title, raw)
        return Story(
            title=title,
            records=records,
            alerts=self._alerts(section, types),
            misses=self._miss(section),
            arrival=self._arrival(section, records),
            lateness_us=section.read("lateness", parse_duration, "a duration such as 15m"),
            line=table.at.line,
        )

    # Entries -------------------------------------------------------------------------------

    def _entries(self, section: Section) -> list[_RawEntry]:
        """Return the entries of a story as written, or those of the one it is like, changed."""
        if "like" not in section:
            if "change" in section:
                self._note(section.place("change"), "'change' without 'like'")
            if "events" not in section:
                self._note(section.at, "key 'events' is missing in a story, or else 'like'")
            items = section.items("events", "a list of records")
            tables = [as_table(item, "a record", self._mistakes) for item in items]
            return [_RawEntry(table.at, table.entries) for table in tables if table is not None]
        if "events" in section:
            self._note(section.place("events"), "'events' stands beside 'like'")
        like = section.text("like")
        if like is None:
            return []
        if like not in self._told:
            hint = suggestion(like, self._told, "earlier stories")
            section.wrong("like", f"there is no earlier story {quoted(like)}", hint)
            return []
        return self._changed(list(self._told[like]), section)

    def _changed(self, raw: list[_RawEntry], section: Section) -> list[_RawEntry]:
        node = section.node("change")
        table = None if node is None else as_table(node, "a mapping of changes", self._mistakes)
        if table is None:
            return raw
        named = {_own_name(entry.entries): place for place, entry in enumerate(raw)}
        places = {name: place for name, place in named.items() if name is not None}
        for name, (key, value) in table.entries.items():
            change = as_table(value, "a mapping of fields", self._mistakes)
            if name not in places:
                hint = suggestion(name, places, "records")
                self._note(key.at, f"there is no record {quoted(name)} to change", hint)
            elif change is not None:
                entry = raw[places[name]]
                raw[places[name]] = _RawEntry(entry.at, {**entry.entries, **change.entries})
        return raw

    def _record(self, raw: _RawEntry, types: dict[str, str]) -> StoryRecord | None:
        """Return one record; `types` are the event types by name, of those told so far."""
        head = self._head(raw)
        if head is None:
            return None
        key, name = head
        update = key.text == "update"
        if update and name not in types:
            hint = suggestion(name, types, "earlier records")
            self._note(key.at, f"there is no earlier record {quoted(name)} to update", hint)
            return None
        if not update and name in types:
            self._note(key.at, f"a second record of {quoted(name)}", "did you mean 'update'?")
            return None
        event = EVENTS[types.setdefault(name, key.text)]
        if update and event.start_field is None:
            what = f"{with_article(event.name)} is told by one record, it has no updates"
            self._note(key.at, what)
            return None
        return self._typed(raw, key.text, name, event)

    def _head(self, raw: _RawEntry) -> tuple[Leaf, str] | None:
        """Return the key that says what an entry is, and the name that it gives or updates."""
        heads = [key for name, (key, _) in raw.entries.items() if _is_head(name)]
        if len(heads) != 1:
            found = "no event type" if not heads else f"'{heads[0].text}' and '{heads[1].text}'"
            hint = f"events: {', '.join(sorted(EVENT_TYPES))}, or update"
            self._note(raw.at, f"found {found} in a record, wanted one", hint)
            return None
        leaf = as_leaf(raw.entries[heads[0].text][1], "the event's own id", self._mistakes)
        return None if leaf is None else (heads[0], leaf.text)

    def _typed(self, raw: _RawEntry, head: str, name: str, event: EventSpec) -> StoryRecord | None:
        fields = {n: f for n, f in event.fields.items() if is_told(f, event)}
        section = Section(
            Table(raw.at, raw.entries),
            f"a record of {event.name}",
            self._mistakes,
            # Whose an alert is and when it stands is not for a story to say.
            known=(head, *(("at",) if event.name == "alert" else RECORD), *fields),
            required=required(RECORD),
        )
        values = {
            key: self._value(fields[key], section)
            for key in section.keys()  # noqa: SIM118 - a section is no mapping
            if key in fields and self._may_stand(fields[key], section, head)
        }
        self._check_currency(values, section)
        at_us = section.read("at", parse_time, TIME_WANTED)
        if at_us is None:
            return None
        return StoryRecord(
            name=name,
            event=event.name,
            at_us=at_us,
            time_us=section.read("time", parse_time, TIME_WANTED),
            source=section.word("source"),
            sequence=section.integer("sequence"),
            fields=values,
            update=head == "update",
            line=raw.at.line,
        )

    def _check_contract(self, records: Sequence[StoryRecord], raw: Sequence[_RawEntry]) -> None:
        for breach in breaches(records):
            entry = raw[breach.place]
            written = entry.entries.get(breach.field)
            self._note(entry.at if written is None else written[1].at, breach.message)

    def _may_stand(self, field: FieldSpec, section: Section, head: str) -> bool:
        if head != "update" or field.open:
            return True
        what = f"'{field.name}' is the same in all records of one event, no update changes it"
        self._note(section.place(field.name), what)
        return False

    def _value(self, field: FieldSpec, section: Section) -> Value | None:
        node = section.node(field.name)
        if isinstance(node, Leaf) and node.kind == "nothing":
            return None
        leaf = section.leaf(field.name, WANTED.get(field.kind, "text"))
        if leaf is None:
            return None
        try:
            return VALUES[field.kind](leaf, field)
        except LiteralError as error:
            section.wrong(field.name, error.message, error.hint)
        except ValueError:
            wanted = WANTED[field.kind]
            what = f"found {quoted(leaf.text)}, wanted {wanted}"
            section.wrong(field.name, what, truth_hint(leaf) if field.kind is Kind.BOOL else None)
        return None

    def _check_currency(self, values: Mapping[str, Value | None], section: Section) -> None:
        amounts = {name: value for name, value in values.items() if isinstance(value, Money)}
        if len({amount.currency for amount in amounts.values()}) > 1:
            last = list(amounts)[-1]
            section.wrong(last, "all money of one record is of one currency")

    # What a story claims -------------------------------------------------------------------

    def _alerts(self, section: Section, names: Collection[str]) -> tuple[StoryAlert, ...]:
        alerts: list[StoryAlert] = []
        for item in section.items("alerts", "a list of alerts"):
            table = as_table(item, "an alert", self._mistakes)
            if table is None:
                continue
            entry = Section(
                table, "an alert", self._mistakes, known=CLAIM, required=required(CLAIM)
            )
            anchor = entry.one_of("anchor", names, own=True)
            others = tuple(leaf.text for leaf in entry.texts("with"))
            for leaf in entry.texts("with"):
                if leaf.text not in names:
                    hint = suggestion(leaf.text, names, "records")
                    self._note(leaf.at, f"there is no record {quoted(leaf.text)}", hint)
            action = entry.one_of("action", get_args(Action))
            severity = entry.one_of("severity", get_args(Severity))
            score = entry.integer("score")
            alerts.append(StoryAlert(anchor or "", action, others, severity, score))
        return tuple(alerts)

    def _miss(self, section: Section) -> Miss | None:
        node = section.node("misses")
        table = None if node is None else as_table(node, "step and on", self._mistakes)
        if table is None:
            return None
        entry = Section(table, "misses", self._mistakes, known=MISS, required=required(MISS))
        step = entry.one_of("step", self._steps, own=True)
        if step is None or None in self._steps[step]:
            return None
        events = self._steps[step]
        fields = [field for event in events if event is not None for field in event.fields]
        on = entry.one_of("on", {*fields, *_OTHER_WORDS})
        return None if on is None else Miss(step, on)

    def _arrival(self, section: Section, records: Sequence[StoryRecord]) -> tuple[int, ...] | None:
        """Return the order given, as places; a name stands for its next record each time."""
        if "arrival" not in section:
            return None
        waiting = [record.name for record in records]
        order: list[int] = []
        for leaf in section.texts("arrival"):
            if leaf.text in waiting:
                place = waiting.index(leaf.text)
                waiting[place] = ""
                order.append(place)
            else:
                what = f"there is no record {quoted(leaf.text)} left to arrive"
                self._note(leaf.at, what)
        left = [name for name in waiting if name]
        if left and not self._mistakes.errors:
            section.wrong("arrival", f"record {quoted(left[0])} never arrives")
        return tuple(order)

    def _note(self, at: Place, message: str, hint: str | None = None) -> None:
        self._mistakes.add(at, message, hint)


def _own_name(entries: _Entry) -> str | None:
    """Return the name that an entry gives its event, None of an update."""
    for name, (_, node) in entries.items():
        if name in EVENT_TYPES and isinstance(node, Leaf):
            return node.text
    return None


def _is_head(name: str) -> bool:
    return name in EVENT_TYPES or name == "update"


def is_told(field: FieldSpec, event: EventSpec) -> bool:
    """Tell whether an author writes this field: an id is the name, a currency goes with money."""
    currencies = {other.currency for other in event.fields.values()}
    return not field.derived and field.name != event.id_field and field.name not in currencies
