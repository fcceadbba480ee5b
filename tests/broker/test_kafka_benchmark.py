"""The race on Kafka, small: a worker and the plain loop find what the brute force finds."""

from pathlib import Path

import pytest

from benchmarks.kafka.course import Course
from benchmarks.kafka.race import race
from benchmarks.logs import Workload
from benchmarks.variants import variants, write_rules
from benchmarks.workload import Size
from tests.broker.bus import Bus

pytestmark = pytest.mark.broker


async def test_a_worker_and_a_plain_loop_find_every_true_match(bus: Bus, tmp_path: Path) -> None:
    chosen = variants(1)
    write_rules(tmp_path / "rules", chosen)
    workload = Workload(Size(20_000, seed=5, pairs=40), tmp_path)
    log = workload.jsonl()
    truth = frozenset((r, t) for r, ts in workload.truth(log, chosen).items() for t in ts)
    course = Course(bus)
    await course.load(log.read_bytes().splitlines())
    standings = await race(
        course,
        ("ringfence", "plain aiokafka loop"),
        variants=chosen,
        rules=tmp_path / "rules",
        truth=truth,
        rounds=1,
        say=print,
    )
    for standing in standings:
        assert standing.why_not is None
        (ran,) = standing.runs
        assert (ran.lost, ran.false) == (0, 0)
        assert 0 < ran.seconds < ran.from_start_s
    assert len(truth) >= 40
