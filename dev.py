#!/usr/bin/env python3
"""The developer's command: it keeps .venv as the lock says, and runs the project's tools in it."""

# Standard library only, and no syntax newer than Python 3.7: an older Python than the project
# needs must still get far enough to be told so in a sentence.
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Check = tuple[str, Sequence[Sequence[str]]]

USAGE = """\
usage: python3 dev.py COMMAND [ARGUMENTS]

commands:
  demo [ARGUMENTS]    the recorded case through a real worker (ringfence demo)
  test                the fast tests with coverage, then the slow ones and those on a Kafka broker
  test ARGUMENTS      pytest with these arguments
  lint                formatting, lint, types, layers
  check               lint, and the fast tests with coverage
  run PROGRAM ...     a program of .venv: ringfence, python, ruff, ...
  install             make or mend .venv and do nothing else; every command does it first
  install --runtime   only what a worker needs, the project itself copied in (for the image)
  sbom                what the worker is made of, with licences, as CycloneDX on stdout
  lock [ARGUMENTS]    write the lock files anew; the pins stay unless --upgrade is given

examples:
  python3 dev.py demo
  python3 dev.py test tests/rules -k window
  python3 dev.py test -m slow
  python3 dev.py run ringfence replay calls.jsonl transactions.jsonl
  python3 dev.py lock --upgrade-package hypothesis
"""

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMP = VENV / "installed.txt"
LOG = VENV / "install.log"
LOCK = ROOT / "requirements.lock"
RUNTIME_LOCK = ROOT / "deploy" / "requirements.lock"
INSTALLING = "installing"
EXTRAS = ("demo", "columnar", "bench", "test", "dev")

