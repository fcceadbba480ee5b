"""One run of one command in a process of its own: seconds, processor seconds, peak memory."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from typing import Final

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_ROOT: Final = Path(__file__).parents[1]
_KEY: Final = "an invented key for benchmarks alone"


@dataclass(frozen=True)
class Run:
    """What one process took; of several processes the peak is that of the largest."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    code: int


@dataclass(frozen=True)
class Took:
    """What several runs of the same took."""

    runs: Sequence[Run]

    @property
    def median_s(self) -> float:
        """The median of the seconds."""
        return median(run.seconds for run in self.runs)

    @property
    def range_s(self) -> tuple[float, float]:
        """The least and the greatest of the seconds."""
        seconds = [run.seconds for run in self.runs]
        return min(seconds), max(seconds)

    @property
    def cpu_s(self) -> float:
        """The median of the processor seconds."""
        return median(run.cpu_seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """The greatest peak, in megabytes."""
        return max(run.peak_bytes for run in self.runs) / 1e6


class RunFailedError(Exception):
    """A command did not end well; the text ends with the first and last line it wrote."""


def measure(command: Sequence[str]) -> Run:
    """Run a command in the project's folder and return what it took.

    Raises:
        RunFailedError: it ended with another exit code than 0.
    """
    with NamedTemporaryFile() as result, NamedTemporaryFile() as errors:
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), result.name]
        subprocess.run(
            [*launcher, *command],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "RINGFENCE_PSEUDONYM_KEY": _KEY},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            check=False,
        )
        told = Path(errors.name).read_text(encoding="utf-8", errors="replace").splitlines()
        run = Run(**json.loads(Path(result.name).read_bytes()))
    if run.code:
        ends = " … ".join(dict.fromkeys((*told[:1], *told[-1:]))) or "no word of why"
        raise RunFailedError(f"exit code {run.code}: {ends}")
    return run
