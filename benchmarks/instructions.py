"""How many instructions a line of a log takes, counted by valgrind: the same on a busy machine."""

import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.variants import variants, write_rules
from benchmarks.workload import Size, lines

FEW: Final = 1000
MANY: Final = 4000

_COUNTED: Final = re.compile(r"I\s+refs:\s+([\d,]+)")


def is_countable() -> bool:
    """Tell whether valgrind is there."""
    return shutil.which("valgrind") is not None


def per_line() -> float:
    """Return how many instructions one more line of workload A takes, with one rule.

    It is the difference of two replays, so that start-up counts for nothing.

    Raises:
        subprocess.CalledProcessError: the replay failed.
    """
    with TemporaryDirectory() as told:
        folder = Path(told)
        write_rules(folder / "rules", variants(1))
        few, many = (_counted(folder, count) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _counted(folder: Path, count: int) -> int:
    log = folder / f"{count}.jsonl"
    # A day of so few events: as many of them are kept as of a long log.
    log.write_bytes(b"".join(line + b"\n" for line in islice(lines(Size(MANY)), count)))
    counter = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ]
    replay = ["-m", "streams.cli", "replay", str(log), "--rules", str(folder / "rules")]
    done = subprocess.run(
        [*counter, sys.executable, *replay, "--out", str(folder / "alerts.jsonl")],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        # Instructions of whoever measures coverage are none of the product's.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
    )
    found = _COUNTED.search(done.stderr)
    assert found, "cachegrind ends with the number of instructions"
    return int(found[1].replace(",", ""))
