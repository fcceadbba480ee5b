import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.events import EVENTS, EventSpec, FieldSpec, Kind, Scalar, data_of, numbers_of, values_of
from rules.fact import Event, Identity, canonical, greatest, key_of
from rules.moment import HOUR_US, MINUTE_US
from rules.timing import Timing
from tests.rules.build import ORIGIN_US, call_record, event_of, transfer_record
from tests.rules.oracle import Record

TIMING = Timing()


@st.composite
def copies(draw: st.DrawFn) -> Event:
    """A copy of one of few records of one call, so that ties are met at every level."""
    record = call_record(
        "c-1",
        ORIGIN_US,
        time_us=ORIGIN_US + draw(st.integers(0, 1)),
        sequence=draw(st.integers(0, 1)),
        camera_on=draw(st.booleans()),
    )
    record = record._replace(record_id=draw(st.sampled_from(("r1", "r2"))))
    return event_of(record, TIMING, late=draw(st.booleans()))


def stands(event: Event) -> tuple[object, ...]:
    return (event.rank, event.late, event.end_us, dict(event.fields))


@given(copies(), copies())
def test_the_greatest_of_two_does_not_depend_on_their_order(one: Event, two: Event) -> None:
    assert stands(greatest(one, two)) == stands(greatest(two, one))


@given(copies(), copies(), copies())
def test_the_greatest_of_three_does_not_depend_on_their_grouping(
    one: Event, two: Event, three: Event
) -> None:
    left = greatest(greatest(one, two), three)
    assert stands(left) == stands(greatest(one, greatest(two, three)))


@given(copies())
def test_a_repeat_changes_nothing(event: Event) -> None:
    assert greatest(event, event) is event


@given(copies(), copies())
def test_what_is_held_stays_the_same_object_unless_something_changes(
    held: Event, arrived: Event
) -> None:
    # The engine judges again whenever it is handed another object.
    if stands(greatest(held, arrived)) == stands(held):
        assert greatest(held, arrived) is held


def test_sequence_decides_before_time_and_time_before_the_record_id() -> None:
    first = call_record("c-1", ORIGIN_US, time_us=ORIGIN_US + 9)._replace(record_id="z")
    second = first._replace(time_us=ORIGIN_US, sequence=1, record_id="y")
    third = second._replace(time_us=ORIGIN_US + 1, record_id="x")
    fourth = third._replace(record_id="y")
    events = [event_of(record, TIMING) for record in (first, second, third, fourth)]
    assert sorted(events, key=lambda event: event.rank) == events


def test_of_records_equal_in_all_else_the_greater_text_of_the_data_is_the_event() -> None:
    on = event_of(call_record("c-1", ORIGIN_US, camera_on=True), TIMING)
    off = event_of(call_record("c-1", ORIGIN_US, camera_on=False), TIMING)
    assert canonical(on.data) > canonical(off.data)
    assert greatest(off, on) is on


def test_the_text_of_the_data_does_not_depend_on_the_order_of_its_fields() -> None:
    assert (
        canonical({"b": 1, "a": "é"})
        == canonical({"a": "é", "b": 1})
        == '{"a":"é","b":1}'.encode()
    )


def test_an_event_is_late_only_if_every_copy_of_its_record_was() -> None:
    record = call_record("c-1", ORIGIN_US)
    late, in_time = (event_of(record, TIMING, late=flag) for flag in (True, False))
    assert greatest(late, late).late
    assert not greatest(late, in_time).late
    assert not greatest(in_time, late).late


def test_copies_of_a_lesser_record_do_not_excuse_a_late_one() -> None:
    lesser = event_of(call_record("c-1", ORIGIN_US), TIMING)
    greater = event_of(call_record("c-1", ORIGIN_US, sequence=1), TIMING, late=True)
    assert greatest(lesser, greater).late


@pytest.mark.parametrize(
    ("told", "end_us", "is_open"),
    [
        #   0         10m            4h                   6h = settle
        #   |rings    |told          |                    |counts no longer
        ({"until_us": 10 * MINUTE_US}, 10 * MINUTE_US, False),
        ({"until_us": 0}, 0, False),
        ({"until_us": 6 * HOUR_US}, 6 * HOUR_US, False),
        ({"until_us": 6 * HOUR_US + 1}, 6 * HOUR_US, False),
        ({"time_us": 10 * MINUTE_US}, 100 * MINUTE_US, True),
        ({"time_us": 270 * MINUTE_US - 1}, 6 * HOUR_US - 1, True),
        ({"time_us": 270 * MINUTE_US + 1}, 6 * HOUR_US, True),
        ({"time_us": -5 * MINUTE_US}, 85 * MINUTE_US, True),
    ],
)
def test_a_call_ends_at_its_end_or_open_for_after_its_record_and_at_settle_at_the_latest(
    told: dict[str, int], end_us: int, *, is_open: bool
) -> None:
    call = {name: ORIGIN_US + us for name, us in told.items()}
    event = event_of(call_record("c-1", ORIGIN_US, **call), TIMING)
    assert (event.end_us, event.open) == (ORIGIN_US + end_us, is_open)


