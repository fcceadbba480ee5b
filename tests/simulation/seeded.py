"""What every simulated run has: a virtual loop, a Kafka in memory on it, and what went wrong."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping
from random import Random
from typing import ClassVar

from rules.moment import DAY_US
from tests.simulation.kafka import Kafka
from tests.simulation.plan import ChangePlan, Plan
from tests.simulation.virtual_loop import VirtualLoop
from tests.streams.worker_parts import TEN_O_CLOCK


class SeededRun(ABC):
    """A run, and what it has come to."""

    longest_s: ClassVar[float]
    """After so long in virtual time it counts as one that never comes to rest."""

    def __init__(self, seed: int, plan: Plan | ChangePlan, sizes: Mapping[str, int]) -> None:
        self.seed = seed
        self.failures: list[BaseException] = []
        self.all_sent = False
        self.loop = VirtualLoop()  # type: ignore[abstract] # as much of a loop as is needed
        self.kafka = Kafka(
            self.loop,
            Random(seed + 1),  # noqa: S311 - a run is to be had again
            dict(sizes),
            strays=plan.strays,
            crash_at=dict.fromkeys(plan.crash_at, True),
            wall_us=TEN_O_CLOCK + 30 * DAY_US,
        )

    def wrongs(self) -> list[str]:
        """Run it and return what is wrong, in words."""
        try:
            self.loop.run(self._main(), self.longest_s)
        except TimeoutError:
            return [*map(repr, self.failures), "it never comes to rest"]
        return [*map(repr, self.failures), *self._wrongs()]

    async def _wait_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.loop.time()))

    @abstractmethod
    def _main(self) -> Coroutine[object, object, None]:
        """Do all that is planned, until all is quiet again."""

    @abstractmethod
    def _wrongs(self) -> Iterator[str]:
        """Yield what does not hold then."""
