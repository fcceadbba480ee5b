"""Settings of security: what fits together, what every client gets, and what stays hidden."""

import logging
import ssl
from pathlib import Path

import pytest

from streams.failures import SettingsError
from streams.security import client_options
from streams.settings import load_settings
from streams.tokens import TokenFile
from tests.certificates import KEY_PASSWORD, Authority

GOLDEN = Path(__file__).parent / "golden" / "security_mistakes.txt"
CANARY = "canary-of-a-secret"
SCRAM = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "me", "SASL_PASSWORD": CANARY}


def options(**variables: object) -> dict[str, object]:
    """Return what clients are made with, of variables without their prefix."""
    given = {f"RINGFENCE_KAFKA_{name}": str(value) for name, value in variables.items()}
    return client_options(load_settings(given))


def refusal(**variables: object) -> str:
    """Return what is said of variables."""
    with pytest.raises(SettingsError) as caught:
        options(**variables)
    return str(caught.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give an authority and its certificates."""
    return Authority.make(tmp_path_factory.mktemp("authority"), "somebody")


def test_mistakes_of_security_are_told_in_one_sentence_each() -> None:
    sasl = {"SECURITY_PROTOCOL": "sasl_ssl"}
    mistakes = [
        refusal(BOOTSTRAP_SERVERS="kafka:9092"),
        refusal(BOOTSTRAP_SERVERS="localhost:9092,10.0.0.7:9092"),
        refusal(BOOTSTRAP_SERVERS="kafka"),
        refusal(BOOTSTRAP_SERVERS="kafka:99999"),
        refusal(BOOTSTRAP_SERVERS="https://kafka:9092"),
        refusal(SECURITY_PROTOCOL="tls"),
        refusal(SSL_CA_FILE="/etc/ca.pem"),
        refusal(SECURITY_PROTOCOL="plaintext", SASL_USERNAME="me"),
        refusal(SECURITY_PROTOCOL="ssl", SSL_CA_FILE="/nowhere/ca.pem"),
        refusal(SECURITY_PROTOCOL="ssl", SSL_CA_FILE=GOLDEN.name, SASL_PASSWORD=CANARY),
        refusal(SECURITY_PROTOCOL="ssl", SSL_KEY_FILE="/nowhere/key.pem"),
        refusal(SECURITY_PROTOCOL="ssl", SSL_KEY_PASSWORD=CANARY),
        refusal(SECURITY_PROTOCOL="ssl", SSL_CERTIFICATE_FILE="/nowhere/client.pem"),
        refusal(**sasl),
        refusal(**sasl, SASL_MECHANISM="GSSAPI"),
        refusal(**sasl, SASL_MECHANISM="PLAIN"),
        refusal(**sasl, SASL_MECHANISM="PLAIN", SASL_USERNAME="me"),
        refusal(**sasl, SASL_MECHANISM="OAUTHBEARER"),
        refusal(**sasl, **{**SCRAM, "SASL_MECHANISM": "OAUTHBEARER"}, SASL_TOKEN_FILE="/token"),
        refusal(**sasl, **SCRAM, SASL_TOKEN_FILE="/token"),
        refusal(**sasl, **SCRAM, SASL_PASSWORD_FILE="/nowhere/password"),
    ]
    assert CANARY not in str(mistakes)
    assert "\n".join(mistakes) + "\n" == GOLDEN.read_text()


@pytest.mark.parametrize("address", ["localhost:9092", "127.0.0.1:1,127.1.2.3:1", "[::1]:9092"])
def test_plain_text_needs_no_word_on_this_machine(address: str) -> None:
    assert options(BOOTSTRAP_SERVERS=address)["security_protocol"] == "PLAINTEXT"


def test_plain_text_to_elsewhere_needs_one() -> None:
    found = options(BOOTSTRAP_SERVERS="kafka:9092", SECURITY_PROTOCOL="plaintext")
    assert found == {"bootstrap_servers": ["kafka:9092"], "security_protocol": "PLAINTEXT"}


def test_names_of_brokers_are_always_checked(authority: Authority) -> None:
    context = options(SECURITY_PROTOCOL="ssl", SSL_CA_FILE=authority.ca)["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_key_may_stand_beside_its_certificate_or_be_encrypted(authority: Authority) -> None:
    options(SECURITY_PROTOCOL="ssl", SSL_CERTIFICATE_FILE=authority.stranger)
    pair = {"SSL_CERTIFICATE_FILE": authority.client, "SSL_KEY_FILE": authority.client_key}
    options(SECURITY_PROTOCOL="ssl", **pair, SSL_KEY_PASSWORD=KEY_PASSWORD)
    for wrong in ({}, {"SSL_KEY_PASSWORD": CANARY}):
        said = refusal(SECURITY_PROTOCOL="ssl", **pair, **wrong)
        assert "RINGFENCE_KAFKA_SSL_KEY_PASSWORD" in said
        assert CANARY not in said


def test_a_file_that_is_no_certificate_says_so(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    said = refusal(SECURITY_PROTOCOL="ssl", SSL_CA_FILE=tmp_path / "ca.pem")
    assert said == f'RINGFENCE_KAFKA_SSL_CA_FILE: "{tmp_path}/ca.pem" holds no certificates'


def test_passwords_come_from_files_too_and_are_in_no_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{CANARY}\n")
    rest = {name: value for name, value in SCRAM.items() if name != "SASL_PASSWORD"}
    given = {**rest, "SASL_PASSWORD_FILE": str(tmp_path / "password")}
    found = options(SECURITY_PROTOCOL="sasl_ssl", **given)
    assert found["sasl_plain_password"] == CANARY
    settings = load_settings(
        {f"RINGFENCE_KAFKA_{name}": text for name, text in SCRAM.items()}
        | {"RINGFENCE_KAFKA_SECURITY_PROTOCOL": "sasl_ssl"}
    )
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_token_has_no_password_beside_it() -> None:
    found = options(
        SECURITY_PROTOCOL="sasl_ssl", SASL_MECHANISM="OAUTHBEARER", SASL_TOKEN_FILE="/token"
    )
    assert isinstance(found["sasl_oauth_token_provider"], TokenFile)
    assert "sasl_plain_password" not in found


def test_requests_are_never_written_out(caplog: pytest.LogCaptureFixture) -> None:
    options(SECURITY_PROTOCOL="sasl_ssl", **SCRAM)
    log = logging.getLogger("aiokafka.conn")
    with caplog.at_level(logging.DEBUG, "aiokafka"):
        log.debug("Request to broker: %s", CANARY)
        log.info("seen")
    assert [record.getMessage() for record in caplog.records] == ["seen"]