def test_a_record_dated_long_before_its_start_does_not_end_the_call_before_it_starts() -> None:
    timing = Timing(open_for_us=MINUTE_US)
    record = call_record("c-1", ORIGIN_US, time_us=ORIGIN_US - 5 * MINUTE_US)
    assert event_of(record, timing).end_us == ORIGIN_US


def test_a_call_that_nobody_answered_ends_where_it_starts() -> None:
    record = call_record("c-1", ORIGIN_US, until_us=ORIGIN_US + MINUTE_US)
    data = {name: value for name, value in record.data.items() if name != "answered_at"}
    event = event_of(record._replace(data=data), TIMING)
    assert (event.start_us, event.end_us, event.open) == (ORIGIN_US, ORIGIN_US, False)


def test_a_transfer_ends_where_it_starts_whenever_it_is_told_of() -> None:
    event = event_of(transfer_record("p-1", ORIGIN_US, time_us=ORIGIN_US + HOUR_US), TIMING)
    assert (event.start_us, event.end_us, event.open) == (ORIGIN_US, ORIGIN_US, False)


def test_an_event_without_a_start_field_starts_at_its_records_time() -> None:
    record = Record("//bank.example", "sim_swap", "s-1", "s-1", 0, ORIGIN_US, {"person": "lin"})
    assert event_of(record, TIMING).start_us == ORIGIN_US


def test_settle_can_differ_by_type() -> None:
    timing = Timing(settle_by_type_us={"call_invitation": HOUR_US})
    record = call_record("c-1", ORIGIN_US, until_us=ORIGIN_US + 2 * HOUR_US)
    assert event_of(record, timing).end_us == ORIGIN_US + HOUR_US


def test_events_are_ordered_by_start_and_then_by_identity() -> None:
    early = event_of(transfer_record("p-2", ORIGIN_US), TIMING)
    late = event_of(transfer_record("p-1", ORIGIN_US + 1), TIMING)
    tied = event_of(transfer_record("p-3", ORIGIN_US), TIMING)
    assert sorted([late, tied, early], key=lambda e: e.place) == [early, tied, late]


def test_an_event_stands_under_every_key_that_it_names() -> None:
    event = event_of(call_record("c-1", ORIGIN_US, meeting="meeting-1"), TIMING)
    assert event.keys() == {"person": "lin", "caller": "handle-1", "meeting": "meeting-1"}
    assert event.identity == Identity("//telecom.example/ott", "call_invitation", "c-1")
    assert key_of("person", "lin") == "person:lin"


def normal_values(field: FieldSpec) -> st.SearchStrategy[Scalar]:
    """What a field can hold in normal form; amounts that are written oddly included."""
    if field.classes:
        return st.sampled_from(field.classes)
    values: dict[Kind, st.SearchStrategy[Scalar]] = {
        Kind.TEXT: st.sampled_from(("CNY", "EUR")),
        Kind.PSEUDONYM: st.sampled_from(("a", "b")),
        Kind.BOOL: st.booleans(),
        Kind.INTEGER: st.integers(0, 2),
        Kind.NUMBER: st.sampled_from((0, 5, "0.50")),
        Kind.MONEY: st.sampled_from(("5", "5.0", "0.50")),
        Kind.MOMENT: st.integers(0, 2),
    }
    return values[field.kind]


@st.composite
def normal_forms(draw: st.DrawFn) -> tuple[EventSpec, dict[str, Scalar]]:
    spec = draw(st.sampled_from(list(EVENTS.values())))
    own = {name: normal_values(f) for name, f in spec.fields.items() if not f.derived}
    # An amount has its currency, and a transfer its start.
    always = {name: values for name, values in own.items() if name in {"currency", "initiated_at"}}
    optional = {name: values for name, values in own.items() if name not in always}
    return spec, draw(st.fixed_dictionaries(always, optional=optional))


@given(normal_forms())
def test_the_normal_form_comes_back_from_what_is_remembered(
    told: tuple[EventSpec, dict[str, Scalar]],
) -> None:
    spec, data = told
    again = data_of(spec, values_of(spec, data), numbers_of(spec, data))
    assert again == data
    assert [type(again[name]) for name in data] == [type(data[name]) for name in data]


def test_texts_that_events_have_in_common_are_one_text() -> None:
    def decoded() -> Event:
        record = call_record("c-1", ORIGIN_US)
        apart = {n: "".join(v) if isinstance(v, str) else v for n, v in record.data.items()}
        return event_of(record._replace(data=apart, source="".join([*record.source])), TIMING)

    one, two = decoded(), decoded()
    assert one.identity.source is two.identity.source
    for name in ("media", "direction", "service"):
        assert one.fields[name] is two.fields[name]
    assert one.fields["call_id"] is one.identity.id
