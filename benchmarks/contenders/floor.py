"""The floor: a bare loop that reads the lines and decodes the needed fields, and no more."""

import gc
import io
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from benchmarks.contenders.common import arguments, write_matches
from benchmarks.contenders.needed import decode


@contextmanager
def read(log: Path) -> Iterator[Iterable[bytes]]:
    """Open a log, plain or packed, to be read by lines."""
    with log.open("rb") as stream:
        if log.suffix != ".zst":
            yield stream
            return
        with zstandard.ZstdDecompressor().stream_reader(stream) as unpacked:
            yield io.BufferedReader(unpacked, 1 << 17)


def main() -> None:
    """Decode every line; there are no matches to write."""
    log, _, out = arguments()
    gc.disable()
    with read(log) as lines:
        deque(map(decode, lines), maxlen=0)
    write_matches(out, ())


if __name__ == "__main__":
    main()
