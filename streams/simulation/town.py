"""A town's ordinary life: whose habit comes up when, over some days with a rhythm of their own."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from rules.moment import HOUR_US, SECOND_US
from streams.simulation.chance import Chance
from streams.simulation.habits import HABITS, Habit, Scene
from streams.simulation.reports import HOURS_AHEAD, Report

# How busy each hour of the local day is, from midnight on.
_RHYTHM = (1, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 12, 12, 12, 12, 12, 13, 14, 15, 16, 16, 12, 7, 3)
_BOUNDS = tuple(accumulate(habit.weight for habit in HABITS))


@dataclass(frozen=True)
class Happening:
    """What happens from one moment on: reports of one or more events, none from before it."""

    at_us: int
    reports: tuple[Report, ...]


def ordinary_life(
    chance: Chance, people: int, events: int, start_us: int, days: int
) -> Iterator[Happening]:
    """Yield so many events of some days, in order of time, an hour of them in memory at most.

    There may be two events more, since a habit is never broken off.
    """
    serial = done = 0
    for from_us, until in _hours(events, start_us, days):
        habits: list[Habit] = []
        while done < until:
            habits.append(HABITS[bisect(_BOUNDS, chance.between(0, _BOUNDS[-1] - 1))])
            done += habits[-1].events
        times_us = sorted(from_us + chance.between(0, 3_599) * SECOND_US for _ in habits)
        for at_us, habit in zip(times_us, habits, strict=True):
            serial += 1
            scene = Scene(chance, chance.between(1, people), at_us, serial, people)
            yield Happening(at_us, tuple(habit.scene(scene)))


def _hours(events: int, start_us: int, days: int) -> Iterator[tuple[int, int]]:
    """Yield each hour's start, and how many of the events lie before its end."""
    whole, passed = days * sum(_RHYTHM), 0
    for hour in range(days * 24):
        from_us = start_us + hour * HOUR_US
        passed += _RHYTHM[(from_us // HOUR_US + HOURS_AHEAD) % 24]
        yield from_us, events * passed // whole
