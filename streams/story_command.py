"""What `ringfence test` does: the stories of rule files run in several orders, and the report."""

import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from rules.authoring.stories import StoryError
from rules.authoring.trials import Order, Trial, try_story
from rules.language import Story, check_files
from rules.language.build import build_all
from rules.rule import Rule
from rules.timing import Timing
from streams.failures import UsageFailure
from streams.files import output
from streams.rule_files import read_texts, sentences_of
from streams.settings import load_settings

_SEEDS: Final = range(10)
# What XML 1.0 has no way to write.
_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Tried:
    """What became of one story: the trial, and the file that the story stands in."""

    file: str
    trial: Trial

    @property
    def place(self) -> str:
        return f"{self.file}:{self.trial.story.line}"

    @property
    def details(self) -> list[str]:
        """What the report says of a story that does not hold."""
        return [*self.trial.wrong, *self.trial.diff, *self.trial.reasons]


def run_stories(path: Path | None, junit: Path | None) -> bool:
    """Run the stories of a folder, a file or the catalogue; tell whether all of them hold.

    Raises:
        Failure: a setting is wrong, or a file cannot be read or written.
    """
    settings = load_settings(os.environ, rules=path)
    texts = read_texts(settings.rules)
    try:
        checked = check_files(texts, settings.timing)
    except ExceptionGroup as group:
        sys.stderr.write("".join(f"{sentence}\n" for sentence in sentences_of(group)))
        return False
    rules = build_all(checked, settings.timing).rules
    stories = {rule.id: rule.stories for rule in checked}
    files = {Path(name).stem: name for name in texts}
    tried = []
    try:
        for rule in rules:
            of_rule = list(_try(rule, stories[rule.id], files[rule.id], settings.timing))
            sys.stdout.write("".join(f"{line}\n" for line in _report(rule, of_rule)))
            tried += of_rule
    except _StoryFailure as failure:
        sys.stderr.write(f"{failure}\n")
        return False
    wrong = sum(bool(each.trial.wrong) for each in tried)
    sys.stdout.write(f"{_count(len(tried), 'story')} of {_count(len(rules), 'rule')}, ")
    sys.stdout.write(f"{wrong:,} wrong\n" if wrong else "all right\n")
    if junit is not None:
        with output(junit) as stream:
            stream.write(_as_junit(tried))
    return not wrong


class _StoryFailure(UsageFailure):
    """A record in a story that no sender may send."""


def _try(rule: Rule, stories: Sequence[Story], file: str, timing: Timing) -> Iterator[_Tried]:
    for story in stories:
        try:
            yield _Tried(file, try_story(rule, story, timing, orders_of(story)))
        except StoryError as error:
            raise _StoryFailure(f"{file}:{error.line}: {error}") from error


def orders_of(story: Story) -> list[Order]:
    """Return the orders in which a story's records arrive.

    That is its own, if it names one; else file order, which alone counts where records can be
    late, the reverse, and ten in which every record arrives twice; the same one not again.
    """
    told = tuple(range(len(story.records)))
    if story.arrival is not None:
        return [Order("in its own order of arrival", story.arrival)]
    orders = [Order("in file order", told)]
    if story.lateness_us is not None:
        return orders
    orders.append(Order("in reverse", told[::-1]))
    for seed in _SEEDS:
        twice = [*told, *told]
        random.Random(seed).shuffle(twice)  # noqa: S311 - an order, no secret
        if all(order.places != tuple(twice) for order in orders):
            name = f"shuffled with seed {seed}, every record twice"
            orders.append(Order(name, tuple(twice)))
    return orders


def _report(rule: Rule, tried: Sequence[_Tried]) -> Iterator[str]:
    wrong = [each for each in tried if each.trial.wrong]
    outcome = f"{len(wrong):,} wrong" if wrong else "all right"
    yield f"{rule.id}: {_count(len(tried), 'story')}, {outcome if tried else 'nothing to try'}"
    for each in wrong:
        yield f"  {each.place}: {each.trial.story.title}"
        yield from (f"    {text}" if text else "" for text in each.details)


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _as_junit(tried: Sequence[_Tried]) -> bytes:
    """Return the report as JUnit XML: a suite for each rule, a case for each story."""
    by_rule: dict[str, list[_Tried]] = {}
    for each in tried:
        by_rule.setdefault(each.trial.rule.id, []).append(each)
    root = ET.Element("testsuites", _counts("ringfence", tried))
    for rule_id, of_rule in by_rule.items():
        suite = ET.SubElement(root, "testsuite", _counts(rule_id, of_rule))
        for each in of_rule:
            story = each.trial.story
            about = {
                "classname": rule_id,
                "name": _writable(story.title),
                "file": _writable(each.file),
                "line": str(story.line),
            }
            case = ET.SubElement(suite, "testcase", about)
            if each.trial.wrong:
                message = {"message": _writable("; ".join(each.trial.wrong))}
                failure = ET.SubElement(case, "failure", message)
                failure.text = _writable("\n".join((each.place, *each.details)))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _counts(name: str, tried: Sequence[_Tried]) -> dict[str, str]:
    failures = sum(bool(each.trial.wrong) for each in tried)
    return {"name": name, "tests": str(len(tried)), "failures": str(failures), "errors": "0"}


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
