"""The compose file: valid, closed to the outside, and in words that the command line knows."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))[
    "services"
]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def against_the_specification(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema of the compose specification."""
    return run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(file))


def test_it_is_valid_by_the_compose_specification() -> None:
    result = against_the_specification(COMPOSE)
    assert result.returncode == 0, result.stdout


def test_the_specification_refuses_a_misspelt_word(tmp_path: Path) -> None:
    misspelt = tmp_path / "docker-compose.yml"
    misspelt.write_text(COMPOSE.read_text().replace("depends_on:", "depend_on:"))
    result = against_the_specification(misspelt)
    assert result.returncode == 1
    assert "depend_on" in result.stdout


def published() -> Iterator[str]:
    """Yield every port that a service opens on the host."""
    for service in SERVICES.values():
        yield from service.get("ports", [])


def test_every_port_is_on_the_loopback_address() -> None:
    ports = list(published())
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_one_exact_release(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag.count(".") == 2, f"{name} has the tag {tag!r}, wanted an exact release"


@pytest.mark.parametrize("name", SERVICES)
def test_whoever_waits_says_for_what(name: str) -> None:
    waits = SERVICES[name].get("depends_on", {})
    assert isinstance(waits, dict)
    for other, wait in waits.items():
        assert wait["condition"] != "service_started", f"{name} does not wait for {other} to work"
        assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_no_secret_stands_among_the_settings() -> None:
    settings = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert "RINGFENCE_PSEUDONYM_KEY_FILE" in settings
    assert "RINGFENCE_PSEUDONYM_KEY" not in settings


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_knows_the_command_of(name: str) -> None:
    command: list[str] = SERVICES[name]["command"]
    options = [word for word in command if word.startswith("--")]
    words = command[: command.index(options[0])] if options else command
    result = run("ringfence", *words, "--help")
    assert result.returncode == 0, result.stderr
    assert [option for option in options if option not in result.stdout] == []
