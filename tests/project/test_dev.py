"""dev.py: its words, and what it does to .venv when that is new, old, moved or broken."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "dev.py"
PROGRESS = "dev.py: installing the locked packages into .venv\n"


def dev(
    *arguments: str, script: Path = SOURCE, cwd: Path = ROOT, before: str = "pass"
) -> subprocess.CompletedProcess[str]:
    """Run dev.py in its own process, with a line of Python before it if need be."""
    start = f"import runpy, sys; {before}; sys.argv = {['dev.py', *arguments]!r}; "
    start += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    # Without uv on PATH the ordinary steps are taken, on whatever machine this runs.
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1"}
    return subprocess.run(
        [sys.executable, "-c", start],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_names_every_command_and_gives_examples() -> None:
    result = dev("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("demo", "test", "check", "run", "install", "lock", "examples:"):
        assert f"\n  {word}" in result.stdout or f"\n{word}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("chekc",),
            'no command "chekc", wanted one of demo, test, check, run, install, sbom, lint, lock',
        ),
        (("check", "rules"), 'check takes no arguments, found "rules"'),
        (("install", "--all"), 'install takes nothing or --runtime, found "--all"'),
        (("run",), "run what? e.g. python3 dev.py run ringfence --help"),
    ],
)
def test_wrong_use_gets_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    result = dev(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"dev.py: {sentence}\n"


def test_an_older_python_gets_one_sentence() -> None:
    result = dev("check", before="sys.version_info = (3, 9, 18); sys.version = '3.9.18 (main)'")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "dev.py: this is Python 3.9.18, ringfence needs 3.11 or newer\n"


def test_an_older_python_can_read_it_at_all() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 7))


# -- with an environment of its own ---------------------------------------------------------

BACKEND = '''
"""Builds the one wheel of this project without any tool."""
import pathlib, zipfile


def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        for file, text in {
            "tiny.pth": str(pathlib.Path.cwd()),
            "tiny-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n",
            "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: none\\n"
            "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
            "tiny-1.dist-info/RECORD": "",
        }.items():
            wheel.writestr(file, text)
    return name
'''
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
"""


