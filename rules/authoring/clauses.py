"""What differs between two rule files, clause by clause, and the rules that lie between them.

A clause is one thing that a rule file says: a condition, a bound, a parameter, a weight, a band, a
whole step that only one side has. What only people read (titles, advice, stories) is none.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import Final

from rules.language.build import build
from rules.language.check import check
from rules.language.mistakes import Mistakes, Place
from rules.language.overrides import Overrides, Values
from rules.language.parameters import Given
from rules.language.read import Items, Leaf, Node, Table, read
from rules.rule import Rule
from rules.timing import Timing

_JUDGED: Final = (
    *("params", "by", "steps", "anchor", "unless", "evidence", "score", "severity", "action"),
    *("raise", "typology", "stage"),
)
_NEEDED: Final = ("id", "version", "title", "status")
_LISTS: Final = {"steps", "unless", "evidence", "bands", "where", "having", "either", "relations"}
"""Lists whose items are clauses of their own; any other list is one clause."""
_GROUPS: Final = (
    ("score", "severity", "action"),
    ("event", "either", "each"),
    ("after", "before", "around", "during", "within", "relations"),
)
"""Keys that stand for each other: where the two sides use different ones, they are one clause."""
_MAY_BE_MISSING: Final = {"params", "unless", "evidence", "where", "having"}
"""Keys without which a file says the same as with nothing under them."""
_ALIKE: Final = 0.5

Entries = Mapping[str, tuple[Leaf, Node]]


@dataclass(frozen=True, eq=False)
class Clause:
    """One difference: where it stands in the new file (in the old one if it is gone), and what.

    `old` and `new` are as written; None where that side has no such clause.
    """

    rule: str
    what: str
    old: str | None
    new: str | None
    file: str
    at: Place

    @property
    def place(self) -> str:
        """Where it stands, as `file:line:column`."""
        return f"{self.file}:{self.at.line}:{self.at.column}"

    @property
    def says(self) -> str:
        """What was changed, in words."""
        if self.old is None:
            return f"{self.what} added: {self.new}"
        if self.new is None:
            return f"{self.what} removed: {self.old}"
        return f"{self.what}: {self.old} → {self.new}"


Taken = AbstractSet[Clause]


@dataclass(frozen=True)
class Document:
    """A rule file without mistakes as a tree, with the parameters set from outside in place."""

    file: str
    table: Table
    own: Table
    given: Values
    given_file: str

    def file_of(self, path: Sequence[str]) -> str:
        """Return the file that a place of the tree stands in."""
        outside = path[:1] == ("params",) and path[-1] in self.given
        return self.given_file if outside else self.file


def documents(files: Mapping[str, str], overrides: Overrides | None) -> Mapping[str, Document]:
    """Return rule files without mistakes as documents, by the rule's id."""
    given = overrides or Overrides("", {})
    found = {}
    for file, text in files.items():
        own = read(text, Mistakes(file))
        assert own is not None, "the files have been read before, without mistakes"
        rule_id = file.rpartition("/")[2].removesuffix(".yaml")
        values = given.of(rule_id)
        found[rule_id] = Document(file, _with(own, values), own, values, given.file)
    return found


def _with(own: Table, values: Values) -> Table:
    params = own.entries["params"][1] if "params" in own.entries else None
    if not values or not isinstance(params, Table):
        return own
    replaced = Table(params.at, {**params.entries, **values})
    return Table(own.at, {**own.entries, "params": (own.entries["params"][0], replaced)})


class NoRuleError(Exception):
    """A mix of two rule files that is no rule: some clause cannot stand without another."""


class Change:
    """A rule that differs between two sides: its clauses, and every rule that lies between."""

    def __init__(self, rule_id: str, sides: tuple[Document | None, Document | None]) -> None:
        self.id = rule_id
        self._sides = tuple(side for side in sides if side is not None)
        old, new = sides
        if old is not None and new is not None:
            comparer = _Comparer(rule_id, old, new)
            self._mix: Callable[[Taken], Table | None] = comparer.rule()
            self.clauses = tuple(comparer.clauses)
            return
        (side,) = self._sides
        title = written(side.table.entries["title"][1])
        was, now = (title, None) if new is None else (None, title)
        clause = Clause(rule_id, "the rule", was, now, side.file, side.table.at)
        self.clauses = (clause,)
        self._mix = lambda taken: side.table if (clause in taken) is (old is None) else None

    def rule(self, taken: Taken, timing: Timing) -> Rule | None:
        """Return the old rule with some clauses of the new one; None where there is no rule.

        Raises:
            NoRuleError: What this comes to is no rule.
        """
        table = self._mix(taken)
        if table is None:
            return None
        file = self._sides[-1].file
        kept = {n: e for n, e in table.entries.items() if n in (*_NEEDED, *_JUDGED)}
        own, values = self._own({n: kept[n] for n in ("params",) if n in kept})
        mistakes, of_given = Mistakes(file), Mistakes(file)
        whole = Table(table.at, {**kept, **own})
        checked = check(whole, timing.timezone, Given(values, of_given), mistakes)
        if checked is None:
            raise NoRuleError(str((mistakes.errors + of_given.errors)[0]))
        return build(checked, timing)

    def _own(self, params: Entries) -> tuple[Entries, Values]:
        """Return parameters as the files have them, and those set from outside apart."""
        own: dict[str, tuple[Leaf, Node]] = {}
        values: dict[str, tuple[Leaf, Node]] = {}
        for name, entry in _entries_under("params", params).items():
            own[name] = entry
            for side in self._sides:
                if name in side.given and side.given[name][1] is entry[1]:
                    own[name] = _entries_under("params", side.own.entries)[name]
                    values[name] = entry
        return {n: (key, Table(node.at, own)) for n, (key, node) in params.items()}, values


