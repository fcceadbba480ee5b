"""One mapping of a rule file, read key by key against the closed set of its keys."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from rules.language.mistakes import Mistakes, Place, quoted, sole, suggestion
from rules.language.read import Items, Leaf, Node, Table, describe

T = TypeVar("T")

_LONGEST_INTEGER = 18


class Section:
    """A mapping, what it is called in messages, and where its mistakes go.

    Each reading method returns None (or nothing) where the key is missing or its value is
    mistaken; which of the two, the mistakes tell.
    """

    def __init__(
        self,
        table: Table,
        what: str,
        mistakes: Mistakes,
        *,
        known: Collection[str],
        required: Collection[str] = (),
    ) -> None:
        self.at = table.at
        self._entries = table.entries
        self._what = what
        self._mistakes = mistakes
        unknown = {name: sole(name, known) for name in table.entries if name not in known}
        meant = [*unknown.values()]
        for name, sure in unknown.items():
            # Of two keys that may be meant for one, or one that is there, none is sure.
            taken = sure in table.entries or meant.count(sure) > 1
            hint = suggestion(name, known, "keys", sure="" if taken else sure)
            mistakes.add(table.entries[name][0].at, f"unknown key {quoted(name)} in {what}", hint)
        for name in required:
            if name not in table.entries:
                mistakes.add(table.at, f"key '{name}' is missing in {what}")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def keys(self) -> Iterator[str]:
        """Yield the keys that are there, in file order."""
        return iter(self._entries)

    def place(self, key: str) -> Place:
        """Return where a key stands, or the section if it is missing."""
        return self._entries[key][0].at if key in self._entries else self.at

    def node(self, key: str) -> Node | None:
        """Return what stands under a key."""
        return self._entries[key][1] if key in self._entries else None

    def value_place(self, key: str) -> Place:
        """Return where the value of a key that is there stands."""
        return self._entries[key][1].at

    def wrong(self, key: str, message: str, hint: str | None = None) -> None:
        """Note a mistake at the value of a key that is there."""
        self._mistakes.add(self.value_place(key), message, hint)

    def leaf(self, key: str, wanted: str = "text") -> Leaf | None:
        """Return the scalar under a key; an empty one is a mistake."""
        return as_leaf(self.node(key), wanted, self._mistakes)

    def word(self, key: str) -> str | None:
        """Return the text under a key, as written even where YAML would take it for a number."""
        leaf = self.leaf(key)
        return None if leaf is None else leaf.text

    def text(self, key: str) -> str | None:
        """Return the text under a key; what YAML takes for a number or a truth is none."""
        leaf = as_text(self.node(key), self._mistakes)
        return None if leaf is None else leaf.text

    def matching(self, key: str, pattern: str, wanted: str) -> str | None:
        """Return the text under a key if it has a certain form."""
        text = self.word(key)
        if text is None or re.fullmatch(pattern, text, re.ASCII):
            return text
        self.wrong(key, f"{key} is {quoted(text)}, wanted {wanted}")
        return None

    def one_of(self, key: str, choices: Collection[str], *, own: bool = False) -> str | None:
        """Return the text under a key if it is one of a list, of the author's `own` or of ours."""
        text = self.word(key)
        if text is None or text in choices:
            return text
        hint = suggestion(text, choices, "values", sure="" if own else sole(text, choices))
        self.wrong(key, f"{quoted(text)} is never a value of {key}", hint)
        return None

    def integer(self, key: str, wanted: str = "a whole number") -> int | None:
        """Return the whole number under a key; it is not negative."""
        leaf = self.leaf(key, wanted)
        if leaf is None:
            return None
        digits = leaf.text.isascii() and leaf.text.isdigit()
        if digits and leaf.kind == "integer" and len(leaf.text) <= _LONGEST_INTEGER:
            return int(leaf.text)
        self.wrong(key, f"found {quoted(leaf.text)}, wanted {wanted}")
        return None

    def items(
        self, key: str, wanted: str = "a list", *, one: str | None = None
    ) -> tuple[Node, ...]:
        """Return the items of the list under a key; `one` says what must be in it at least."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, Items):
            if one is not None and not node.items:
                self.wrong(key, f"found an empty list, wanted {one}")
            return node.items
        self.wrong(key, f"found {describe(node)}, wanted {wanted}")
        return ()

    def texts(self, key: str) -> tuple[Leaf, ...]:
        """Return the scalars of the list under a key."""
        items = self.items(key, "a list of texts")
        leaves = (as_text(item, self._mistakes) for item in items)
        return tuple(leaf for leaf in leaves if leaf is not None)

    def read(self, key: str, reader: Callable[[str], T], wanted: str) -> T | None:
        """Return what a reader makes of the text under a key; its ValueError is a mistake."""
        leaf = self.leaf(key, wanted)
        if leaf is None:
            return None
        try:
            return reader(leaf.text)
        except ValueError:
            self.wrong(key, f"found {quoted(leaf.text)}, wanted {wanted}")
            return None


def as_leaf(node: Node | None, wanted: str, mistakes: Mistakes) -> Leaf | None:
    """Return a node if it is a scalar with something in it."""
    if node is None:
        return None
    if isinstance(node, Leaf) and node.kind != "nothing":
        return node
    mistakes.add(node.at, f"found {describe(node)}, wanted {wanted}")
    return None


def as_text(node: Node | None, mistakes: Mistakes) -> Leaf | None:
    """Return a node if it is text, and not what YAML takes for a number or a truth."""
    leaf = as_leaf(node, "text", mistakes)
    if leaf is None or (leaf.kind == "text" and leaf.text.strip()):
        return leaf
    mistakes.add(leaf.at, f"found {describe(leaf)}, wanted text")
    return None


def as_table(node: Node, wanted: str, mistakes: Mistakes) -> Table | None:
    """Return a node if it is a mapping."""
    if isinstance(node, Table):
        return node
    mistakes.add(node.at, f"found {describe(node)}, wanted {wanted}")
    return None
