"""The engine broken on purpose, a clause of its argument at a time, and which test notices it.

`python -m tests.rules.mutants` tries every mutant and writes `docs/proof.md`; with words, only
those whose clause holds one of them, and the table goes to the terminal. What noticed a mutant
the last time, as the page has it, is tried first, and everything only if that does not fail.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.rules.broken_clauses import MUTANTS, Mutant

HERE = Path(__file__).resolve().parents[2]
TABLE = HERE / "docs" / "proof.md"
# Laws first, quickest first: a mutant is best noticed by one of them.
LAWS = (
    "test_engine_laws.py::test_final_alerts_are_those_of_the_oracle_in_a_thousand_seeded_worlds",
    "test_engine_laws.py",
)
PLAIN = (
    "test_matching.py",
    "test_history.py",
    "test_memory.py",
    "test_shelf.py",
    "test_fewest.py",
    "test_judging.py",
    "test_reach.py",
    "test_fact.py",
    "test_watermark.py",
    "test_screen.py",
    "test_window.py",
    "test_groups.py",
    "test_alternatives.py",
    "test_claim.py",
    "test_alert.py",
    "test_stages.py",
    "test_engine.py",
    "test_engine_remembering.py",
    "test_engine_edges.py",
    "test_engine_feeds.py",
    "test_engine_flood.py",
)
# Of processor time, so that a busy machine notices nothing: they take a third of it.
LIMIT_S = 240
_LIMITED = """\
import resource, sys, pytest
resource.setrlimit(resource.RLIMIT_CPU, ({0}, {0}))
sys.exit(pytest.main(sys.argv[1:]))
"""


class Verdict(NamedTuple):
    """Which test noticed a mutant, if any, and in which file that stands."""

    mutant: Mutant
    test: str = ""
    file: str = ""

    @property
    def is_law(self) -> bool:
        """Whether a law noticed it."""
        return self.file == "test_engine_laws.py"


def try_out(mutant: Mutant, noticed_by: Mapping[str, Sequence[str]]) -> Verdict:
    """Break a copy of the engine, and run its tests there until one fails.

    `noticed_by` are, by clause, the arguments that select what is tried before all others.
    """
    with tempfile.TemporaryDirectory() as folder:
        _break(mutant, Path(folder))
        verdict = Verdict(mutant)
        for tests in (noticed_by.get(mutant.clause), None if mutant.is_work else LAWS, PLAIN):
            if tests and not verdict.test:
                verdict = _first_failure(mutant, Path(folder), tests)
    sys.stderr.write(f"{mutant.clause}: {verdict.test or 'NOT NOTICED'}\n")
    return verdict


def noticed_before() -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each clause of the page, and the arguments that select what noticed its mutant."""
    row = re.compile(r"^\| (.+) \| `rules/\S+` \| `(\w+).*` \| \S+ \|$", re.MULTILINE)
    files = {file: (HERE / "tests" / "rules" / file).read_text() for file in (LAWS[1], *PLAIN)}
    for clause, name in row.findall(TABLE.read_text()):
        where = name if name.startswith("test_") else "test_law_holds"
        for file, text in files.items():
            if f"def {where}(" in text:
                yield clause, (file, "-k", f"{where} and {name}")


def _break(mutant: Mutant, folder: Path) -> None:
    for name in ("rules", "tests"):
        shutil.copytree(
            HERE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "streams")
        )
    shutil.copy(HERE / "pyproject.toml", folder)
    path = folder / "rules" / mutant.file
    text = path.read_text()
    assert text.count(mutant.text) == 1, f"{mutant.file} has not once: {mutant.text}"
    path.write_text(text.replace(mutant.text, mutant.instead))


def _first_failure(mutant: Mutant, folder: Path, tests: Sequence[str]) -> Verdict:
    found = [f"tests/rules/{each}" if ".py" in each else each for each in tests]
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--hypothesis-seed=1"]
    command = [sys.executable, "-c", _LIMITED.format(LIMIT_S), *options, *found]
    environment = {**os.environ, "RINGFENCE_TEST_UNSHRUNK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        return Verdict(mutant, f"none of {', '.join(tests)} came to an end")
    failed = re.search(
        r"^(?:FAILED|ERROR) tests/rules/(\S+?)::(.+?)(?: - .*)?$", done.stdout, re.MULTILINE
    )
    # No test is left where what noticed it before has gone.
    assert failed or done.returncode in (0, 5), done.stdout
    return Verdict(mutant, failed[2], failed[1]) if failed else Verdict(mutant)


_INTRODUCTION = """\
# Proof of the engine

The laws of `tests/rules/test_engine_laws.py` hold the engine against a matcher that tries
everything (`tests/rules/oracle.py`). To know that they would notice, the engine is broken on
purpose, one clause of its argument at a time, and its tests are run: first what noticed it the
last time, then the laws, then the tests of one example. `python -m tests.rules.mutants` writes
this page.
"""


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the page with one line for each mutant."""
    laws = sum(verdict.is_law for verdict in verdicts)
    noticed = sum(bool(verdict.test) for verdict in verdicts)
    work = sum(verdict.mutant.is_work and bool(verdict.test) for verdict in verdicts)
    by = (
        f"{laws} by a law, {noticed - laws - work} only by a test of one example, and {work}, "
        "which change no alert but the work that it takes, by a test that counts the work"
    )
    lines = [
        _INTRODUCTION,
        f"{len(verdicts)} mutants, {noticed} noticed: {by}.\n",
        "| clause | broken in | noticed by | a law |",
        "|---|---|---|---|",
    ]
    for verdict in verdicts:
        mutant = verdict.mutant
        name = f"`{_readable(verdict.test)}`" if verdict.test else "**nothing**"
        law = "work" if mutant.is_work else "yes" if verdict.is_law else "no"
        lines.append(f"| {mutant.clause} | `rules/{mutant.file}` | {name} | {law} |")
    return "\n".join(lines) + "\n"


def _readable(test: str) -> str:
    return re.sub(r"^test_law_holds\[(.*)\]$", r"\1", test).replace("|", "\\|")


def main() -> None:
    """Try the mutants, two at a time, and write the table."""
    words = sys.argv[1:]
    chosen = [m for m in MUTANTS if not words or any(w in m.clause for w in words)]
    noticed_by = dict(noticed_before())
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(lambda mutant: try_out(mutant, noticed_by), chosen))
    text = table(verdicts)
    sys.stdout.write(text)
    if not words:
        TABLE.write_text(text)
    if not all(verdict.test for verdict in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main()
