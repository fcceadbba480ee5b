"""A set that is kept up to date holds what looking at every event would find."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.fact import Event
from rules.history import Rows
from rules.money import Money
from rules.reach import Relation
from rules.tally import Members, Row, tally_of
from rules.window import Limits, Window
from tests.rules.build import ORIGIN_US, TIMING, call_record, event_of, relation, transfer_record

RANDOMS = st.randoms(use_true_random=False)
AMOUNTS = ("1", "2.50", "2.5", "400")


def drawn(random: Random, number: int) -> Event:
    """A call of a place and a length of its own, in some area or none."""
    start_us = ORIGIN_US + number // 3
    told = call_record(
        f"c-{number:02}", start_us, until_us=start_us + random.choice((0, 1, 2, 5, 9))
    )
    if random.random() < 0.5:
        told.data["area"] = random.choice(("x", "y"))  # type: ignore[index]  # a dict
    return event_of(told, TIMING, late=random.random() < 0.2)


def limits(random: Random) -> Limits:
    low, high, ends = (ORIGIN_US + random.randrange(-2, 14) for _ in range(3))
    return random.choice((Limits(), Limits(low), Limits(low, high), Limits(low, high, ends)))


def in_x(event: Event) -> bool:
    return event.fields.get("area") == "x"


@given(RANDOMS, st.sampled_from((in_x, lambda _event: True)))
def test_its_members_are_those_that_are_within_its_limits_whatever_happened(
    random: Random, joins: Callable[[Event], bool]
) -> None:
    rows, held = Rows(), dict[int, Row]()
    window = rows.keep("name", Window(rows, 1, joins))
    for _ in range(random.randrange(40)):
        number = random.randrange(36)
        old = held.pop(number, None)
        if random.random() < 0.7:
            event = drawn(random, number)
            held[number] = (event.start_us, event.identity, event, random.choice((0, 1, 3)))
        rows.replace(old, held.get(number))
        if random.random() < 0.6:
            now = limits(random)
            taken = tuple(random.sample([r[2] for r in held.values()], min(len(held), 2)))
            members = window.move(now, taken)
            expected = sorted(
                (r[0], r[1])
                for r in held.values()
                if r[3] & 1 and now.hold(r[2]) and joins(r[2]) and r[2] not in taken
            )
            assert [(e.start_us, e.identity) for e in members] == expected
            events = list(members)
            assert members.late == sum(e.late for e in events)
            assert members.open == sum(e.open for e in events)
            areas = {e.fields["area"] for e in events if "area" in e.fields}
            assert members.known("count", "area") == (len(areas) or None)


VALUES = st.lists(
    st.one_of(
        st.none(), st.builds(Money, st.sampled_from(AMOUNTS).map(Decimal), st.sampled_from("AB"))
    )
)


@given(VALUES, RANDOMS, st.sampled_from(("count", "sum", "least", "greatest")))
def test_what_a_field_comes_to_does_not_tell_what_has_gone(
    values: list[Money | None], random: Random, function: str
) -> None:
    events = [paid(n, value) for n, value in enumerate(values)]
    members = Members()
    assert members.known(function, "amount") is None
    for row in events:
        members.add(row)
    left = list(events)
    for row in random.sample(events, random.randrange(len(events) + 1)):
        members.drop(row)
        left.remove(row)
    assert len(members) == len(left)
    again = tally_of(function, [row[2] for row in left], "amount").result()
    assert members.known(function, "amount") == again
    assert again == by_hand(function, [v for row in left if (v := value_of(row)) is not None])


def paid(number: int, value: Money | None) -> Row:
    told = transfer_record(f"p-{number:02}", ORIGIN_US + number // 2)
    event = event_of(told, TIMING)
    fields: dict[str, Any] = {} if value is None else {"amount": value}
    event = Event(
        event.identity,
        "",
        0,
        event.time_us,
        event.start_us,
        event.end_us,
        open=False,
        late=False,
        data=event.data,
        fields=fields,
    )
    return (event.start_us, event.identity, event, 1)


def value_of(row: Row) -> Money | None:
    found = row[2].fields.get("amount")
    assert found is None or isinstance(found, Money)
    return found


def by_hand(function: str, known: list[Money]) -> object:
    if function == "count":
        return len(set(known)) or None
    choose: Any = {"sum": sum, "least": min, "greatest": max}[function]
    currencies = sorted({value.currency for value in known})
    return {c: choose([v.amount for v in known if v.currency == c]) for c in currencies} or None


def test_members_are_asked_for_the_first_the_last_and_the_latest() -> None:
    rows = [paid(n, None) for n in range(5)]
    members = Members(rows)
    assert (members.least, members.greatest) == (rows[0][2], rows[4][2])
    assert members.latest(2) == [rows[3][2], rows[4][2]]
    assert members.latest(9) == [row[2] for row in rows]
    assert members.has(rows[2][2])
    assert not members.has(paid(9, None)[2])


KINDS: st.SearchStrategy[Relation] = st.builds(
    relation,
    st.sampled_from(("after", "before", "around", "during")),
    st.just("call"),
    st.integers(0, 4),
).map(lambda r: r if r.kind != "during" else relation("during", "call", 0))


@given(KINDS, *(st.integers(0, 12) for _ in range(2)), *(st.integers(0, 6) for _ in range(2)))
def test_a_relation_is_the_same_told_as_limits_and_told_from_the_other_side(
    told: Relation, start: int, other_start: int, lasts: int, other_lasts: int
) -> None:
    one, two = (
        event_of(call_record(name, ORIGIN_US + begin, until_us=ORIGIN_US + begin + for_us), TIMING)
        for name, begin, for_us in (("c-1", start, lasts), ("c-2", other_start, other_lasts))
    )
    assert told.limits(two).hold(one) == told.holds(one, two)
    assert told.turned.limits(one).hold(two) == told.holds(one, two)


def test_of_many_sets_the_one_that_was_kept_first_is_let_go() -> None:
    rows = Rows()
    for n in range(40):
        rows.keep(n, Window(rows, 1, in_x))
    assert list(rows.windows) == list(range(8, 40))
