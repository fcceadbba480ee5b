"""Why a broker is out of reach: servers that are wrong in one way each, and what is said of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    NotLeaderForPartitionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from streams.brokers import EmbeddedBroker
from streams.failures import OutsideFailure
from streams.refusals import Refusal, find_refusal, told, why
from streams.security import KafkaSettings
from streams.settings import load_settings
from streams.tokens import TokenError, TokenFile
from streams.topics import connected
from tests.certificates import HOST, Authority

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
ELSEWHERE = "broker.example:9093"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give an authority and its certificates."""
    return Authority.make(tmp_path_factory.mktemp("authority"), "somebody")


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _talk_of_the_web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@asynccontextmanager
async def serving(answer: Answer, certificate: Path | None = None) -> AsyncIterator[str]:
    """Run a server and give its address."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)


def settings(address: str, protocol: str = "plaintext", **more: object) -> KafkaSettings:
    """Return the settings of a client."""
    return KafkaSettings.model_validate(
        {"kafka_bootstrap_servers": address, "kafka_security_protocol": protocol, **more}
    )


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("expired", "is not valid now (certificate has expired)"),
        ("elsewhere", f'is not for "{HOST}", see RINGFENCE_KAFKA_BOOTSTRAP_SERVERS'),
        ("stranger", "is from nobody that RINGFENCE_KAFKA_SSL_CA_FILE trusts"),
    ],
)
async def test_a_certificate_that_is_wrong_is_told_by_what_is_wrong_with_it(
    which: str, said: str, authority: Authority
) -> None:
    async with serving(_hang_up, getattr(authority, which)) as address:
        refusal = await find_refusal(settings(address, "ssl", kafka_ssl_ca_file=authority.ca))
    assert refusal is not None
    assert said in refusal.sentence
    assert refusal.is_final


async def test_plain_text_to_tls_and_tls_to_what_is_neither(authority: Authority) -> None:
    async with serving(_hang_up, authority.server) as address:
        refusal = await find_refusal(settings(address))
        assert refusal == Refusal(
            f"{address} speaks TLS, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is plaintext"
        )


@pytest.mark.parametrize("answer", [_talk_of_the_web, _hang_up, _say_nothing])
@pytest.mark.parametrize("protocol", ["plaintext", "ssl"])
async def test_what_is_no_kafka_ends_in_one_sentence_after_a_bounded_wait(
    answer: Answer, protocol: str
) -> None:
    async with serving(answer) as address:
        given = load_settings(
            {"RINGFENCE_BROKER_WAIT": "0.5s"},
            kafka_bootstrap_servers=address,
            kafka_security_protocol=protocol,
        )
        async with asyncio.timeout(20):
            with pytest.raises(OutsideFailure, match=f"at {address} within 0.5 s|TLS"):
                async with connected(given):
                    pass


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Give the address of a Kafka that speaks plain text to everybody."""
    try:
        with EmbeddedBroker() as address:
            yield address
    except OutsideFailure as failure:
        pytest.skip(str(failure))


async def test_where_clients_get_through_there_is_nothing_to_tell(kafka: str) -> None:
    assert await find_refusal(settings(f"{HOST}:1,{kafka}")) is None


async def test_tls_to_a_kafka_in_plain_text_is_told_as_such(kafka: str) -> None:
    assert await find_refusal(settings(kafka, "ssl")) == Refusal(
        f"{kafka} does not speak TLS, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is ssl"
    )


async def test_a_refusal_for_good_is_told_before_one_that_may_pass(authority: Authority) -> None:
    async with serving(_hang_up, authority.server) as address:
        refusal = await find_refusal(settings(f"{HOST}:1,{address}"))
    assert refusal is not None
    assert "speaks TLS" in refusal.sentence


def of(mechanism: str) -> KafkaSettings:
    """Return settings of a client with a password, or with a token."""
    proof: dict[str, object] = {"kafka_sasl_username": "me", "kafka_sasl_password": "canary"}
    if mechanism == "OAUTHBEARER":
        proof = {"kafka_sasl_token_file": "/nowhere/token"}
    return settings(ELSEWHERE, "sasl_ssl", kafka_sasl_mechanism=mechanism, **proof)


@pytest.mark.parametrize(
    ("error", "mechanism", "said"),
    [
        (SaslAuthenticationFailed("canary"), "PLAIN", "RINGFENCE_KAFKA_SASL_PASSWORD"),
        (SaslAuthenticationFailed("canary"), "OAUTHBEARER", "RINGFENCE_KAFKA_SASL_TOKEN_FILE"),
        (UnsupportedSaslMechanismError("canary"), "PLAIN", "RINGFENCE_KAFKA_SASL_MECHANISM"),
        (IllegalSaslStateError("canary"), "PLAIN", "RINGFENCE_KAFKA_SECURITY_PROTOCOL"),
        (TokenError("as it is"), "OAUTHBEARER", "as it is"),
        (ssl.SSLError(1, "[SSL] canary"), "PLAIN", "is no Kafka"),
        (OSError("canary"), "PLAIN", "cannot be reached"),
    ],
)
async def test_each_refusal_names_the_setting_to_look_at_and_no_secret(
    error: Exception, mechanism: str, said: str
) -> None:
    wrapped = KafkaConnectionError("canary")
    wrapped.__cause__ = error
    given = error if isinstance(error, OSError) else wrapped
    refusal = await told(given, of(mechanism), f"{HOST}:1")
    assert said in refusal.sentence
    assert "canary" not in refusal.sentence


async def test_an_alert_says_that_our_certificate_is_not_taken() -> None:
    error = ssl.SSLError(1, "canary")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    refusal = await told(error, settings(ELSEWHERE, "ssl"), ELSEWHERE)
    assert refusal.sentence == (
        f"{ELSEWHERE} does not take the certificate that we show, or wants one (tlsv13 alert"
        " certificate required), see RINGFENCE_KAFKA_SSL_CERTIFICATE_FILE"
    )


def test_denials_say_what_of_and_other_errors_their_name_only() -> None:
    assert why(TopicAuthorizationFailedError({"b", "a"})).startswith(
        "this principal may not use topic a, b so"
    )
    assert "topic calls" in why(TopicAuthorizationFailedError("calls"))
    assert "group workers" in why(GroupAuthorizationFailedError("workers"))
    assert "on the cluster" in why(ClusterAuthorizationFailedError())
    assert why(NotLeaderForPartitionError("canary")) == "NotLeaderForPartitionError"


async def test_a_token_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    provider = TokenFile(file, "SETTING")
    for text in ("first", "second"):
        file.write_text(f"{text}\n")
        assert await provider.token() == text


@pytest.mark.parametrize("content", [b"", b"two words", b"a\x01b", b"\xff"])
async def test_a_file_without_a_token_says_so_and_none_of_it(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(
        TokenError, match=r'TokenError: SETTING: ".*/token" (holds no token|cannot be read)$'
    ):
        await TokenFile(tmp_path / "token", "SETTING").token()
