"""What `ringfence check --fix` mends: mistakes in rule files that have just one right answer.

An edit replaces a word, or takes away a tag or a parameter, where it stands in the text: comments
and layout are nobody's business. What an author named, and what a person must choose, stays.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

from rules.authoring.lint import Finding, lint
from rules.language import check_files
from rules.language.build import digest
from rules.language.check import TWICE_HINT, CheckedRule
from rules.language.mistakes import Suggestion
from rules.timing import Timing

# What YAML counts as the end of a line.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_EMPTY = re.compile(r"\A(?:[ \t]*(?:#.*)?\r?\n)+")
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Fix:
    """One thing that was mended: where it stood, and what is different now."""

    file: str
    line: int
    column: int
    says: str

    def __str__(self) -> str:
        """Return `file:line:column: what is different`."""
        return f"{self.file}:{self.line}:{self.column}: {self.says}"


class _Edit(NamedTuple):
    """A stretch of the text, what comes in its place, and where and how that is said."""

    start: int
    end: int
    instead: str
    at: int
    says: str


def mend(file: str, text: str, timing: Timing) -> tuple[str, list[Fix]]:
    """Return a file as it is when mended, and what was mended, in order of mending.

    A file with nothing to mend is the same text. What a rule means stays: in one that can be
    loaded, only tags and parameters that nothing names are touched.

    Args:
        file: the rule file's name.
        text: what stands in it.
        timing: the settings under which it is judged.
    """
    now, passes, found = text, list[list[_Edit]](), list[tuple[int, str]]()
    # What is mended is right and stays so: at some time there is nothing left.
    while True:
        done: list[_Edit] = []
        # From the end, so that the places of the others stay where they are.
        for edit in reversed(_edits(now, lint({file: now}, timing))):
            better = now[: edit.start] + edit.instead + now[edit.end :]
            if _means_the_same(file, now, better, timing):
                now = better
                done.insert(0, edit)
        if not done:
            break
        found += [(_place_before(edit.at, passes), edit.says) for edit in done]
        passes.append(done)
    return now, [_fix(file, text, at, says) for at, says in sorted(found)]


def _place_before(at: int, passes: Sequence[Sequence[_Edit]]) -> int:
    """Return where a place lay before what was mended in these passes."""
    for done in reversed(passes):
        for edit in reversed(done):
            longer = sum(len(e.instead) - (e.end - e.start) for e in done if e.end < edit.end)
            if at - longer >= edit.start + len(edit.instead):
                at += edit.end - edit.start - len(edit.instead)
    return at


def _fix(file: str, text: str, at: int, says: str) -> Fix:
    starts = [start for start in _starts(text) if start <= at]
    return Fix(file, len(starts), at - starts[-1] + 1, " ".join(says.split()))


def _starts(text: str) -> list[int]:
    return [0, *(match.end() for match in _BREAK.finditer(text))]


def _edits(text: str, findings: Sequence[Finding]) -> list[_Edit]:
    """Return what can be mended, in order of place, one edit at each."""
    starts = _starts(text)
    places = ((starts[f.error.line - 1] + f.error.column - 1, f) for f in findings)
    edits = (_edit(text, at, finding) for at, finding in places)
    return sorted({edit.start: edit for edit in edits if edit is not None}.values())


def _edit(text: str, at: int, finding: Finding) -> _Edit | None:
    hint = finding.error.hint
    if finding.kind == "unused-parameter":
        return _without(text, at, _parameter(text, at), "parameter")
    if hint == TWICE_HINT:
        return _without(text, at, _item(text, at), "second tag")
    return _word(text, at, hint) if isinstance(hint, Suggestion) and hint.sure else None


def _word(text: str, at: int, hint: Suggestion) -> _Edit | None:
    """Return the edit that puts the right word in place, if the wrong one really stands there."""
    start = at + 1 if text[at : at + 1] in ("'", '"') and hint.wrong[:1] not in "'\"" else at
    end = start + len(hint.wrong)
    if text[start:end] != hint.wrong or (hint.wrong[-1:].isalnum() and _WORD.match(text, end)):
        return None
    instead = hint.sure
    if not hint.wrong[0].isalnum() and instead.isalpha() and hint.wrong[0] not in "'\"":
        # A sign of another language may touch its neighbours, a word may not.
        before, after = text[start - 1 : start], text[end : end + 1]
        instead = f"{'' if before == ' ' else ' '}{instead}{'' if after == ' ' else ' '}"
    return _Edit(start, end, instead, at, f"'{hint.wrong}' is now '{hint.sure}'")


def _without(text: str, at: int, stretch: tuple[int, int] | None, what: str) -> _Edit | None:
    if stretch is None:
        return None
    gone = text[slice(*stretch)].strip().strip(",").strip()
    return _Edit(*stretch, "", at, f"{what} '{gone}' is gone")


def _item(text: str, at: int) -> tuple[int, int] | None:
    """Return the stretch of an item that is not the first of its list, with what parts it."""
    start, stop = _line(text, at)
    found = re.match(r"[\w.]+|\"[\w.]+\"|'[\w.]+'", text[at:])
    end = at + (found.end() if found else 0)
    if re.fullmatch(r"\s*-\s+", text[start:at]):
        # A comment beside it may be about something else.
        return (start, stop) if not text[end:stop].strip() else None
    comma = re.search(r",[ \t]*\Z", text[start:at])
    return (start + comma.start(), end) if comma else None


def _parameter(text: str, at: int) -> tuple[int, int] | None:
    """Return the lines of a parameter, and those of `params` if it is the only one.

    In braces, where a bracket may go on for lines, it is left to its author.
    """
    start, stop = _line(text, at)
    indent = text[start:at]
    if not indent or indent.strip():
        return None
    below = takewhile(lambda line: _belongs(line, indent), text[stop:].splitlines(keepends=True))
    end = stop + sum(len(line) for line in below)
    above, after = text[:start], _EMPTY.sub("", text[end:])
    alone = re.search(r"(?m)^params:[ \t]*(\r?\n)\Z", above)
    if alone is not None and not re.match(rf"{indent}\S", after):
        return alone.start(), end
    return start, end


def _belongs(line: str, indent: str) -> bool:
    """Tell whether a line goes on with what stands under a key of this indent."""
    rest = line.removeprefix(indent)
    return len(rest) < len(line) and rest[:1] in (" ", "-") and bool(rest.strip())


def _line(text: str, at: int) -> tuple[int, int]:
    """Return where the line of a place begins, and where the next one does."""
    stop = text.find("\n", at)
    return text.rfind("\n", 0, at) + 1, len(text) if stop < 0 else stop + 1


def _means_the_same(file: str, text: str, better: str, timing: Timing) -> bool:
    """Tell whether a rule raises the same as before; one that could not be loaded had no meaning.

    Tags may be mended, and parameters that nothing names be gone; all the rest is in the digest.
    """
    before, after = _checked(file, text, timing), _checked(file, better, timing)
    if before is None:
        return True
    if after is None or not after.parameters.items() <= before.parameters.items():
        return False
    alike = replace(before, tags=after.tags, parameters=after.parameters)
    return digest(alike, timing) == digest(after, timing)


def _checked(file: str, text: str, timing: Timing) -> CheckedRule | None:
    try:
        (rule,) = check_files({file: text}, timing)
    except ExceptionGroup:
        return None
    return rule
