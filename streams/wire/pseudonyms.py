"""Pseudonyms of people, numbers and accounts: keyed, and equal for equals."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from rules.events import EVENTS, Scalar

PUBLISHED_KEY: Final = b"ringfence: everybody knows this key"
"""For replays without a key of their own. Whoever has a list of numbers can undo it."""

KEY_LENGTH: Final = 16
"""The least length of a key, in characters."""

_LENGTH = 32
_BLOCK = 64
_CACHED = 65_536
_SEPARATORS = str.maketrans("", "", " -.()")
_FIELDS: Final = {
    spec.name: tuple(
        (name, field.pseudonym) for name, field in spec.fields.items() if field.pseudonym
    )
    for spec in EVENTS.values()
}


class Pseudonyms:
    """Turns identifiers into keyed pseudonyms: HMAC-SHA256 over kind, NUL and comparable text.

    The first 32 hexadecimal characters are kept: 128 bits, so that no two of all the people on
    earth meet by chance. Source of the construction: RFC 2104.
    """

    def __init__(self, key: bytes, withheld_values: frozenset[str]) -> None:
        """Takes the secret, and the words in place of a caller that is withheld.

        Raises:
            ValueError: The key is shorter than 16 characters.
        """
        if len(key) < KEY_LENGTH:
            raise ValueError(
                f"the pseudonym key has {len(key)} characters, wanted {KEY_LENGTH} or more"
            )
        self._made_of = (key, withheld_values)
        # The key's part is the same for all: it is hashed once, which halves the work.
        block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._withheld = frozenset(value.lower() for value in withheld_values)
        self._cached = lru_cache(_CACHED)(self._make)

    def __reduce__(self) -> tuple[type["Pseudonyms"], tuple[bytes, frozenset[str]]]:
        """Let another process make the same pseudonyms."""
        return Pseudonyms, self._made_of

    def of(self, kind: str, text: str) -> str:
        """The pseudonym of a text as a record has it; texts of different kinds never share one."""
        return self._cached(kind, text)

    def is_withheld(self, caller: str) -> bool:
        """Whether a text says that a caller hides their number."""
        return caller.lower() in self._withheld

    def apply(self, event_type: str, told: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The data of a record with pseudonyms; a withheld caller becomes unknown."""
        data = dict(told)
        for name, kind in _FIELDS[event_type]:
            text = data.get(name)
            if text is None:
                continue
            if name == "caller" and self.is_withheld(str(text)):
                del data[name]
            else:
                data[name] = self.of(kind, str(text))
        return data

    def _make(self, kind: str, text: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{kind}\0{comparable(kind, text)}".encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:_LENGTH]


def comparable(kind: str, text: str) -> str:
    """The text that all writings of one person or one handle have in common.

    What starts with `+` loses its separators, what has an `@` is lower-cased; nothing else is
    touched, for whether two other texts mean the same only their senders know.
    """
    if kind not in {"person", "handle"}:
        return text
    if text.startswith("+"):
        text = text.translate(_SEPARATORS)
    return text.lower() if "@" in text else text
