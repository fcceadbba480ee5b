"""Tests of what travels with a committed offset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.watermark import END_US, NEVER_US
from streams.epoch import partitions_of
from streams.failures import OutsideFailure
from streams.wire.commits import (
    LIMIT,
    Point,
    decode_point,
    decode_watermark,
    encode_point,
    encode_watermark,
    longest_point,
)

ANY_US = st.one_of(st.just(NEVER_US), st.integers(NEVER_US, END_US))
MOMENTS = st.one_of(st.just(NEVER_US), st.integers(-(2**53), 2**53))


@given(ANY_US)
def test_a_watermark_is_read_back_as_it_was_written(watermark_us: int) -> None:
    assert decode_watermark(encode_watermark(watermark_us)) == watermark_us


@given(st.integers(0, 2**62), st.lists(ANY_US, max_size=20), st.integers(1, 10_000))
def test_a_point_is_read_back_as_it_was_written(
    offset: int, watermarks_us: list[int], facts_partitions: int
) -> None:
    partitions = partitions_of({"calls": len(watermarks_us)})
    point = Point(offset, dict(zip(partitions, watermarks_us, strict=True)))
    metadata = encode_point(point, facts_partitions)
    assert decode_point(metadata, partitions) == (point, facts_partitions)


@given(st.integers(0, 2**40), st.lists(MOMENTS, max_size=20), st.integers(1, 2**15))
def test_no_point_takes_more_than_the_longest(
    offset: int, watermarks_us: list[int], facts_partitions: int
) -> None:
    partitions = partitions_of({"calls": len(watermarks_us)})
    point = Point(offset, dict(zip(partitions, watermarks_us, strict=True)))
    assert len(encode_point(point, facts_partitions)) <= longest_point(partitions)


def test_the_order_in_which_partitions_are_known_makes_no_difference() -> None:
    watermarks = {("b", 0): 3, ("a", 1): 2, ("a", 0): 1}
    turned = dict(reversed(watermarks.items()))
    assert encode_point(Point(7, watermarks), 2) == encode_point(Point(7, turned), 2)


def test_three_hundred_partitions_fit_at_worst() -> None:
    assert longest_point(partitions_of({"calls": 300})) <= LIMIT
    assert longest_point(partitions_of({"calls": 400})) > LIMIT


@pytest.mark.parametrize("metadata", ["", "w2:5", "w1:soon", "p1:", "w1:1.5"])
def test_a_watermark_that_no_worker_wrote_is_refused(metadata: str) -> None:
    with pytest.raises(OutsideFailure, match="not made by a worker of this release"):
        decode_watermark(metadata)


@pytest.mark.parametrize("metadata", ["", "w1:5", "p1:", "p1:~~~", "p1:{}", "p2:00"])
def test_a_point_that_no_worker_wrote_is_refused(metadata: str) -> None:
    with pytest.raises(OutsideFailure, match="not made by a worker of this release"):
        decode_point(metadata, [("calls", 0)])


def test_a_point_of_another_roster_is_refused() -> None:
    metadata = encode_point(Point(7, {("calls", 0): 1}), 2)
    with pytest.raises(OutsideFailure):
        decode_point(metadata, partitions_of({"calls": 2}))
