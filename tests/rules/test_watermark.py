from hypothesis import given
from hypothesis import strategies as st

from rules.watermark import END_US, NEVER_US, FeedClock, Watermarks

PARTITIONS = st.sampled_from((("bank", 0), ("calls", 0), ("calls", 1)))
RAISES = st.lists(st.tuples(PARTITIONS, st.integers(0, 9)), max_size=12)


def test_a_record_is_late_from_one_microsecond_below_its_partitions_watermark() -> None:
    #   95          100                110
    #   |...lateness 10....|watermark   |greatest time
    clock = FeedClock(lateness_us=10)
    clock.observe(110)
    assert clock.watermark_us == 100
    assert not clock.is_late(100)
    assert clock.is_late(99)


def test_nothing_is_late_in_a_partition_that_has_not_been_heard() -> None:
    assert not FeedClock(lateness_us=0).is_late(-(2**62))


def test_an_older_record_does_not_take_a_watermark_back() -> None:
    clock = FeedClock(lateness_us=10)
    clock.observe(110)
    clock.observe(50)
    assert clock.watermark_us == 100


def test_a_heartbeat_raises_a_watermark_outright_and_never_lowers_it() -> None:
    clock = FeedClock(lateness_us=10)
    clock.raise_to(200)
    clock.raise_to(150)
    assert clock.watermark_us == 200


def test_one_unheard_partition_holds_the_minimum_down() -> None:
    watermarks = Watermarks([("bank", 0), ("calls", 0)])
    assert not watermarks.raise_to(("bank", 0), END_US)
    assert watermarks.minimum_us == NEVER_US
    assert watermarks.raise_to(("calls", 0), 5)
    assert watermarks.minimum_us == 5


def test_only_a_raise_of_the_least_watermark_is_told() -> None:
    watermarks = Watermarks([("bank", 0), ("calls", 0)])
    watermarks.raise_to(("bank", 0), 5)
    watermarks.raise_to(("calls", 0), 5)
    assert not watermarks.raise_to(("bank", 0), 5)
    assert not watermarks.raise_to(("bank", 0), 9), "calls still holds it at 5"
    assert not watermarks.raise_to(("bank", 0), 10), "bank was not the least"
    assert watermarks.raise_to(("calls", 0), 7)
    assert watermarks.minimum_us == 7


def test_a_partition_first_met_later_starts_at_the_minimum_as_it_stands() -> None:
    watermarks = Watermarks([("bank", 0)])
    watermarks.raise_to(("bank", 0), 100)
    assert not watermarks.raise_to(("calls", 0), 40)
    assert watermarks.minimum_us == 100
    assert watermarks.as_mapping() == {("bank", 0): 100, ("calls", 0): 100}


def test_feeds_are_behind_until_all_their_partitions_have_passed_the_moment() -> None:
    watermarks = Watermarks([("calls", 0), ("calls", 1), ("bank", 0)])
    for partition, watermark_us in ((("calls", 0), 11), (("calls", 1), 10), (("bank", 0), 11)):
        watermarks.raise_to(partition, watermark_us)
    assert watermarks.behind(9) == []
    assert watermarks.behind(10) == ["calls"], "has passed 10 means greater than 10"
    assert watermarks.behind(11) == ["bank", "calls"]


@given(st.lists(PARTITIONS, unique=True, max_size=3), RAISES)
def test_the_minimum_is_the_least_of_all_and_never_goes_back(
    roster: list[tuple[str, int]], raises: list[tuple[tuple[str, int], int]]
) -> None:
    watermarks = Watermarks(roster)
    for partition, watermark_us in raises:
        before_us = watermarks.minimum_us
        went_up = watermarks.raise_to(partition, watermark_us)
        assert went_up is (watermarks.minimum_us > before_us)
        assert before_us <= watermarks.minimum_us == min(watermarks.as_mapping().values())


@given(st.lists(PARTITIONS, unique=True, max_size=3), RAISES)
def test_the_mapping_that_a_commit_keeps_gives_back_the_minimum(
    roster: list[tuple[str, int]], raises: list[tuple[tuple[str, int], int]]
) -> None:
    watermarks = Watermarks(roster)
    for partition, watermark_us in raises:
        watermarks.raise_to(partition, watermark_us)
    again = Watermarks(watermarks.as_mapping())
    for partition, watermark_us in watermarks.as_mapping().items():
        again.raise_to(partition, watermark_us)
    assert again.minimum_us == watermarks.minimum_us
