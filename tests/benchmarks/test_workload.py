import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.workload import THRESHOLD_CNY, Size, lines
from rules.moment import HOUR_US, MINUTE_US
from rules.watermark import FeedClock
from streams.wire.records import Record, decode_record

SIZE = Size(8000, seed=3)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = [decode_record(line, settle_us=lambda _: 6 * HOUR_US, now_us=None) for line in written]
    assert all(isinstance(record, Record) for record in found), "each line keeps the contract"
    return [record for record in found if isinstance(record, Record)]


written = list(lines(SIZE))


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert list(lines(SIZE)) == written
    assert list(lines(Size(8000, seed=4))) != written


def test_half_are_calls_and_half_are_transfers(records: list[Record]) -> None:
    counts = Counter(record.type for record in records)
    assert counts == {"call_invitation": 4000, "transfer": 4000}


def test_so_many_are_answered_incoming_video_calls_by_strangers(records: list[Record]) -> None:
    found = [r for r in records if r.type == "call_invitation" and is_answered_stranger(r.data)]
    assert len(found) == SIZE.stranger_calls == 120


def is_answered_stranger(data: Mapping[str, Any]) -> bool:
    asked = {"media": "video", "direction": "incoming", "relationship": "stranger"}
    return asked.items() <= data.items() and "answered_at" in data


def test_so_many_go_to_new_payees_and_so_many_of_them_reach_the_threshold(
    records: list[Record],
) -> None:
    amounts = [Decimal(r.data["amount"]) for r in records if r.data.get("payee_times_paid") == 0]
    assert len(amounts) == SIZE.to_new_payees == 400
    large = [amount for amount in amounts if amount >= THRESHOLD_CNY]
    assert len(large) == SIZE.large_to_new_payees == 60


def test_of_two_million_there_are_as_many_as_the_target_says() -> None:
    size = Size()
    assert (size.persons, size.stranger_calls) == (200_000, 30_000)
    assert (size.to_new_payees, size.large_to_new_payees, size.planted) == (100_000, 15_000, 500)


def test_every_record_and_every_event_has_an_id_of_its_own(records: list[Record]) -> None:
    assert len({(r.source, r.record_id) for r in records}) == SIZE.events
    assert len({(r.source, r.id) for r in records}) == SIZE.events


def test_records_come_out_of_order_but_none_is_late(records: list[Record]) -> None:
    clocks = {source: FeedClock(15 * MINUTE_US) for source in {r.source for r in records}}
    assert any(a.time_us > b.time_us for a, b in pairwise(records))
    for record in records:
        assert not clocks[record.source].is_late(record.time_us)
        clocks[record.source].observe(record.time_us)


def test_some_people_do_far_more_than_others(records: list[Record]) -> None:
    by_person = Counter(record.data["person"] for record in records)
    assert max(by_person.values()) > 5 * SIZE.events / SIZE.persons
    assert len(by_person) <= SIZE.persons


def test_a_line_is_as_long_as_real_ones() -> None:
    lengths = [len(line) for line in written]
    assert min(lengths) >= 380
    assert 400 <= sum(lengths) / len(lengths) <= 460
    assert all(datetime.fromisoformat(json.loads(line)["time"]).tzinfo for line in written[:10])