# As many processes as there are cores; a broker and what is timed on it have them to themselves.
FAST = ("-n", "auto", "-m", "not broker and not slow")
SLOW = ("-n", "auto", "-m", "slow and not broker")
BROKER = ("-m", "broker")
LINT = (
    ("formatting", (("ruff", "format", "--check", "."),)),
    ("lint", (("ruff", "check", "."),)),
    ("types", (("mypy",),)),
    ("layers", (("lint-imports", "--no-logo"),)),
)
TESTED = (
    ("tests", (("coverage", "erase"), ("coverage", "run", "-m", "pytest", *FAST))),
    (
        "coverage of rules: 100 %",
        (
            ("coverage", "combine", "--quiet"),
            ("coverage", "report", "--include", "rules/*", "--fail-under", "100"),
        ),
    ),
    ("coverage of all: 95 %", (("coverage", "report", "--fail-under", "95"),)),
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code (2: used wrongly, or this Python is too old)."""
    if sys.version_info < OLDEST:
        return refuse(f"this is Python {sys.version.split()[0]}, ringfence needs 3.11 or newer")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    command = COMMANDS.get(arguments[0])
    if command is None:
        return refuse(f'no command "{arguments[0]}", wanted one of {", ".join(COMMANDS)}')
    try:
        return command(arguments[1:])
    except KeyboardInterrupt:
        return 130


def refuse(sentence: str) -> int:
    """Say why nothing was done; returns the exit code for it."""
    print(f"dev.py: {sentence}", file=sys.stderr)
    return 2


# -- the commands ---------------------------------------------------------------------------


def demo(arguments: Sequence[str]) -> int:
    """Become `ringfence demo`."""
    return run(["ringfence", "demo", *arguments])


def run(arguments: Sequence[str]) -> int:
    """Become a program of .venv, so that signals and the terminal are its own."""
    if not arguments:
        return refuse("run what? e.g. python3 dev.py run ringfence --help")
    prepare()
    try:
        os.execvpe(arguments[0], list(arguments), inside())  # noqa: S606 - no shell is wanted
    except OSError as error:
        return refuse(f'cannot run "{arguments[0]}": {error.strerror}')


def test(arguments: Sequence[str]) -> int:
    """Run the fast tests with coverage, the slow ones, and those on a broker, if all pass."""
    if arguments:
        return run(["pytest", *arguments])
    prepare()
    commands: list[Sequence[str]] = [command for _, several in TESTED for command in several]
    commands += [("pytest", *SLOW), ("pytest", *BROKER)]
    return 0 if all(call(*command) == 0 for command in commands) else 1


def lint(arguments: Sequence[str]) -> int:
    """Run every check that runs no code of ours."""
    return judge_all("lint", LINT, arguments)


def check(arguments: Sequence[str]) -> int:
    """Run every check, and the fast tests with coverage."""
    return judge_all("check", LINT + TESTED, arguments)


def judge_all(command: str, checks: Sequence[Check], arguments: Sequence[str]) -> int:
    """Run checks, whatever the others say, and show a table; returns 1 if one failed."""
    if arguments:
        return refuse(f'{command} takes no arguments, found "{arguments[0]}"')
    prepare()
    rows = [judge(*each) for each in checks]
    width = max(len(name) for name, _, _ in rows)
    print()
    for name, passed, seconds in rows:
        print(f"{name:<{width}}  {'ok' if passed else 'FAILED':<6}  {seconds:5.1f} s")
    return 0 if all(passed for _, passed, _ in rows) else 1


def judge(name: str, commands: Sequence[Sequence[str]]) -> tuple[str, bool, float]:
    """Run the commands of one check up to the first that fails: its row of the table."""
    print(f"\n-- {name}", flush=True)
    started = time.monotonic()
    passed = all(call(*command) == 0 for command in commands)
    return name, passed, time.monotonic() - started


def install(arguments: Sequence[str]) -> int:
    """Make or mend .venv and do nothing else."""
    if list(arguments) not in ([], ["--runtime"]):
        return refuse(f'install takes nothing or --runtime, found "{" ".join(arguments)}"')
    prepare(runtime=bool(arguments))
    return 0


def sbom(arguments: Sequence[str]) -> int:
    """Become the program that writes what the worker is made of."""
    if arguments:
        return refuse(f'sbom takes no arguments, found "{arguments[0]}"')
    return run(["python", str(ROOT / "deploy" / "sbom.py")])


def lock(arguments: Sequence[str]) -> int:
    """Write both lock files anew from pyproject.toml, for every platform at once."""
    import tomllib  # noqa: PLC0415 - absent from the Pythons that are only told their age

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    backend = "\n".join(project["build-system"]["requires"])
    with tempfile.TemporaryDirectory() as folder:
        uv = shutil.which("uv") or fetch_uv(Path(folder))
        compiler = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        compiler += ["--custom-compile-command", "python3 dev.py lock", "pyproject.toml", "-"]
        everything = [part for extra in EXTRAS for part in ("--extra", extra)] + ["-o", LOCK.name]
        runtime = ["-c", LOCK.name, "-o", str(RUNTIME_LOCK.relative_to(ROOT))]
        for command in ([*compiler, *everything, *arguments], [*compiler, *runtime]):
            done = subprocess.run(command, cwd=ROOT, input=backend, text=True, check=False)
            if done.returncode:
                return done.returncode
    return 0


def fetch_uv(folder: Path) -> str:
    """Install uv into a folder that is thrown away, and return its path."""
    print("dev.py: fetching uv for this once", file=sys.stderr)
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return str(environment / "bin" / "uv")


# -- the environment ------------------------------------------------------------------------


def prepare(*, runtime: bool = False) -> None:
    """Bring .venv to what the lock says; silent, and instant, if it is there already."""
    with alone():
        wanted = fingerprint(runtime=runtime)
        found = STAMP.read_text(encoding="utf-8") if STAMP.exists() else ""
        if found == wanted and PYTHON.exists():
            return
        print("dev.py: installing the locked packages into .venv", file=sys.stderr, flush=True)
        if not usable(found):
            make()
        STAMP.write_text(INSTALLING, encoding="utf-8")
        fill(runtime=runtime, before=found)
        STAMP.write_text(wanted, encoding="utf-8")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one dev.py at a time work on .venv; the others wait for it."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def fingerprint(*, runtime: bool) -> str:
    """Return what .venv depends on: where it stands, and the bytes that say what is in it."""
    chosen = RUNTIME_LOCK if runtime else LOCK
    digest = hashlib.sha256(chosen.read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    return f"{VENV}\n{digest.hexdigest()}\n"


def usable(stamp: str) -> bool:
    """Tell whether .venv can be mended; not if it was moved here, or an install was killed."""
    if stamp and stamp.partition("\n")[0] != str(VENV):
        return False
    probe = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    commands = [[str(PYTHON), "-c", probe]]
    if not shutil.which("uv"):
        commands.append([str(PYTHON), "-m", "pip", "--version"])
    return PYTHON.exists() and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in commands
    )


def make() -> None:
    """Put a new, empty environment at .venv, in place of whatever is there."""
    uv = shutil.which("uv")
    if not uv and not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        sys.exit(
            refuse(
                "this Python makes no virtual environments: install the system's package for it "
                "(Debian and Ubuntu: python3-venv), or uv"
            )
        )
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    if uv:
        logged([uv, "venv", "--allow-existing", "--python", sys.executable, str(VENV)])
    else:
        logged([sys.executable, "-m", "venv", str(VENV)])


def fill(*, runtime: bool, before: str) -> None:
    """Install the locked packages and the project; on failure .venv counts as it did before."""
    uv = shutil.which("uv")
    installer = (
        [uv, "pip", "install", "--python", str(PYTHON)]
        if uv
        else [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    )
    packages = ["--require-hashes", "--requirement", str(RUNTIME_LOCK if runtime else LOCK)]
    # The lock holds the build backend: nothing is fetched to build the project.
    project = [str(ROOT)] if runtime else ["--editable", str(ROOT)]
    try:
        logged([*installer, *packages])
        logged([*installer, "--no-deps", "--no-build-isolation", *project])
    except SystemExit:
        STAMP.write_text(before, encoding="utf-8")
        raise


def logged(command: Sequence[str]) -> None:
    """Run a command with its output in .venv/install.log, shown only if it fails."""
    with LOG.open("w", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.stderr.write(LOG.read_text(encoding="utf-8", errors="replace"))
        print(f"dev.py: failed: {' '.join(command)}", file=sys.stderr)
        sys.exit(1)


def inside() -> dict[str, str]:
    """Return the environment variables of somebody who has activated .venv."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    path = f"{BIN}{os.pathsep}{variables.get('PATH', os.defpath)}"
    return {**variables, "PATH": path, "VIRTUAL_ENV": str(VENV)}


def call(*command: str) -> int:
    """Run a program of .venv in the project's folder; returns its exit code."""
    return subprocess.call([str(BIN / command[0]), *command[1:]], cwd=ROOT, env=inside())


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": demo,
    "test": test,
    "check": check,
    "run": run,
    "install": install,
    "sbom": sbom,
    "lint": lint,
    "lock": lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
