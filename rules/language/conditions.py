"""One line of a rule file as a condition, or as a value in a message."""

import ast
import warnings
from collections.abc import Iterator

from rules.condition import Aggregate, Condition, Expression, Field, Gap, Parameter
from rules.language.expressions import Typist
from rules.language.mistakes import Mistakes
from rules.language.names import Scope, UnjudgedError
from rules.language.read import COMMA_HINT, Leaf
from rules.language.tokens import DEEPEST, ConditionError, UnbalancedError, look_at, too_deep
from rules.rule import Message


def read_condition(leaf: Leaf, scope: Scope, mistakes: Mistakes) -> Condition | None:
    """Return the condition that a line says, or None after noting what is wrong with it."""
    if not leaf.on_one_line:
        mistakes.add(leaf.at, "a condition stands on one line")
        return None
    text, indent = leaf.text.strip(), len(leaf.text) - len(leaf.text.lstrip())
    typist = Typist(text, scope)
    try:
        expression = typist.condition(_parse(text))
    except ConditionError as error:
        cut = leaf.in_flow and isinstance(error, UnbalancedError)
        at = leaf.place(indent + error.at)
        mistakes.add(at, error.message, COMMA_HINT if cut else error.hint)
        return None
    for mistake in typist.mistakes:
        if not isinstance(mistake, UnjudgedError):
            mistakes.add(leaf.place(indent + mistake.at), mistake.message, mistake.hint)
    if expression is None:
        return None
    return Condition(_with_step(text, typist, scope.step), expression)


def _parse(text: str) -> ast.expr:
    """Return the syntax tree of one expression that is not too deep.

    Raises:
        ConditionError: There is none.
    """
    look_at(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as error:
        # The last two are how a parser gives up on an expression that is much too long.
        at = min(max((getattr(error, "offset", None) or 1) - 1, 0), len(text))
        raise ConditionError(at, "this cannot be read as a Python expression") from error
    if any(depth > DEEPEST for depth in _depths(tree)):
        raise too_deep(0)
    return tree


def _depths(tree: ast.expr) -> Iterator[int]:
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield depth
        inner = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        waiting.extend((child, depth + 1) for child in inner)


def _with_step(text: str, typist: Typist, step: str) -> str:
    """Return the author's words with `step.` before each bare field of the step itself."""
    for byte_offset in sorted(typist.own_names, reverse=True):
        at = typist.offset(byte_offset)
        text = f"{text[:at]}{step}.{text[at:]}"
    return text


def read_message(leaf: Leaf, scope: Scope, mistakes: Mistakes) -> Message:
    """Return the sentence with values in it that a rule's `message` says."""
    pieces: list[str | Expression] = []
    text, at = leaf.text, 0
    while at < len(text):
        opening = text.find("{", at)
        closing = text.find("}", at)
        if opening < 0 or 0 <= closing < opening:
            stray = closing if closing >= 0 else len(text)
            pieces.append(text[at:stray])
            if closing >= 0:
                mistakes.add(leaf.place(closing), "'}' closes nothing")
            at = stray + 1
            continue
        if opening > at:
            pieces.append(text[at:opening])
        if closing < 0:
            mistakes.add(leaf.place(opening), "'{' is never closed")
            break
        value = _read_value(leaf, opening + 1, closing, scope, mistakes)
        pieces += [] if value is None else [value]
        at = closing + 1
    return Message(tuple(pieces))


def _read_value(
    leaf: Leaf, start: int, end: int, scope: Scope, mistakes: Mistakes
) -> Expression | None:
    text = leaf.text[start:end]
    start += len(text) - len(text.lstrip())
    try:
        value = Typist(text.strip(), scope).value(_parse(text.strip()))
    except UnjudgedError:
        return None
    except ConditionError as error:
        mistakes.add(leaf.place(start + error.at), error.message, error.hint)
        return None
    if isinstance(value, Aggregate | Field | Gap | Parameter):
        return value
    hint = "wanted step.field, gap(step, step), count(set) and the like, or a parameter"
    mistakes.add(leaf.place(start), "a message shows plain values only", hint)
    return None
