"""The first look at a condition: its characters, its length and its depth, before it is parsed.

What passes here cannot hurt the parser: no characters but those of conditions, brackets and
prefixes nested a little, texts plainly closed. Whatever a parser would have to guess is refused.
"""

import keyword
import re
from dataclasses import dataclass

from rules.language.mistakes import Suggestion, quoted

LONGEST = 2000
DEEPEST = 25

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*|\.[0-9][A-Za-z0-9_.]*)
    |(?P<text>"[^"\\\n\r]*"|'[^'\\\n\r]*')
    |(?P<banned>\*\*|//|<<|>>|\.\.\.)
    |(?P<operator>==|!=|<=|>=|[<>+\-*/%(),.])""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})(\.[0-9]{1,12})?")
_WORDS = frozenset({"and", "or", "not", "in", "is", "None"})
_PREFIXES = frozenset({"not", "+", "-"})
_BETWEEN = frozenset({*_WORDS, *"+-*/%<>,.", "==", "!=", "<=", ">="}) - {"None"}
_INSTEAD = {
    "=": "did you mean '=='?",
    "&": "did you mean 'and'?",
    "|": "did you mean 'or'?",
    "!": "did you mean 'not' or '!='?",
    "[": "a tuple stands in round brackets",
    "{": "a tuple stands in round brackets",
    '"': "a text has a quote at both ends, and neither a backslash nor a line break in it",
    "'": "a text has a quote at both ends, and neither a backslash nor a line break in it",
    "True": "write the field alone, or 'not' before it",
    "False": "write the field alone, or 'not' before it",
    "null": "did you mean 'None'?",
}
# Signs of other languages that are written together, and what each surely means.
_SIGNS = re.compile(r"[=&|<>!~]+")
_SIGN = frozenset("=&|<>!~")
_MEANT = {"=": "==", "&&": "and", "||": "or"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, text or sign, and where it begins."""

    kind: str
    text: str
    at: int


class ConditionError(ValueError):
    """What is wrong with a condition, at an offset of its text."""

    def __init__(self, at: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.hint = hint


class UnbalancedError(ConditionError):
    """A bracket without its partner: what a cut condition looks like."""


def look_at(text: str) -> None:
    """Check that a condition is short, flat, and made of nothing but what conditions are made of.

    Raises:
        ConditionError: At the first place where it is not.
    """
    if len(text) > LONGEST:
        raise ConditionError(0, f"a condition has at most {LONGEST} characters, found {len(text)}")
    tokens = _split(text)
    if not tokens:
        raise ConditionError(0, "found an empty condition, wanted an expression")
    for before, token in zip([None, *tokens], tokens, strict=False):
        _check(before, token)
    _check_depth(tokens)
    last = tokens[-1]
    if last.text in _BETWEEN:
        raise ConditionError(last.at, f"a condition cannot end with '{last.text}'")


def _split(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _not_allowed(at, text[at], text)
        if match.lastgroup == "banned":
            raise _not_allowed(at, match.group())
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return tokens


def _check(before: Token | None, token: Token) -> None:
    if token.kind == "name" and keyword.iskeyword(token.text) and token.text not in _WORDS:
        raise _not_allowed(token.at, token.text)
    if token.kind == "number" and not _NUMBER.fullmatch(token.text):
        hint = "at most 19 digits, and 12 after the point; money and durations stand in quotes"
        raise ConditionError(token.at, f"'{token.text[:40]}' is not a number like 40 or 0.5", hint)
    if token.kind == "text" and before is not None:
        touches = before.at + len(before.text) == token.at
        if before.kind == "text" or (before.kind in ("name", "number") and touches):
            raise ConditionError(token.at, "a text cannot follow here", "is a comma missing?")


def _check_depth(tokens: list[Token]) -> None:
    """Check brackets and runs of prefixes, the only things that nest."""
    runs = [0]
    opened: list[int] = []
    for token in tokens:
        if token.text == "(":
            opened.append(token.at)
            runs.append(0)
        elif token.text == ")":
            if not opened:
                raise UnbalancedError(token.at, "')' closes nothing")
            opened.pop()
            runs.pop()
        elif token.text in _PREFIXES:
            runs[-1] += 1
        else:
            runs[-1] = 0
        if len(opened) + sum(runs) > DEEPEST:
            raise too_deep(token.at)
    if opened:
        raise UnbalancedError(opened[-1], "'(' is never closed")


def too_deep(at: int) -> ConditionError:
    """Return the refusal of an expression that nests too deep."""
    return ConditionError(at, f"a condition nests at most {DEEPEST} deep")


def _not_allowed(at: int, found: str, text: str = "") -> ConditionError:
    hint = _INSTEAD.get(found)
    written = _SIGNS.match(text, at)
    if hint is not None and written is not None and text[at - 1 : at] not in _SIGN:
        sign = written.group()
        hint = Suggestion(hint, sign, _MEANT.get(sign, ""))
    return ConditionError(at, f"{quoted(found)} is not allowed in a condition", hint)
