"""What is wrong with a rule file: each mistake at its line and column, in one sentence."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

_SHOWN = 6
_LONGEST_QUOTE = 60
_SHORTEST_SURE = 4


class RuleFileError(ValueError):
    """One mistake of a rule's author: where it is, what is wrong, and what would be right.

    `line` and `column` count from 1. `hint` is what stands on the second line, if anything.
    """

    def __init__(
        self, file: str, line: int, column: int, message: str, hint: str | None = None
    ) -> None:
        super().__init__(file, line, column, message, hint)
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return `file:line:column: message`, and the hint indented on a line of its own."""
        text = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return text if self.hint is None else f"{text}\n    {self.hint}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file, both counted from 1."""

    line: int
    column: int


class Mistakes:
    """The mistakes found in one file so far; `noted` counts those found again as well."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.noted = 0
        self._found: dict[tuple[Place, str], RuleFileError] = {}

    def add(self, at: Place, message: str, hint: str | None = None) -> None:
        """Note a mistake; the same one at the same place is noted once."""
        self.noted += 1
        error = RuleFileError(self.file, at.line, at.column, message, hint)
        self._found.setdefault((at, message), error)

    @property
    def errors(self) -> list[RuleFileError]:
        """The mistakes in the order in which they stand in the file."""
        return [self._found[key] for key in sorted(self._found)]


def raise_all(errors: Sequence[RuleFileError], where: str) -> None:
    """Raise an ExceptionGroup of these mistakes, if there are any."""
    if errors:
        count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        raise ExceptionGroup(f"{count} in {where}", errors)


def quoted(text: str) -> str:
    """Return text from a file as it may stand in a message: in quotes, short, on one line."""
    short = text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
    return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + "'"


def with_article(name: str) -> str:
    """Return `a transfer`, `an alert`."""
    return f"{'an' if name[:1] in 'aeio' else 'a'} {name}"


def listed(names: Collection[str]) -> str:
    """Return the first few names, in order, and `…` if there are more."""
    return ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


class Suggestion(str):  # noqa: SLOT000 - what it adds is there for few of them
    """A hint that may name the one right word for a wrong one, or "" where a person must choose.

    Attributes:
        wrong: What stands in the file.
        sure: What is to stand there instead.
    """

    wrong: str
    sure: str

    def __new__(cls, hint: str, wrong: str = "", sure: str = "") -> Self:
        """Return a hint; it reads like any other."""
        told = super().__new__(cls, hint)
        told.wrong, told.sure = wrong, sure
        return told


def suggestion(
    wrong: str,
    right: Collection[str],
    label: str,
    also: Collection[str] = (),
    *,
    sure: str = "",
) -> Suggestion:
    """Return the hint for a word that is none of a list: the nearest one, and the list.

    Args:
        wrong: the word found.
        right: the words that could stand there.
        label: what these words are, in the plural.
        also: words that could stand there too, but are not listed.
        sure: the one right word, as `sole` finds it, where the list is not the author's own.
    """
    names = f"{label}: {listed(right)}" if right else f"there are no {label}"
    # Comparing letter by letter costs the square of the length.
    near = difflib.get_close_matches(wrong[:_LONGEST_QUOTE], sorted({*right, *also}), n=1)
    text = f"did you mean {quoted(near[0])}? {names}" if near else names
    return Suggestion(text, wrong, sure)


def sole(wrong: str, right: Collection[str], also: Collection[str] = ()) -> str:
    """Return the word of a list that differs from a wrong one by a slip, if just one does.

    A slip is one letter too many, too few or another one, two that changed places, or capitals
    and hyphens. Digits are no slips, and short words are never sure: too many lie near them.
    If the only one is among `also`, which the author named, there is none either.
    """
    near = [word for word in {*right, *also} if _is_slip(wrong, word)]
    return near[0] if len(near) == 1 and near[0] in right else ""


def _is_slip(wrong: str, word: str) -> bool:
    wrong = wrong.lower().replace("-", "_")
    if wrong == word:
        return True
    if min(len(wrong), len(word)) < _SHORTEST_SURE or abs(len(wrong) - len(word)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(wrong, word, strict=False)) if a != b), None)
    at = min(len(wrong), len(word)) if start is None else start
    rest, wanted = wrong[at:], word[at:]
    if any(letter.isdigit() for letter in rest[:1] + wanted[:1]):
        return False
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return wanted in (rest[1:], swapped) or rest[1:] == wanted[1:] or rest == wanted[1:]
