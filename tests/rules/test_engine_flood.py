"""R-22: one person called, one caller calling, one event told of a million times."""

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from rules.alert import Alert
from rules.moment import HOUR_US, MINUTE_US, format_moment
from rules.reach import RelationKind
from rules.rule import Rule
from rules.timing import MAX_HISTORY
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
    compare,
    condition,
    count,
    field,
    led_transfer,
    many_called,
    record_of,
    relation,
    says,
    step_of,
    transfer_record,
)
from tests.rules.oracle import Record

CAP = 200

Flood = Callable[[int], Iterator[Record]]


def many_calls(number: int) -> Iterator[Record]:
    """One person, called again and again within one hour."""
    for n in range(number):
        start_us = at("10:00") + n * HOUR_US // number
        yield call_record(f"c-{n:07}", start_us, until_us=start_us + 500)


def many_callees(number: int) -> Iterator[Record]:
    """One caller who calls somebody else each time."""
    for n, call in enumerate(many_calls(number)):
        yield call._replace(data={**call.data, "person": f"person-{n}"})


def one_call(number: int) -> Iterator[Record]:
    """One call, told of again and again."""
    for _ in range(number):
        yield call_record("c-1", at("10:00"), until_us=at("10:59"))


def one_call_that_goes_on(number: int) -> Iterator[Record]:
    """One call, each record of which says a little more."""
    for n in range(number):
        yield call_record("c-1", at("10:00"), time_us=at("10:00") + n, sequence=n)


def work_of(told: Bench, records: list[Record]) -> int:
    """How many functions are called while these records are observed."""
    calls = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(note)
    for record in records:
        told.tell(record)
    sys.setprofile(None)
    return calls


