"""`ringfence config`: what it says of each setting, and that no secret is in it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.settings import load_settings, setting_names, variable_of
from streams.shown_settings import MASK, shown_settings

GOLDEN = Path(__file__).parent / "golden" / "config.txt"
CANARY = "canary-of-a-secret"
GIVEN = {
    "RINGFENCE_GROUP": "fraud-desk",
    "RINGFENCE_LATENESS": "15m,calls=1h",
    "RINGFENCE_RULES": "/etc/ringfence/rules",
    "RINGFENCE_START": "2023-07-08T10:00:00Z",
    "RINGFENCE_SKIP": "calls:0:17,calls:1:4",
    "RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": "one:9093,two:9093",
    "RINGFENCE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "RINGFENCE_KAFKA_SASL_MECHANISM": "scram-sha-512",
    "RINGFENCE_KAFKA_SASL_USERNAME": "ringfence",
    "RINGFENCE_KAFKA_SASL_PASSWORD": CANARY,
    "RINGFENCE_KAFKA_SSL_CERTIFICATE_FILE": "/etc/ringfence/client.pem",
    "RINGFENCE_KAFKA_SSL_KEY_PASSWORD": CANARY,
}


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """Give a file with a secret."""
    path = tmp_path / "key"
    path.write_text(f"{CANARY}\n")
    return path


def shown(secret_file: Path, *arguments: str) -> str:
    """Return what the command prints."""
    environ = {**GIVEN, "RINGFENCE_PSEUDONYM_KEY_FILE": str(secret_file)}
    result = CliRunner().invoke(app, ["config", *arguments], env=environ)
    assert result.exit_code == 0
    assert CANARY not in result.output
    return result.stdout


def test_every_setting_is_shown_with_its_value_and_origin(secret_file: Path) -> None:
    assert shown(secret_file) == GOLDEN.read_text()


def test_as_json_it_says_the_same(secret_file: Path) -> None:
    lines = [json.loads(line) for line in shown(secret_file, "--format", "json").splitlines()]
    assert [line["setting"] for line in lines] == list(map(variable_of, setting_names().values()))
    by_name = {line["setting"]: (line["value"], line["origin"]) for line in lines}
    assert by_name["RINGFENCE_GROUP"] == ("fraud-desk", "variable")
    assert by_name["RINGFENCE_PSEUDONYM_KEY"] == (MASK, "RINGFENCE_PSEUDONYM_KEY_FILE")
    assert by_name["RINGFENCE_KAFKA_SSL_CA_FILE"] == (None, "default")


def test_what_is_shown_reads_back_as_the_same_settings() -> None:
    given = {name: value for name, value in GIVEN.items() if not name.endswith("PASSWORD")}
    given["RINGFENCE_KAFKA_SECURITY_PROTOCOL"] = "ssl"
    del given["RINGFENCE_KAFKA_SASL_MECHANISM"], given["RINGFENCE_KAFKA_SASL_USERNAME"]
    settings = load_settings(given)
    written = {s.setting: s.value for s in shown_settings(settings, given) if s.value is not None}
    assert load_settings(written) == settings
