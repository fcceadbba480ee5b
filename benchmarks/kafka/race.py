"""A race: how soon every true alert of a backlog stands on the alerts topic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.contenders.by_hand import Match
from benchmarks.kafka.course import Course
from benchmarks.kafka.field import Heat, Name, now_s
from benchmarks.truth import Limits
from streams.clock import now_us

_PATIENCE_S: Final = 900.0
_LINGER_S: Final = 2.0
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True)
class Ran:
    """What one run took, all in seconds, and what it found.

    Attributes:
        seconds: From the first record between the two hops to the last true alert, both as the
            broker appended them.
        from_start_s: From the start of the process to the last true alert.
        cpu_s: Processor time of the process until then.
        peak_mb: Its greatest resident memory.
        lost: How many true matches are missing.
        false: How many matches are not true.
    """

    seconds: float
    from_start_s: float
    cpu_s: float
    peak_mb: float
    lost: int
    false: int


@dataclass
class Standing:
    """One contender's runs, or why there are none."""

    name: Name
    runs: list[Ran]
    why_not: str | None = None

    def median(self, value: Callable[[Ran], float]) -> float:
        """Return the median over the runs."""
        return median(map(value, self.runs))


async def race(
    course: Course,
    names: Sequence[Name],
    *,
    variants: Sequence[Limits],
    rules: Path,
    truth: frozenset[Match],
    rounds: int,
    say: Callable[[str], None],
) -> Sequence[Standing]:
    """Run each contender once a round, in turn, over the same outside topics."""
    standings = [Standing(name, []) for name in names]
    for number in range(1, rounds + 1):
        for place, standing in enumerate(standings):
            if standing.why_not is not None:
                continue
            with TemporaryDirectory() as folder:
                heat = Heat(
                    standing.name, course, variants, rules, Path(folder), f"{number}-{place}"
                )
                try:
                    ran = await _run(heat, truth)
                # A contender that cannot run here takes no part; the page says why.
                except Exception as error:  # noqa: BLE001 - see above
                    standing.why_not = f"{type(error).__name__}: {error}"
                    say(f"round {number}, {standing.name}: {standing.why_not}")
                    continue
            standing.runs.append(ran)
            say(f"round {number}, {standing.name}: {ran}")
    return standings


async def _run(heat: Heat, truth: frozenset[Match]) -> Ran:
    between = await heat.make_topics()
    begun_us, begun_s = now_us(), now_s()
    found: dict[Match, int] = {}
    with heat.process() as process:
        async with heat.course.follow(heat.topic("alerts")) as alerts:
            complete_s: float | None = None
            cpu_s = 0.0
            while complete_s is None or now_s() - complete_s < _LINGER_S:
                for record in await alerts.more():
                    match = heat.match(bytes(record.value or b""))
                    if match is not None:
                        found.setdefault(match, record.timestamp * 1000)
                process.check()
                if complete_s is None and truth <= found.keys():
                    complete_s, cpu_s = now_s(), process.cpu_s()
                if now_s() - begun_s > _PATIENCE_S:
                    break
            peak_mb = process.peak_mb()
    lost, false = len(truth - found.keys()), len(found.keys() - truth)
    last_us = max((at for match, at in found.items() if match in truth), default=begun_us)
    first_us = await heat.course.first_us(between)
    return Ran(
        (last_us - first_us) / _SECOND_US,
        (last_us - begun_us) / _SECOND_US,
        cpu_s,
        peak_mb,
        lost,
        false,
    )