def _entries_under(key: str, entries: Entries) -> Entries:
    node = entries[key][1] if key in entries else None
    return node.entries if isinstance(node, Table) else {}


def compare(old: Mapping[str, Document], new: Mapping[str, Document]) -> list[Change]:
    """Return the rules that judge differently on the two sides, by id."""
    ids = sorted({*old, *new})
    changes = [Change(rule_id, (old.get(rule_id), new.get(rule_id))) for rule_id in ids]
    return [change for change in changes if change.clauses]


def renamed(old: Mapping[str, Document], new: Mapping[str, Document]) -> Iterator[tuple[str, str]]:
    """Yield rules that are the same on both sides but for their ids: the old id and the new."""
    gone, come = (sorted(these.keys() - those.keys()) for these, those in ((old, new), (new, old)))
    for before in gone:
        for after in come:
            if not _Comparer(after, old[before], new[after]).found():
                yield before, after


def written(node: Node) -> str:
    """Return a node as YAML writes it on one line."""
    if isinstance(node, Leaf):
        return node.text
    if isinstance(node, Items):
        return f"[{', '.join(written(item) for item in node.items)}]"
    return f"{{{', '.join(f'{n}: {written(v)}' for n, (_, v) in node.entries.items())}}}"


class _Comparer:
    """Compares two documents; each method returns how to mix what it compared."""

    def __init__(self, rule_id: str, old: Document, new: Document) -> None:
        self.clauses: list[Clause] = []
        self._rule_id = rule_id
        self._old = old
        self._new = new

    def rule(self) -> Callable[[Taken], Table]:
        kept = [_only(d.table, (*_NEEDED, *_JUDGED)) for d in (self._old, self._new)]
        names = {name: kept[0].entries[name] for name in _NEEDED}
        judged = self._table(_only(kept[0], _JUDGED), _only(kept[1], _JUDGED), ())
        return lambda taken: Table(kept[0].at, {**names, **judged(taken).entries})

    def found(self) -> list[Clause]:
        self.rule()
        return self.clauses

    def _note(
        self, path: Sequence[str], old: Sequence[Node], new: Sequence[Node], at: Place
    ) -> Clause:
        side = self._new if new else self._old
        was, now = (", ".join(map(written, nodes)) if nodes else None for nodes in (old, new))
        clause = Clause(self._rule_id, ".".join(path), was, now, side.file_of(path), at)
        self.clauses.append(clause)
        return clause

    def _table(self, old: Table, new: Table, path: tuple[str, ...]) -> Callable[[Taken], Table]:
        pieces = [self._entries(*pair, path) for pair in _grouped(old, new)]

        def mixed(taken: Taken) -> Table:
            entries: dict[str, tuple[Leaf, Node]] = {}
            for piece in pieces:
                entries.update(piece(taken))
            return Table(old.at, {n: e for n, e in entries.items() if not _is_empty(e[1])})

        return mixed

    def _entries(
        self, old: Entries, new: Entries, path: tuple[str, ...]
    ) -> Callable[[Taken], Entries]:
        names = list(dict.fromkeys([*old, *new]))
        if len(names) == 1 and (old.keys() == new.keys() or names[0] in _MAY_BE_MISSING):
            name = names[0]
            key, some = new[name] if name in new else old[name]
            nothing = Table(key.at, {}) if isinstance(some, Table) else Items(key.at, ())
            was, now = (side[name][1] if name in side else nothing for side in (old, new))
            node = self._node(was, now, (*path, name))
            return lambda taken: {name: (key, node(taken))}
        at = next(iter((new or old).values()))[0].at
        before, after = (_told(entries, alone=len(names) == 1) for entries in (old, new))
        clause = self._note((*path, "/".join(names)), before, after, at)
        return lambda taken: new if clause in taken else old

    def _node(self, old: Node, new: Node, path: tuple[str, ...]) -> Callable[[Taken], Node]:
        # A band is one clause, whatever of it differs.
        if isinstance(old, Table) and isinstance(new, Table) and "bands" not in path:
            return self._table(old, new, path)
        if isinstance(old, Items) and isinstance(new, Items) and path[-1] in _LISTS:
            return self._items(old, new, path)
        if written(old) == written(new):
            return lambda _taken: old
        clause = self._note(path, [old], [new], new.at)
        return lambda taken: new if clause in taken else old

    def _items(self, old: Items, new: Items, path: tuple[str, ...]) -> Callable[[Taken], Node]:
        pieces: list[Callable[[Taken], Sequence[Node]]] = []
        for name, was, now in _paired(old.items, new.items, path[-1]):
            pieces.append(self._item(was, now, (*path, name) if name else path))
        return lambda taken: Items(old.at, tuple(node for p in pieces for node in p(taken)))

    def _item(
        self, old: Node | None, new: Node | None, path: tuple[str, ...]
    ) -> Callable[[Taken], Sequence[Node]]:
        if old is not None and new is not None:
            node = self._node(old, new, path)
            return lambda taken: (node(taken),)
        before, after = ([] if node is None else [node] for node in (old, new))
        clause = self._note(path, before, after, (after or before)[0].at)
        return lambda taken: after if clause in taken else before


