import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.events import EVENTS
from rules.moment import HOUR_US, MINUTE_US, format_duration
from rules.reach import Reading, RelationKind, Span, span_of
from rules.timing import Timing
from tests.rules.build import ORIGIN_US, call_record, event_of, relation, transfer_record
from tests.rules.oracle import final_alerts, told
from tests.rules.worlds import World, draw_world

TIMING = Timing()
WORLDS = st.randoms(use_true_random=False).map(draw_world)
MINUTE = MINUTE_US


@pytest.mark.parametrize(
    ("kind", "within", "starts", "holds"),
    [
        # A call from 10 to 20, in microseconds; a transfer at the moment in the third column.
        #   4        10          20        26
        #   |..6.....|===========|.....6...|
        ("after", 6, 9, False),
        ("after", 6, 10, True),
        ("after", 6, 26, True),
        ("after", 6, 27, False),
        ("after", 0, 20, True),
        ("after", 0, 21, False),
        ("before", 6, 3, False),
        ("before", 6, 4, True),
        ("before", 6, 10, True),
        ("before", 6, 11, False),
        ("around", 6, 3, False),
        ("around", 6, 4, True),
        ("around", 6, 26, True),
        ("around", 6, 27, False),
        ("during", 0, 9, False),
        ("during", 0, 10, True),
        ("during", 0, 20, True),
        ("during", 0, 21, False),
    ],
)
def test_an_instant_lies_to_an_interval_within_inclusive_bounds(
    kind: RelationKind, within: int, starts: int, *, holds: bool
) -> None:
    call = event_of(call_record("c-1", ORIGIN_US + 10, until_us=ORIGIN_US + 20), TIMING)
    pay = event_of(transfer_record("p-1", ORIGIN_US + starts), TIMING)
    assert relation(kind, "call", within).holds(pay, call) is holds


@pytest.mark.parametrize(
    ("kind", "within", "starts", "ends", "holds"),
    [
        # A call from 10 to 20; another from the third column to the fourth.
        ("before", 2, 1, 7, False),
        ("before", 2, 1, 8, True),
        ("before", 0, 1, 10, True),
        ("before", 0, 10, 30, True),
        ("before", 0, 11, 12, False),
        ("after", 0, 9, 30, False),
        ("after", 0, 10, 30, True),
        ("during", 0, 1, 9, False),
        ("during", 0, 1, 10, True),
        ("during", 0, 20, 30, True),
        ("during", 0, 21, 30, False),
        ("around", 3, 1, 6, False),
        ("around", 3, 1, 7, True),
        ("around", 3, 23, 30, True),
        ("around", 3, 24, 30, False),
    ],
)
def test_an_interval_lies_to_an_interval_by_the_gap_between_them(
    kind: RelationKind, within: int, starts: int, ends: int, *, holds: bool
) -> None:
    first = event_of(call_record("c-1", ORIGIN_US + 10, until_us=ORIGIN_US + 20), TIMING)
    other = call_record("c-2", ORIGIN_US + starts, until_us=ORIGIN_US + ends)
    assert relation(kind, "call", within).holds(event_of(other, TIMING), first) is holds


def test_a_transfer_may_start_up_to_settle_and_the_window_after_the_calls_start() -> None:
    span = _call_then_pay(anchor="pay")
    assert span == Span(
        ranges={"call": (-8 * HOUR_US, 0), "pay": (0, 0)},
        reach_us=8 * HOUR_US,
        forward_us=0,
        settle_us=6 * HOUR_US,
    )


def test_an_early_anchor_waits_for_what_may_follow_it() -> None:
    span = _call_then_pay(anchor="call")
    assert span.ranges == {"call": (0, 0), "pay": (0, 8 * HOUR_US)}
    assert (span.reach_us, span.forward_us) == (8 * HOUR_US, 8 * HOUR_US)


def test_the_reach_of_the_rule_in_the_rule_pages_example_is_14h10m_and_its_forward_6h10m() -> None:
    # The design states these figures for the whole rule, `unless` and evidence included.
    steps = [
        Reading("call", ("call_invitation",)),
        Reading("pay", ("transfer",), (relation("after", "call", 2 * HOUR_US),)),
        Reading("official", ("official_call",), (relation("around", "call", 10 * MINUTE),)),
        Reading("shared_screen", ("screen_share",), (relation("during", "call"),)),
        Reading("fresh_loan", ("loan_drawdown",), (relation("before", "pay", 6 * HOUR_US),)),
        Reading("added_in_a_hurry", ("payee_added",), (relation("before", "pay", 30 * MINUTE),)),
    ]
    span = span_of(steps, "pay", TIMING)
    assert format_duration(span.reach_us) == "14h10m"
    assert format_duration(span.forward_us) == "6h10m"
    assert format_duration(span.forward_us + span.settle_us) == "12h10m"
    assert format_duration(span.reach_us + span.forward_us + span.settle_us) == "26h20m"


def test_the_tightest_chain_of_relations_bounds_two_steps() -> None:
    #   a .....5..... b .....5..... c       and c within 3 after a
    steps = [
        Reading("a", ("transfer",)),
        Reading("b", ("transfer",), (relation("after", "a", 5),)),
        Reading("c", ("transfer",), (relation("after", "b", 5), relation("after", "a", 3))),
    ]
    span = span_of(steps, "a", TIMING)
    assert span.ranges == {"a": (0, 0), "b": (0, 3), "c": (0, 3)}
    assert span.reach_us == 3


