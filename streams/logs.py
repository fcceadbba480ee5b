"""Recorded logs: JSON lines from a file, plain or compressed, or from standard input."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from streams.failures import OutsideFailure
from streams.parquet.log import Lines, ParquetLog, is_parquet

if TYPE_CHECKING:
    from typing_extensions import Buffer

BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 1 << 16
STDIN: Final = "-"


class Stream(Protocol):
    """What a log is read from."""

    def read1(self, size: int, /) -> bytes:
        """Return what is there, at most `size` bytes; nothing at the end."""
        ...


@dataclass(frozen=True)
class Log:
    """An open log: its name as given, its lines, and how many bytes of it have been read.

    `size` is the file's size in bytes, or None where there is none to know; `faults` is what its
    reader raises when the file is not what its name says; `columns` is the log by columns, if it
    has such.
    """

    name: str
    stream: Stream
    size: int | None
    position: Callable[[], int]
    faults: tuple[type[Exception], ...] = (OSError, EOFError)
    columns: ParquetLog | None = None

    def piece(self, begin: int, end: int) -> bytes:
        """Return the bytes between two places of a file that is not compressed.

        Raises:
            OutsideFailure: it cannot be read.
        """
        try:
            with Path(self.name).open("rb") as stream:
                stream.seek(begin)
                return stream.read(end - begin)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise OutsideFailure(f'log "{self.name}" cannot be read: {reason}') from error

    def chunks(self) -> Iterator[bytes]:
        """Yield whole lines, each with its end, many at a time.

        Raises:
            OutsideFailure: the file breaks off or is not compressed as its name says.
        """
        # What has been read of a line without its end; in pieces, for lines can be very long.
        held: list[bytes] = []
        try:
            mark = BOM
            while block := self.stream.read1(_CHUNK):
                whole = block.rfind(b"\n") + 1
                if whole:
                    yield b"".join((*held, block[:whole])).removeprefix(mark)
                    held.clear()
                    mark = b""
                held.append(block[whole:])
            if any(held):
                yield b"".join((*held, b"\n")).removeprefix(mark)
        except self.faults as error:
            raise OutsideFailure(
                f'log "{self.name}" cannot be read to its end: {error}'
            ) from error

    def lines(self) -> Iterator[bytes]:
        """Yield each line without its end; empty ones too, so that line numbers are true.

        Raises:
            OutsideFailure: the file breaks off or is not compressed as its name says.
        """
        for chunk in self.chunks():
            for line in chunk.removesuffix(b"\n").split(b"\n"):
                yield line.removesuffix(b"\r")


@contextmanager
def open_log(name: str) -> Iterator[Log]:
    """Open a log by path, `-` for standard input; `.gz` and `.zst` are read through.

    Raises:
        OutsideFailure: there is no such file, or it cannot be read.
    """
    if name == STDIN:
        yield Log(name, cast("io.BufferedReader", sys.stdin.buffer), None, lambda: 0)
        return
    path = Path(name)
    try:
        raw = path.open("rb")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise OutsideFailure(f'log "{name}" cannot be read: {reason}') from error
    with raw:
        if is_parquet(name):
            yield _columnar(name, path)
            return
        yield _decompressed(name, raw, path.stat().st_size)


def _decompressed(name: str, raw: io.BufferedReader, size: int) -> Log:
    if name.endswith(".gz"):
        stream = gzip.GzipFile(fileobj=raw, mode="rb")
        return Log(
            name, io.BufferedReader(stream), size, raw.tell, (OSError, EOFError, zlib.error)
        )
    if name.endswith(".zst"):
        # Loaded only here: most logs are not compressed so, and start-up time counts.
        import zstandard  # noqa: PLC0415 - see above

        unpacked = _Unpacked(raw, lambda: zstandard.ZstdDecompressor().decompressobj())
        faults = (OSError, EOFError, zstandard.ZstdError)
        return Log(name, io.BufferedReader(unpacked), size, raw.tell, faults)
    return Log(name, raw, size, raw.tell)


def _columnar(name: str, path: Path) -> Log:
    log = ParquetLog(path)
    lines, size = Lines(log), path.stat().st_size
    return Log(
        name,
        io.BufferedReader(lines),
        size,
        lambda: size * lines.read_rows // max(log.rows, 1),
        log.faults,
        log,
    )


class _Frame(Protocol):
    """One frame of compressed data while it is unpacked."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """The text of a file of compressed frames; unlike zstandard's reader it notices a cut one."""

    def __init__(self, packed: BinaryIO, new_frame: Callable[[], _Frame]) -> None:
        self._packed = packed
        self._new_frame = new_frame
        self._frame: _Frame | None = None
        self._text = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        view = memoryview(buffer)
        while not self._text:
            data = self._packed.read(_CHUNK)
            if not data:
                if self._frame is not None:
                    raise EOFError("its last frame is cut off")
                return 0
            self._unpack(data)
        text, self._text = self._text[: len(view)], self._text[len(view) :]
        view[: len(text)] = text
        return len(text)

    def _unpack(self, data: bytes) -> None:
        while data:
            self._frame = self._frame or self._new_frame()
            self._text += self._frame.decompress(data)
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
