"""How every client of ours talks to the broker: where it is, TLS, and who we say that we are."""

import logging
import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from streams.failures import SettingsError

if TYPE_CHECKING:
    import ssl

PREFIX: Final = "RINGFENCE_"
PROTOCOL: Final = f"{PREFIX}KAFKA_SECURITY_PROTOCOL"
CA: Final = f"{PREFIX}KAFKA_SSL_CA_FILE"
CERTIFICATE: Final = f"{PREFIX}KAFKA_SSL_CERTIFICATE_FILE"
KEY: Final = f"{PREFIX}KAFKA_SSL_KEY_FILE"
KEY_PASSWORD: Final = f"{PREFIX}KAFKA_SSL_KEY_PASSWORD"
MECHANISM: Final = f"{PREFIX}KAFKA_SASL_MECHANISM"
USERNAME: Final = f"{PREFIX}KAFKA_SASL_USERNAME"
PASSWORD: Final = f"{PREFIX}KAFKA_SASL_PASSWORD"
TOKEN: Final = f"{PREFIX}KAFKA_SASL_TOKEN_FILE"

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})", re.ASCII)
_MOST_PORTS: Final = 65_535
_SASL: Final = "kafka_sasl_"
_TLS: Final = "kafka_ssl_"


def comma_separated(value: object) -> object:
    """Return the parts of a comma-separated text, each once; anything else as it is."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _server(value: str) -> str:
    match = _SERVER.fullmatch(value)
    if match is None or not 0 < int(match[2]) <= _MOST_PORTS:
        raise ValueError(f'"{value}" is no address of a broker, wanted host:port')
    return value


def _is_loopback(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Server = Annotated[str, AfterValidator(_server)]
Protocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class KafkaSettings(BaseModel):
    """The settings that every client of a broker follows."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kafka_bootstrap_servers: Annotated[
        tuple[Server, ...], BeforeValidator(comma_separated), Field(min_length=1)
    ] = Field(
        ("localhost:9092",), description="brokers to ask first, `host:port`, comma-separated"
    )
    kafka_security_protocol: Annotated[Protocol, BeforeValidator(_lower)] | None = Field(
        None,
        description="`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`; if not set, `plaintext`"
        " to this machine, and to none other",
    )
    kafka_ssl_ca_file: Path | None = Field(
        None, description="PEM file with who may vouch for brokers; the system's if not set"
    )
    kafka_ssl_certificate_file: Path | None = Field(
        None, description="PEM file with the certificate that we show, and its chain"
    )
    kafka_ssl_key_file: Path | None = Field(
        None, description="PEM file with that certificate's key; the certificate's if not set"
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, description="secret that the key is encrypted with"
    )
    kafka_sasl_mechanism: Annotated[Mechanism, BeforeValidator(_upper)] | None = Field(
        None, description="`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`"
    )
    kafka_sasl_username: str | None = Field(
        None, description="who we say that we are", min_length=1
    )
    kafka_sasl_password: SecretStr | None = Field(None, description="secret that proves it")
    kafka_sasl_token_file: Path | None = Field(
        None,
        description="file with the token for `OAUTHBEARER`, read again for each connection:"
        " whoever issues tokens keeps it fresh",
    )

    @property
    def protocol(self) -> Protocol:
        """The security protocol in force."""
        return self.kafka_security_protocol or "plaintext"

    @property
    def uses_tls(self) -> bool:
        """Whether everything on the wire is encrypted."""
        return self.protocol.endswith("ssl")

    @property
    def uses_sasl(self) -> bool:
        """Whether we say who we are by name and secret, or by token."""
        return self.protocol.startswith("sasl")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        self._demand_protocol_for(_TLS, is_used=self.uses_tls, wanted="ssl or sasl_ssl")
        self._demand_protocol_for(
            _SASL, is_used=self.uses_sasl, wanted="sasl_ssl (or sasl_plaintext)"
        )
        if self.kafka_ssl_certificate_file is None and self.kafka_ssl_key_file is not None:
            raise ValueError(f"{CERTIFICATE}: there is none, and {KEY} is set")
        if self.kafka_ssl_certificate_file is None and self.kafka_ssl_key_password is not None:
            raise ValueError(f"{CERTIFICATE}: there is none, and {KEY_PASSWORD} is set")
        if self.uses_sasl:
            self._demand_who_we_are()
        return self

    def _demand_protocol_for(self, prefix: str, *, is_used: bool, wanted: str) -> None:
        given = [
            name
            for name in KafkaSettings.model_fields
            if name.startswith(prefix) and getattr(self, name) is not None
        ]
        if given and not is_used:
            raise ValueError(
                f"{PREFIX}{given[0].upper()} is set and {PROTOCOL} is {self.protocol},"
                f" wanted {wanted}"
            )

    def _demand_who_we_are(self) -> None:
        by_token = self.kafka_sasl_mechanism == "OAUTHBEARER"
        by_name = (("username", USERNAME), ("password", PASSWORD))
        needed = (("token_file", TOKEN),) if by_token else by_name
        needless = by_name if by_token else (("token_file", TOKEN),)
        for part, variable in (("mechanism", MECHANISM), *needed):
            if getattr(self, _SASL + part) is None:
                raise ValueError(f"{variable}: there is none, and {PROTOCOL} is {self.protocol}")
        for part, variable in needless:
            if getattr(self, _SASL + part) is not None:
                raise ValueError(
                    f"{variable} is set, and {MECHANISM} {self.kafka_sasl_mechanism} has no use"
                    " for it"
                )


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return what every client of aiokafka is to be made with.

    Raises:
        SettingsError: A certificate, key or CA file cannot be read, or does not fit; or a broker
            elsewhere would be spoken to in the clear, and nobody has asked for that.
    """
    far = [server for server in settings.kafka_bootstrap_servers if not _is_loopback(server)]
    if far and settings.kafka_security_protocol is None:
        raise SettingsError(
            f"{PROTOCOL}: there is none, and {far[0]} is not on this machine; set it to ssl or"
            " sasl_ssl, or to plaintext if everybody on the way may read and write"
        )
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.kafka_bootstrap_servers),
        "security_protocol": settings.protocol.upper(),
    }
    if settings.uses_tls:
        options["ssl_context"] = _tls(settings)
    if settings.uses_sasl:
        options |= _who_we_are(settings)
    return options


def _is_no_request(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _who_we_are(settings: KafkaSettings) -> dict[str, Any]:
    # On the level of debugging it writes requests out, and passwords and tokens are in some.
    logging.getLogger("aiokafka.conn").addFilter(_is_no_request)
    options: dict[str, Any] = {"sasl_mechanism": settings.kafka_sasl_mechanism}
    if settings.kafka_sasl_token_file is not None:
        # Imported here: a replay needs none of what talks to a broker.
        from streams.tokens import TokenFile  # noqa: PLC0415 - see above

        return options | {
            "sasl_oauth_token_provider": TokenFile(settings.kafka_sasl_token_file, TOKEN)
        }
    assert settings.kafka_sasl_password is not None, "the settings have been checked"
    return options | {
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
    }


def _tls(settings: KafkaSettings) -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415 - as above

    try:
        # It checks the broker's certificate and that the certificate is for the broker's name.
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    except OSError as error:
        found = "holds no certificates" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise SettingsError(f'{CA}: "{settings.kafka_ssl_ca_file}" {found}') from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.kafka_ssl_certificate_file is not None:
        _show_certificate(context, settings, settings.kafka_ssl_certificate_file)
    return context


def _show_certificate(
    context: "ssl.SSLContext", settings: KafkaSettings, certificate: Path
) -> None:
    secret = settings.kafka_ssl_key_password
    # Never None: OpenSSL would ask at the terminal, and wait.
    password = "" if secret is None else secret.get_secret_value()
    for variable, path in ((CERTIFICATE, certificate), (KEY, settings.kafka_ssl_key_file)):
        try:
            _ = b"" if path is None else path.read_bytes()
        except OSError as error:
            raise SettingsError(f'{variable}: "{path}" cannot be read') from error
    try:
        context.load_cert_chain(certificate, settings.kafka_ssl_key_file, password)
    except (OSError, ValueError) as error:
        key = settings.kafka_ssl_key_file or certificate
        raise SettingsError(
            f'{CERTIFICATE}: "{certificate}" and the key in "{key}" are no pair of PEM files that'
            f" can be opened with what {KEY_PASSWORD} says"
        ) from error