def drown(told: Bench, flood: Iterator[Record], number: int, soon_at: int) -> None:
    """Observe a flood, and compare the work that it makes after so many events and in the end."""
    soon = 0
    for n in range(number // 100):
        hundred = [next(flood) for _ in range(100)]
        if n == soon_at // 100:
            soon = work_of(told, hundred)
        elif n == number // 100 - 1:
            assert 0 < work_of(told, hundred) <= 1.5 * soon
        else:
            for record in hundred:
                told.tell(record)


def run(flood: Flood, number: int) -> None:
    """Drown two transfers, one early and one late, in calls of their person."""
    told = bench(led_transfer(), max_history=CAP)
    told.tell(transfer_record("p-1", at("10:00") + MINUTE_US))
    drown(told, flood(number), number, 3 * CAP)
    assert told.correlator.remembered()[1] <= CAP + 1
    (alert,) = told.tell(transfer_record("p-2", at("11:30")))
    assert alert.state == "raised"
    last = {alert.alert_id: (alert.state, alert.final) for alert in told.end()}
    assert list(last.values()) == [("raised", True)] * 2


@pytest.mark.parametrize("flood", [many_calls, one_call])
def test_a_flood_leaves_history_within_the_cap_and_the_work_for_each_event_flat(
    flood: Flood,
) -> None:
    run(flood, 20_000)


def test_a_call_that_is_told_of_again_and_again_is_one_event() -> None:
    run(one_call_that_goes_on, 5_000)


def call_everybody(number: int) -> None:
    """Have one caller call so many; each call is an anchor whose whole set is looked through."""
    cap = 20
    told = bench(many_called(least=cap + 2), max_history=cap)
    drown(told, many_callees(number), number, 3 * cap)
    assert told.correlator.remembered() == (1, cap)
    assert told.correlator.counts["dropped_by_cap"] == number - cap


def test_a_caller_of_many_is_remembered_up_to_the_cap() -> None:
    call_everybody(5_000)


@pytest.mark.parametrize(
    ("rule", "flood"),
    [
        (call_then_pay(), many_calls),
        (many_called(least=CAP + 2), many_callees),
        (call_then_pay(), one_call_that_goes_on),
    ],
)
def test_what_a_flood_leaves_behind_takes_no_more_room_the_longer_it_lasts(
    rule: Rule, flood: Flood
) -> None:
    told = bench(rule, max_history=CAP)
    tracemalloc.start()
    taken: list[int] = []
    for n, record in enumerate(flood(30 * CAP)):
        told.tell(record)
        if n in (10 * CAP, 30 * CAP - 1):
            taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert taken[1] - taken[0] < 300_000


# At real size: what is written in the end is what can be worked out by hand -------------------

# The whole takes some two minutes of processor time, two hundred thousand a fifth of that.
WHOLE = int(os.environ.get("RINGFENCE_TEST_FLOOD", "200000"))


def _step_us(number: int) -> int:
    return HOUR_US // number


def _lasts(alerts: list[Alert]) -> dict[str, Alert]:
    """The last record about each anchor; all of them are final."""
    last = {alert.content["anchor"]["id"]: alert for alert in alerts}
    assert all(says([alert]) == [("raised", True)] for alert in last.values())
    return last


@pytest.mark.slow
def test_one_person_called_a_million_times_has_the_alerts_that_follow() -> None:
    #   10:00 c-0, c-1, …                                                   11:00
    #     p-early, told of first      p-0 … p-49, each amid the calls         p-late
    told = bench()
    early_us = at("10:00") + MINUTE_US // 2
    told.tell(transfer_record("p-early", early_us))
    expected = {"p-early": (early_us - at("10:00")) // _step_us(WHOLE)}
    for n, call in enumerate(many_calls(WHOLE)):
        told.tell(call)
        if n % (WHOLE // 50) == 0:
            told.tell(transfer_record(f"p-{n}", call.time_us))
            expected[f"p-{n}"] = n
    told.tell(transfer_record("p-late", at("11:30")))
    expected["p-late"] = WHOLE - 1
    assert told.correlator.remembered() == (1, MAX_HISTORY + len(expected))
    assert told.correlator.counts["dropped_by_cap"] == WHOLE - MAX_HISTORY
    told.end()
    found = _lasts(told.written)
    assert {p: bound(alert) for p, alert in found.items()} == {
        p: [f"c-{n:07}", p] for p, n in expected.items()
    }
    # Whoever rests on a call that was dropped says so.
    assert {p for p, alert in found.items() if alert.content.get("truncated")} == {
        p for p, n in expected.items() if n < WHOLE - MAX_HISTORY
    }


@pytest.mark.slow
def test_one_caller_of_a_million_has_the_alerts_that_follow() -> None:
    # Near the end one callee lives elsewhere: each set that holds two areas is an alert.
    area = field("calls", "call_invitation", "area")
    calls = step_of(
        "calls",
        "call_invitation",
        each=True,
        having=(count("calls", ">=", 2, area),),
        window_us=2 * HOUR_US,
    )
    told = bench(build_rule([calls], TIMING, by="caller"))
    elsewhere = WHOLE - 50
    for n, call in enumerate(many_callees(WHOLE)):
        where = "pudong" if n == elsewhere else "huangpu"
        told.tell(call._replace(data={**call.data, "area": where}))
    assert told.correlator.remembered() == (1, MAX_HISTORY)
    assert told.correlator.counts["dropped_by_cap"] == WHOLE - MAX_HISTORY
    told.end()
    found = _lasts(told.written)
    assert found.keys() == {f"c-{n:07}" for n in range(elsewhere, WHOLE)}
    for n in range(elsewhere, WHOLE):
        alert = found[f"c-{n:07}"]
        # A set is counted before the least of its members is dropped.
        assert alert.content["evidence"][0]["count"] == MAX_HISTORY + 1
        assert bound(alert) == [f"c-{m:07}" for m in range(n - 19, n + 1)]
        assert alert.content["truncated"]


@pytest.mark.slow
def test_one_event_told_of_a_million_times_has_the_alert_that_follows() -> None:
    # Records come in disorder, each as often as the others; the greatest of them is the event.
    told = bench()
    for n in range(WHOLE):
        sequence = n * 7_919 % (WHOLE // 2)
        time_us = at("10:00") + sequence
        told.tell(call_record("c-1", at("10:00"), time_us=time_us, sequence=sequence))
    told.tell(transfer_record("p-1", at("10:42")))
    assert told.correlator.remembered() == (1, 2)
    told.end()
    (alert,) = _lasts(told.written).values()
    assert bound(alert) == ["c-1", "p-1"]
    until_us = at("10:00") + WHOLE // 2 - 1 + TIMING.open_for_us
    assert alert.content["evidence"][0]["until"] == format_moment(until_us)


def test_an_alert_whose_call_a_flood_drops_is_frozen_and_ends_as_it_was() -> None:
    #   10:00 c-1   10:10 p-1   10:11, 10:12 two more calls, of which two are remembered
    told = bench(max_history=2)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    told.tell(transfer_record("p-1", at("10:10")))
    told.tell(call_record("c-2", at("10:11")))
    (frozen,) = told.tell(call_record("c-3", at("10:12")))
    assert (frozen.state, frozen.final, frozen.content["truncated"]) == ("raised", False, True)
    assert bound(frozen) == ["c-1", "p-1"]
    assert told.tell(transfer_record("p-1", at("10:10"), sequence=1, status="rejected")) == []
    (last,) = told.mark(at("16:10") + 1)
    assert (last.state, last.final, last.content) == ("raised", True, frozen.content)


def test_an_alert_is_frozen_by_the_loss_of_any_event_it_rests_on() -> None:
    # The loan is evidence only, and the least of the loans.
    told = bench(led_transfer(), max_history=1)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    told.tell(record_of("loan_drawdown", "l-1", at("10:01")))
    (held,) = told.tell(transfer_record("p-1", at("10:10")))
    assert bound(held) == ["c-1", "p-1", "l-1"]
    (frozen,) = told.tell(record_of("loan_drawdown", "l-2", at("10:11")))
    assert frozen.content == {**held.content, "truncated": True}


def test_an_alert_is_not_frozen_by_the_loss_of_an_event_that_it_rested_on_before() -> None:
    #   10:00 c-1    10:10 c-2    10:30 p-1    10:40 c-3, and c-1 is dropped
    told = bench(max_history=2)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    (held,) = told.tell(transfer_record("p-1", at("10:30")))
    assert bound(held) == ["c-1", "p-1"]
    (held,) = told.tell(call_record("c-2", at("10:10"), until_us=at("10:15")))
    assert told.tell(call_record("c-3", at("10:40"))) == []
    (last,) = told.end()
    assert last.content == held.content


def test_of_two_events_of_one_type_the_loss_of_the_first_freezes() -> None:
    again = step_of("again", "call_invitation", (), (relation("after", "call", HOUR_US),))
    told = bench(build_rule([CALL, again], TIMING), max_history=2)
    for own_id, clock in (("c-1", "10:00"), ("c-2", "10:10")):
        told.tell(call_record(own_id, at(clock), until_us=at(clock)))
    frozen, raised = told.tell(call_record("c-3", at("10:20"), until_us=at("10:20")))
    assert (bound(frozen), frozen.content.get("truncated")) == (["c-1", "c-2"], True)
    assert (bound(raised), raised.content.get("truncated")) == (["c-2", "c-3"], None)


def test_the_least_event_is_dropped_first_even_if_it_has_come_last() -> None:
    told = bench(max_history=1)
    told.tell(transfer_record("p-1", at("10:10")))
    told.tell(call_record("c-2", at("10:05"), until_us=at("10:06")))
    assert told.tell(call_record("c-1", at("10:00"), until_us=at("10:06"))) == []
    assert told.correlator.remembered() == (1, 2)
    assert bound(told.end()[0]) == ["c-2", "p-1"]


def test_an_anchor_that_a_cap_has_dropped_is_not_judged_again_once_it_is_closed() -> None:
    told = bench(max_history=1)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(transfer_record("p-2", at("10:50")))
    assert says(told.mark(at("16:50") + 1)) == [("raised", True), ("raised", True)]
    assert told.tell(transfer_record("p-1", at("10:42")), late=True) == []


def test_a_choice_that_is_too_great_to_be_tried_is_cut_short_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A screen was shared, but during none of the calls: a better choice is looked for in vain.
    monkeypatch.setattr("rules.matching.MAX_TRIED", 3)
    told = bench(led_transfer())
    for n in range(5):
        start_us = at("10:00") + n * MINUTE_US
        told.tell(call_record(f"c-{n}", start_us, until_us=start_us + MINUTE_US))
    told.tell(record_of("screen_share", "s-1", at("09:00"), ended_at=at("09:10")))
    (alert,) = told.tell(transfer_record("p-1", at("10:10")))
    assert (bound(alert), alert.content["truncated"]) == (["c-4", "p-1"], True)
    assert told.correlator.counts["cut_short"] == 1


def test_an_alert_is_not_taken_away_by_a_search_that_was_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rules.matching.MAX_TRIED", 1)
    told = bench(led_transfer())
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:01")))
    (held,) = told.tell(transfer_record("p-1", at("10:30")))
    assert "truncated" not in held.content, "one was tried, and there is no other"
    # An institution called about the later call, which adds nothing and takes nothing away.
    assert told.tell(record_of("official_call", "o-1", at("10:25"), institution="bank")) == []
    assert told.tell(call_record("c-2", at("10:20"), until_us=at("10:21"))) == []
    # Nor may the first call count, now, but that is the second choice to be tried.
    (frozen,) = told.tell(record_of("official_call", "o-2", at("10:05"), institution="bank"))
    assert frozen.content == {**held.content, "truncated": True}
    assert says(told.end()) == [("raised", True)]


def test_what_was_cut_short_says_so_until_everything_is_searched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A screen was shared during no call, so all of them are tried for it.
    monkeypatch.setattr("rules.matching.MAX_TRIED", 2)
    told = bench(led_transfer())
    told.tell(record_of("screen_share", "s-1", at("09:00"), ended_at=at("09:10")))
    for n in range(3):
        told.tell(call_record(f"c-{n}", at("10:00") + n, until_us=at("10:00") + n))
    (first,) = told.tell(transfer_record("p-1", at("10:30")))
    later = told.tell(call_record("c-3", at("10:10"), until_us=at("10:10")))
    monkeypatch.setattr("rules.matching.MAX_TRIED", 100)
    (whole,) = told.tell(transfer_record("p-1", at("10:30"), sequence=1))
    truncated = [alert.content.get("truncated") for alert in (first, *later, whole)]
    assert truncated == [True, True, None]
    assert told.correlator.counts["cut_short"] == 1


# Floods in which every event touches an open alert --------------------------------------------


def _between(start: str, end: str, number: int) -> Iterator[int]:
    return (at(start) + n * (at(end) - at(start)) // number for n in range(number))


def calls_before(number: int) -> Iterator[Record]:
    """Calls of one person, one after the other, each a better choice than the one before."""
    for n, start_us in enumerate(_between("10:00", "11:00", number)):
        yield call_record(f"c-{n:07}", start_us, until_us=start_us + 500)


def calls_in_disorder(number: int) -> Iterator[Record]:
    """The same calls, of which each second one comes a little later."""
    calls = calls_before(number)
    for call in calls:
        yield from (next(calls), call)


def payees_added(number: int) -> Iterator[Record]:
    """Payees that are added before a transfer, which goes to none of them."""
    for n, start_us in enumerate(_between("10:00", "11:00", number)):
        yield record_of("payee_added", f"a-{n}", start_us, payee_account=f"account-of-{n}")


def shares_apart(number: int) -> Iterator[Record]:
    """A screen that is shown again and again, but never during the call."""
    for n, start_us in enumerate(_between("10:00", "11:00", number)):
        yield record_of("screen_share", f"s-{n}", start_us, ended_at=start_us + 10)


def official_calls_apart(number: int) -> Iterator[Record]:
    """Calls by an institution, none of them close to the stranger's."""
    for n, start_us in enumerate(_between("10:30", "11:00", number)):
        yield record_of("official_call", f"o-{n}", start_us, valid_to=start_us)


def with_payees() -> Rule:
    """A call and a transfer, with the payee that was added for it as evidence."""
    same = compare(
        field("added", "payee_added", "payee_account"),
        "==",
        field("pay", "transfer", "payee_account"),
    )
    added = step_of(
        "added",
        "payee_added",
        (condition(same),),
        (relation("before", "pay", 6 * HOUR_US),),
        weight=10,
    )
    return build_rule(call_then_pay().steps, TIMING, evidence=[added])


def with_calls_of_one_area() -> Rule:
    """A call and a transfer of one area."""
    same = compare(
        field("pay", "transfer", "area"), "==", field("call", "call_invitation", "area")
    )
    pay = step_of("pay", "transfer", (condition(same),), (relation("after", "call", 2 * HOUR_US),))
    return build_rule([CALL, pay], TIMING)


def with_all_calls(kind: RelationKind = "before") -> Rule:
    """A transfer, and all calls around it: so many, of so many callers."""
    callers = field("calls", "call_invitation", "caller")
    calls = step_of(
        "calls",
        "call_invitation",
        (),
        (relation(kind, "pay", 2 * HOUR_US),),
        each=True,
        having=(count("calls", ">=", 3), count("calls", ">=", 1, callers)),
    )
    return build_rule([step_of("pay", "transfer"), calls], TIMING, anchor="pay")


def calls_and_early_shares(number: int) -> Iterator[Record]:
    """Calls, and in turn with them a screen that was shown long before the first of them."""
    for n, call in enumerate(calls_before(number // 2)):
        yield call
        start_us = at("09:00") + n
        yield record_of("screen_share", f"s-{n}", start_us, ended_at=start_us + 10)


def calls_and_transfers(number: int) -> Iterator[Record]:
    """Calls, and in turn with them a transfer after all calls so far."""
    for n, call in enumerate(calls_before(number // 2)):
        yield call
        yield transfer_record(f"t-{n}", call.time_us)


def transfers_after(number: int) -> Iterator[Record]:
    """Transfers of one person after a call."""
    for n, start_us in enumerate(_between("10:01", "11:00", number)):
        yield transfer_record(f"t-{n}", start_us)


def without_a_refund() -> Rule:
    """A call and a transfer, unless as much comes in after it."""
    steps = call_then_pay().steps
    out = condition(compare(field("pay", "transfer", "direction"), "==", "out"))
    back = condition(compare(field("back", "transfer", "direction"), "==", "in"))
    pay = step_of("pay", "transfer", (out,), steps[1].relations)
    refund = step_of("back", "transfer", (back,), (relation("after", "pay", 24 * HOUR_US),))
    return build_rule([steps[0], pay], TIMING, anchor="pay", unless=[refund])


FLOODS = {
    "each event is an anchor of its own": (without_a_refund, transfers_after),
    "each event is an anchor, or a better choice": (call_then_pay, calls_and_transfers),
    "each event is a better choice": (led_transfer, calls_before),
    "each event is a better choice, in disorder": (led_transfer, calls_in_disorder),
    "each event is one more of a set": (with_all_calls, calls_before),
    "each event is one more of a set, in disorder": (with_all_calls, calls_in_disorder),
    "each event is evidence that does not fit": (with_payees, payees_added),
    "each event is a step that does not fit": (with_calls_of_one_area, calls_before),
    "each event is evidence for no call": (led_transfer, shares_apart),
    "each event is evidence for no call, or a call": (led_transfer, calls_and_early_shares),
    "each event is an exception that does not fit": (led_transfer, official_calls_apart),
}


def flood_an_alert(name: str, number: int) -> None:
    """Drown a call and a transfer; the transfer has its alert from the start.

    No event is dropped, so history grows tenfold and more, and the work must not.
    """
    make, flood = FLOODS[name]
    told = bench(make())
    told.tell(call_record("c", at("09:55"), until_us=at("10:00")))
    told.tell(transfer_record("p-1", at("11:30"), area="elsewhere"))
    drown(told, flood(number), number, 200)
    assert told.correlator.remembered() == (1, number + 2)
    assert told.correlator.counts["cut_short"] == 0


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_around_an_open_alert_leaves_the_work_for_each_event_flat(name: str) -> None:
    flood_an_alert(name, 3_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_a_great_flood_around_an_open_alert_leaves_it_so_too(name: str) -> None:
    flood_an_alert(name, MAX_HISTORY - 100)


def test_a_caller_of_many_costs_no_more_where_all_of_the_set_is_within_the_window() -> None:
    told = bench(many_called(least=10_000))
    drown(told, many_callees(3_000), 3_000, 200)
