"""A real Kafka with a listener for each way of being sure who speaks, and who may do what."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest

from streams.brokers import free_ports
from tests.broker.restartable import PatientBroker
from tests.certificates import HOST, KEY_PASSWORD, Authority

PASSWORD: Final = "canary-of-the-sasl-password"
PRINCIPAL: Final = "ringfence"
LISTENERS: Final = {
    "OPEN": "PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SECRETS": "SASL_SSL",
    "TOKENS": "SASL_SSL",
}
_MODULE: Final = "org.apache.kafka.common.security"
# Numbers of Kafka's ResourceType, AclOperation and PatternType.
_TOPIC, _GROUP = 2, 3
_OPERATIONS: Final = {"read": 3, "write": 4, "create": 5, "delete": 6, "describe": 8}
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3


class SecureBroker(PatientBroker):
    """Apache Kafka with TLS, SASL and ACLs; who gives no name (OPEN, TLS) may do everything."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._authority = authority
        self.ports: dict[str, int] = {}

    def settings(self, folder: Path, port: int, other_port: int) -> dict[str, str]:
        """Return the broker's settings; see `PatientBroker`."""
        others = [name for name in LISTENERS if name != "OPEN"]
        self.ports = {"OPEN": port, **dict(zip(others, free_ports(len(others)), strict=True))}
        at = [f"{name}://{HOST}:{number}" for name, number in self.ports.items()]
        kinds = [f"{name}:{kind}" for name, kind in LISTENERS.items()]
        plain = super().settings(folder, port, other_port)
        login = f'username="{PRINCIPAL}" password="{PASSWORD}"'
        return plain | {
            "listeners": ",".join([*at, f"CONTROLLER://{HOST}:{other_port}"]),
            "advertised.listeners": ",".join(at),
            "listener.security.protocol.map": ",".join([*kinds, "CONTROLLER:PLAINTEXT"]),
            "inter.broker.listener.name": "OPEN",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._authority.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._authority.ca),
            "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.secrets.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.secrets.plain.sasl.jaas.config": f"{_MODULE}.plain.PlainLoginModule"
            f' required {login} user_{PRINCIPAL}="{PASSWORD}";',
            **{
                f"listener.name.secrets.scram-sha-{bits}.sasl.jaas.config": f"{_MODULE}.scram"
                ".ScramLoginModule required;"
                for bits in (256, 512)
            },
            "listener.name.tokens.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.tokens.oauthbearer.sasl.jaas.config": f"{_MODULE}.oauthbearer"
            '.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        }

    def format_options(self) -> list[str]:
        """Return the users that the data begin with; see `PatientBroker`."""
        user = f"[name={PRINCIPAL},password={PASSWORD}]"
        return [
            word for bits in (256, 512) for word in ("--add-scram", f"SCRAM-SHA-{bits}={user}")
        ]


def token(now_s: int, subject: str = PRINCIPAL) -> str:
    """Return a token that Kafka's own development login takes: nobody has signed it."""
    parts = ({"alg": "none"}, {"sub": subject, "iat": now_s, "exp": now_s + 3600})
    return ".".join([*(_base64(json.dumps(part).encode()) for part in parts), ""])


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@dataclass
class SecureKafka:
    """Where the listeners are, and what a client has to know to use each."""

    authority: Authority
    ports: Mapping[str, int]
    token_file: Path

    def address(self, listener: str) -> str:
        """Return the address of one listener."""
        return f"{HOST}:{self.ports[listener]}"

    def way(self, name: str) -> dict[str, str]:
        """Return the settings of one way in: TLS, MUTUAL, or a mechanism of SASL."""
        listener = {"TLS": "TLS", "MUTUAL": "MUTUAL", "OAUTHBEARER": "TOKENS"}.get(name, "SECRETS")
        found = {
            "BOOTSTRAP_SERVERS": self.address(listener),
            "SECURITY_PROTOCOL": LISTENERS[listener].lower(),
            "SSL_CA_FILE": str(self.authority.ca),
        }
        if name == "MUTUAL":
            found |= {
                "SSL_CERTIFICATE_FILE": str(self.authority.client),
                "SSL_KEY_FILE": str(self.authority.client_key),
                "SSL_KEY_PASSWORD": KEY_PASSWORD,
            }
        elif name == "OAUTHBEARER":
            found |= {"SASL_MECHANISM": name, "SASL_TOKEN_FILE": str(self.token_file)}
        elif name != "TLS":
            found |= {
                "SASL_MECHANISM": name,
                "SASL_USERNAME": PRINCIPAL,
                "SASL_PASSWORD": PASSWORD,
            }
        return {f"RINGFENCE_KAFKA_{key}": value for key, value in found.items()}

    async def grant(self, *grants: str) -> None:
        """Let the principal do things: `read topic NAME`, `write topic PREFIX*`, …."""
        client = AIOKafkaClient(bootstrap_servers=self.address("OPEN"))
        await client.bootstrap()
        try:
            for grant in grants:
                operation, resource, name = grant.split()
                response = await client.send(
                    client.get_random_node(), _request(operation, resource, name)
                )
                assert [code for code, _ in response.creation_responses] == [0], response
        finally:
            await client.close()


def _request(operation: str, resource: str, name: str) -> CreateAclsRequest:
    return CreateAclsRequest(
        {"topic": _TOPIC, "group": _GROUP}[resource],
        name.removesuffix("*"),
        _PREFIXED if name.endswith("*") else _LITERAL,
        f"User:{PRINCIPAL}",
        "*",
        _OPERATIONS[operation],
        _ALLOW,
    )
