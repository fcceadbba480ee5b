"""A town's ordinary life: whose habit comes up when, over some days with a rhythm of their own."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rules.moment import HOUR_US, SECOND_US
from streams.simulation.chance import Chance
from streams.simulation.habits import HABITS, Habit, Scene
from streams.simulation.reports import HOURS_AHEAD, Person, Report, person

_AREAS = 12
# How busy each hour of the local day is, from midnight on.
_RHYTHM = (1, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 12, 12, 12, 12, 12, 13, 14, 15, 16, 16, 12, 7, 3)


@dataclass(frozen=True)
class Happening:
    """What happens from one moment on: reports of one or more events, none from before it."""

    at_us: int
    reports: tuple[Report, ...]


def townspeople(count: int) -> list[Person]:
    """Return so many people, spread over the town's areas."""
    return [person(serial, f"area-{serial % _AREAS + 1:02}") for serial in range(1, count + 1)]


def ordinary_life(
    chance: Chance, people: Sequence[Person], events: int, start_us: int, hours: int
) -> Iterator[Happening]:
    """Yield so many events of some hours, in order of time.

    There may be one event more, since a habit is never broken off.
    """
    plan = _plan(chance, people, events)
    times_us = sorted(_drawn_time(chance, start_us, hours) for _ in plan)
    for serial, (at_us, (habit, who)) in enumerate(zip(times_us, plan, strict=True), 1):
        yield Happening(at_us, tuple(habit.scene(Scene(chance, who, at_us, serial, people))))


def _plan(chance: Chance, people: Sequence[Person], events: int) -> list[tuple[Habit, Person]]:
    bounds = list(accumulate(habit.weight for habit in HABITS))
    fresh = iter(chance.shuffled(people))
    plan: list[tuple[Habit, Person]] = []
    planned = 0
    while planned < events:
        habit = HABITS[bisect(bounds, chance.between(0, bounds[-1] - 1))]
        who = next(fresh, None) if habit.once else chance.among(people)
        if who is not None:
            plan.append((habit, who))
            planned += habit.events
    return plan


def _drawn_time(chance: Chance, start_us: int, hours: int) -> int:
    while True:
        at_us = start_us + chance.between(0, hours * 3_600 - 1) * SECOND_US
        hour = (at_us // HOUR_US + HOURS_AHEAD) % 24
        if chance.between(1, max(_RHYTHM)) <= _RHYTHM[hour]:
            return at_us
