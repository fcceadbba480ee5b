"""What records imply by themselves: alerts, dead letters, and an order in which they may come."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from rules.alert import Alert, encode_alert
from rules.fact import Fact, Mark
from rules.rule import RuleSet
from rules.stages import Engine
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.ingest import Ingest, Read
from streams.lanes import Row

Records = Mapping[Partition, Sequence[bytes]]


def interleaved(records: Records, random: Random) -> Iterator[tuple[Partition, bytes]]:
    """Yield the records of all partitions, those of each in order."""
    waiting = {p: list(reversed(values)) for p, values in records.items() if values}
    while waiting:
        partition = random.choice(sorted(waiting))
        yield partition, waiting[partition].pop()
        if not waiting[partition]:
            del waiting[partition]


class Reader:
    """Reads records as ingest does; each once only, since it comes to the same again."""

    def __init__(self, ingest: Ingest, now_us: int) -> None:
        """Read at a moment of ingest's clock."""
        self._ingest = ingest
        self._now_us = now_us
        self._known: dict[bytes, Read] = {}

    def admit(self, value: bytes, clock: FeedClock) -> Sequence[Fact]:
        """Return the facts of a record, and move its partition's clock."""
        read = self._known.get(value)
        if read is None:
            read = self._known[value] = self._ingest.read_whole(value, now_us=self._now_us)
        return self._ingest.admit(read, clock).facts


def raised_by(
    rules: RuleSet, timing: Timing, reader: Reader, records: Records, *, until_us: int = END_US
) -> dict[str, Any]:
    """Return how each alert stands that an engine raises which is told all this.

    Args:
        rules: the engine's.
        timing: of these rules.
        reader: makes facts of the records.
        records: what it is told.
        until_us: the watermark in the end.
    """
    engine = Engine(rules, {("all", 0): NEVER_US}, timing=timing)
    facts: list[Fact | Mark] = []
    for values in records.values():
        for value in values:
            facts += reader.admit(value, FeedClock(0))
    alerts: list[Alert] = []
    for number, row in enumerate([*facts, Mark("all", 0, until_us)]):
        alerts += engine.observe([row], number)
    return final_raised([encode_alert(alert) for alert in alerts])


def final_raised(records: Iterable[bytes]) -> dict[str, Any]:
    """Return the data, without revision, of each alert whose greatest revision is raised."""
    greatest: dict[str, Any] = {}
    for raw in records:
        data = msgspec.json.decode(raw)["data"]
        held = greatest.get(data["alert_id"])
        if held is None or held["revision"] <= data["revision"]:
            greatest[data["alert_id"]] = data
    return {
        key: {name: value for name, value in data.items() if name != "revision"}
        for key, data in greatest.items()
        if data["state"] == "raised"
    }


def letters(rows: Iterable[Row]) -> set[str]:
    """Return of which records there are dead letters."""
    told = [msgspec.json.decode(row.value or b"") for row in rows]
    return {f"{letter['feed']}:{letter['partition']}:{letter['offset']}" for letter in told}


def refused(records: Records) -> set[str]:
    """Return of which records there have to be dead letters."""
    return {
        f"{topic}:{number}:{offset}"
        for (topic, number), values in records.items()
        for offset, value in enumerate(values)
        if value == b"{"
    }
