"""The schema of a rule file: it accepts what check accepts, and helps where it can."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rules.authoring.schema import rule_schema
from rules.authoring.starting import new_rule
from rules.language.mistakes import Mistakes
from rules.language.read import Items, Leaf, Node, read

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(rule_schema())
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (ROOT / "rules" / "catalog").glob("*.yaml")
}


def plain(node: Node) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return what a YAML 1.2 reader makes of a tree."""
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    if isinstance(node, Leaf):
        values: dict[str, Any] = {"nothing": None, "truth": node.text == "true"}
        if node.kind == "integer":
            return int(node.text)
        return values.get(node.kind, float(node.text) if node.kind == "number" else node.text)
    return {name: plain(value) for name, (_, value) in node.entries.items()}


def wrong(text: str) -> list[str]:
    tree = read(text, Mistakes("tried.yaml"))
    assert tree is not None
    return [
        "/".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(plain(tree))
    ]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(rule_schema())


@pytest.mark.parametrize("name", TEXTS)
def test_it_accepts_the_rules_that_there_are(name: str) -> None:
    assert wrong(TEXTS[name]) == []


def test_it_accepts_a_new_rule() -> None:
    assert wrong(new_rule("rent_scam")) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("title:", "titel:", ""),
        ("status: experimental ", "status: exprimental ", "status"),
        ("event: transfer", "event: transfers", "steps/1/event"),
        ("as: pay", "as: Pay", "steps/1/as"),
        ("weight: 40", "weight: 0", "evidence/0/weight"),
        ("f3.monetization", "f3.monetisation", "tags/0"),
        ("action: hold", "action: halt", "score/bands/1/action"),
        ("    like: a transfer during the call\n", "", "stories/1"),
        ("relationship: stranger", "relationship: strager", "stories/0/events/0"),
        ("amount: 20000 CNY", "amount: 20000", "stories/0/events/1"),
    ],
)
def test_it_sees_what_an_editor_should_underline(old: str, new: str, place: str) -> None:
    text = new_rule("rent_scam")
    assert old in text
    assert place in wrong(text.replace(old, new, 1))


def test_every_key_has_a_description() -> None:
    properties = rule_schema()["properties"]
    assert all(value["description"] for value in properties.values())
