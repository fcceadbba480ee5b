"""A batch of a partition comes to the same as its records one by one, each looked at by itself."""

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.moment import MINUTE_US, parse_moment
from rules.timing import Timing
from rules.watermark import NEVER_US, FeedClock
from streams.ingest import Ingest, Taken
from streams.reaches import Reach
from streams.rule_files import read_rules
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms
from tests.streams.test_pass_over import Pen

TIMING = Timing()
RULES = read_rules(None, TIMING)
BEGINS_US = parse_moment("2023-07-08T10:00:00Z")
LATENESS_US = 15 * MINUTE_US

Came = list[tuple[int, Taken]]


def make_ingest() -> Ingest:
    return Ingest(RULES, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset({"unknown"})))


def one_by_one(ingest: Ingest, raws: Sequence[bytes], clock: FeedClock, now_us: int) -> Came:
    came: Came = []
    for at, raw in enumerate(raws):
        read = ingest.read(raw, ingest.first_look.decode(raw), now_us=now_us)
        taken = ingest.admit(read, clock)
        if taken != Taken():
            came.append((at, taken))
    return came


def told(came: Came) -> list[str]:
    return [repr(each) for each in came]


@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    committed_us=st.sampled_from([NEVER_US, BEGINS_US, BEGINS_US + 60 * MINUTE_US]),
    is_raised=st.booleans(),
)
def test_batches_come_to_what_their_records_come_to(
    seed: int, sizes: list[int], committed_us: int, *, is_raised: bool
) -> None:
    pen = Pen(random.Random(seed))  # noqa: S311 - no secret
    ingest, other = make_ingest(), make_ingest()
    reach = Reach(("calls", 0), FeedClock(LATENESS_US, committed_us))
    clock = FeedClock(LATENESS_US, committed_us)
    minute = 0
    for size in sizes:
        raws = []
        for _ in range(size):
            raws.append(pen.line(minute))
            minute += 3
        now_us = BEGINS_US + (minute + pen.chance.randint(-30, 30)) * MINUTE_US
        came = [c for c in ingest.take_all(raws, reach, now_us=now_us) if c[1] != Taken()]
        assert told(came) == told(one_by_one(other, raws, clock, now_us))
        reach.catch_up()
        if is_raised:
            watermark_us = now_us - pen.chance.randint(0, 60) * MINUTE_US
            reach.raise_to(watermark_us)
            clock.raise_to(watermark_us)
        assert reach.clock == clock
    assert ingest.first_look.dropped_by_type() == other.first_look.dropped_by_type()
    assert ingest.people.counts() == other.people.counts()


def test_records_that_no_rule_needs_come_to_nothing() -> None:
    pen = Pen(random.Random(3))  # noqa: S311 - no secret
    raws = [pen.line(minute) for minute in range(200)]
    reach = Reach(("calls", 0), FeedClock(LATENESS_US))
    came = list(make_ingest().take_all(raws, reach, now_us=BEGINS_US + 1_000 * MINUTE_US))
    assert 0 < len(came) < len(raws)


def test_a_record_over_several_lines_is_read_as_any_other() -> None:
    pen = Pen(random.Random(5))  # noqa: S311 - no secret
    line = next(raw for raw in map(pen.line, range(99)) if raw.startswith(b'{"spec'))
    spread = line.replace(b"{", b"{\n", 1)
    reach = Reach(("calls", 0), FeedClock(LATENESS_US))
    now_us = BEGINS_US + 1_000 * MINUTE_US
    (plain,) = make_ingest().first_look.decode_all([line])
    assert make_ingest().first_look.decode_all([spread]) == [plain]
    two = b'{"a":1}\n{"a":2}'
    ((_, taken),) = make_ingest().take_all([two], reach, now_us=now_us)
    assert taken.refusal is not None
    assert taken.refusal.reason == "not_json"


HOSTILE = {
    "too_large": b'{"a":"' + b"x" * 65_536 + b'"}}',
    "not_utf8": b'{"a":{"b":"\xff"}}',
    "too_deep": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "not_json": b"nothing of the sort}}",
    "too_many_fields": json.dumps({"a": {str(n): n for n in range(300)}}).encode(),
}


@pytest.mark.parametrize("reason", HOSTILE)
@pytest.mark.parametrize("neighbours", [0, 20])
def test_limits_hold_on_the_bus_whatever_stands_beside_a_record(
    reason: str, neighbours: int
) -> None:
    pen = Pen(random.Random(7))  # noqa: S311 - no secret
    raws = [pen.line(minute) for minute in range(neighbours)]
    raws.insert(neighbours // 2, HOSTILE[reason])
    reach = Reach(("calls", 0), FeedClock(LATENESS_US))
    came = make_ingest().take_all(raws, reach, now_us=BEGINS_US + 1_000 * MINUTE_US)
    refused = {at: taken.refusal.reason for at, taken in came if taken.refusal is not None}
    assert refused[neighbours // 2] == reason


def test_a_record_of_a_million_brackets_is_refused_and_not_recursed_into() -> None:
    reach = Reach(("calls", 0), FeedClock(LATENESS_US))
    ((_, taken),) = make_ingest().take_all([b"[" * 1_000_000], reach, now_us=BEGINS_US)
    assert taken.refusal is not None
    assert taken.refusal.reason == "too_large"