class Tiny:
    """A project of one file, with dev.py and a lock of one package that is a file beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.lock = root / "requirements.lock"
        shutil.copy(SOURCE, root)
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(PYPROJECT)
        self.wheel = root / "leaf-1-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("leaf.py", "")
            wheel.writestr(
                "leaf-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: leaf\nVersion: 1\n"
            )
            wheel.writestr(
                "leaf-1.dist-info/WHEEL",
                "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr("leaf-1.dist-info/RECORD", "")
        self.pin(f"--hash=sha256:{hashlib.sha256(self.wheel.read_bytes()).hexdigest()}")

    def pin(self, option: str) -> None:
        """Write the lock with this after the version."""
        self.lock.write_text(f"--find-links {self.root}\nleaf==1 {option}\n")

    def dev(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the project's own dev.py, from another folder."""
        return dev(*arguments, script=self.root / "dev.py", cwd=self.root.parent)

    def fake_tools(self, failing: str) -> Path:
        """Put tools into .venv that write down how they were called; returns where."""
        calls = self.root / "calls"
        calls.unlink(missing_ok=True)
        for name in ("ruff", "mypy", "lint-imports", "coverage", "pytest"):
            tool = self.venv / "bin" / name
            tool.write_text(
                f'#!/bin/sh\necho "{name} $*" >> {calls}\n'
                f'case "{name} $*" in {failing}) exit 1;; esac\n'
            )
            tool.chmod(0o755)
        return calls

    def mark(self) -> Path:
        """Leave a file in .venv that only a rebuild takes away."""
        mark = self.venv / "mark"
        mark.touch()
        return mark


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Return a project whose environment dev.py has just made."""
    tiny = Tiny(tmp_path_factory.mktemp("tiny"))
    result = tiny.dev("install")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", PROGRESS)
    return tiny


@pytest.mark.slow
def test_a_second_call_is_silent(made: Tiny) -> None:
    result = made.dev("run", "python", "-c", "import leaf, sys; print(sys.prefix)")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{made.venv}\n"


@pytest.mark.slow
def test_a_changed_lock_is_installed_without_a_rebuild(made: Tiny) -> None:
    mark = made.mark()
    made.lock.write_text(made.lock.read_text() + "# changed\n")
    assert made.dev("install").stderr == PROGRESS
    assert mark.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "complaint"),
    [("", "Hashes are required"), (f"--hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES")],
    ids=["none", "wrong"],
)
def test_a_bad_hash_is_shown_and_nothing_is_lost_by_it(
    made: Tiny, option: str, complaint: str
) -> None:
    mark, right = made.mark(), made.lock.read_text()
    assert made.dev("run", "pip", "uninstall", "--yes", "--quiet", "leaf").returncode == 0
    made.pin(option)
    result = made.dev("install")
    assert result.returncode == 1
    assert complaint in result.stderr
    made.lock.write_text(f"{right}# leaf is back\n")
    assert made.dev("run", "python", "-c", "import leaf").stderr == PROGRESS
    assert mark.exists()


@pytest.mark.slow
def test_an_environment_whose_install_was_killed_is_rebuilt(made: Tiny) -> None:
    mark = made.mark()
    (made.venv / "installed.txt").write_text("installing")
    result = made.dev("run", "python", "-c", "import leaf")
    assert (result.returncode, result.stderr) == (0, PROGRESS)
    assert not mark.exists()


@pytest.mark.slow
def test_a_moved_project_gets_an_environment_of_its_own(made: Tiny, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(made.root, moved, symlinks=True)
    before = "sys.modules['ensurepip'] = None"
    result = dev("install", script=moved / "dev.py", cwd=tmp_path, before=before)
    assert result.returncode == 2
    assert result.stderr == (
        f"{PROGRESS}dev.py: this Python makes no virtual environments: install the system's "
        "package for it (Debian and Ubuntu: python3-venv), or uv\n"
    )


@pytest.mark.slow
def test_check_runs_every_tool_whatever_the_others_say(made: Tiny) -> None:
    calls = made.fake_tools(failing="ruff*|*'rules/*'*")
    result = made.dev("check")
    assert result.returncode == 1
    assert calls.read_text().splitlines() == [
        "ruff format --check .",
        "ruff check .",
        "mypy ",
        "lint-imports --no-logo",
        "coverage erase",
        "coverage run -m pytest -n auto -m not broker and not slow",
        "coverage combine --quiet",
        "coverage report --include rules/* --fail-under 100",
        "coverage report --fail-under 95",
    ]
    table = [row.split("  ")[0] for row in result.stdout.splitlines() if "FAILED" in row]
    assert table == ["formatting", "lint", "coverage of rules: 100 %"]


@pytest.mark.slow
def test_test_runs_the_fast_ones_first_and_stops_there_if_they_fail(made: Tiny) -> None:
    calls = made.fake_tools(failing="nothing")
    assert made.dev("test").returncode == 0
    fast = ["coverage erase", "coverage run -m pytest -n auto -m not broker and not slow"]
    assert calls.read_text().splitlines() == [
        *fast,
        "coverage combine --quiet",
        "coverage report --include rules/* --fail-under 100",
        "coverage report --fail-under 95",
        "pytest -n auto -m slow and not broker",
        "pytest -m broker",
    ]
    calls = made.fake_tools(failing="*not*")
    assert made.dev("test").returncode == 1
    assert calls.read_text().splitlines() == fast


@pytest.mark.slow
def test_test_with_arguments_is_one_run_of_pytest(made: Tiny) -> None:
    calls = made.fake_tools(failing="nothing")
    assert made.dev("test", "tests/rules", "-k", "window").returncode == 0
    assert calls.read_text() == "pytest tests/rules -k window\n"
