"""A worker of the simulation, and a supervisor that starts one anew for each that is gone."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.epoch import Epoch
from streams.ingest import Ingest
from streams.intake import Intake
from streams.settings import Settings
from streams.states import Stage
from tests.simulation.kafka import Kafka, Member
from tests.simulation.ports import Ports
from tests.simulation.virtual_loop import OWNER, Process


@dataclass(frozen=True)
class Work:
    """What a worker works for and with."""

    epoch: Epoch
    stages: tuple[Stage, ...]
    settings: Settings
    ingest: Ingest


class Worker:
    """The real stations and the real intake over ports of a simulated Kafka."""

    work: Work

    def __init__(
        self, kafka: Kafka, name: str, failures: list[BaseException], *, is_slow: bool
    ) -> None:
        self._longest_s = 0.0 if is_slow else 1.0
        self.process = Process(name)
        self.context = copy_context()
        self.context.run(OWNER.set, self.process)
        self.kafka = kafka
        self.failures = failures
        self.is_gone = False
        self.ending = False
        self.intake: Intake | None = None

    def start(self) -> None:
        """Set it going."""
        self.kafka.loop.create_task(self.run(), context=self.context)

    def end(self) -> None:
        """Let it finish what is out and leave, as SIGTERM does."""
        if self.intake is not None and not self.ending:
            self.ending = True
            self.kafka.loop.create_task(self._end(self.intake), context=self.context)

    async def run(self) -> None:
        """Begin to work."""
        await self.begin(self.work)

    async def begin(self, work: Work) -> None:
        """Begin to work for an epoch."""
        group = self.kafka.group(work.epoch)
        ports = Ports(self.kafka, self.process, group)
        taking_in = IngestStation(
            asyncio.Queue(),
            settings=work.settings,
            stages=work.stages,
            starts=work.epoch.starts,
            ingest=work.ingest,
            sender=ports,
            offsets=ports,
            clock_us=self.kafka.now_us,
            longest_s=self._longest_s,
        )
        stations: dict[str, Any] = dict.fromkeys(work.epoch.roster, taking_in)
        self._agents = [asyncio.create_task(self._take(taking_in)) for _ in range(2)]
        for stage in work.stages:
            station = CorrelateStation(
                asyncio.Queue(),
                settings=work.settings,
                stage=stage,
                alerts_topic=work.epoch.alerts_topic,
                sender=ports,
                facts_log=ports,
                longest_s=self._longest_s,
            )
            stations[stage.log.name] = station
            self._agents += [asyncio.create_task(self._take(station)) for _ in range(2)]
        self.intake = Intake(
            work.settings,
            work.epoch,
            make_member=lambda: Member(group, self.process, self.context),
            commits=ports,
            stations=stations,
            clock_us=self.kafka.now_us,
        )
        await self.intake.start()

    async def _take(self, station: Any) -> None:  # noqa: ANN401 - either of them
        try:
            while True:
                await station.take(await station.channel.get())
        except Exception as error:  # noqa: BLE001 - a worker ends with it
            self.failures.append(error)
            self.kafka.kill(self.process)

    async def _end(self, intake: Intake) -> None:
        await intake.stop()
        self.process.dead = True

    @property
    def crash(self) -> BaseException | None:
        """What its intake has crashed of."""
        return None if self.intake is None or not self.intake.crashed else self.intake.crash_reason


@dataclass
class Fleet:
    """Workers under a supervisor.

    `make` makes a worker of a name; names begin with `prefix`.
    """

    kafka: Kafka
    make: Callable[[str], Worker]
    failures: list[BaseException]
    prefix: str = "w"
    workers: list[Worker] = field(default_factory=list)
    is_over: bool = False

    def spawn(self) -> None:
        """Start another worker."""
        worker = self.make(f"{self.prefix}{len(self.workers):04}")
        self.workers.append(worker)
        worker.start()

    def replace(self) -> None:
        """Start a worker for each that is gone, as a supervisor does."""
        for worker in self.workers:
            if worker.crash is not None and not worker.process.dead:
                self.failures.append(worker.crash)
                self.kafka.kill(worker.process)
        gone = [worker for worker in self.workers if worker.process.dead and not worker.is_gone]
        for worker in gone:
            worker.is_gone = True
            if not self.is_over:
                self.spawn()

    def one(self) -> Worker | None:
        """Return any worker that is alive and well."""
        alive = [w for w in self.workers if not (w.process.dead or w.process.stopped or w.ending)]
        return self.kafka.random.choice(alive) if alive else None

    def kill_one(self) -> None:
        """Kill one."""
        worker = self.one()
        if worker is not None:
            self.kafka.kill(worker.process)

    def end_one(self) -> None:
        """End one in order."""
        worker = self.one()
        if worker is not None:
            worker.end()

    def stop_one(self, seconds: float) -> None:
        """Stop one for a while."""
        worker = self.one()
        if worker is not None:
            self.kafka.stop(worker.process, seconds)

    @property
    def is_settled(self) -> bool:
        """Whether nobody is stopped or about to leave."""
        alive = [worker for worker in self.workers if not worker.process.dead]
        return not any(w.process.stopped or w.ending for w in alive)
