"""Lines of a recorded log, made from what a topic holds: the record with its coordinates."""

import re
from typing import Any, Final, NamedTuple

import msgspec

from rules.events import EVENTS
from rules.moment import LATEST_US, format_moment, parse_moment
from rules.watermark import Partition
from streams.wire.json_text import SIZE_LIMIT, Mistake, read_object
from streams.wire.records import FUTURE_LIMIT_US

_ADDED: Final = ("recordedtime", "feed", "partition")
_ALERT: Final = EVENTS["alert"].wire_type
_HEARTBEAT: Final = EVENTS["heartbeat"].wire_type
# Their names as they stand in the bytes, or an escape that could spell one of them.
_MAY_NAME_ADDED: Final = re.compile(rb'"(?:recordedtime|feed|partition)"|\\u')
_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
_READABLE: Final = frozenset({"duplicate_key", "too_many_fields"})
"""What a replay refuses by the same reason when it meets it in a line."""


class LogLine(NamedTuple):
    """A line without its end; `is_ahead` says that a replay refuses it as of the future."""

    text: bytes
    is_ahead: bool


def log_line(raw: bytes, partition: Partition, recorded_us: int) -> LogLine | Mistake | None:
    """Return a record as a line of a log, why it cannot be one, or None for an alert.

    Its bytes stay as they are: numbers, spaces and names that stand there twice mean to a replay
    what they meant to a worker.

    Args:
        raw: the record in structured mode.
        partition: the topic and the partition that it lies in.
        recorded_us: Kafka's timestamp; one that is no moment of the contract is left out.
    """
    value = read_object(raw)
    if isinstance(value, Mistake):
        if value.reason not in _READABLE:
            return value
        # Whether it names what is added here twice already cannot be mended.
        return value if _MAY_NAME_ADDED.search(raw) else _line(raw, partition, recorded_us, {})
    if value.get("type") == _ALERT:
        return None
    if value.keys() & set(_ADDED):
        raw = _without_added(raw)
    return _line(raw, partition, recorded_us, value)


def _line(
    raw: bytes, partition: Partition, recorded_us: int, value: dict[str, Any]
) -> LogLine | Mistake:
    feed, number = partition
    added: dict[str, Any] = {"feed": feed, "partition": number}
    is_dated = 0 <= recorded_us <= LATEST_US
    if is_dated:
        added = {"recordedtime": format_moment(recorded_us), **added}
    head = msgspec.json.encode(added).removesuffix(b"}")
    # A line break can stand between JSON's words only, where a space is as good.
    rest = raw.translate(_BREAKS).strip().removeprefix(b"{").lstrip()
    text = head + (b"}" if rest == b"}" else b"," + rest)
    if len(text) > SIZE_LIMIT:
        detail = f"wanted at most {SIZE_LIMIT} bytes with its coordinates, found {len(text)}"
        return Mistake("too_large", detail)
    return LogLine(text, is_dated and _time_of(value) > recorded_us + FUTURE_LIMIT_US)


def _without_added(raw: bytes) -> bytes:
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({n: v for n, v in members.items() if n not in _ADDED})


def _time_of(value: dict[str, Any]) -> int:
    try:
        return parse_moment(str(value.get("time")))
    except ValueError:
        return 0


def first_heartbeat(partition: Partition) -> bytes:
    """Return the line that names a partition at the head of a log, and says nothing of its time.

    A replay fixes its roster by these: nothing is final before every partition has been heard.
    """
    feed, number = partition
    began = format_moment(0)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"record-{feed}-{number}",
            "source": "ringfence",
            "type": _HEARTBEAT,
            "time": began,
            "feed": feed,
            "partition": number,
            "data": {"watermark": began},
        }
    )
