"""R-11: a thousand interleavings of each log, one record in ten twice, and always one answer."""

import os
from collections.abc import Iterator
from itertools import count, islice
from random import Random

import pytest

from rules.alert import Alert
from tests.rules.deliveries import last_by_id, raised, run, shuffle_delivery
from tests.rules.oracle import Claims, final_alerts
from tests.rules.worlds import World, draw_world

# A thousand orders of a short log try more of its orders than of a long one; the laws of
# `test_engine_laws.py` have logs of every length.
LONGEST = 10
PAIRS = int(os.environ.get("RINGFENCE_TEST_PAIRS", "200"))


def seeded(seed: int) -> Random:
    """Chance that repeats itself."""
    return Random(seed)  # noqa: S311 - nothing is kept secret by it


def pairs() -> Iterator[tuple[World, Claims]]:
    """Rule sets with logs that raise something, and what they raise."""
    for seed in count():
        world = draw_world(seeded(seed), campaigns=seed % 2 == 0)
        alerts = final_alerts(world.records, world.rule_set, world.timing)
        if alerts and len(world.records) <= LONGEST:
            yield world, alerts


def contents(alerts: list[Alert]) -> dict[str, object]:
    """What the alerts that are raised in the end say."""
    last = last_by_id(alerts)
    return {name: last[name].content for name in sorted(last) if last[name].state == "raised"}


def check(begin: int, end: int, interleavings: int) -> None:
    """Run some of the rule sets with logs in this many orders each."""
    for seed, (world, alerts) in enumerate(islice(pairs(), begin, end)):
        random = seeded(seed)
        first = contents(run(world, shuffle_delivery(random, world)))
        for _ in range(interleavings - 1):
            written = run(world, shuffle_delivery(random, world))
            assert raised(written) == alerts
            assert contents(written) == first


def test_a_hundred_interleavings_of_a_log_end_with_the_same_alerts() -> None:
    check(0, 12, 100)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_interleavings_of_a_log_end_with_the_same_alerts(part: int) -> None:
    check(PAIRS * part // 8, PAIRS * (part + 1) // 8, 1_000)
