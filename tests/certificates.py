"""Certificates of an authority of the tests' own, as PEM files."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

HOST: Final = "127.0.0.1"
KEY_PASSWORD: Final = "canary-of-the-key-password"
LONG_AGO: Final = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Authority:
    """Files: who is to be trusted, servers that are right and wrong, a client and a stranger."""

    ca: Path
    server: Path
    expired: Path
    elsewhere: Path
    client: Path
    client_key: Path
    stranger: Path

    @classmethod
    def make(cls, folder: Path, common_name: str) -> Self:
        """Make all files in a folder; the client's key is encrypted with `KEY_PASSWORD`."""
        ca, other = trustme.CA(), trustme.CA()
        made = {name: folder / f"{name}.pem" for name in cls.__dataclass_fields__}
        ca.cert_pem.write_to_path(made["ca"])
        both(ca.issue_cert(HOST), made["server"])
        both(ca.issue_cert(HOST, not_before=LONG_AGO, not_after=LONG_AGO), made["expired"])
        both(ca.issue_cert("elsewhere.example"), made["elsewhere"])
        both(other.issue_cert(HOST, common_name=common_name), made["stranger"])
        client = ca.issue_cert(HOST, common_name=common_name)
        chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
        made["client"].write_bytes(chain)
        encryption = BestAvailableEncryption(KEY_PASSWORD.encode())
        made["client_key"].write_bytes(key(client, encryption))
        return cls(**made)


def both(leaf: trustme.LeafCert, path: Path) -> None:
    """Write a certificate with its chain, and its key, into one file."""
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    path.write_bytes(key(leaf, NoEncryption()) + chain)


def key(leaf: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    """Return the key in the one form that Java reads too."""
    private = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
