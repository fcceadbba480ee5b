import pytest

from rules.fact import Fact, Mark
from rules.history import Rows
from rules.moment import HOUR_US
from rules.reach import RelationKind
from rules.watermark import END_US
from tests.rules.build import (
    CALL,
    NOT_REJECTED,
    TIMING,
    at,
    bench,
    bound,
    build_rule,
    call_record,
    call_then_pay,
    condition,
    event_of,
    facts_of,
    field,
    loan_record,
    record_of,
    relation,
    says,
    step_of,
    transfer_record,
)


@pytest.mark.parametrize(
    ("kind", "starts_us", "raised"),
    [
        #   08:00                 10:00 answered     11:10 hangs up                  13:10
        #   |..........2h.........|------------------|...............2h..............|
        ("after", at("10:00") - 1, False),
        ("after", at("10:00"), True),
        ("after", at("13:10"), True),
        ("after", at("13:10") + 1, False),
        ("before", at("08:00") - 1, False),
        ("before", at("08:00"), True),
        ("before", at("10:00"), True),
        ("before", at("10:00") + 1, False),
        ("around", at("08:00") - 1, False),
        ("around", at("08:00"), True),
        ("around", at("13:10"), True),
        ("around", at("13:10") + 1, False),
        ("during", at("10:00") - 1, False),
        ("during", at("10:00"), True),
        ("during", at("11:10"), True),
        ("during", at("11:10") + 1, False),
    ],
)
@pytest.mark.parametrize("call_first", [True, False])
@pytest.mark.parametrize("anchor", ["call", "pay"])
def test_a_window_includes_its_first_and_its_closing_moment(
    kind: RelationKind, starts_us: int, anchor: str, *, raised: bool, call_first: bool
) -> None:
    told = bench(call_then_pay(kind, 0 if kind == "during" else 2 * HOUR_US, anchor))
    records = [
        call_record("c-1", at("10:00"), until_us=at("11:10")),
        transfer_record("p-1", starts_us),
    ]
    for record in records if call_first else reversed(records):
        told.tell(record)
    assert says(told.written) == [("raised", False)] * raised
    assert says(told.end()) == [("raised", True)] * raised


def test_a_call_counts_for_settle_at_most() -> None:
    #   10:00 calls        16:00 settle               18:00 window closes     20:00 hangs up
    #   |==================|..........2h..............|                       |
    for starts_us, raised in ((at("18:00"), True), (at("18:00") + 1, False)):
        told = bench()
        told.tell(call_record("c-1", at("10:00"), until_us=at("20:00")))
        told.tell(transfer_record("p-1", starts_us))
        assert bool(told.written) is raised


def test_a_record_still_on_prolongs_an_open_call() -> None:
    #   10:00 told         11:30 open_for        13:30 closes    13:40 pays
    #   |------------------|.........2h..........|               |
    #              10:10 told again    11:40               13:40 closes
    #              |-------------------|.........2h........|
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    assert told.tell(transfer_record("p-1", at("13:40"))) == []
    still_on = call_record("c-1", at("10:00"), time_us=at("10:10") - 1)
    assert told.tell(still_on) == []
    assert says(told.tell(still_on._replace(time_us=at("10:10")))) == [("raised", False)]


def test_a_call_that_comes_to_be_known_after_its_transfer_completes_the_match() -> None:
    told = bench()
    assert told.tell(transfer_record("p-1", at("10:42"))) == []
    (alert,) = told.tell(call_record("c-1", at("10:00")))
    assert bound(alert) == ["c-1", "p-1"]


def test_an_alert_is_withdrawn_and_raised_again_as_better_records_come() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(transfer_record("p-1", at("10:42"), sequence=1, status="rejected"))
    told.tell(transfer_record("p-1", at("10:42"), sequence=2, status="accepted"))
    told.end()
    assert says(told.written) == [
        ("raised", False),
        ("withdrawn", False),
        ("raised", False),
        ("raised", True),
    ]
    assert len({alert.alert_id for alert in told.written}) == 1
    assert [alert.revision for alert in told.written] == [2, 3, 4, 5]


