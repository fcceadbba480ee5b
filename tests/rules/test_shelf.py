"""Histories at rest, and what all histories take."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.shelf import AtRest, Shelf


def at_rest(number: int, until_us: int = 0) -> AtRest:
    return AtRest(until_us, [b"row %d" % number, b"another"])


def rows_of(shelf: Shelf, numbers: range) -> list[object]:
    return [shelf.take(f"person:{n}") for n in numbers]


def test_what_was_put_is_taken_once() -> None:
    shelf = Shelf()
    assert shelf.put({f"person:{n}": at_rest(n) for n in range(200)}) == {}
    assert (len(shelf), shelf.rows) == (200, 400)
    assert shelf.take("person:7") == [b"row 7", b"another"]
    assert shelf.take("person:7") is None
    assert not shelf.may_have("person:7")
    assert shelf.may_have("person:8")
    assert (len(shelf), shelf.rows) == (199, 398)


def test_what_is_needed_equally_long_is_forgotten_together() -> None:
    shelf = Shelf()
    shelf.put({f"person:{n}": at_rest(n, until_us=n % 2) for n in range(200)})
    shelf.forget(0)
    assert len(shelf) == 200
    shelf.forget(1)
    # A chunk in which something is needed longer stays whole.
    assert 100 <= len(shelf) <= 100 + 32
    assert all(shelf.take(f"person:{n}") for n in range(1, 200, 2))
    shelf.forget(2)
    assert (len(shelf), shelf.rows) == (0, 0)
    assert rows_of(shelf, range(200)) == [None] * 200


def test_what_was_taken_and_put_again_outlives_what_it_was_beside() -> None:
    shelf = Shelf()
    shelf.put({f"person:{n}": at_rest(n, until_us=5) for n in range(3)})
    shelf.take("person:1")
    shelf.put({"person:1": at_rest(1, until_us=9)})
    shelf.forget(6)
    assert rows_of(shelf, range(3)) == [None, [b"row 1", b"another"], None]


def test_what_is_left_of_chunks_that_were_mostly_taken_goes_into_new_ones() -> None:
    shelf = Shelf()
    shelf.put({f"person:{n}": at_rest(n, until_us=n) for n in range(32)})
    for n in range(31):
        shelf.take(f"person:{n}")
    shelf.put({"person:100": at_rest(100, until_us=1)})
    assert (len(shelf), shelf.rows) == (2, 4)
    shelf.forget(2)
    assert shelf.take("person:31") == [b"row 31", b"another"]
    assert (len(shelf), shelf.rows) == (1, 2)
    shelf.forget(32)
    assert (len(shelf), shelf.rows) == (0, 0)


@pytest.fixture
def places() -> Iterator[None]:
    held, Shelf.PLACES = Shelf.PLACES, 1
    yield
    Shelf.PLACES = held


@pytest.mark.usefixtures("places")
def test_of_two_keys_with_one_place_the_second_is_refused() -> None:
    shelf = Shelf()
    assert shelf.put({"person:1": at_rest(1), "person:2": at_rest(2)}) == {"person:2": at_rest(2)}
    assert shelf.put({"person:3": at_rest(3)}) == {"person:3": at_rest(3)}
    assert shelf.may_have("person:2"), "whoever is told so has to look"
    assert shelf.take("person:2") is None
    assert shelf.take("person:1") == [b"row 1", b"another"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.booleans()), max_size=60))
def test_a_shelf_is_a_dictionary_that_forgets(steps: list[tuple[int, int, bool]]) -> None:
    shelf = Shelf()
    held: dict[str, AtRest] = {}
    for number, (n, until_us, takes) in enumerate(steps):
        key = f"person:{n}"
        if takes:
            expected = held.pop(key, None)
            assert shelf.take(key) == (None if expected is None else list(expected.rows))
        elif key not in held:
            held[key] = at_rest(number, until_us)
            assert shelf.put({key: held[key]}) == {}
        assert len(shelf) == len(held)
        assert shelf.rows == sum(len(rest.rows) for rest in held.values())
