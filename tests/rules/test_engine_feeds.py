"""R-12, R-14, R-15: feeds that lag, fall silent, come back, or bring wrongly dated records."""

from collections.abc import Sequence
from operator import itemgetter
from random import Random

import pytest

from rules.alert import Alert
from rules.moment import DAY_US, HOUR_US, MINUTE_US
from rules.rule import RuleSet
from rules.watermark import END_US, FeedClock
from tests.rules.build import (
    ORIGIN_US,
    TIMING,
    Bench,
    at,
    bench,
    call_record,
    fan_in,
    led_transfer,
    many_called,
    record_of,
    says,
    transfer_record,
)
from tests.rules.deliveries import last_by_id, raised
from tests.rules.oracle import Record, final_alerts

LATENESS_US = 15 * MINUTE_US
FEEDS = ("bank", "calls")
FIRST = (led_transfer(), many_called())
RULES = (*FIRST, fan_in(FIRST))
CALL_SIDE = ("call_invitation", "screen_share", "official_call")
PEOPLE = 40

Arriving = tuple[int, str, Record]
"""When a record arrives, on which feed."""


def feed_of(record: Record) -> str:
    return "calls" if record.type in CALL_SIDE else "bank"


def day(seed: int = 1) -> list[Record]:
    """Twelve hours of forty persons, most of them called and some of them robbed."""
    random = Random(seed)  # noqa: S311 - nothing is kept secret by it
    records = []
    for number in range(PEOPLE):
        person = f"person-{number}"
        for call in range(random.randrange(4)):
            records += _call(random, f"c-{number}-{call}", person)
        for pay in range(random.randrange(3)):
            start_us = ORIGIN_US + random.randrange(12 * 60) * MINUTE_US
            account = f"account-{random.randrange(6)}"
            paid = transfer_record(
                f"p-{number}-{pay}", start_us, person=person, payee_account=account
            )
            records.append(paid)
            if random.random() < 0.3:
                status = random.choice(("rejected", "settled"))
                later_us = start_us + random.randrange(1, 300) * MINUTE_US
                data = {**paid.data, "status": status}
                records.append(paid._replace(sequence=1, time_us=later_us, data=data))
        if random.random() < 0.3:
            loaned_us = ORIGIN_US + random.randrange(12 * 60) * MINUTE_US
            records.append(record_of("loan_drawdown", f"l-{number}", loaned_us, person=person))
    return records


def _call(random: Random, own_id: str, person: str) -> list[Record]:
    start_us = ORIGIN_US + random.randrange(12 * 60) * MINUTE_US
    until_us = start_us + random.randrange(1, 90) * MINUTE_US
    rings = call_record(own_id, start_us, person=person, caller=f"handle-{random.randrange(12)}")
    data = {**rings.data, "ended_at": until_us}
    told = [rings, rings._replace(time_us=until_us, sequence=1, data=data)]
    if random.random() < 0.3:
        told.append(record_of("screen_share", f"s-{own_id}", start_us, person=person))
    if random.random() < 0.15:
        told.append(
            record_of("official_call", f"o-{own_id}", start_us, person=person, valid_to=until_us)
        )
    return told


def deliver(
    arriving: Sequence[Arriving], lateness_us: int = LATENESS_US
) -> tuple[Bench, list[Record]]:
    """Bring records in the order of arrival; return what the engine did, and what was late."""
    told = Bench(RULES, TIMING, FEEDS)
    clocks = {feed: FeedClock(lateness_us) for feed in FEEDS}
    late = []
    for now_us, feed, record in sorted(arriving, key=itemgetter(0)):
        # Ingest refuses what is dated more than five minutes after its own clock.
        if record.time_us > now_us + 5 * MINUTE_US:
            continue
        if clocks[feed].is_late(record.time_us):
            late.append(record)
        told.tell(record, late=clocks[feed].is_late(record.time_us))
        clocks[feed].observe(record.time_us)
        told.mark(clocks[feed].watermark_us, feed)
    return told, late


def delayed(records: Sequence[Record], **delays_us: int) -> list[Arriving]:
    """Each record when it is dated, or so much later on the feeds named here."""
    return [(r.time_us + delays_us.get(feed_of(r), 0), feed_of(r), r) for r in records]


def expected(records: Sequence[Record]) -> object:
    return final_alerts(records, RuleSet(RULES), TIMING)


def test_the_day_has_alerts_of_every_rule_and_some_that_are_withdrawn() -> None:
    told, _ = deliver(delayed(day()))
    told.end()
    assert {alert.content["rule"]["id"] for alert in told.written} == {r.id for r in RULES}
    assert any(alert.state == "withdrawn" for alert in told.written)
    assert {alert.content["action"] for alert in told.written} == {"warn", "hold", "none"}


