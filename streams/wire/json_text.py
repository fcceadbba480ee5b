"""One JSON object read from bytes that anybody may have sent."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, NoReturn

SIZE_LIMIT: Final = 64 * 1024
DEPTH_LIMIT: Final = 16
FIELD_LIMIT: Final = 256

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET = re.compile(rb"[^\[\]{}]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
# Longer integers exceed every limit of the contract however they go on, and Python refuses to
# read very long ones at all.
_DIGITS_READ = 40


class Mistake(NamedTuple):
    """Why bytes are no record: a reason of the contract, and a text that quotes nothing."""

    reason: str
    detail: str


def check_bytes(raw: bytes) -> Mistake | None:
    """The first mistake in size, encoding and depth, which decoders pass over, if there is one."""
    if len(raw) > SIZE_LIMIT:
        return Mistake("too_large", f"wanted at most {SIZE_LIMIT} bytes, found {len(raw)}")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Mistake("not_utf8", f"wanted UTF-8, found something else at byte {error.start}")
    if _too_deep(raw):
        return Mistake("too_deep", f"wanted at most {DEPTH_LIMIT} levels of brackets, found more")
    return None


def is_plainly_within_limits(raw: bytes) -> bool:
    """Tell quickly that bytes are UTF-8 within the limits of size and depth.

    What has many brackets side by side may be in order all the same.
    """
    if len(raw) > SIZE_LIMIT or raw.count(b"{") + raw.count(b"[") > DEPTH_LIMIT:
        return False
    return _is_utf8(raw)


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_object(raw: bytes) -> dict[str, Any] | Mistake:
    """The one JSON object in the bytes, or the first mistake in the contract's order.

    Numbers with a point or an exponent become Decimals, so that no amount passes through a float.
    """
    mistake = check_bytes(raw)
    if mistake is not None:
        return mistake
    text = raw.decode()
    reading = _Reading()
    try:
        value = reading.read(text)
    except ValueError:
        return Mistake("not_json", "wanted one JSON text as of RFC 8259")
    if _SURROGATE.search(text) and _has_lone_surrogate(text):
        return Mistake("not_json", "wanted surrogates in pairs, found a lone one")
    if not isinstance(value, dict):
        return Mistake("wrong_type", f"wanted an object, found {kind_of(value)}")
    return reading.mistake or value


def kind_of(value: object) -> str:
    """What a decoded JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


class _Reading:
    """One pass of the decoder, and what it met that JSON allows and the contract does not."""

    def __init__(self) -> None:
        self._duplicate = False
        self._widest = 0

    def read(self, text: str) -> Any:  # noqa: ANN401 - a JSON text may hold anything
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_int=_read_integer,
            parse_float=_read_number,
            parse_constant=_refuse_constant,
        )

    @property
    def mistake(self) -> Mistake | None:
        if self._duplicate:
            return Mistake("duplicate_key", "wanted each name once in an object, found one twice")
        if self._widest > FIELD_LIMIT:
            found = f"wanted at most {FIELD_LIMIT} fields in an object, found {self._widest}"
            return Mistake("too_many_fields", found)
        return None

    def _object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        self._duplicate = self._duplicate or len(fields) < len(pairs)
        self._widest = max(self._widest, len(pairs))
        return fields


def _read_integer(digits: str) -> int:
    return int(digits[:_DIGITS_READ])


def _read_number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        # An exponent beyond what Decimal can hold: too large or too fine for any field.
        return Decimal("Infinity")


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _too_deep(raw: bytes) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_LIMIT:
        return False
    depth = 0
    for bracket in _NO_BRACKET.sub(b"", _STRING.sub(b"", raw)):
        depth += 1 if bracket in b"{[" else -1
        if depth > DEPTH_LIMIT:
            return True
    return False


def _has_lone_surrogate(text: str) -> bool:
    # An escaped backslash leaves a mark: else the halves on its two sides would meet as a pair.
    unescaped = text.replace("\\\\", "_")
    return _SURROGATE.search(_PAIR.sub("", unescaped)) is not None
