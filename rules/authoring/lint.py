"""Everything that can be found in rule files without running them on a log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rules.authoring.likeness import near_duplicates
from rules.authoring.missing import missing_stories
from rules.authoring.tags import OWN, TAGS
from rules.condition import Parameter, walk
from rules.language import RuleFileError, check_files, read_overrides
from rules.language.check import CheckedRule
from rules.language.mistakes import Mistakes, Place, Suggestion, quoted, sole, suggestion
from rules.language.read import Items, Leaf, Node, Table, read
from rules.timing import Timing

Kind = Literal["mistake", "missing-story", "unused-parameter", "unknown-tag", "near-duplicate"]
Level = Literal["error", "warning"]

KINDS: Mapping[Kind, str] = {
    "mistake": "The file does not say what a rule says.",
    "missing-story": "A stable rule lacks a story that shows what it does.",
    "unused-parameter": "A parameter changes nothing.",
    "unknown-tag": "A tag is none of the list, and no own one.",
    "near-duplicate": "Two rules differ in their values only.",
}
"""What can be found, and what that means."""


@dataclass(frozen=True)
class Finding:
    """One thing found in a rule file; a warning may be meant so."""

    kind: Kind
    error: RuleFileError

    @property
    def level(self) -> Level:
        """How bad it is."""
        return "warning" if self.kind == "near-duplicate" else "error"

    def __str__(self) -> str:
        """Return it as the mistake is told; a warning says that it is one."""
        if self.level == "error":
            return str(self.error)
        where = f"{self.error.file}:{self.error.line}:{self.error.column}"
        return f"{where}: warning{str(self.error).removeprefix(where)}"


def lint(
    files: Mapping[str, str], timing: Timing, params: tuple[str, str] | None = None
) -> list[Finding]:
    """Return what is found in rule files; if they hold mistakes, only those.

    Args:
        files: the rule files, file name and text.
        timing: the settings under which stories are run.
        params: name and text of a file with values for the rules' parameters.
    """
    try:
        overrides = None if params is None else read_overrides(*params)
        checked = check_files(files, timing, overrides)
    except ExceptionGroup as group:
        return [Finding("mistake", error) for error in _mistakes(group)]
    found = [Finding("missing-story", error) for error in missing_stories(files, timing)]
    for rule in checked:
        tree = _tree(files[rule.file], rule.file)
        found += [Finding("unused-parameter", error) for error in _unused(rule, tree)]
        found += [Finding("unknown-tag", error) for error in _unknown_tags(rule, tree)]
    found += [Finding("near-duplicate", error) for error in _alike(checked)]
    return sorted(found, key=lambda f: (f.error.file, f.error.line, f.error.column))


def _mistakes(group: ExceptionGroup[Exception]) -> Iterator[RuleFileError]:
    for error in group.exceptions:
        assert isinstance(error, RuleFileError), (
            "mistakes in rule files are raised as a flat group"
        )
        yield error


def _tree(text: str, file: str) -> Table:
    tree = read(text, Mistakes(file))
    assert tree is not None, "the file has been read before"
    return tree


def _unused(rule: CheckedRule, tree: Table) -> Iterator[RuleFileError]:
    """Yield the parameters that no condition, bound or message names."""
    expressions = [line.condition.expression for part in rule.parts.all for line in part.lines]
    if rule.message is not None:
        expressions += [piece for piece in rule.message.pieces if not isinstance(piece, str)]
    nodes = (node for expression in expressions for node in walk(expression))
    used = {node.name for node in nodes if isinstance(node, Parameter)} | {*_bounds(tree)}
    for name in rule.parameters:
        if name not in used:
            what = f"parameter '{name}' is never used, take it away or write it into a condition"
            yield _error(rule, _key(tree, "params", name), what)


def _bounds(node: Node) -> Iterator[str]:
    """Yield what stands under a `within`, wherever it is."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _bounds(item)
    elif isinstance(node, Table):
        for name, (_, value) in node.entries.items():
            if name == "within" and isinstance(value, Leaf):
                yield value.text
            else:
                yield from _bounds(value)


def _unknown_tags(rule: CheckedRule, tree: Table) -> Iterator[RuleFileError]:
    node = tree.entries["tags"][1] if "tags" in tree.entries else None
    items = node.items if isinstance(node, Items) else ()
    tags = [item for item in items if isinstance(item, Leaf)]
    for leaf in tags:
        if leaf.text not in TAGS and not leaf.text.startswith(OWN):
            near = suggestion(leaf.text, TAGS, "tags")
            others = {*tags} - {leaf}
            sure = sole(leaf.text, TAGS)
            # A tag that is there already, or that two are meant for, is not sure.
            taken = any(sure in (other.text, sole(other.text, TAGS)) for other in others)
            told = f"{near}; your own begin with '{OWN}'"
            hint = Suggestion(told, leaf.text, "" if taken else sure)
            yield _error(rule, leaf.at, f"{quoted(leaf.text)} is none of the tags", hint)


def _alike(checked: Sequence[CheckedRule]) -> Iterator[RuleFileError]:
    for rule, earlier in near_duplicates(checked):
        what = f"the steps are those of '{earlier.id}' but for their values"
        hint = "join them, or say in both what tells the occasions apart"
        yield _error(rule, Place(1, 1), what, hint)


def _key(tree: Table, *path: str) -> Place:
    """Return where a key stands that is known to be there."""
    node: Node = tree
    at = tree.at
    for name in path:
        assert isinstance(node, Table), "only a mapping has keys"
        key, node = node.entries[name]
        at = key.at
    return at


def _error(rule: CheckedRule, at: Place, what: str, hint: str | None = None) -> RuleFileError:
    return RuleFileError(rule.file, at.line, at.column, what, hint)