@pytest.mark.parametrize(
    ("behind", "delay_us"),
    [
        ("calls", 0),
        ("calls", 2 * HOUR_US),
        ("bank", 2 * HOUR_US),
        ("calls", 30 * DAY_US),
        ("bank", 30 * DAY_US),
    ],
    ids=["together", "calls 2h behind", "bank 2h behind", "bank first", "calls first"],
)
def test_a_feed_may_lag_behind_the_other_by_any_time(behind: str, delay_us: int) -> None:
    records = day()
    told, late = deliver(delayed(records, **{behind: delay_us}))
    told.end()
    assert late == []
    assert raised(told.written) == expected(records)


def test_a_silent_feed_keeps_every_alert_open_and_a_heartbeat_closes_them() -> None:
    #   10:00 calls  10:42 pays        16:42 settles          calls says nothing more
    #   |------------|-----------------|                      bank goes on until 22:00
    told = bench(feeds=FEEDS)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.mark(at("10:00"), "calls")
    told.tell(transfer_record("p-1", at("10:42")))
    assert told.mark(at("22:00"), "bank") == []
    assert told.written[-1].undecided == ("feed bank is behind", "feed calls is behind")
    assert told.mark(at("16:42"), "calls") == []
    assert says(told.mark(at("16:42") + 1, "calls")) == [("raised", True)]


@pytest.mark.parametrize("heartbeats", [False, True])
def test_what_a_feed_that_falls_silent_has_told_stays_true(*, heartbeats: bool) -> None:
    # From 14:00 on nobody calls any more.
    silent_us = at("14:00")
    records = [r for r in day() if feed_of(r) == "bank" or r.time_us < silent_us]
    told, late = deliver(delayed(records))
    finals_before = {a.alert_id for a in told.written if a.final}
    if heartbeats:
        for minutes in range(0, 24 * 60, 10):
            told.mark(silent_us + minutes * MINUTE_US, "calls")
    finals = {a.alert_id for a in told.written if a.final}
    assert (finals > finals_before) is heartbeats
    told.end()
    assert late == []
    assert raised(told.written) == expected(records)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_backlog_of_twelve_hours_changes_no_alert(feed: str) -> None:
    # Nothing of one feed arrives between 10:00 and 22:00, then all of it at once, in order.
    records = day()
    back_us = at("22:00")
    arriving = [
        (max(r.time_us, back_us) if feed_of(r) == feed else r.time_us, feed_of(r), r)
        for r in sorted(records, key=lambda r: r.time_us)
    ]
    told, late = deliver(arriving)
    told.end()
    assert late == []
    assert raised(told.written) == expected(records)


def _dated(record: Record, ahead_us: int) -> Arriving:
    """A record of a sender whose clock is wrong by so much, told when it happens."""
    moved = {
        name: value + ahead_us if isinstance(value, int) and name.endswith("_at") else value
        for name, value in record.data.items()
    }
    if 0 < ahead_us < 5 * MINUTE_US:
        # It counts, so it is told of somebody else.
        moved |= {n: "stray" for n in ("person", "caller", "payee_account") if n in moved}
    wrong = record._replace(id=f"stray-{record.id}", time_us=record.time_us + ahead_us, data=moved)
    return record.time_us, feed_of(record), wrong


@pytest.mark.parametrize(
    "ahead_us",
    [76 * 365 * DAY_US, -6 * DAY_US, 4 * MINUTE_US],
    ids=["2099", "6 days before", "4 minutes ahead"],
)
def test_wrongly_dated_records_do_not_change_the_alerts_of_the_others(ahead_us: int) -> None:
    # One in ten, not one in a hundred: the day is short.
    records = day()
    strays = [_dated(record, ahead_us) for record in records[::10]]
    told, late = deliver([*delayed(records), *strays])
    told.end()
    assert len(late) == (len(strays) if ahead_us == -6 * DAY_US else 0)
    assert _of_others(told.written) == _of_others(_alone(records))


def _alone(records: Sequence[Record]) -> list[Alert]:
    told, _ = deliver(delayed(records))
    told.end()
    return told.written


def _of_others(alerts: Sequence[Alert]) -> dict[str, object]:
    return {
        name: alert.content
        for name, alert in last_by_id(alerts).items()
        if alert.content["person"] != "stray"
    }


def test_a_watermark_that_has_come_to_the_end_takes_no_more() -> None:
    told, _ = deliver(delayed(day()))
    told.end()
    assert told.correlator.watermarks.minimum_us == END_US
    assert told.tell(transfer_record("p-late", at("10:00")), late=True) == []