def _only(table: Table, names: Collection[str]) -> Table:
    return Table(table.at, {n: entry for n, entry in table.entries.items() if n in names})


def _is_empty(node: Node) -> bool:
    return isinstance(node, Items) and not node.items


def _told(entries: Entries, *, alone: bool) -> list[Node]:
    """Return what stands under some keys; of several, each with its key."""
    if alone:
        return [node for _, node in entries.values()]
    return [Table(key.at, {name: (key, node)}) for name, (key, node) in entries.items()]


def _grouped(old: Table, new: Table) -> Iterator[tuple[Entries, Entries]]:
    """Yield what is to be compared with each other: one key, or keys that stand for others."""
    names = list(dict.fromkeys([*old.entries, *new.entries]))
    while names:
        group = next((g for g in _GROUPS if names[0] in g), (names[0],))
        pair = tuple({n: t.entries[n] for n in group if n in t.entries} for t in (old, new))
        if pair[0].keys() == pair[1].keys():
            group = (names[0],)
            pair = tuple({n: t.entries[n] for n in group if n in t.entries} for t in (old, new))
        yield pair[0], pair[1]
        names = [name for name in names if name not in group]


# Lists ---------------------------------------------------------------------------------------

_Pair = tuple[str, Node | None, Node | None]


def _paired(old: Sequence[Node], new: Sequence[Node], of: str) -> Iterator[_Pair]:
    """Yield the items of two lists beside each other, with what each is called."""
    if of in ("where", "having"):
        yield from _conditions(old, new)
        return
    if of == "bands" and len(old) == len(new):
        for was, now in zip(old, new, strict=True):
            yield f"from {_word(now, 'from')}", was, now
        return
    before, after = _names(old, of), _names(new, of)
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(before[a:b], old[a:b], new[c:d], strict=True)
            continue
        yield from ((name, node, None) for name, node in zip(before[a:b], old[a:b], strict=True))
        yield from ((name, None, node) for name, node in zip(after[c:d], new[c:d], strict=True))


def _conditions(old: Sequence[Node], new: Sequence[Node]) -> Iterator[_Pair]:
    """Yield conditions by what they say, wherever they stand: their order changes nothing."""
    left = list(new)
    twins: dict[int, Node] = {}
    for least in (1.0, _ALIKE):
        for at, node in enumerate(old):
            near = max(left, key=partial(_likeness, node), default=None)
            if at not in twins and near is not None and _likeness(node, near) >= least:
                left.remove(near)
                twins[at] = near
    gone = [at for at in range(len(old)) if at not in twins]
    if len(gone) == len(left) == 1:
        # Where one is gone and one has come, the author has changed that one, however much.
        twins[gone[0]] = left.pop()
    yield from (("", node, twins.get(at)) for at, node in enumerate(old))
    yield from (("", None, node) for node in left)


def _likeness(first: Node, second: Node) -> float:
    return SequenceMatcher(None, written(first), written(second), autojunk=False).ratio()


def _names(nodes: Sequence[Node], of: str) -> list[str]:
    """Return what each item of a list is called, no two alike."""
    found: list[str] = []
    for node in nodes:
        words = [_word(node, key) for key in _NAMED_BY[of]]
        name = next((word for word in words if word), of)
        name = f"from {name}" if of == "bands" else name
        again = sum(other == name or other.startswith(f"{name} ") for other in found)
        found.append(f"{name} {again + 1}" if again else name)
    return found


_NAMED_BY: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("steps", "unless", "evidence"), ("as", "event", "each")),
    "either": ("event",),
    "bands": ("from",),
    "relations": ("after", "before", "around", "during"),
}


def _word(node: Node, key: str) -> str:
    return written(node.entries[key][1]) if isinstance(node, Table) and key in node.entries else ""
