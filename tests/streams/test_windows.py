"""Windows of topics: what bounds them, and the one order in which partitions come out."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.failures import OutsideFailure, SettingsError
from streams.windows import Merge, Span, Stored, check_offsets, parse_bound
from tests.streams.worker_parts import TEN_O_CLOCK, MemoryRow

Placed = list[tuple[tuple[str, int], Stored]]


@dataclass(frozen=True)
class TimedRow(MemoryRow):
    """A record of a topic in memory, with Kafka's timestamp."""

    timestamp: int = 0


def test_a_bound_is_a_word_a_moment_or_offsets() -> None:
    assert parse_bound("--from", "earliest") == "earliest"
    assert parse_bound("--to", "now") == parse_bound("--to", "latest") == "latest"
    assert parse_bound("--to", "2023-07-08t10:00:00z") == TEN_O_CLOCK
    assert parse_bound("--to", "a.b:0:7, c:1:9") == {("a.b", 0): 7, ("c", 1): 9}


@pytest.mark.parametrize("text", ["", "yesterday", "a:b", "calls:0:1,,", "2023-07-08T10:42:00"])
def test_what_is_none_of_them_is_named_with_its_option(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_bound("--from", text)
    assert str(caught.value).startswith(f'--from: "{text}" is not a moment with an offset like ')
    assert "nor earliest, latest, now, or offsets like" in str(caught.value)


def test_offsets_have_to_be_there() -> None:
    whole = {("calls", 0): Span(5, 9)}
    for offset in (5, 9):
        check_offsets({("calls", 0): offset}, whole)
    for offset in (4, 10):
        with pytest.raises(OutsideFailure, match=r"calls:0 holds the offsets from 5 up to 9, and"):
            check_offsets({("calls", 0): offset}, whole)
    with pytest.raises(SettingsError, match="calls:1 is none of the partitions read: calls:0"):
        check_offsets({("calls", 1): 5}, whole)


def whole_order(rows: dict[tuple[str, int], list[Stored]]) -> Placed:
    merge = Merge(list(rows))
    for partition, of_one in rows.items():
        merge.hold(partition, of_one)
        merge.finish(partition)
    return list(merge.ready())


@given(st.data())
def test_the_order_of_partitions_does_not_depend_on_the_pieces_they_come_in(
    data: st.DataObject,
) -> None:
    stamps = st.lists(st.integers(0, 5), max_size=6)
    rows: dict[tuple[str, int], list[Stored]] = {
        ("t", n): [TimedRow(k, None, b"", timestamp=at) for k, at in enumerate(data.draw(stamps))]
        for n in range(3)
    }
    merge, left, found = Merge(list(rows)), {p: list(r) for p, r in rows.items()}, Placed()
    while merge.waiting_for:
        partition = data.draw(st.sampled_from(merge.waiting_for))
        count = data.draw(st.integers(0, 3))
        merge.hold(partition, left[partition][:count])
        left[partition] = left[partition][count:]
        if not left[partition]:
            merge.finish(partition)
        found += merge.ready()
    assert found == whole_order(rows)
    for partition, of_one in rows.items():
        assert [row for p, row in found if p == partition] == of_one


def test_rows_come_by_their_time_and_never_before_one_that_could_be_earlier() -> None:
    early, late, later = (TimedRow(n, None, b"", timestamp=n) for n in (1, 2, 3))
    merge = Merge([("a", 0), ("b", 0)])
    merge.hold(("b", 0), [late, later])
    assert list(merge.ready()) == []
    merge.hold(("a", 0), [early])
    assert list(merge.ready()) == [(("a", 0), early)]
    merge.finish(("a", 0))
    merge.finish(("b", 0))
    assert list(merge.ready()) == [(("b", 0), late), (("b", 0), later)]


def test_a_partition_far_ahead_of_the_others_is_full() -> None:
    merge = Merge([("a", 0), ("b", 0)])
    merge.hold(("a", 0), [TimedRow(n, None, b"") for n in range(10_000)])
    assert merge.is_full(("a", 0))
    assert not merge.is_full(("b", 0))
