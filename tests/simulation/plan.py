"""What a seed makes of a run: the records of each partition, and the faults."""

from dataclasses import dataclass
from random import Random

from rules.moment import DAY_US, HOUR_US, MINUTE_US
from rules.watermark import Partition
from tests.simulation.kafka import SESSION_S
from tests.streams.worker_parts import (
    SECOND_US,
    TEN_O_CLOCK,
    blocked,
    call,
    heartbeat,
    transfer,
)

_SILENT = ("transactions", 1)


@dataclass
class Plan:
    """What a seed makes of a run: the records of each partition, and the faults.

    Where it `is_slow`, each row of a facts log takes all the time that a batch may take.
    """

    records: dict[Partition, list[bytes]]
    workers: int
    crash_at: list[int]
    kill_at_s: list[float]
    stop_at_s: list[tuple[float, float]]
    end_at_s: list[float]
    strays: int
    is_silent: bool
    has_late: bool
    is_slow: bool


def plan_of(seed: int) -> Plan:
    """Return the run of a seed."""
    random = Random(seed)  # noqa: S311 - a run is to be had again
    is_silent = random.random() < 0.04
    has_late = random.random() < 0.25
    return Plan(
        records=_records(random, is_silent=is_silent, has_late=has_late),
        workers=random.randint(1, 3),
        crash_at=[random.randint(1, 60) for _ in range(random.choice((0, 1, 1, 2, 3)))],
        kill_at_s=[random.random() * 6 for _ in range(random.choice((0, 0, 1, 2)))],
        stop_at_s=[
            (random.random() * 4, random.choice((1.0, 3 * SESSION_S)))
            for _ in range(random.choice((0, 0, 0, 1)))
        ],
        end_at_s=[random.random() * 6 for _ in range(random.choice((0, 0, 1)))],
        strays=random.choice((0, 0, 2, 4)),
        is_silent=is_silent,
        has_late=has_late,
        is_slow=random.random() < 0.2,
    )


@dataclass
class ChangePlan:
    """What a seed makes of a run in which the rules change.

    Attributes:
        wait_s: How long after one another: the change, workers with the new rules, a promotion.
        command_dies_at: After how many of its own effects the command is killed, time by time.
        command_stops_at: After how many it is stopped for a while instead, the first time.
    """

    records: dict[Partition, list[bytes]]
    workers: int
    crash_at: list[int]
    kill_at_s: list[float]
    stop_at_s: list[tuple[float, float]]
    strays: int
    has_late: bool
    is_shadow: bool
    wait_s: tuple[float, float, float]
    command_dies_at: list[int]
    command_stops_at: int | None


def change_plan_of(seed: int) -> ChangePlan:
    """Return the change of rules of a seed."""
    random = Random(seed)  # noqa: S311 - a run is to be had again
    has_late = random.random() < 0.25
    return ChangePlan(
        records=_records(random, is_silent=False, has_late=has_late, parts=3, contacts=0.3),
        workers=random.randint(1, 2),
        crash_at=[random.randint(1, 150) for _ in range(random.choice((0, 1, 2)))],
        kill_at_s=[random.random() * 15 for _ in range(random.choice((0, 1, 2)))],
        stop_at_s=[
            (random.random() * 12, random.choice((1.0, 3 * SESSION_S)))
            for _ in range(random.choice((0, 0, 1)))
        ],
        strays=random.choice((0, 0, 2)),
        has_late=has_late,
        is_shadow=random.random() < 0.5,
        wait_s=(random.random() * 8, random.random() * 3, random.random() * 5),
        command_dies_at=[random.randint(1, 9) for _ in range(random.choice((0, 1, 2, 3)))],
        command_stops_at=random.randint(1, 9) if random.random() < 0.2 else None,
    )


def _records(
    random: Random, *, is_silent: bool, has_late: bool, parts: int = 2, contacts: float = 0.0
) -> dict[Partition, list[bytes]]:
    told = _Told(random, banks=1 if is_silent else 2, contacts=contacts)
    at_us = TEN_O_CLOCK
    for part in range(random.randint(1, parts)):
        for _ in range(random.randint(1, 4)):
            at_us += random.randint(0, 240) * SECOND_US
            told.tell_of_a_call(at_us, has_late=has_late)
        # Time leaps, so that alerts become final and things are forgotten in the middle of it.
        leap_us = random.choice((HOUR_US, 14 * HOUR_US, 30 * HOUR_US))
        at_us += leap_us
        for feed in told.feeds:
            if random.random() < 0.8 or part == 0:
                feed.append(heartbeat(at_us))
        told.reject(at_us + SECOND_US if leap_us == HOUR_US else None)
    for feed in told.feeds:
        feed.append(heartbeat(at_us + 5 * DAY_US))
    return {("calls", 0): told.feeds[0], ("transactions", 0): told.feeds[1], _SILENT: told.last}


class _Told:
    """What feeds have told: the first is the call side's, the others are the bank's."""

    def __init__(self, random: Random, banks: int, contacts: float) -> None:
        self.feeds: list[list[bytes]] = [[] for _ in range(1 + banks)]
        self._random = random
        self._contacts = contacts
        self._numbers = iter(range(1_000))
        self._to_reject: list[tuple[list[bytes], int, int, str]] = []

    @property
    def last(self) -> list[bytes]:
        """What the bank's second feed has told, if there is one."""
        return self.feeds[2] if len(self.feeds) > 2 else []

    def tell_of_a_call(self, at_us: int, *, has_late: bool) -> None:
        """Tell of a call, and perhaps of what comes of it."""
        random, calls = self._random, self.feeds[0]
        number, person = next(self._numbers), f"person-{random.randint(1, 3)}"
        known = self._contacts and random.random() < self._contacts
        calls.append(call(number, at_us, "contact" if known else "stranger", person))
        if random.random() < 0.8:
            self._pay(number, at_us + random.randint(0, 300) * SECOND_US, person)
        if random.random() < 0.3:
            calls.append(blocked(number, at_us + 60 * SECOND_US, person))
        if random.random() < 0.15:
            random.choice(self.feeds).append(b"{")
        if has_late and random.random() < 0.3:
            late_us = at_us - random.randint(10, 40) * MINUTE_US
            calls.append(call(next(self._numbers), late_us, person=person))

    def _pay(self, number: int, at_us: int, person: str) -> None:
        random = self._random
        bank = random.choice(self.feeds[1:])
        bank.append(transfer(number, at_us, payee="mule", person=person))
        if random.random() < 0.2:
            bank.append(transfer(number, at_us, "rejected", 1, payee="mule", person=person))
        elif random.random() < 0.3:
            self._to_reject.append((bank, number, at_us, person))

    def reject(self, told_at_us: int | None) -> None:
        """Reject some transfers, hours later but in time: it takes campaigns back with it."""
        for bank, number, at_us, person in self._to_reject if told_at_us else ():
            bank.append(
                transfer(
                    number,
                    at_us,
                    "rejected",
                    1,
                    payee="mule",
                    person=person,
                    told_at_us=told_at_us,
                )
            )
        self._to_reject.clear()
