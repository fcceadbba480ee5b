from hypothesis import given
from hypothesis import strategies as st

from rules.fact import Event
from rules.history import History
from rules.timing import Timing
from tests.rules.build import ORIGIN_US, event_of, transfer_record

TIMING = Timing()
STEP, OTHER_STEP = (0, 0), (0, 1)


def transfer(own_id: str, at_us: int) -> Event:
    return event_of(transfer_record(own_id, ORIGIN_US + at_us), TIMING)


def within(history: History, least_us: int, greatest_us: int) -> list[str]:
    """The own ids of a step's candidates that start within the bounds, in their order."""
    found = history.greatest_first(STEP, ORIGIN_US + least_us, ORIGIN_US + greatest_us)
    return [event.identity.id for event in found]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), unique_by=lambda e: e[1]),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_candidates_within_inclusive_bounds_come_from_the_greatest_place_down(
    events: list[tuple[int, str]], least_us: int, greatest_us: int
) -> None:
    history = History()
    for at_us, own_id in events:
        event = transfer(own_id, at_us)
        history.put(event)
        history.mark_candidate(STEP, event, fits=True)
    expected = [name for at, name in sorted(events, reverse=True) if least_us <= at <= greatest_us]
    assert within(history, least_us, greatest_us) == expected


def test_an_event_is_handed_out_as_it_stands_now() -> None:
    history = History()
    history.put(transfer("p-1", 0))
    history.mark_candidate(STEP, transfer("p-1", 0), fits=True)
    newer = event_of(transfer_record("p-1", ORIGIN_US, sequence=1), TIMING)
    history.put(newer)
    assert list(history.greatest_first(STEP, ORIGIN_US, ORIGIN_US)) == [newer]
    assert history.get(newer.identity) is newer
    assert len(history) == 1


def test_marking_tells_whether_the_event_fitted_before_or_does_now() -> None:
    history, event = History(), transfer("p-1", 0)
    history.put(event)
    assert not history.mark_candidate(STEP, event, fits=False)
    assert history.mark_candidate(STEP, event, fits=True)
    assert history.mark_candidate(STEP, event, fits=True)
    assert within(history, 0, 0) == ["p-1"], "fitting twice is fitting once"
    assert history.mark_candidate(STEP, event, fits=False), "it did fit"
    assert not history.mark_candidate(STEP, event, fits=False)
    assert within(history, 0, 0) == []


def test_candidates_of_one_step_are_none_of_another() -> None:
    history, event = History(), transfer("p-1", 0)
    history.put(event)
    history.mark_candidate(OTHER_STEP, event, fits=True)
    assert history.is_candidate(OTHER_STEP, event)
    assert not history.is_candidate(STEP, event)
    assert within(history, 0, 0) == []


def test_a_forgotten_event_leaves_no_trace_and_its_neighbours_stay() -> None:
    history = History()
    for own_id in "abc":
        event = transfer(own_id, 0)
        history.put(event)
        history.mark_candidate(STEP, event, fits=True)
    history.mark_candidate(OTHER_STEP, transfer("a", 0), fits=True)
    history.forget(transfer("b", 0).identity)
    assert history.get(transfer("b", 0).identity) is None
    assert within(history, 0, 0) == ["c", "a"]
    assert history.is_candidate(OTHER_STEP, transfer("a", 0))
    assert len(history) == 2


def test_an_event_whose_sender_moves_its_start_is_found_at_its_new_place_only() -> None:
    # The contract forbids it; one bad sender must not stop the partition.
    history = History()
    for at_us in (3, 5):
        event = transfer("p-1", at_us)
        history.put(event)
        history.mark_candidate(STEP, event, fits=True)
    assert within(history, 0, 9) == ["p-1"]
    history.forget(transfer("p-1", 5).identity)
    assert within(history, 0, 9) == []
