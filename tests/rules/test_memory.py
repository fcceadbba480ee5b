"""What is remembered of very many people: how much memory that takes, and for how long."""

import gc
import tracemalloc
from dataclasses import replace
from hashlib import blake2b

import pytest

from rules.condition import Compare, Constant, Gap
from rules.engine import Correlator
from rules.events import Kind
from rules.fact import Fact, Mark
from rules.memory import Memory
from rules.moment import HOUR_US, SECOND_US
from rules.rule import RuleSet
from tests.rules.build import (
    TIMING,
    at,
    bench,
    bound,
    build_rule,
    call_record,
    call_then_pay,
    condition,
    event_of,
    many_called,
    transfer_record,
)
from tests.rules.test_engine_laws import sealed

PEOPLE = 20_000


def test_a_person_with_one_event_takes_two_hundred_bytes_and_nothing_once_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Those touched last are as many in the largest deployment.
    monkeypatch.setattr(Memory, "RECENT", 100)
    told = Correlator(RuleSet((call_then_pay(),)), {("bank", 0): 0}, timing=TIMING)
    tracemalloc.start()
    try:
        for number in range(PEOPLE):
            person = _hexadecimal(f"person {number}")
            record = call_record(
                f"c-{number}", at("10:00") + number, person=person, caller=_hexadecimal(person)
            )
            told.observe([Fact(f"person:{person}", event_of(record, TIMING))], number)
        assert told.remembered() == (PEOPLE, PEOPLE)
        held = _traced()
        assert 60 < held / PEOPLE < 200
        told.observe([Mark("bank", 0, at("24:00") + 2 * HOUR_US)], PEOPLE)
        assert told.remembered() == (0, 0)
        assert _traced() < held / 20
    finally:
        tracemalloc.stop()


def _hexadecimal(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_call_at_rest_is_found_by_the_transfer_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Memory, "RECENT", 3)
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    for number in range(12):
        told.tell(call_record(f"d-{number}", at("10:00"), person=f"mei-{number}"))
    assert told.correlator.remembered() == (13, 13)
    (alert,) = told.tell(transfer_record("p-1", at("10:42")))
    assert bound(alert) == ["c-1", "p-1"]
    assert told.correlator.remembered() == (13, 14)


def test_what_was_not_touched_for_an_hour_is_forgotten_on_time_too() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("16:00")))
    told.mark(at("23:10"))
    told.mark(at("24:00"))
    assert told.correlator.remembered() == (1, 1)
    (alert,) = told.tell(transfer_record("p-1", at("18:00"), time_us=at("24:00")))
    assert bound(alert) == ["c-1", "p-1"]
    told.mark(at("24:00") + 1)
    # It is let go of within the hour, and no longer used at once.
    assert told.tell(transfer_record("p-2", at("18:00") - SECOND_US), late=True) == []


def test_what_is_no_more_needed_counts_until_it_is_let_go_of() -> None:
    told = bench(many_called())
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:10")))
    told.mark(at("10:00"))
    told.mark(at("30:00"))
    assert told.correlator.remembered() == (0, 0)


def test_a_person_with_an_open_alert_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "RECENT", 1)
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(transfer_record("p-1", at("10:42")))
    for number in range(9):
        told.tell(call_record(f"d-{number}", at("10:00"), person=f"mei-{number}"))
    (alert,) = told.tell(transfer_record("p-1", at("10:42"), sequence=1, status="rejected"))
    assert alert.state == "withdrawn"
    (alert,) = told.tell(transfer_record("p-1", at("10:42"), sequence=2, status="accepted"))
    assert alert.state == "raised"
    told.mark(at("12:00"))
    (alert,) = told.mark(at("16:42") + 1)
    assert alert.final


def test_what_was_left_untried_is_known_of_a_person_whom_nothing_touches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Memory, "RECENT", 0)
    monkeypatch.setattr("rules.matching.MAX_TRIED", 3)
    an_hour = Compare(">=", Gap("call", "pay"), Constant(HOUR_US, Kind.DURATION))
    called, paid = call_then_pay().steps
    told = bench(build_rule([called, replace(paid, where=(condition(an_hour),))], TIMING))
    for number in range(5):
        start_us = at("10:00") + number * SECOND_US
        told.tell(call_record(f"c-{number}", start_us, until_us=start_us))
    assert told.tell(transfer_record("p-1", at("10:42"))) == []
    for number in range(3):
        told.tell(call_record(f"d-{number}", at("10:50"), person=f"mei-{number}"))
    (alert,) = told.tell(call_record("c-5", at("09:00"), until_us=at("09:30")))
    assert (bound(alert), alert.content["truncated"]) == (["c-5", "p-1"], True)


def test_of_two_unread_rows_of_a_call_the_greater_counts_though_it_came_first() -> None:
    told = bench()
    calls = [
        call_record("c-1", at("10:00"), until_us=at(ended), sequence=sequence)
        for ended, sequence in (("11:00", 1), ("10:05", 0))
    ]
    for number, record in enumerate(calls):
        fact = Fact("person:lin", event_of(record, TIMING))
        assert told.correlator.observe(sealed([fact]), number) == []
    (alert,) = told.tell(transfer_record("p-1", at("12:30")))
    assert bound(alert) == ["c-1", "p-1"]
