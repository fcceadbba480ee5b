"""Histories at rest: of very many keys little is known, and most are never asked for again.

A history is here as the rows that tell its events. Some dozens are compressed together into a
*chunk*, and what is kept of each key besides is one number. The histories of a chunk are needed
until about the same moment, so that it is forgotten as a whole.
"""

import heapq
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor

_SIZE: Final = 32
_LEVEL: Final = 1


class AtRest(NamedTuple):
    """The rows that tell the events of a history, and the moment until which one is needed.

    Of one event there may be several rows, in the order in which they came.
    """

    until_us: int
    rows: Sequence[bytes]


class _Chunk:
    """Some histories in one piece.

    Attributes:
        until_us: The moment until which one of them is needed.
        packed: All of them, compressed, those included that have been taken out.
        places: The place of each.
        keys: How many are still here; `rows` is how many rows those have.
    """

    __slots__ = ("keys", "packed", "places", "rows", "until_us")

    def __init__(self, histories: Sequence[tuple[str, AtRest]], places: Iterable[int]) -> None:
        self.until_us = max(rest.until_us for _, rest in histories)
        plain = _encode([(key, rest.rows) for key, rest in histories])
        # As it is returned, it has the room that it could have needed at the worst.
        self.packed = bytes(memoryview(_compressor().compress(plain)))
        self.places = array("q", places)
        self.keys = len(histories)
        self.rows = sum(len(rest.rows) for _, rest in histories)

    def histories(self) -> list[tuple[str, list[bytes]]]:
        """Return all that were put here."""
        return _decode(_decompressor().decompress(self.packed))


class Shelf:
    """The histories at rest of one partition."""

    PLACES: ClassVar[int] = 2**60
    """How many keys can be told apart at once: of two with one place only one is taken."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self._until: list[tuple[int, int, _Chunk]] = []
        self._hollow: dict[_Chunk, None] = {}
        self._made = 0
        self.rows = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def may_have(self, key: str) -> bool:
        """Tell whether the history of a key may be here: False is certain."""
        return hash(key) % self.PLACES in self._chunks

    def put(self, histories: Mapping[str, AtRest]) -> Mapping[str, AtRest]:
        """Take in histories of keys that have none here; return those for which is no place."""
        placed: dict[int, tuple[str, AtRest]] = {}
        refused: dict[str, AtRest] = {}
        for key, rest in (*histories.items(), *self._left_in_hollow_chunks()):
            place = hash(key) % self.PLACES
            if place in placed or place in self._chunks:
                refused[key] = rest
            else:
                placed[place] = (key, rest)
        # What is needed equally long is forgotten together.
        in_order = iter(sorted(placed.items(), key=lambda item: (item[1][1].until_us, item[1][0])))
        while some := list(islice(in_order, _SIZE)):
            chunk = _Chunk([history for _, history in some], [place for place, _ in some])
            self._made += 1
            heapq.heappush(self._until, (chunk.until_us, self._made, chunk))
            self.rows += chunk.rows
            self._chunks.update(dict.fromkeys(chunk.places, chunk))
        return refused

    def take(self, key: str) -> Sequence[bytes] | None:
        """Return the rows of a key, which are here no longer."""
        place = hash(key) % self.PLACES
        chunk = self._chunks.get(place)
        if chunk is None:
            return None
        rows = next((rows for other, rows in chunk.histories() if other == key), None)
        if rows is not None:
            self._leave(chunk, place, len(rows))
        return rows

    def forget(self, minimum_us: int) -> None:
        """Let go of what is needed no more when the least watermark stands there."""
        while self._until and self._until[0][0] < minimum_us:
            _, _, chunk = heapq.heappop(self._until)
            for place in chunk.places:
                if self._chunks.get(place) is chunk:
                    del self._chunks[place]
            self.rows -= chunk.rows
            self._hollow.pop(chunk, None)
        if not self._until:
            # What a dictionary has grown to it keeps.
            self._chunks = {}

    def _leave(self, chunk: _Chunk, place: int, rows: int) -> None:
        del self._chunks[place]
        self.rows -= rows
        chunk.rows -= rows
        chunk.keys -= 1
        if 2 * chunk.keys < len(chunk.places):
            self._hollow[chunk] = None

    def _left_in_hollow_chunks(self) -> Iterator[tuple[str, AtRest]]:
        """Yield what is left in chunks of which more than half was taken, and let go of those."""
        for chunk in self._hollow:
            for (key, rows), place in zip(chunk.histories(), chunk.places, strict=True):
                if self._chunks.get(place) is chunk:
                    self._leave(chunk, place, len(rows))
                    yield key, AtRest(chunk.until_us, rows)
            chunk.packed, chunk.places = b"", array("q")
        self._hollow = {}


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[tuple[str, list[bytes]]]).decode


# Most who load this put nothing to rest, and loading the library takes long.
@cache
def _compressor() -> "ZstdCompressor":
    from zstandard import ZstdCompressor  # noqa: PLC0415 - see above

    return ZstdCompressor(level=_LEVEL)


@cache
def _decompressor() -> "ZstdDecompressor":
    from zstandard import ZstdDecompressor  # noqa: PLC0415 - see above

    return ZstdDecompressor()
