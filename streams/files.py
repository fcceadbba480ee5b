"""Output files that are whole or not there: written aside, then renamed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from streams.failures import OutsideFailure


@contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when all is written; standard output for None.

    Raises:
        OutsideFailure: it cannot be written; what stood there before still does.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        stream = aside.open("wb")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with stream:
            yield stream
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> OutsideFailure:
    return OutsideFailure(f'"{path}" cannot be written: {(error.strerror or "?").lower()}')
