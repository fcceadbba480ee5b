"""R-13: a table of every bound, one microsecond to either side of it, and of ties."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from rules.moment import DAY_US, HOUR_US, MINUTE_US
from rules.rule import Rule, Step
from rules.timing import Timing
from rules.watermark import FeedClock
from tests.rules.build import (
    CALL,
    TIMING,
    Bench,
    at,
    bench,
    bound,
    build_rule,
    call_record,
    call_then_pay,
    count,
    fan_in,
    record_of,
    relation,
    says,
    step_of,
    transfer_record,
)
from tests.rules.oracle import Record

CALLED = call_record("c-1", at("10:00"), until_us=at("11:00"))
PAID = transfer_record("p-1", at("12:00"))


def official(start_us: int) -> Record:
    """An institution's own call, over as it begins."""
    return record_of("official_call", "o-1", start_us, valid_to=start_us, institution="bank")


def loan(start_us: int) -> Record:
    return record_of("loan_drawdown", "l-1", start_us)


def with_unless() -> Rule:
    around = (relation("around", "call", 10 * MINUTE_US),)
    unless = [step_of("official", "official_call", (), around)]
    return build_rule(call_then_pay().steps, TIMING, unless=unless)


def with_evidence() -> Rule:
    tied = (relation("before", "pay", 6 * HOUR_US),)
    evidence = [step_of("loan", "loan_drawdown", (), tied, weight=30)]
    return build_rule(call_then_pay().steps, TIMING, evidence=evidence)


def with_set() -> Rule:
    tied = (relation("after", "call", HOUR_US),)
    loans = step_of("loans", "loan_drawdown", (), tied, each=True)
    return build_rule([*call_then_pay().steps, loans], TIMING, anchor="pay")


def within_anchor_set() -> Rule:
    calls = step_of(
        "calls",
        "call_invitation",
        each=True,
        having=(count("calls", ">=", 2),),
        window_us=2 * HOUR_US,
    )
    return build_rule([calls], TIMING)


def related_to_anchor_set() -> Rule:
    pay = step_of("pay", "transfer", (), (relation("after", "calls", HOUR_US),))
    calls = step_of("calls", "call_invitation", each=True, window_us=2 * HOUR_US)
    return build_rule([calls, pay], TIMING, anchor="calls")


def transfers_anchored() -> Rule:
    first = step_of("paid", "transfer", each=True, having=(count("paid", ">=", 2),), window_us=5)
    return build_rule([first], TIMING)


class Edge(NamedTuple):
    """What is told at a moment, beside a call and a transfer, and the scores that follow."""

    rule: Callable[[], Rule]
    told: Callable[[int], Record]
    moment_us: int
    scores: list[int]
    others: Sequence[Record] = (CALLED, PAID)


