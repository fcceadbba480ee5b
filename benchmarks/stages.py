"""Where a replay's time goes: its stack, looked at every few milliseconds of processor time.

A sample counts for the innermost frame that is the project's own, so what C code does for a
function counts for that function. It runs in a process of its own: `python -m benchmarks.stages
RESULT LOG RULES`.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final

from benchmarks.measure import measure
from benchmarks.page import table

_ROOT: Final = Path(__file__).parents[1]
_EVERY_S: Final = 0.001
_OWN: Final = tuple(f"{_ROOT / package}/" for package in ("rules", "streams"))

# The first that fits; a module that is not listed is shown by its own name.
_STAGES: Final = (
    ("streams/logs.py", "read"),
    ("streams/replay.py", "pass over"),
    ("streams/sources.py", "pass over"),
    ("streams/reaches.py", "pass over"),
    ("streams/skim.py", "pass over"),
    ("streams/wire/forms.py", "decode and screen"),
    ("streams/wire/plain.py", "validate"),
    ("streams/ingest.py", "validate"),
    ("streams/wire/json_text.py", "decode"),
    ("streams/wire/first_look.py", "decode and screen"),
    ("rules/screen.py", "decode and screen"),
    ("rules/operators.py", "decode and screen"),
    ("streams/wire/records.py", "validate"),
    ("streams/wire/pseudonyms.py", "validate"),
    ("rules/events/", "validate"),
    ("rules/moment.py", "validate"),
    ("rules/money.py", "validate"),
    ("rules/fact.py", "match"),
    ("rules/engine.py", "match"),
    ("rules/stages.py", "match"),
    ("rules/history.py", "match"),
    ("rules/matching.py", "match"),
    ("rules/watermark.py", "match"),
    ("rules/claim.py", "write"),
    ("rules/alert.py", "write"),
    ("streams/files.py", "write"),
    ("rules/language/", "start"),
)


def profile(log: Path, rules: Path) -> str:
    """Return tables of the shares of a replay's time: by stage, and by function."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "samples"
        measure([sys.executable, "-m", "benchmarks.stages", str(result), str(log), str(rules)])
        functions: Mapping[str, int] = json.loads(result.read_bytes())
    total = sum(functions.values())
    stages: Counter[str] = Counter()
    for function, count in functions.items():
        stages[_stage(function)] += count
    most = sorted(functions.items(), key=lambda item: -item[1])[:15]
    return "\n".join(
        (
            f"### By stage\n\n{_shares(stages.most_common(), total, 'stage')}",
            f"### By function\n\n{_shares(most, total, 'function')}",
        )
    )


def _stage(function: str) -> str:
    found = (stage for prefix, stage in _STAGES if function.startswith(prefix))
    return next(found, function.partition(":")[0])


def _shares(counts: Iterable[tuple[str, int]], total: int, what: str) -> str:
    rows = [(name, f"{100 * count / total:.1f} %") for name, count in counts if count]
    return table((what, "share of the processor time"), rows)


def main() -> None:
    """Replay in this process and write down the samples."""
    result, log, rules = sys.argv[1:]
    samples: Counter[str] = Counter()

    def sample(_number: int, frame: FrameType | None) -> None:
        while frame is not None and not frame.f_code.co_filename.startswith(_OWN):
            frame = frame.f_back
        if frame is not None:
            place = Path(frame.f_code.co_filename).relative_to(_ROOT)
            samples[f"{place}: {frame.f_code.co_qualname}"] += 1
        else:
            samples["start"] += 1

    from streams.cli import main as ringfence  # noqa: PLC0415 - loading it belongs to the time

    out = f"{result}.alerts"
    sys.argv = ["ringfence", "replay", log, "--rules", rules, "--final-only", "--out", out]
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        ringfence()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(result).write_text(json.dumps(samples))


if __name__ == "__main__":
    main()
