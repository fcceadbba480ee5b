"""Parameters of rules that are set from outside: one YAML file for all rules."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rules.language.mistakes import Mistakes, RuleFileError, quoted, raise_all, suggestion
from rules.language.read import Leaf, Node, read
from rules.language.section import as_table

Values = Mapping[str, tuple[Leaf, Node]]
"""Values for the parameters of one rule, by name, each with its key."""


@dataclass(frozen=True)
class Overrides:
    """Values for parameters, by the rule's id, each where it stands in its file."""

    file: str
    rules: Mapping[str, tuple[Leaf, Values]]

    def of(self, rule_id: str) -> Values:
        """Return the values for one rule."""
        return self.rules[rule_id][1] if rule_id in self.rules else {}

    def strangers(self, rule_ids: Collection[str]) -> Iterator[RuleFileError]:
        """Yield a mistake for each rule that there is not."""
        for rule_id, (key, _) in self.rules.items():
            if rule_id not in rule_ids:
                hint = suggestion(rule_id, rule_ids, "rules")
                what = f"there is no rule {quoted(rule_id)}"
                yield RuleFileError(self.file, key.at.line, key.at.column, what, hint)


def read_overrides(name: str, text: str) -> Overrides:
    """Return what a file says: under each rule's id its parameters, as in the rule's own file.

    Args:
        name: the file's name, for messages.
        text: what is in it.

    Raises:
        ExceptionGroup: Of a RuleFileError for every mistake.
    """
    mistakes = Mistakes(name)
    tree = read(text, mistakes, "a mapping of rules to their parameters")
    rules: dict[str, tuple[Leaf, Values]] = {}
    for rule_id, (key, node) in ({} if tree is None else tree.entries).items():
        table = as_table(node, "a mapping of parameters", mistakes)
        if table is not None:
            rules[rule_id] = (key, table.entries)
    raise_all(mistakes.errors, "parameters")
    return Overrides(name, rules)
