"""The layers: contracts that the tree keeps, and that notice when it does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the packages and of their contracts."""
    for package in ("rules", "streams"):
        source = ROOT / package
        shutil.copytree(source, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> str:
    """Return the contracts' verdict on a tree."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.stdout + result.stderr


def test_the_tree_keeps_its_contracts(tree: Path) -> None:
    verdict = lint_imports(tree)
    assert " 0 broken" in verdict, verdict


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("rules/__init__.py", "import streams", "streams stands over rules"),
        ("rules/__init__.py", "import time", "rules knows no bus, no clock"),
        ("rules/__init__.py", "import aiokafka", "rules knows no bus, no clock"),
        ("rules/timing.py", "import rules.rule", "layers inside rules"),
        ("streams/settings.py", "import streams.replay", "layers inside streams"),
    ],
)
def test_a_forbidden_import_breaks_a_contract(
    tree: Path, file: str, line: str, broken: str
) -> None:
    with (tree / file).open("a") as module:
        module.write(f"\n{line}\n")
    verdict = lint_imports(tree)
    assert [row for row in verdict.splitlines() if broken in row and "BROKEN" in row], verdict


@pytest.mark.parametrize("package", ["rules", "streams"])
def test_a_new_module_has_to_be_given_its_place(tree: Path, package: str) -> None:
    (tree / package / "stray.py").write_text('"""A module without a place."""\n')
    assert f"{package}.stray" in lint_imports(tree)