def test_the_reach_of_two_steps_on_either_side_of_the_anchor_is_their_distance() -> None:
    steps = [
        Reading("pay", ("transfer",)),
        Reading("added", ("payee_added",), (relation("before", "pay", 5),)),
        Reading("loan", ("loan_drawdown",), (relation("after", "pay", 4),)),
    ]
    span = span_of(steps, "pay", TIMING)
    assert (span.reach_us, span.forward_us) == (9, 4)


def test_the_greatest_settle_of_the_types_read_counts() -> None:
    timing = Timing(settle_by_type_us={"transfer": 7 * HOUR_US, "screen_share": 9 * HOUR_US})
    steps = [
        Reading("call", ("call_invitation",)),
        Reading("pay", ("transfer",), (relation("after", "call", 0),)),
    ]
    span = span_of(steps, "pay", timing)
    assert span.settle_us == 7 * HOUR_US
    assert span.reach_us == 6 * HOUR_US, "a transfer is an instant, whatever its settle"


def test_a_step_that_nothing_ties_to_the_anchor_is_refused() -> None:
    steps = [Reading("call", ("call_invitation",)), Reading("pay", ("transfer",))]
    with pytest.raises(ValueError, match="call"):
        span_of(steps, "pay", TIMING)


@pytest.mark.parametrize("extra", [{"optional": True}, {"each": True}])
def test_what_a_match_may_do_without_narrows_no_range(extra: dict[str, bool]) -> None:
    #   a ....2.... e ...1... b      but b may lie 8 after a where there is no e
    tied = (relation("after", "a", 2), relation("before", "b", 1))
    readings = [
        Reading("a", ("transfer",)),
        Reading("b", ("transfer",), (relation("after", "a", 8),)),
        Reading("e", ("transfer",), tied, **extra),
    ]
    span = span_of(readings, "a", TIMING)
    assert span.ranges == {"a": (0, 0), "b": (0, 8), "e": (0, 2)}


def test_members_of_the_anchor_set_lie_within_its_window_before_the_anchor() -> None:
    hits = Reading("hits", ("call_invitation",), each=True, window_us=2 * HOUR_US)
    later = Reading("later", ("transfer",), (relation("after", "hits", HOUR_US),))
    span = span_of([hits, later], "hits", TIMING)
    assert span.ranges == {"hits": (-8 * HOUR_US, 0), "later": (0, 7 * HOUR_US)}
    assert (span.reach_us, span.forward_us) == (15 * HOUR_US, 7 * HOUR_US)


def test_a_relation_bounds_the_anchor_set_that_has_one() -> None:
    first = Reading("first", ("transfer",))
    hits = Reading("hits", ("transfer",), (relation("after", "first", 5),), each=True)
    span = span_of([first, hits], "hits", TIMING)
    assert span.ranges == {"first": (-5, 0), "hits": (-5, 0)}


def test_an_alert_settles_at_once() -> None:
    span = span_of([Reading("hits", ("alert",), each=True, window_us=5)], "hits", TIMING)
    assert span.settle_us == 0


@given(WORLDS)
def test_no_match_of_the_oracle_lies_outside_its_rules_ranges_and_reach(world: World) -> None:
    starts = {event.record.name: event.start_us for event in told(world.records, world.timing)}
    rules = {rule.id: rule for rule in world.rule_set.first_stage.rules}
    found = final_alerts(world.records, world.rule_set.first_stage, world.timing)
    for (rule_id, _, anchor), claim in found.items():
        span = rules[rule_id].span
        bound = [
            (shown[0], starts[name])
            for shown in claim.shown
            for name in ([shown[1]] if len(shown) == 2 else shown[2])
        ]
        moments = [start_us for _, start_us in bound]
        assert max(moments) - min(moments) <= span.reach_us
        for step, start_us in bound:
            least_us, greatest_us = span.ranges[step]
            assert least_us <= start_us - starts[anchor] <= greatest_us <= span.forward_us


@pytest.mark.parametrize("kind", ["after", "before", "around", "during"])
@given(
    within=st.integers(0, 3),
    settle=st.integers(0, 3),
    distance=st.integers(-8, 8),
    own_lasts=st.booleans(),
)
def test_bounds_are_the_widest_starts_with_which_a_relation_can_hold(
    kind: RelationKind, within: int, settle: int, distance: int, *, own_lasts: bool
) -> None:
    # Both last as long as they can; one microsecond outside the bounds nothing holds.
    timing = Timing(settle_us=settle)
    own, other = ("call_invitation", "transfer") if own_lasts else ("transfer", "call_invitation")
    within = 0 if kind == "during" else within
    tied = relation(kind, "other", within)
    longest = {e: settle if EVENTS[e].interval else 0 for e in (own, other)}
    least, greatest = tied.bounds(longest[own], longest[other])
    records = {
        "call_invitation": lambda at: call_record("c", at, until_us=at + settle),
        "transfer": lambda at: transfer_record("p", at),
    }
    event = event_of(records[own](ORIGIN_US + distance), timing)
    assert tied.holds(event, event_of(records[other](ORIGIN_US), timing)) is (
        least <= distance <= greatest
    )


def _call_then_pay(anchor: str) -> Span:
    steps = [
        Reading("call", ("call_invitation",)),
        Reading("pay", ("transfer",), (relation("after", "call", 2 * HOUR_US),)),
    ]
    return span_of(steps, anchor, TIMING)
