"""The lock files: whole, exact, and free of addresses."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {"everything": ROOT / "requirements.lock", "image": ROOT / "deploy" / "requirements.lock"}
TOLD: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOLD["project"]
BACKEND: list[str] = TOLD["build-system"]["requires"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ASKED = {
    "everything": [
        *PROJECT["dependencies"],
        *BACKEND,
        *(line for extra in EXTRAS for line in EXTRAS[extra]),
    ],
    "image": [*PROJECT["dependencies"], *BACKEND],
}


def pins(lock: str) -> dict[str, tuple[Requirement, set[str]]]:
    """Return each locked package by its name, with its hashes."""
    joined = LOCKS[lock].read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, tuple[Requirement, set[str]]] = {}
    for line in lines:
        written, *hashes = re.split(r"\s+--hash=", line.strip())
        pin = Requirement(written)
        found[canonicalize_name(pin.name)] = (pin, set(hashes))
    assert len(found) == len(lines), "a package is pinned twice"
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_has_one_version_and_its_hashes(lock: str) -> None:
    for pin, hashes in pins(lock).values():
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), f"{pin} is no exact version"
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_address_stands_in_it(lock: str) -> None:
    assert not re.search(r"://|index-url|find-links", LOCKS[lock].read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_it_holds_all_that_the_project_asks_for(lock: str) -> None:
    found = pins(lock)
    for asked in map(Requirement, ASKED[lock]):
        name = canonicalize_name(asked.name)
        assert name in found, f"{asked} is not locked: python3 dev.py lock"
        (version,) = found[name][0].specifier
        assert asked.specifier.contains(version.version), f"{asked} is locked at {version}"


def test_the_image_has_the_same_releases_and_no_tools() -> None:
    everything, image = pins("everything"), pins("image")
    assert {name: everything.get(name) for name in image} == image
    assert not {"mypy", "noida-db", "pytest", "ruff"} & set(image)
