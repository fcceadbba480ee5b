"""What a history costs: `python -m benchmarks.remembered ROWS`, in a process of its own.

The correlator of the catalogue observes rows of a facts log as a rebuild does: for each person
one answered video call by a stranger. Prints one JSON object.
"""

import gc
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rules.engine import Correlator
from rules.fact import Fact, Identity, Mark, make_event
from rules.moment import DAY_US, SECOND_US, parse_moment
from rules.row import Sealed
from rules.rule import RuleSet
from rules.timing import Timing
from streams.garbage import look_seldom
from streams.rule_files import read_rules
from streams.wire.facts import decode_row, decode_sealed, encode_fact

if TYPE_CHECKING:
    from rules.events import Scalar

FEED: Final = ("calls", 0)
_BEGINS_US: Final = parse_moment("2026-01-01T00:00:00Z")
_WITHIN_US: Final = 20 * 3600 * SECOND_US
_ONCE: Final = 20_000
_LIVE: Final = 50_000
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Cost(msgspec.Struct):
    """What it took to remember one row for each of so many people, and what was left after.

    Memory is that of the process; of fewer rows it is also known what Python itself had given
    out. Processor time is that of a rebuild, and of the same rows as they come.
    """

    rows: int
    memory_bytes: int
    left_bytes: int
    traced_share_left: float
    rebuild_cpu_seconds: float
    cpu_seconds: float
    log_bytes: int


def main() -> None:
    """Measure, and print what was found."""
    sys.stdout.buffer.write(msgspec.json.encode(_cost(int(sys.argv[1]))) + b"\n")


def _cost(rows: int) -> Cost:
    timing = Timing()
    rules = read_rules(None, timing, None).first_stage
    look_seldom()
    # What is loaded and grown only once is no row's.
    _observed(_correlator(rules, timing), _ONCE, timing, decode_sealed)
    live_s, _ = _observed(
        _correlator(rules, timing), _LIVE, timing, partial(decode_row, timing=timing)
    )
    before = _resident_bytes()
    correlator = _correlator(rules, timing)
    spent_s, log_bytes = _observed(correlator, rows, timing, decode_sealed)
    held = _resident_bytes() - before
    assert correlator.remembered() == (rows, rows), "each has a history of one event"
    correlator.observe([Mark(*FEED, _BEGINS_US + 30 * DAY_US)], rows)
    assert correlator.remembered() == (0, 0), "a month later nothing is needed any more"
    left = _resident_bytes() - before
    del correlator
    share = _traced_share_left(rules, timing)
    return Cost(rows, held, left, share, spent_s, live_s / _LIVE * rows, log_bytes)


def _traced_share_left(rules: RuleSet, timing: Timing) -> float:
    """Return of the memory that histories had been given how much they still have afterwards."""
    correlator = _correlator(rules, timing)
    tracemalloc.start()
    _observed(correlator, _LIVE, timing, decode_sealed)
    held = tracemalloc.get_traced_memory()[0]
    correlator.observe([Mark(*FEED, _BEGINS_US + 30 * DAY_US)], _LIVE)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return left / held


def _correlator(rules: RuleSet, timing: Timing) -> Correlator:
    return Correlator(rules, {FEED: _BEGINS_US}, timing=timing)


def _observed(
    correlator: Correlator,
    rows: int,
    timing: Timing,
    decode: Callable[[bytes, bytes], Fact | Sealed | Mark],
) -> tuple[float, int]:
    """Return the processor time that rows took, and the bytes of their log."""
    spent_s, log_bytes = 0.0, 0
    for some in _batches(facts(rows, timing)):
        log_bytes += sum(len(key) + len(value) for _, key, value in some)
        start_s = time.process_time()
        for revision, key, value in some:
            correlator.observe([decode(key, value)], revision)
        spent_s += time.process_time() - start_s
    return spent_s, log_bytes


def _batches(
    told: Iterator[tuple[bytes, bytes]],
) -> Iterator[Sequence[tuple[int, bytes, bytes]]]:
    # To look at the clock for each row would take as long as a row.
    numbered = ((number, key, value) for number, (key, value) in enumerate(told))
    while some := tuple(islice(numbered, 1_000)):
        yield some


def facts(rows: int, timing: Timing) -> Iterator[tuple[bytes, bytes]]:
    """Yield a row for each person, as it stands in the facts log."""
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