def test_a_lesser_record_that_comes_late_in_the_log_changes_nothing() -> None:
    # The greatest record is the event, not the last to arrive.
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:42"), sequence=1, status="accepted"))
    assert told.tell(transfer_record("p-1", at("10:42"), status="rejected")) == []
    assert says(told.end()) == [("raised", True)]


def test_a_withdrawn_alert_ends_with_a_final_record_too() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.tell(transfer_record("p-1", at("10:42"), sequence=1, status="rejected"))
    assert says(told.end()) == [("withdrawn", True)]


def test_what_comes_and_goes_within_one_step_is_never_written() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    records = [
        transfer_record("p-1", at("10:42")),
        transfer_record("p-1", at("10:42"), sequence=1, status="rejected"),
    ]
    rows = [Fact("person:lin", event_of(record, TIMING)) for record in records]
    assert told.observe(rows) == []
    assert told.end() == []


def test_an_alert_that_is_certain_at_once_has_one_record() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    event = event_of(transfer_record("p-1", at("10:42")), TIMING)
    alerts = told.observe([*facts_of(event, ("person",)), Mark("bank", 0, END_US)])
    assert says(alerts) == [("raised", True)]
    assert told.end() == []


def test_an_alert_becomes_final_when_all_watermarks_have_passed_settles_at() -> None:
    #   10:42 pays                            16:42 settles
    #   |-----------------6h------------------|
    told = bench(feeds=("bank", "calls"))
    told.tell(call_record("c-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:42")))
    assert told.mark(END_US, "calls") == []
    assert told.engine.next_due_us == at("16:42")
    assert told.mark(at("16:42"), "bank") == [], "to have passed means to be greater"
    (alert,) = told.mark(at("16:42") + 1, "bank")
    assert (alert.state, alert.final, alert.undecided) == ("raised", True, ())
    assert alert.settles_at_us == at("16:42")
    assert told.engine.next_due_us == END_US, "nothing is open any more"


def test_an_early_anchor_waits_until_what_may_follow_it_has_settled() -> None:
    #   10:00 calls       16:00 at most       18:00 pays at most        24:00 settles
    #   |-----settle------|--------2h---------|----------settle---------|
    told = bench(call_then_pay(anchor="call"))
    told.tell(call_record("c-1", at("10:00"), until_us=at("16:00")))
    told.mark(at("24:00"))
    (raised,) = told.tell(transfer_record("p-1", at("18:00"), time_us=at("24:00")))
    assert (raised.final, raised.settles_at_us) == (False, at("24:00"))
    assert says(told.mark(at("24:00") + 1)) == [("raised", True)]


def test_a_partition_that_has_not_been_heard_keeps_every_alert_open() -> None:
    told = bench(feeds=("bank", "calls"))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    (raised,) = told.tell(transfer_record("p-1", at("10:42")))
    assert raised.undecided == ("feed bank is behind", "feed calls is behind")
    assert told.mark(END_US, "bank") == []
    assert told.correlator.oldest_revision() == 1
    assert says(told.mark(END_US, "calls")) == [("raised", True)]


def test_what_is_undecided_is_told_but_is_no_reason_for_a_record() -> None:
    told = bench(feeds=("bank", "calls"))
    told.tell(call_record("c-1", at("10:00")))
    (open_call,) = told.tell(transfer_record("p-1", at("10:42")))
    assert open_call.undecided[0] == "call has no end yet"
    assert told.mark(at("20:00"), "calls") == []
    # The call ends when it was taken to end, so the alert says the same but for what is open.
    ended = call_record("c-1", at("10:00"), time_us=at("11:30"), until_us=at("11:30"))
    assert told.tell(ended) == []
    (corrected,) = told.tell(
        call_record("c-1", at("10:00"), until_us=at("11:10"), time_us=at("11:31"))
    )
    assert corrected.undecided == ("feed bank is behind",)


