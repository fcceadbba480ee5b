"""YAML text as a plain tree that knows where each of its parts stands."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from yaml._yaml import CParser
from yaml._yaml import Mark as CMark
from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from rules.language.mistakes import Mistakes, Place, quoted

LONGEST_BYTES = 256 * 1024
DEEPEST = 20
COMMA_HINT = (
    "in a YAML flow list a comma cuts a condition in two: write one condition per line, "
    "each after '- '"
)

LeafKind = Literal["text", "integer", "number", "truth", "nothing"]
# The core schema of YAML 1.2 (10.3.2).
_KINDS: Final[Mapping[LeafKind, re.Pattern[str]]] = {
    "nothing": re.compile(r"null|Null|NULL|~|"),
    "truth": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "integer": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "number": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One scalar: its text, and what YAML 1.2 takes a plain one for.

    `source` is how it stands in the file, quotes and escapes included.
    """

    at: Place
    text: str
    kind: LeafKind
    source: str
    in_flow: bool

    @property
    def on_one_line(self) -> bool:
        """Whether it stands in the file on a single line, neither folded nor as a block."""
        return self.source[:1] not in "|>" and len(self.source.splitlines()) == 1

    def place(self, offset: int) -> Place:
        """Return where the character at this offset of the text stands in the file."""
        if not self.on_one_line:
            return self.at
        return Place(self.at.line, self.at.column + _source_offset(self.source, offset))


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list."""

    at: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A mapping with unique text keys, in file order."""

    at: Place
    entries: Mapping[str, tuple[Leaf, "Node"]]


Node = Leaf | Items | Table


def describe(node: Node) -> str:
    """Return what a node is, for a message that wanted something else."""
    if isinstance(node, Leaf):
        return "nothing" if node.kind == "nothing" else quoted(node.text)
    return "a list" if isinstance(node, Items) else "a mapping"


def read(
    text: str, mistakes: Mistakes, wanted: str = "a mapping with the keys of a rule"
) -> Table | None:
    """Return the tree of one file, or None if what is wrong with it leaves none.

    Only what JSON could say is accepted: no anchors, aliases, tags, merges or further documents.
    """
    start = Place(1, 1)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        mistakes.add(start, "the file is not valid UTF-8")
        return None
    if len(text.encode()) > LONGEST_BYTES:
        mistakes.add(start, f"the file is longer than {LONGEST_BYTES // 1024} KiB")
        return None
    root = _build(_events(text, mistakes), text, mistakes)
    if root is None:
        if not mistakes.errors:
            mistakes.add(start, f"the file is empty, wanted {wanted}")
        return None
    if not isinstance(root, Table):
        mistakes.add(root.at, f"found {describe(root)}, wanted {wanted}")
        return None
    return root


def _events(text: str, mistakes: Mistakes) -> Iterator[Event]:
    """Yield the parse events up to the first mistake that makes the rest unreadable."""
    try:
        parser = CParser(text)
        while (event := parser.get_event()) is not None:
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it cannot be parsed"
        cut = "expected ',' or ']'" in problem
        at = min(_place(mark), _end(text))
        mistakes.add(at, f"this is no YAML: {problem}", COMMA_HINT if cut else None)
    except (YAMLError, ValueError, OverflowError):
        # What the library says of these names no position, and quotes the file at length.
        mistakes.add(Place(1, 1), "this is no YAML: a character or escape that it does not allow")


def _build(events: Iterable[Event], text: str, mistakes: Mistakes) -> Node | None:
    """Return the tree of the first document; what YAML can say beyond JSON is a mistake."""
    outer: list[tuple[CollectionStartEvent, list[Node]]] = []
    roots: list[Node] = []
    documents = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1 or event.version or event.tags:
                what = "a second document" if documents > 1 else "a directive"
                mistakes.add(_place(event.start_mark), f"found {what}, wanted one plain document")
                return None
        elif isinstance(event, NodeEvent) and not _is_plain(event, mistakes):
            return None
        if isinstance(event, CollectionStartEvent):
            if len(outer) == DEEPEST:
                mistakes.add(_place(event.start_mark), f"nested deeper than {DEEPEST} levels")
                return None
            outer.append((event, []))
        elif isinstance(event, ScalarEvent):
            in_flow = bool(outer) and bool(outer[-1][0].flow_style)
            kind = _kind(event.value) if event.implicit[0] else "text"
            leaf = Leaf(
                _place(event.start_mark), event.value, kind, _written(event, text), in_flow
            )
            (outer[-1][1] if outer else roots).append(leaf)
        elif isinstance(event, CollectionEndEvent):
            start, children = outer.pop()
            node = _collection(start, children, mistakes)
            (outer[-1][1] if outer else roots).append(node)
    return roots[0] if roots and not outer else None


def _kind(text: str) -> LeafKind:
    """Return what YAML 1.2 takes a plain scalar for."""
    return next((kind for kind, form in _KINDS.items() if form.fullmatch(text)), "text")


def _is_plain(event: NodeEvent, mistakes: Mistakes) -> bool:
    at = _place(event.start_mark)
    if isinstance(event, AliasEvent):
        mistakes.add(at, "found a YAML alias, wanted the value itself")
    elif event.anchor is not None:
        mistakes.add(at, "found a YAML anchor, wanted a plain value")
    elif isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None:
        mistakes.add(at, "found a YAML tag, wanted a plain value")
    else:
        return True
    return False


def _collection(start: CollectionStartEvent, children: list[Node], mistakes: Mistakes) -> Node:
    at = _place(start.start_mark)
    if not isinstance(start, MappingStartEvent):
        return Items(at, tuple(children))
    entries: dict[str, tuple[Leaf, Node]] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Leaf):
            mistakes.add(key.at, f"found {describe(key)} as a key, wanted a word")
        elif key.text == "<<":
            mistakes.add(key.at, "found a YAML merge, wanted the keys themselves")
        elif key.text in entries:
            first = entries[key.text][0].at.line
            mistakes.add(
                key.at, f"key {quoted(key.text)} stands here twice, first on line {first}"
            )
        else:
            entries[key.text] = (key, value)
    return Table(at, entries)


def _place(mark: Mark | CMark | None) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _written(event: ScalarEvent, text: str) -> str:
    start, end = event.start_mark, event.end_mark
    assert start is not None, "what the parser has read stands somewhere"
    assert end is not None, "what the parser has read ends somewhere"
    return text[start.index : end.index]


def _end(text: str) -> Place:
    """Return where a text ends; the parser takes that for the beginning of another line."""
    return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _source_offset(source: str, offset: int) -> int:
    """Return where the character at `offset` of a scalar's text stands in its source."""
    quote = source[:1]
    if quote not in ("'", '"'):
        return offset
    place = 1
    for _ in range(offset):
        if quote == "'":
            place += 2 if source.startswith("''", place) else 1
        elif source.startswith("\\", place):
            place += _ESCAPE_LENGTHS.get(source[place + 1 : place + 2], 2)
        else:
            place += 1
    return place
