"""CloudEvents' binary mode on Kafka: the attributes stand in headers, the data is the value."""

import json
from collections.abc import Sequence

from streams.wire.json_text import check_bytes


def envelope_from_headers(headers: Sequence[tuple[str, bytes]], value: bytes) -> bytes:
    """The structured form of a Kafka record in CloudEvents' binary mode; others stay as they are.

    Source: CloudEvents 1.0, Kafka protocol binding, section 3.2. The result is not checked: what
    is wrong with headers or value is wrong with it too.
    """
    if not headers:
        return value
    attributes = [(name.lower()[3:], text) for name, text in headers if name.lower()[:3] == "ce_"]
    if not attributes:
        return value
    if check_bytes(value) is not None or not _is_json(value):
        # No JSON by itself, so it must not become some between the attributes' brackets.
        return value
    members = [
        json.dumps(name)
        + ":"
        + json.dumps(text.decode(errors="surrogateescape"), ensure_ascii=False)
        for name, text in attributes
    ]
    members.append(f'"data":{(value or b"null").decode()}')
    return ("{" + ",".join(members) + "}").encode(errors="surrogateescape")


def _is_json(value: bytes) -> bool:
    try:
        # Numbers stay texts: Python refuses to read very long ones, which JSON allows.
        json.loads(value.decode() or "null", parse_int=str, parse_float=str)
    except ValueError:
        return False
    return True
