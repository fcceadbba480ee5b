"""Tests of the broker that the other tests in this folder rest on."""

from collections.abc import Callable

import pytest

from tests.broker.bus import Bus

pytestmark = pytest.mark.broker


async def test_records_are_read_from_the_very_partitions_that_they_were_put_in(
    bus: Bus, names: Callable[[str], str]
) -> None:
    topic = names("calls")
    await bus.create(topic, 3)
    await bus.produce(topic, [b"1", b"2"], partition=2)
    await bus.produce(topic, [b"3"], partition=0)
    read = [(r.partition, r.offset, r.value) for r in await bus.read(topic)]
    assert read == [(0, 0, b"3"), (2, 0, b"1"), (2, 1, b"2")]


async def test_a_topic_just_made_is_read_as_empty(bus: Bus, names: Callable[[str], str]) -> None:
    await bus.create(names("alerts"), 4)
    assert await bus.read_json(names("alerts")) == []


async def test_a_group_that_never_was_has_no_commits(
    bus: Bus, names: Callable[[str], str]
) -> None:
    assert await bus.committed(names("workers")) == {}


def test_names_are_the_same_all_through_a_test(names: Callable[[str], str]) -> None:
    assert names("calls") == names("calls") != names("alerts")
