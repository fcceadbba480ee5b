from rules.engine import Correlator
from rules.fact import Fact
from rules.moment import HOUR_US
from tests.rules.build import (
    CALL,
    TIMING,
    at,
    bench,
    bound,
    build_rule,
    call_record,
    call_then_pay,
    event_of,
    loan_record,
    relation,
    step_of,
    transfer_record,
)


def test_a_late_record_is_used_and_flagged() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")), late=True)
    (alert,) = told.tell(transfer_record("p-1", at("10:42")))
    assert alert.content["late"] is True
    assert [shown["late"] for shown in alert.content["evidence"]] == [True, False]


def test_a_copy_that_was_in_time_takes_the_flag_away() -> None:
    told = bench()
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(call_record("c-1", at("10:00")), late=True)
    (alert,) = told.tell(call_record("c-1", at("10:00")))
    assert "late" not in alert.content
    assert told.tell(call_record("c-1", at("10:00")), late=True) == []


def test_a_closed_anchor_stands_whatever_comes_later() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(transfer_record("p-2", at("09:59")))
    told.mark(at("16:42"))
    assert told.tell(call_record("c-2", at("10:40")), late=True), "not closed yet"
    told.mark(at("16:42") + 1)
    assert told.tell(call_record("c-3", at("10:41")), late=True) == []
    assert told.tell(call_record("c-4", at("09:58")), late=True) == [], "p-2 had no alert"
    rejected = transfer_record("p-1", at("10:42"), sequence=1, status="rejected")
    assert told.tell(rejected, late=True) == []
    assert told.end() == []


def test_an_anchor_that_arrives_after_its_settles_at_is_judged_once() -> None:
    #   10:00 calls      10:42 pays             16:42 settles    16:42:00.000001 watermark
    #   |----------------|-----------6h---------|                ^ p-1 arrives
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.mark(at("16:42") + 1)
    (alert,) = told.tell(transfer_record("p-1", at("10:42")), late=True)
    assert (alert.state, alert.final, alert.undecided) == ("raised", True, ())
    assert alert.content["late"] is True
    assert told.tell(transfer_record("p-1", at("10:42"))) == []
    assert told.tell(call_record("c-2", at("10:40")), late=True) == []
    assert told.end() == []


def test_an_anchor_that_arrives_at_its_settles_at_is_still_open() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.mark(at("16:42"))
    (alert,) = told.tell(transfer_record("p-1", at("10:42")))
    assert (alert.final, "late" in alert.content) == (False, False)


def test_an_anchor_that_arrives_closed_and_matches_nothing_never_will() -> None:
    told = bench()
    told.mark(at("16:42") + 1)
    assert told.tell(transfer_record("p-1", at("10:42")), late=True) == []
    assert told.tell(call_record("c-1", at("10:00")), late=True) == []
    rejected = transfer_record("p-2", at("10:42"), status="rejected")
    assert told.tell(rejected, late=True) == []
    accepted = transfer_record("p-2", at("10:42"), sequence=1, status="accepted")
    assert told.tell(accepted, late=True) == [], "it is judged in the step that brings it"


def test_an_event_is_forgotten_once_the_watermark_has_passed_its_start_by_reach_and_settle() -> (
    None
):
    #   10:00 calls                                       24:00 = 10:00 + 8h reach + 6h settle
    #   |-------------------------------------------------|
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("16:00")))
    told.mark(at("24:00"))
    assert told.correlator.oldest_revision() == 1
    (alert,) = told.tell(transfer_record("p-1", at("18:00"), time_us=at("24:00")))
    assert bound(alert) == ["c-1", "p-1"]
    told.mark(at("24:00") + 1)
    assert told.correlator.oldest_revision() == 3, "the transfer is the oldest now"


def test_an_event_before_an_early_anchor_is_kept_until_what_follows_the_anchor_has_settled() -> (
    None
):
    #   08:00 loan        10:00 calls         12:00 pays     18:00 settled
    #   |--------2h-------|--------2h---------|-----6h-------|
    # Loan and transfer are within 2h of each other too, so the reach alone does not cover this.
    loan = step_of("loan", "loan_drawdown", (), (relation("before", "call", 2 * HOUR_US),))
    tied = (relation("after", "call", 2 * HOUR_US), relation("after", "loan", 2 * HOUR_US))
    steps = [step_of("call", "transfer"), loan, step_of("pay", "payee_added", (), tied)]
    told = bench(build_rule(steps, TIMING, anchor="call"))
    told.tell(loan_record("l-1", at("08:00")))
    told.mark(at("18:00"))
    assert told.correlator.oldest_revision() == 1
    told.mark(at("18:00") + 1)
    assert told.correlator.oldest_revision() is None


def test_a_fact_below_the_horizon_is_counted_and_not_used() -> None:
    told = bench()
    told.mark(at("24:00"))
    told.tell(call_record("c-1", at("10:00")), late=True)
    assert told.correlator.counts["below_horizon"] == 0
    told.tell(call_record("c-2", at("10:00") - 1), late=True)
    assert told.correlator.counts["below_horizon"] == 1
    assert told.correlator.oldest_revision() == 2
    told.mark(at("24:00") + 1)
    told.tell(call_record("c-1", at("10:00")), late=True)
    assert told.correlator.counts["below_horizon"] == 2
    assert told.correlator.oldest_revision() is None


def test_an_event_is_kept_as_long_as_the_rule_with_the_longest_memory_needs_it() -> None:
    #   10:00 calls        11:00 pays             23:00 = 9 h + 8 h + 6 h after the call
    longer = build_rule(
        [
            CALL,
            step_of("share", "screen_share", (), (relation("after", "call", 3 * HOUR_US),)),
        ],
        TIMING,
        name="rule_b",
        anchor="share",
    )
    told = bench(call_then_pay(), longer)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(transfer_record("p-1", at("10:00"), status="rejected"))
    told.mark(at("24:00") + 1)
    assert told.correlator.oldest_revision() == 1
    told.mark(at("25:00"))
    assert told.correlator.oldest_revision() == 1
    told.mark(at("25:00") + 1)
    assert told.correlator.oldest_revision() is None


def test_a_fact_that_no_rule_uses_is_not_kept() -> None:
    told = bench()
    told.observe([Fact("caller:handle-1", event_of(call_record("c-1", at("10:00")), TIMING))])
    assert told.correlator.oldest_revision() is None


def test_a_restart_begins_with_the_watermarks_as_they_stood() -> None:
    told = bench(feeds=("bank", "calls"))
    told.mark(at("10:30"))
    told.mark(at("11:00"), "bank")
    again = Correlator(told.rule_set, told.correlator.watermarks.as_mapping(), timing=TIMING)
    assert again.watermarks.minimum_us == at("10:30")
    assert again.watermarks.as_mapping() == told.correlator.watermarks.as_mapping()


def test_a_sender_that_moves_an_events_start_stops_nothing() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(call_record("c-1", at("10:05"), until_us=at("10:30"), sequence=1))
    told.tell(call_record("c-0", at("14:00"), until_us=at("14:30")))
    told.mark(at("24:00") + 1)
    assert told.correlator.oldest_revision() == 3
    # The window of a transfer that matches nothing is searched to its end.
    told.tell(call_record("c-2", at("15:00"), until_us=at("15:30")))
    assert told.tell(transfer_record("p-1", at("18:00"), time_us=at("24:00") + 1)) == []
    (alert,) = told.tell(transfer_record("p-2", at("17:00")))
    assert bound(alert) == ["c-2", "p-2"]