def test_a_second_harmless_call_does_not_lower_an_alert() -> None:
    #   10:00 c-1            11:10
    #   |--------------------|        10:42 pays
    #        10:20 |-| 10:21 c-2           |
    told = bench()
    told.tell(call_record("c-1", at("10:00"), until_us=at("11:10")))
    (first,) = told.tell(transfer_record("p-1", at("10:42")))
    assert bound(first) == ["c-1", "p-1"]
    (second,) = told.tell(call_record("c-2", at("10:20"), until_us=at("10:21")))
    assert (second.state, bound(second)) == ("raised", ["c-2", "p-1"]), "the greatest is reported"
    assert told.tell(call_record("c-0", at("10:05"), until_us=at("10:06"))) == []


def test_ties_in_start_are_broken_by_source_and_then_by_id() -> None:
    told = bench()
    records = [call_record(own_id, at("10:00"), until_us=at("10:30")) for own_id in ("c-1", "c-2")]
    told.tell(records[1])
    told.tell(transfer_record("p-1", at("10:42")))
    assert told.tell(records[0]) == []
    (alert,) = told.tell(records[0]._replace(source="//z.example"))
    shown = alert.content["evidence"][0]
    assert (shown["source"], shown["id"]) == ("//z.example", "c-1")


def test_an_event_may_be_only_one_step_of_a_binding() -> None:
    again = step_of("again", "call_invitation", (), (relation("after", "call", HOUR_US),))
    told = bench(build_rule([CALL, again], TIMING))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:05")))
    assert told.written == []
    (alert,) = told.tell(call_record("c-2", at("10:10"), until_us=at("10:20")))
    assert bound(alert) == ["c-1", "c-2"]


def test_events_of_different_keys_are_never_joined() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    assert told.tell(transfer_record("p-1", at("10:42"), person="wei")) == []


def test_a_rule_can_correlate_by_another_key_than_the_person() -> None:
    first = step_of("first", "transfer")
    second = step_of("second", "transfer", (), (relation("after", "first", HOUR_US),))
    told = bench(build_rule([first, second], TIMING, by="payee"), call_then_pay())
    told.tell(transfer_record("p-1", at("10:00")))
    (alert,) = told.tell(transfer_record("p-2", at("10:42"), person="wei"))
    assert (alert.content["by"], alert.content["key"]) == ("payee", "account-1")
    assert bound(alert) == ["p-1", "p-2"]


def test_the_alerts_of_one_step_come_by_anchor_and_then_by_rule() -> None:
    other = build_rule(call_then_pay().steps, TIMING, name="rule_b")
    told = bench(call_then_pay(), other)
    told.tell(transfer_record("p-2", at("10:42")))
    told.tell(transfer_record("p-1", at("10:43")))
    alerts = told.tell(call_record("c-1", at("10:00")))
    found = [(alert.content["anchor"]["id"], alert.content["rule"]["id"]) for alert in alerts]
    assert found == [("p-2", "rule_a"), ("p-2", "rule_b"), ("p-1", "rule_a"), ("p-1", "rule_b")]


def test_a_rule_of_one_step_matches_each_of_its_events() -> None:
    told = bench(build_rule([step_of("pay", "transfer", (NOT_REJECTED,))], TIMING))
    assert says(told.tell(transfer_record("p-1", at("10:42")))) == [("raised", False)]
    assert told.tell(transfer_record("p-2", at("10:42"), status="rejected")) == []
    assert says(told.tell(transfer_record("p-2", at("10:42"), sequence=1))) == [("raised", False)]


def test_a_mark_that_does_not_raise_the_minimum_changes_nothing() -> None:
    told = bench()
    told.tell(call_record("c-1", at("10:00")))
    told.tell(transfer_record("p-1", at("10:42")))
    told.mark(at("12:00"))
    assert told.mark(at("11:00")) == []
    assert told.correlator.watermarks.minimum_us == at("12:00")


