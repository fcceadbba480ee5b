from hypothesis import given
from hypothesis import strategies as st

from rules.fact import Event
from rules.history import History, Rows
from rules.tally import Row
from rules.timing import Timing
from tests.rules.build import ORIGIN_US, event_of, loan_record, transfer_record

TIMING = Timing()
STEP, OTHER_STEP = 1, 2


def transfer(own_id: str, at_us: int) -> Event:
    return event_of(transfer_record(own_id, ORIGIN_US + at_us), TIMING)


def put(rows: Rows, event: Event, fits: int) -> None:
    rows.replace(None, (event.start_us, event.identity, event, fits))


def within(history: History, least_us: int, greatest_us: int) -> list[str]:
    """The own ids of what fits a step and starts within the bounds, in their order."""
    found = history.greatest_first(
        {"transfer": STEP}, ORIGIN_US + least_us, ORIGIN_US + greatest_us
    )
    return [event.identity.id for event in found]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), unique_by=lambda e: e[1]),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_what_is_within_inclusive_bounds_comes_from_the_greatest_place_down(
    events: list[tuple[int, str]], least_us: int, greatest_us: int
) -> None:
    history = History()
    for at_us, own_id in events:
        history.put(transfer(own_id, at_us), STEP)
    expected = [name for at, name in sorted(events, reverse=True) if least_us <= at <= greatest_us]
    assert within(history, least_us, greatest_us) == expected
    rows = history.of_type("transfer")
    found = [] if rows is None else rows.kinds(ORIGIN_US + least_us, ORIGIN_US + greatest_us)
    assert [row[2].identity.id for _, kind in found for row in kind] == expected[::-1]


def test_of_several_types_the_greatest_place_comes_first_too() -> None:
    history = History()
    history.put(transfer("p-1", 2), STEP)
    history.put(event_of(loan_record("l-1", ORIGIN_US + 3), TIMING), OTHER_STEP)
    history.put(transfer("p-2", 4), STEP)
    history.put(transfer("p-3", 5), OTHER_STEP)
    asked = {"transfer": STEP, "loan_drawdown": OTHER_STEP}
    found = history.greatest_first(asked, ORIGIN_US, ORIGIN_US + 9)
    assert [event.identity.id for event in found] == ["p-2", "l-1", "p-1"]


def test_an_event_is_handed_out_as_it_stands_now() -> None:
    history = History()
    history.put(transfer("p-1", 0), STEP)
    newer = event_of(transfer_record("p-1", ORIGIN_US, sequence=1), TIMING)
    history.put(newer, STEP | OTHER_STEP)
    assert list(history.greatest_first({"transfer": STEP}, ORIGIN_US, ORIGIN_US)) == [newer]
    assert history.row(newer.identity) == (ORIGIN_US, newer.identity, newer, STEP | OTHER_STEP)
    assert len(history) == 1


def test_what_fits_one_step_fits_no_other() -> None:
    history, event = History(), transfer("p-1", 0)
    history.put(event, OTHER_STEP)
    assert history.fits(event, {"transfer": OTHER_STEP})
    assert not history.fits(event, {"transfer": STEP})
    assert within(history, 0, 0) == []


def test_what_some_event_within_the_bounds_fits_is_known_of_few_kinds_and_assumed_of_many() -> (
    None
):
    rows = Rows()
    for n, fits in enumerate((STEP, 0, OTHER_STEP)):
        put(rows, transfer(f"p-{n}", n), fits)
    found = [rows.fitted(ORIGIN_US, ORIGIN_US + n) for n in (0, 1, 2)]
    assert found == [STEP, STEP, STEP | OTHER_STEP]
    for n in range(20):
        put(rows, transfer(f"q-{n:02}", 5), 0)
    assert rows.are_many
    found = [rows.fitted(ORIGIN_US + n, ORIGIN_US + 5) for n in (0, 1, 2, 3)]
    assert found == [STEP | OTHER_STEP, OTHER_STEP, OTHER_STEP, 0]
    for n in range(20):
        put(rows, transfer(f"r-{n:02}", 6), 4 << n)
    assert rows.fitted(ORIGIN_US + 7, ORIGIN_US + 7) & STEP


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from((0, 1, 2, 3))), max_size=60))
def test_many_rows_are_found_as_few_are(changes: list[tuple[int, int]]) -> None:
    """Each change puts an event, in place of its former row if there is one; 0 takes it away."""
    rows, held = Rows(), dict[int, Row]()
    for n, fits in changes:
        old = held.pop(n, None)
        if fits == 0:
            rows.replace(old, None)
            continue
        event = transfer(f"p-{n:02}", n // 2)
        held[n] = (event.start_us, event.identity, event, fits)
        rows.replace(old, held[n])
    expected = sorted(held.values(), key=lambda row: row[:2])
    assert len(rows) == len(expected)
    for least, greatest in ((0, 10), (3, 7), (5, 5)):
        bounds = (ORIGIN_US + least, ORIGIN_US + greatest)
        within = [row for row in expected if bounds[0] <= row[0] <= bounds[1]]
        for signature in (1, 2):
            fitting = [row for row in within if row[3] & signature]
            assert list(rows.fitting(signature, *bounds)) == fitting[::-1]
        kinds = [row for _, kind in rows.kinds(*bounds) for row in kind]
        assert sorted(kinds, key=lambda row: row[:2]) == within
    for row in expected:
        assert rows.row(row[2]) == row
    assert rows.row(transfer("p-99", 3)) is None


def test_a_forgotten_event_leaves_no_trace_and_its_neighbours_stay() -> None:
    history = History()
    for own_id in "abc":
        history.put(transfer(own_id, 0), STEP)
    history.forget(transfer("b", 0).identity)
    assert history.row(transfer("b", 0).identity) is None
    assert within(history, 0, 0) == ["c", "a"]
    assert len(history) == 2
    for own_id in "ac":
        history.forget(transfer(own_id, 0).identity)
    assert not history
    assert within(history, 0, 0) == []


def test_an_event_whose_sender_moves_its_start_is_found_at_its_new_place_only() -> None:
    # The contract forbids it; one bad sender must not stop the partition.
    history = History()
    for own_id, at_us in (("p-1", 3), ("p-2", 4), ("p-1", 5)):
        history.put(transfer(own_id, at_us), STEP)
    assert within(history, 0, 9) == ["p-1", "p-2"]
    history.forget(transfer("p-1", 5).identity)
    assert within(history, 0, 9) == ["p-2"]
