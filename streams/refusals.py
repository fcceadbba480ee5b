"""Why a broker is out of reach, or denies us something: one sentence, with what to look at."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.brokers import answers
from streams.security import (
    CA,
    CERTIFICATE,
    MECHANISM,
    PASSWORD,
    PREFIX,
    PROTOCOL,
    TOKEN,
    USERNAME,
    KafkaSettings,
    client_options,
)
from streams.tokens import TokenError

_SERVERS: Final = f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"
_PATIENCE_S: Final = 3.0
_PATIENCE_MS: Final = 3_000
_WHO: Final = "docs/security.md lists what each principal needs"
# Numbers of OpenSSL's X509_V_ERR_….
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = frozenset({62, 64})

DENIED: Final = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)


class Refusal(NamedTuple):
    """Why a broker is out of reach, and whether waiting cannot change it."""

    sentence: str
    is_final: bool = True


def why(error: KafkaError, group: str = "") -> str:
    """Return what a broker's error means to an operator: the error's name, unless it is a denial.

    Its own text stays out: it could hold what a record holds.

    Args:
        error: the broker's.
        group: the consumer group that it was about, where the error does not say.
    """
    what = error.args[0] if error.args else ""
    if isinstance(error, TopicAuthorizationFailedError):
        names = ", ".join(sorted(map(str, {what} if isinstance(what, str) else what)))
        return f"this principal may not use topic {names} so; {_WHO}"
    if isinstance(error, GroupAuthorizationFailedError):
        return f"this principal may not use group {group or what}; {_WHO}"
    if isinstance(error, ClusterAuthorizationFailedError):
        return f"this principal may not do so on the cluster; {_WHO}"
    return type(error).__name__


async def find_refusal(settings: KafkaSettings) -> Refusal | None:
    """Return why no client gets through: to the brokers to ask first, then to those they name.

    None if there is nothing to find: the first that answers, and all that it names, take us in.
    """
    refusals: list[Refusal] = []
    for server in settings.kafka_bootstrap_servers:
        try:
            brokers = await _named_by(settings, server)
        except (KafkaError, OSError, EOFError) as error:
            refusals.append(await told(error, settings, server))
            continue
        return await _first_of(settings, brokers)
    # One that is wrong for good says more than one that may come back.
    return next((refusal for refusal in refusals if refusal.is_final), refusals[0])


async def _first_of(settings: KafkaSettings, brokers: list[str]) -> Refusal | None:
    for broker in brokers:
        try:
            await _named_by(settings, broker)
        except (KafkaError, OSError, EOFError) as error:
            refusal = await told(error, settings, broker)
            return refusal._replace(
                sentence=f"{refusal.sentence} (the address that the broker itself gives out)"
            )
    return None


async def _named_by(settings: KafkaSettings, server: str) -> list[str]:
    async with _connection(settings, server) as connection:
        metadata = await connection.send(MetadataRequest([]))
    return [f"{broker[1]}:{broker[2]}" for broker in metadata.brokers]


@asynccontextmanager
async def _connection(settings: KafkaSettings, server: str) -> AsyncIterator[AIOKafkaConnection]:
    options: dict[str, Any] = client_options(settings)
    del options["bootstrap_servers"]
    host, _, port = server.rpartition(":")
    connection = await create_conn(
        host.strip("[]"), int(port), request_timeout_ms=_PATIENCE_MS, **options
    )
    try:
        yield connection
    finally:
        connection.close()


async def told(error: BaseException, settings: KafkaSettings, server: str) -> Refusal:
    """Return what an error of connecting means to an operator."""
    for cause in _causes(error):
        refusal = _of_names_and_secrets(cause, settings, server) or _of_certificates(cause, server)
        if refusal is not None:
            return refusal
    if isinstance(error, ConnectionRefusedError | TimeoutError) or (
        isinstance(error, OSError) and not isinstance(error, ssl.SSLError | ConnectionError)
    ):
        return Refusal(f"{server} cannot be reached, see {_SERVERS}", is_final=False)
    return await _of_protocols(settings, server)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _of_names_and_secrets(
    error: BaseException, settings: KafkaSettings, server: str
) -> Refusal | None:
    mechanism = settings.kafka_sasl_mechanism
    if isinstance(error, TokenError):
        return Refusal(str(error.args[0]))
    if isinstance(error, SaslAuthenticationFailed):
        proof = TOKEN if mechanism == "OAUTHBEARER" else f"{USERNAME} and {PASSWORD}"
        return Refusal(f"{server} does not believe who we are ({mechanism}), see {proof}")
    if isinstance(error, UnsupportedSaslMechanismError):
        return Refusal(f"{server} does not know {mechanism}, see {MECHANISM}")
    if isinstance(error, IllegalSaslStateError):
        return Refusal(
            f"{server} asks nobody for a name, and {PROTOCOL} is {settings.protocol};"
            f" {'ssl' if settings.uses_tls else 'plaintext'} would get through"
        )
    return None


def _of_certificates(error: BaseException, server: str) -> Refusal | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_theirs(error, server)
    reason = _reason(error)
    if "ALERT" in reason:
        return Refusal(
            f"{server} does not take the certificate that we show, or wants one"
            f" ({reason.lower().replace('_', ' ')}), see {CERTIFICATE}"
        )
    return None


def _reason(error: BaseException) -> str:
    # Errors of Python's own making have none.
    return getattr(error, "reason", None) or "" if isinstance(error, ssl.SSLError) else ""


def _of_theirs(error: ssl.SSLCertVerificationError, server: str) -> Refusal:
    if error.verify_code in _OTHER_NAME:
        host = server.rpartition(":")[0]
        return Refusal(f'the certificate of {server} is not for "{host}", see {_SERVERS}')
    if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
        return Refusal(
            f"the certificate of {server} is not valid now ({error.verify_message});"
            f" whoever runs the broker renews it (or {CA} has expired)"
        )
    return Refusal(
        f"the certificate of {server} is from nobody that {CA} trusts ({error.verify_message})"
    )


async def _of_protocols(settings: KafkaSettings, server: str) -> Refusal:
    """Return what is wrong with a connection that was cut off without a word."""
    is_plain_kafka = await asyncio.to_thread(answers, server)
    if settings.uses_tls and is_plain_kafka:
        return Refusal(f"{server} does not speak TLS, and {PROTOCOL} is {settings.protocol}")
    if not settings.uses_tls and not is_plain_kafka and await _speaks_tls(server):
        return Refusal(f"{server} speaks TLS, and {PROTOCOL} is {settings.protocol}")
    if not settings.uses_sasl and (is_plain_kafka or settings.uses_tls):
        return Refusal(
            f"{server} hangs up: it may want SASL, and {PROTOCOL} is {settings.protocol}",
            is_final=False,
        )
    return Refusal(
        f"what answers at {server} is no Kafka, see {_SERVERS} and {PROTOCOL}", is_final=False
    )


async def _speaks_tls(server: str) -> bool:
    """Tell whether TLS is spoken at an address; nothing is sent there, so anybody will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(_PATIENCE_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in _reason(error)
    except (OSError, EOFError):
        return False
    writer.close()
    return True