EDGES = {
    # 09:50 ..10m.. 10:00 ==call== 11:00 ..10m.. 11:10
    "unless, 1 µs before its first moment": Edge(with_unless, official, at("09:50") - 1, [40]),
    "unless, at its first moment": Edge(with_unless, official, at("09:50"), []),
    "unless, at its last moment": Edge(with_unless, official, at("11:10"), []),
    "unless, 1 µs after its last moment": Edge(with_unless, official, at("11:10") + 1, [40]),
    # 06:00 ........6h........ 12:00 pays
    "evidence, 1 µs before its first moment": Edge(with_evidence, loan, at("06:00") - 1, [40]),
    "evidence, at its first moment": Edge(with_evidence, loan, at("06:00"), [70]),
    "evidence, at its last moment": Edge(with_evidence, loan, at("12:00"), [70]),
    "evidence, 1 µs after its last moment": Edge(with_evidence, loan, at("12:00") + 1, [40]),
    # 10:00 ==call== 11:00 ..1h.. 12:00
    "a set, 1 µs before its first moment": Edge(with_set, loan, at("10:00") - 1, []),
    "a set, at its first moment": Edge(with_set, loan, at("10:00"), [40]),
    "a set, at its last moment": Edge(with_set, loan, at("12:00"), [40]),
    "a set, 1 µs after its last moment": Edge(with_set, loan, at("12:00") + 1, []),
    # 10:00 ==call== 11:00 ....2h.... 13:00
    "the anchor set, at the end of its window": Edge(
        within_anchor_set, lambda us: call_record("c-2", us, until_us=us), at("13:00"), [40]
    ),
    "the anchor set, 1 µs after it": Edge(
        within_anchor_set, lambda us: call_record("c-2", us, until_us=us), at("13:00") + 1, []
    ),
    "the anchor set, an anchor of the same moment": Edge(
        within_anchor_set,
        lambda us: call_record("c-2", us, until_us=us),
        at("10:00"),
        [40, 40],
    ),
    "the anchor set, ending where the window begins": Edge(
        transfers_anchored, lambda us: transfer_record("p-2", us), at("12:00") + 5, [40]
    ),
    "the anchor set, ending 1 µs before the window": Edge(
        transfers_anchored, lambda us: transfer_record("p-2", us), at("12:00") + 6, []
    ),
    "a step after the anchor set, at its last moment": Edge(
        related_to_anchor_set, lambda us: transfer_record("p-2", us), at("12:00"), [40], (CALLED,)
    ),
    "a step after the anchor set, 1 µs later": Edge(
        related_to_anchor_set,
        lambda us: transfer_record("p-2", us),
        at("12:00") + 1,
        [],
        (CALLED,),
    ),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("first", [True, False])
def test_each_bound_is_kept_to_the_microsecond(name: str, *, first: bool) -> None:
    edge = EDGES[name]
    told = bench(edge.rule())
    record = edge.told(edge.moment_us)
    for each in (record, *edge.others) if first else (*edge.others, record):
        told.tell(each)
    told.end()
    last = {alert.alert_id: alert for alert in told.written}.values()
    assert [a.content["score"] for a in last if a.state == "raised"] == edge.scores


@pytest.mark.parametrize(("behind_us", "late"), [(0, False), (1, True)])
def test_a_record_is_late_from_one_microsecond_below_the_lateness(
    behind_us: int, *, late: bool
) -> None:
    clock = FeedClock(lateness_us=15 * MINUTE_US)
    clock.observe(at("12:15"))
    told = bench()
    told.tell(call_record("c-1", at("11:00"), until_us=at("11:30")))
    record = transfer_record("p-1", at("12:00") - behind_us)
    (alert,) = told.tell(record, late=clock.is_late(record.time_us))
    assert alert.content.get("late", False) is late


@pytest.mark.parametrize(("after_us", "final"), [(-1, False), (0, False), (1, True)])
@pytest.mark.parametrize("settle_us", [HOUR_US, 3 * HOUR_US])
def test_an_alert_is_final_one_microsecond_after_its_settle(
    settle_us: int, after_us: int, *, final: bool
) -> None:
    timing = Timing(settle_us=settle_us)
    told = Bench([build_rule([step_of("pay", "transfer")], timing)], timing)
    told.tell(transfer_record("p-1", at("12:00")))
    assert bool(told.mark(at("12:00") + settle_us + after_us)) is final


@pytest.mark.parametrize(("after_us", "kept"), [(-1, True), (0, True), (1, False)])
def test_an_event_is_kept_one_microsecond_less_than_beyond_its_horizon(
    after_us: int, *, kept: bool
) -> None:
    # Reach 8 h and settle 6 h: 10:00 + 14 h.
    told = bench()
    told.tell(CALLED)
    told.mark(at("24:00") + after_us)
    # What is needed no more is cleared away with the next event of the key, or an hour later.
    told.tell(call_record("c-2", at("23:00")))
    assert told.correlator.remembered() == (1, 1 + kept)


def alerts_of(rule: Rule, *records: Record) -> Bench:
    """Two first-stage alerts, one for each transfer, with a second stage over them."""
    told = bench(rule, fan_in([rule], window_us=72 * HOUR_US))
    for record in records:
        told.tell(record)
    return told


@pytest.mark.parametrize(("apart_us", "raised"), [(0, True), (1, False)])
def test_a_campaign_takes_in_the_first_moment_of_its_window(
    apart_us: int, *, raised: bool
) -> None:
    rule = build_rule([step_of("pay", "transfer")], TIMING, name="paid")
    later_us = at("12:00") + 3 * DAY_US + apart_us
    told = alerts_of(rule, PAID, transfer_record("p-2", later_us, person="wei"))
    found = [alert for alert in told.written if alert.content["rule"]["id"] == "fan_in"]
    assert bool(found) is raised


@pytest.mark.parametrize(("after_us", "final"), [(0, False), (1, True)])
def test_a_campaign_is_final_when_all_that_it_reads_is(after_us: int, *, final: bool) -> None:
    # p-2 pays at 12:30; its alert settles at 18:30, and the campaign at the same time.
    rule = build_rule([step_of("pay", "transfer")], TIMING, name="paid")
    told = alerts_of(rule, PAID, transfer_record("p-2", at("12:30"), person="wei"))
    assert says(told.written[-1:]) == [("raised", False)]
    assert told.written[-1].settles_at_us == at("18:30")
    told.mark(at("18:30") + after_us)
    found = [alert for alert in told.written if alert.content["rule"]["id"] == "fan_in"]
    assert found[-1].final is final


TIES = [
    (("//a.example", "c-1"), ("//a.example", "c-2"), "c-2"),
    (("//b.example", "c-1"), ("//a.example", "c-2"), "c-1"),
]


@pytest.mark.parametrize(("one", "two", "greater"), TIES)
@pytest.mark.parametrize("turned", [True, False])
def test_ties_in_start_are_broken_by_source_then_id(
    one: tuple[str, str], two: tuple[str, str], greater: str, *, turned: bool
) -> None:
    calls = [
        call_record(own_id, at("10:00"), until_us=at("10:30"))._replace(source=source)
        for source, own_id in ((two, one) if turned else (one, two))
    ]
    told = bench()
    for record in (*calls, transfer_record("p-1", at("10:42"))):
        told.tell(record)
    assert bound(told.written[-1]) == [greater, "p-1"]


def test_of_equal_starts_the_type_decides_before_the_id() -> None:
    tied = (relation("around", "call", HOUR_US),)
    either = step_of(
        "also", [*step_of("a", "transfer").options, *step_of("b", "loan_drawdown").options]
    )
    also = Step("also", either.options, relations=tied)
    told = bench(build_rule([CALL, also], TIMING, anchor="call"))
    told.tell(CALLED)
    drawn = record_of("loan_drawdown", "z", at("10:30"))._replace(source="//bank.example/core")
    told.tell(transfer_record("a", at("10:30")))
    told.tell(drawn)
    assert bound(told.written[-1]) == ["c-1", "a"], "transfer is greater than loan_drawdown"
