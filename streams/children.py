"""Processes of our own that never outlive us, however we end.

Each is the child of a small shell that waits for the end of its standard input. That end comes
when the process is left, and also when this program is killed.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streams.failures import OutsideFailure

_STOP_S = 15.0

# $1 is the signal that ends the process, $2 a folder that goes with it, the rest its command.
# `wait` returns only once the process is gone, and then nothing writes to the folder any more.
_KEEPER = """
signal=$1 folder=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill -s "$signal" "$child"; } 2>/dev/null & watcher=$!
wait "$child"; code=$?
kill "$watcher" 2>/dev/null
[ -z "$folder" ] || rm -rf "$folder" 2>/dev/null
exit "$code"
"""


class Child:
    """A running process of ours, and what it writes on either stream."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: IO[bytes]) -> None:
        self._process = process
        self._output = output

    def check(self, name: str) -> None:
        """Make sure that it is still there.

        Raises:
            OutsideFailure: It has ended; the text says so of `name`, with its last line.
        """
        code = self._process.poll()
        if code is not None:
            raise OutsideFailure(f"{name} ended with code {code}{self.last_words()}")

    def last_words(self) -> str:
        """Return `: ` and the last line that it has written, or nothing."""
        self._output.seek(0)
        return said(self._output.read())


@contextmanager
def child(
    command: Sequence[str],
    *,
    end_signal: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    """Run a command until it is left, or until we are gone.

    Args:
        command: what to run.
        end_signal: the signal that ends it, without SIG; after 15 s it is killed.
        folder: removed when it has ended, if given.
        environment: its variables; ours if not given.
    """
    with tempfile.TemporaryFile() as output:
        keeper = subprocess.Popen(  # noqa: S603 - commands of ours, no text from outside
            ["/bin/sh", "-c", _KEEPER, "keeper", end_signal, str(folder or ""), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            # A group of its own: a Ctrl-C at the terminal is for us, and we end the child then.
            start_new_session=True,
        )
        try:
            yield Child(keeper, output)
        finally:
            _end(keeper)


def _end(keeper: "subprocess.Popen[bytes]") -> None:
    try:
        keeper.communicate(timeout=_STOP_S)  # closes its standard input, which ends the child
    except subprocess.TimeoutExpired:
        os.killpg(keeper.pid, signal.SIGKILL)
        keeper.wait()


def said(output: bytes) -> str:
    """Return `: ` and the last line that is no place in a stack, or nothing."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    told = [line for line in lines if line and not line.startswith("at ")]
    return f": {told[-1][:300]}" if told else ""