def test_an_exception_that_turns_out_otherwise_brings_the_alert_back() -> None:
    #   10:00 c-1 ........ 11:10   10:05 s-1, steered from outside at first   10:42 p-1
    steered = condition(field("share", "screen_share", "remote_input"))
    share = step_of("share", "screen_share", (steered,), (relation("during", "call"),))
    told = bench(build_rule(call_then_pay().steps, TIMING, unless=[share]))
    told.tell(call_record("c-1", at("10:00"), until_us=at("11:10")))
    told.tell(record_of("screen_share", "s-1", at("10:05"), remote_input=True))
    assert told.tell(transfer_record("p-1", at("10:42"))) == []
    again = record_of("screen_share", "s-1", at("10:05"), sequence=1, remote_input=False)
    assert says(told.tell(again)) == [("raised", False)]
    third = record_of("screen_share", "s-1", at("10:05"), sequence=2, remote_input=True)
    assert says(told.tell(third)) == [("withdrawn", False)]


def test_a_call_that_comes_to_lie_right_but_fits_no_more_is_not_bound() -> None:
    # At first too early with its camera on, then late enough with its camera off.
    camera = condition(field("call", "call_invitation", "camera_on"))
    pay = step_of("pay", "transfer", (), (relation("after", "call", HOUR_US // 12),))
    told = bench(build_rule([step_of("call", "call_invitation", (camera,)), pay], TIMING))
    for own_id, begins, ends in (("c-0", "09:00", "09:01"), ("c-1", "10:00", "10:05")):
        told.tell(call_record(own_id, at(begins), until_us=at(ends), camera_on=True))
    told.tell(transfer_record("p-1", at("10:42")))
    off = call_record("c-1", at("10:00"), until_us=at("10:40"), sequence=1, camera_on=False)
    assert told.tell(off) == []
    on = call_record("c-1", at("10:00"), until_us=at("10:40"), sequence=2, camera_on=True)
    assert says(told.tell(on)) == [("raised", False)]


def test_the_best_of_two_ways_to_use_a_new_event_shows_the_members_of_its_own_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    #   09:30 l-1   10:00 c-1   10:05 l-2   10:10 c-2, the call or beside it   10:42 p-1
    monkeypatch.setattr(Rows, "FEW", 0)
    before = (relation("before", "pay", HOUR_US),)
    pay = step_of("pay", "transfer")
    call = step_of("call", "call_invitation", (), before)
    loans = step_of(
        "loans", "loan_drawdown", (), (relation("before", "call", HOUR_US),), each=True
    )
    other = step_of("other", "call_invitation", (), before, weight=10)
    rule = build_rule([pay, call, loans], TIMING, anchor="pay", evidence=[other])
    told = bench(rule)
    for own_id, clock in (("l-1", "09:30"), ("l-2", "10:05")):
        told.tell(loan_record(own_id, at(clock)))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:01")))
    told.tell(transfer_record("p-1", at("10:42")))
    (alert,) = told.tell(call_record("c-2", at("10:10"), until_us=at("10:11")))
    assert bound(alert) == ["p-1", "c-2", "l-1", "l-2", "c-1"]


def test_new_evidence_that_names_two_steps_counts_for_the_choice_that_it_fits() -> None:
    #   10:00 c-1   10:10 a-1   10:15 s-1, told of last   10:20 a-2   10:30 end   10:40 p-1
    added = step_of("added", "payee_added", (), (relation("during", "call"),))
    pay = step_of("pay", "transfer", (), (relation("after", "added", HOUR_US),))
    lies_so = (relation("during", "call"), relation("after", "added", HOUR_US))
    shared = step_of("shared", "screen_share", (), lies_so, weight=40)
    told = bench(build_rule([CALL, added, pay], TIMING, evidence=[shared]))
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    for own_id, clock in (("a-1", "10:10"), ("a-2", "10:20")):
        told.tell(record_of("payee_added", own_id, at(clock)))
    (without,) = told.tell(transfer_record("p-1", at("10:40")))
    assert bound(without) == ["c-1", "a-2", "p-1"]
    share = record_of("screen_share", "s-1", at("10:15"), ended_at=at("10:16"))
    (alert,) = told.tell(share)
    assert bound(alert) == ["c-1", "a-1", "p-1", "s-1"]
