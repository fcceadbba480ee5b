"""The catalogue in print: a section for each typology, with what its rules' stories are worth."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from rules.authoring.mutants import Tried, score_of
from rules.claim import show
from rules.events import Stage
from rules.language.check import CheckedRule
from rules.language.mistakes import Mistakes
from rules.language.read import Items, Leaf, Node, Table, read

_HEAD = """\
<!-- Generated from rules/catalog by `python -m streams.rule_docs`; change it there. -->

# The catalogue

What is published of video-call fraud, as rules that run: {rules} rules of {typologies} typologies
with {stories} stories. Windows and amounts are proposals from public cases, to be tuned by whoever
runs them (`--params`).

A picture shows a rule's first story: calls and screens blue, the bank green, what the alert is
about red. *Mutants* are what a rule would be if its author had erred in one place; its own stories
notice {noticed} of {mutants} ({score:.1f} %). `ringfence mutate` says which, and which story would
notice those that pass.

| rule | stage | asks for | stories | mutants noticed |
|---|---|---|---|---|
{table}
"""


def catalogue_page(
    rules: Sequence[CheckedRule],
    files: Mapping[str, str],
    tried: Mapping[str, Sequence[Tried]],
    links: tuple[str, str],
) -> str:
    """Return the catalogue as a page of Markdown.

    Args:
        rules: the rules.
        files: their texts, by the name of the file.
        tried: what became of their mutants, by the rule's id.
        links: how the page names the folder of the rules' files, and that of their pictures.
    """
    stages = get_args(Stage)
    ordered = sorted(rules, key=lambda rule: (stages.index(rule.stage), rule.typology, rule.id))
    typologies = dict.fromkeys(rule.typology for rule in ordered)
    every = [mutant for rule in ordered for mutant in tried[rule.id]]
    parts = [
        _HEAD.format(
            rules=len(rules),
            typologies=len(typologies),
            stories=sum(len(rule.stories) for rule in rules),
            noticed=_noticed(every),
            mutants=len(every),
            score=score_of(every),
            table="\n".join(_row(rule, tried[rule.id]) for rule in ordered),
        )
    ]
    for typology in typologies:
        parts.append(f"## {typology.replace('_', ' ').capitalize()}\n")
        for rule in ordered:
            if rule.typology == typology:
                tree = read(files[rule.file], Mistakes(rule.file))
                assert tree is not None, "the file has been read before"
                parts.append("\n".join(_section(rule, tree, tried[rule.id], links)))
    return "\n".join(parts)


def _noticed(tried: Sequence[Tried]) -> int:
    return sum(mutant.noticed_by is not None for mutant in tried)


def _row(rule: CheckedRule, tried: Sequence[Tried]) -> str:
    actions = " or ".join(dict.fromkeys(band.action for band in rule.bands))
    noticed = f"{_noticed(tried)} of {len(tried)} ({score_of(tried):.1f} %)"
    return (
        f"| [`{rule.id}`](#{rule.id}) | {rule.stage} | {actions} | {len(rule.stories)}"
        f" | {noticed} |"
    )


def _section(
    rule: CheckedRule, tree: Table, tried: Sequence[Tried], links: tuple[str, str]
) -> Iterator[str]:
    of_rules, of_pictures = links
    yield f"### {rule.id}\n"
    yield f"**{rule.title}.** Whole in [`{rule.id}.yaml`]({of_rules}/{rule.id}.yaml).\n"
    about = _text(tree, "about")
    if about:
        yield f"{about.strip()}\n"
    if rule.stories:
        title = rule.stories[0].title
        yield f"![{title}]({of_pictures}/{rule.id}.svg)\n"
    yield from _list("Looks alike and stays silent", _texts(tree, "confusers"))
    yield from _list("Cannot see", _texts(tree, "blind_spots"))
    if rule.advice:
        yield f"*At the desk*: {rule.advice}\n"
    values = [f"`{p.name}` {show(p.value, p.kind)}" for p in rule.parameters.values()]
    yield from _list("Parameters", values)
    yield from _list("Sources", [*_sources(tree)])
    passed = [f"line {m.at.line}: {m.says}" for m in tried if m.noticed_by is None]
    yield from _list("Mutants that no story notices", passed)


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield f"*{title}*:\n"
        yield from (f"* {item}" for item in items)
        yield ""


def _sources(tree: Table) -> Iterator[str]:
    node = tree.entries["provenance"][1] if "provenance" in tree.entries else None
    for entry in node.items if isinstance(node, Items) else ():
        assert isinstance(entry, Table), "the file has been checked"
        published = _text(entry, "published")
        when = f", {published}" if published else ""
        yield f"{_text(entry, 'what')} ({_text(entry, 'by')}{when})"


def _text(tree: Table, key: str) -> str:
    node: Node | None = tree.entries[key][1] if key in tree.entries else None
    return node.text if isinstance(node, Leaf) else ""


def _texts(tree: Table, key: str) -> list[str]:
    node = tree.entries[key][1] if key in tree.entries else None
    items = node.items if isinstance(node, Items) else ()
    return [item.text for item in items if isinstance(item, Leaf)]
