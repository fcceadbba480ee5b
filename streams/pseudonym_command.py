"""What `ringfence pseudonym` does: a value in, its pseudonym as ingest makes it out."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from rules.events import EVENTS, IDENTIFIER_LIMIT, KEYS
from rules.language.mistakes import quoted, suggestion
from streams.failures import SettingsError, UsageFailure
from streams.logs import STDIN
from streams.settings import Settings
from streams.wire.pseudonyms import Pseudonyms

_BY_FIELD: Final[Mapping[str, str]] = {
    field.name: field.pseudonym
    for spec in EVENTS.values()
    for field in spec.fields.values()
    if field.pseudonym
}
KINDS: Final[Mapping[str, str]] = {
    **{kind: kind for kind in _BY_FIELD.values()},
    **{by: _BY_FIELD[field] for by, field in KEYS.items() if field in _BY_FIELD},
}
"""What may be asked for, and the kind of pseudonym that it is: `caller` is a `handle`."""


def run_pseudonym(settings: Settings, kind: str, value: str) -> None:
    """Write the pseudonym of a value; of `-` those of the lines of standard input, as JSON lines.

    Raises:
        SettingsError: there is no secret, or the kind is none.
        UsageFailure: a value can be no identifier; its text is not told, for it may name somebody.
    """
    if kind == "area":
        raise SettingsError("KIND: an area stands for itself and has no pseudonym")
    if kind not in KINDS:
        hint = suggestion(kind, KINDS, "kinds")
        raise SettingsError(f"KIND: {quoted(kind)} has no pseudonyms; {hint}")
    pseudonyms = Pseudonyms(settings.secret(), frozenset(settings.withheld_values))
    if value != STDIN:
        found = _pseudonym(pseudonyms, kind, value, "VALUE")
        if found is None:
            raise UsageFailure("VALUE: it says that a caller is withheld, and stands for nobody")
        sys.stdout.write(f"{found}\n")
        return
    for row in _rows(pseudonyms, kind, sys.stdin):
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")


def _rows(pseudonyms: Pseudonyms, kind: str, lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        # Nothing else is cut off: a space is part of a value, in a record too.
        found = _pseudonym(pseudonyms, kind, line.rstrip("\r\n"), f"line {number}")
        yield {"line": number, "kind": KINDS[kind], "pseudonym": found}


def _pseudonym(pseudonyms: Pseudonyms, kind: str, text: str, where: str) -> str | None:
    """Return the pseudonym, or None of a caller that is withheld."""
    if not 1 <= len(text) <= IDENTIFIER_LIMIT:
        raise UsageFailure(
            f"{where}: wanted 1 to {IDENTIFIER_LIMIT} characters, found {len(text)}"
        )
    if KINDS[kind] == "handle" and pseudonyms.is_withheld(text):
        return None
    return pseudonyms.of(KINDS[kind], text)
