"""Dead letters as they stand on their topic, and the records that they are about."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.epoch import partitions_of
from streams.failures import SettingsError
from streams.settings import PLACE, Settings
from streams.topics import sizes_of
from streams.windows import Bound, Reader, Span, Stored, open_reader
from streams.wire.binary_mode import envelope_from_headers

_MISSING: Final = "give this command the settings of the worker"


class Letter(msgspec.Struct, frozen=True):
    """A dead letter: the contract's fields, as far as anything is asked of them here."""

    reason: str
    detail: str
    feed: str
    partition: int
    offset: int
    sha256: str
    field: str | None = None
    source: str | None = None
    type: str | None = None
    id: str | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the record lies that it is about."""
        return (self.feed, self.partition, self.offset)

    def is_about(self, raw: bytes) -> bool:
        """Tell whether a record is the one that was refused."""
        return hashlib.sha256(raw).hexdigest() == self.sha256


_decode: Final = msgspec.json.Decoder(Letter).decode


@dataclass
class Letters:
    """The letters of a window, each record's last one once, with the bytes that it came as.

    `repeats` counts further letters about the same records, `strangers` rows that are no letters.
    """

    by_place: dict[tuple[str, int, int], tuple[Letter, bytes]] = field(default_factory=dict)
    repeats: int = 0
    strangers: int = 0

    def take(self, raw: bytes | None) -> None:
        """Take in one row of the topic."""
        try:
            letter = _decode(raw or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.strangers += 1
            return
        self.repeats += letter.place in self.by_place
        self.by_place[letter.place] = (letter, raw or b"")

    def all(self) -> Sequence[Letter]:
        """Return the letters in the order in which they were first written."""
        return [letter for letter, _ in self.by_place.values()]


async def read_letters(settings: Settings, since: Bound = "earliest") -> Letters:
    """Return what the dead letters topic holds from a moment of writing on.

    Raises:
        OutsideFailure: The broker or the topic is not there.
    """
    sizes = await sizes_of(settings, [settings.dead_letters_topic], _MISSING)
    letters = Letters()
    async with open_reader(settings) as reader:
        spans = await reader.spans(partitions_of(sizes), since, "latest")
        async for _, row in reader.rows(spans):
            letters.take(row.value)
    return letters


def parse_place(text: str) -> tuple[str, int, int]:
    """Return the place of a record that a text of the command line names.

    Raises:
        SettingsError: It names none.
    """
    match = PLACE.fullmatch(text)
    if match is None:
        raise SettingsError(f'PLACE: "{text}" is no record, wanted topic:partition:offset')
    return (match[1], int(match[2]), int(match[3]))


async def record_at(reader: Reader, place: tuple[str, int, int]) -> Stored | None:
    """Return the record at a place of a topic that is there, or None if none lies there."""
    partition, offset = place[:2], place[2]
    whole = (await reader.spans([partition], "earliest", "latest"))[partition]
    if not whole.start <= offset < whole.end:
        return None
    async for _, row in reader.rows({partition: Span(offset, offset + 1)}):
        return row
    return None


def as_refused(row: Stored) -> bytes:
    """Return a record as whoever refused it saw it: in structured mode."""
    return envelope_from_headers(row.headers, row.value or b"")
