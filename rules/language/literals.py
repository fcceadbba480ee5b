"""Text in a rule file, read as the kind of value that it stands beside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rules.events import FieldSpec, Kind, Value
from rules.language.mistakes import quoted, sole, suggestion
from rules.moment import parse_duration, parse_moment
from rules.money import parse_money
from rules.operators import Thresholds

_LONGEST = 60
_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.TEXT: str,
    Kind.DURATION: parse_duration,
    Kind.MONEY: parse_money,
    Kind.MOMENT: parse_moment,
}
KIND_NAMES: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.CLASS: "a class",
    Kind.BOOL: "true or false",
    Kind.INTEGER: "a number",
    Kind.NUMBER: "a number",
    Kind.MONEY: "money",
    Kind.MOMENT: "a moment",
    Kind.DURATION: "a duration",
    Kind.PSEUDONYM: "a pseudonym",
}


@dataclass(frozen=True)
class Param:
    """A parameter of a rule. Of text, `kind` is decided by what it meets."""

    name: str
    value: Value | Thresholds
    kind: Kind

    def digest_form(self) -> object:
        """Return the value as JSON can hold it, the same for equal values."""
        if isinstance(self.value, Mapping):
            return {currency: _plain(amount) for currency, amount in self.value.items()}
        return [str(self.kind), _plain(self.value)]


def _plain(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


class LiteralError(ValueError):
    """A text that is no value of the kind wanted."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_literal(text: str, kind: Kind, spec: FieldSpec | None) -> Value:
    """Return the value that a text means beside something of this kind; `spec` is its field.

    Raises:
        LiteralError: It means none.
    """
    if kind is Kind.CLASS and spec is not None:
        if text in spec.classes:
            return text
        hint = suggestion(text, spec.classes, "values", sure=sole(text, spec.classes))
        raise LiteralError(f"{quoted(text)} is never a value of {spec.name}", hint)
    reader = _READERS.get(kind)
    if reader is None:
        raise LiteralError(f"{quoted(text)} is text, wanted {KIND_NAMES[kind]}")
    try:
        return reader(text)
    except ValueError as error:
        # What the readers say quotes the whole text.
        long = len(text) > _LONGEST
        raise LiteralError("a text too long for a value" if long else str(error)) from error
