"""The packaged log: the six published cases among three days of a town's ordinary life.

`ringfence simulate --cases public` makes it.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any, NamedTuple

from streams.logs import Log, open_log

_FILE = files("streams.demo") / "demo.jsonl.gz"
_WRITTEN_BY_RECORD = ("recordedtime", "feed", "partition")


class Sent(NamedTuple):
    """One record as its sender sent it, with the feed and the partition that it went to."""

    feed: str
    partition: int
    value: bytes
    is_heartbeat: bool


@contextmanager
def demo_log() -> Iterator[Log]:
    """Open the packaged log."""
    with as_file(_FILE) as path, open_log(str(path)) as log:
        yield log


def demo_bytes() -> bytes:
    """Return the packaged log as JSON lines."""
    return gzip.decompress(_FILE.read_bytes())


def sent_records() -> list[Sent]:
    """Return the log's records in its order, without what a recorder adds to each."""
    return [_sent(line) for line in demo_bytes().splitlines()]


def _sent(line: bytes) -> Sent:
    record: dict[str, Any] = json.loads(line)
    feed, partition = record["feed"], record["partition"]
    for name in _WRITTEN_BY_RECORD:
        del record[name]
    value = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    return Sent(feed, partition, value, record["type"] == "ringfence.heartbeat.v1")
