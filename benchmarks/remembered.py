"""What a history costs: `python -m benchmarks.remembered ROWS`, in a process of its own.

The correlator of the catalogue observes rows of a facts log as a rebuild does: for each person
one answered video call by a stranger. Prints one JSON object.
"""

import gc
import os
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rules.engine import Correlator
from rules.fact import Fact, Identity, Mark, make_event
from rules.moment import DAY_US, SECOND_US, parse_moment
from rules.timing import Timing
from streams.garbage import look_seldom
from streams.rule_files import read_rules
from streams.wire.facts import decode_row, encode_fact

if TYPE_CHECKING:
    from rules.events import Scalar

_FEED: Final = ("calls", 0)
_BEGINS_US: Final = parse_moment("2026-01-01T00:00:00Z")
_WITHIN_US: Final = 20 * 3600 * SECOND_US
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Cost(msgspec.Struct):
    """What it took to remember one row for each of so many people, and what was left after."""

    rows: int
    remembered: int
    memory_bytes: int
    left_bytes: int
    cpu_seconds: float
    log_bytes: int


def main() -> None:
    """Measure, and print what was found."""
    sys.stdout.buffer.write(msgspec.json.encode(_cost(int(sys.argv[1]))) + b"\n")


def _cost(rows: int) -> Cost:
    timing = Timing()
    correlator = Correlator(
        read_rules(None, timing, None).first_stage, {_FEED: _BEGINS_US}, timing=timing
    )
    look_seldom()
    before = _resident_bytes()
    spent_s, log_bytes = 0.0, 0
    for revision, (key, value) in enumerate(_facts(rows, timing)):
        log_bytes += len(key) + len(value)
        start_s = time.process_time()
        correlator.observe([decode_row(key, value, timing)], revision)
        spent_s += time.process_time() - start_s
    held, remembered = _resident_bytes() - before, correlator.remembered()[1]
    correlator.observe([Mark(*_FEED, _BEGINS_US + 30 * DAY_US)], rows)
    assert correlator.oldest_revision() is None, "a month later nothing is needed any more"
    return Cost(rows, remembered, held, _resident_bytes() - before, spent_s, log_bytes)


def _facts(rows: int, timing: Timing) -> Iterator[tuple[bytes, bytes]]:
    for number in range(rows):
        invited_us = _BEGINS_US + number * _WITHIN_US // rows
        person = _pseudonym("person", number)
        data: dict[str, Scalar] = {
            "call_id": f"c-{number:012}",
            "person": person,
            "caller": _pseudonym("caller", number),
            "direction": "incoming",
            "service": "facetime",
            "media": "video",
            "relationship": "stranger",
            "display_name_class": "none",
            "invited_at": invited_us,
            "answered_at": invited_us + 9 * SECOND_US,
            "ended_at": invited_us + 1800 * SECOND_US,
        }
        event = make_event(
            Identity("//telecom.example/ott", "call_invitation", f"c-{number:012}"),
            record_id=f"r-{number:012}",
            sequence=1,
            time_us=invited_us + 1800 * SECOND_US,
            data=data,
            late=False,
            timing=timing,
        )
        yield encode_fact(Fact(f"person:{person}", event))


def _pseudonym(kind: str, number: int) -> str:
    return blake2b(f"{kind} {number}".encode(), digest_size=16).hexdigest()


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


if __name__ == "__main__":
    main()
