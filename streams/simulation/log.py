"""A town's log: every record where and when a bus would have had it, heartbeats at both ends."""

import heapq
import json
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal, NamedTuple

from rules.events import EVENTS
from rules.moment import DAY_US, MINUTE_US, format_moment, parse_moment
from streams.simulation.chance import Chance
from streams.simulation.public_cases import (
    CASE_NAMES,
    CaseName,
    HeldBack,
    delayed_calls,
    public_cases,
)
from streams.simulation.reports import CALLS, SOURCES, TRANSACTIONS, Data, Report, moment
from streams.simulation.town import Happening, ordinary_life

Cases = Literal["none", "public"] | CaseName

PARTITIONS: Final = 3
"""So many each feed has."""

FEEDS: Final = tuple((feed, n) for feed in (CALLS, TRANSACTIONS) for n in range(PARTITIONS))

# After its last record the log says that so much time passed and nothing came: more than any
# rule of the catalogue waits for, so that every alert of it becomes final.
_QUIET_US = 4 * DAY_US


@dataclass(frozen=True)
class Scenario:
    """What a town's log is made from; equal scenarios give equal bytes.

    `cases` are all the published ones, one of them by its name, or none.
    """

    seed: int = 7
    people: int = 150
    events: int = 1_800
    start_us: int = parse_moment("2023-07-08T00:00:00+08:00")
    days: int = 3
    cases: Cases = "none"

    @property
    def case_names(self) -> Collection[CaseName]:
        """The published cases that are in it."""
        return [name for name in CASE_NAMES if self.cases in ("public", name)]


class Line(NamedTuple):
    """One record of a log: where it stands, when it was recorded, and its JSON."""

    feed: str
    partition: int
    recorded_us: int
    raw: bytes


def write_log(scenario: Scenario, planted: Iterable[Happening] = ()) -> Iterator[Line]:
    """Yield the lines of a scenario's log in the order of their recording.

    Args:
        scenario: What it is made from.
        planted: What else happens in the town, in order of time.
    """
    yield from (_heartbeat(*feed, scenario.start_us) for feed in FEEDS)
    last_us = scenario.start_us
    for line in _in_order_of_recording(_happenings(scenario, planted), _held_back(scenario)):
        last_us = line.recorded_us
        yield line
    yield from (_heartbeat(*feed, last_us + _QUIET_US) for feed in FEEDS)


def partition_of(person: str) -> int:
    """Return the partition of a person's records, in both feeds."""
    return zlib.crc32(person.encode()) % PARTITIONS


def _happenings(scenario: Scenario, planted: Iterable[Happening]) -> Iterator[Happening]:
    cases = public_cases(scenario.start_us, scenario.case_names)
    life = ordinary_life(
        Chance(scenario.seed),
        scenario.people,
        scenario.events,
        scenario.start_us,
        scenario.days,
    )
    return heapq.merge(life, cases, planted, key=lambda happening: happening.at_us)


def _held_back(scenario: Scenario) -> list[HeldBack]:
    return [delayed_calls(scenario.start_us)] if "fuding" in scenario.case_names else []


def _in_order_of_recording(
    happenings: Iterator[Happening], held_back: list[HeldBack]
) -> Iterator[Line]:
    """Yield lines as soon as nothing earlier can come, so that a long log needs little memory."""
    waiting: list[tuple[int, int, Line]] = []
    serial = count()
    for happening in happenings:
        while waiting and waiting[0][0] < happening.at_us:
            yield heapq.heappop(waiting)[-1]
        for report in happening.reports:
            line = _line(report, held_back)
            heapq.heappush(waiting, (line.recorded_us, next(serial), line))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _line(report: Report, held_back: list[HeldBack]) -> Line:
    partition = partition_of(str(report.data["person"]))
    recorded_us = _recorded_us(report, partition, held_back)
    return _encode(report, report.feed, partition, recorded_us)


def _recorded_us(report: Report, partition: int, held_back: list[HeldBack]) -> int:
    # Between 50 ms and 1.5 s after it happened, and always the same for one record.
    on_the_way_us = (50 + zlib.crc32(report.id.encode()) % 1_450) * 1_000
    for stretch in held_back:
        held = (report.feed, partition) == (stretch.feed, partition_of(stretch.who.number))
        if held and stretch.from_us <= report.time_us < stretch.until_us:
            # All at once and in order: an hour of records takes under four seconds.
            return stretch.until_us + (report.time_us - stretch.from_us) // 1_000 + 1_000
    return report.time_us + on_the_way_us


def _heartbeat(feed: str, partition: int, watermark_us: int) -> Line:
    data: Data = {"watermark": moment(watermark_us)}
    own_id = f"heartbeat-{feed}-{partition}-{watermark_us // MINUTE_US}"
    report = Report("heartbeat", own_id, 0, watermark_us, data, SOURCES[feed])
    return _encode(report, feed, partition, watermark_us)


def _encode(report: Report, feed: str, partition: int, recorded_us: int) -> Line:
    record: dict[str, Any] = {
        "specversion": "1.0",
        "id": report.id,
        "source": report.source,
        "type": EVENTS[report.type].wire_type,
        "time": moment(report.time_us),
        "sequence": report.sequence,
        "recordedtime": format_moment(recorded_us),
        "feed": feed,
        "partition": partition,
        "data": report.data,
    }
    raw = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    return Line(feed, partition, recorded_us, raw)
