"""One simulated run: records, workers, faults, and what must hold when all is quiet again."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Final

from rules.alert import encode_alert
from rules.engine import Correlator
from rules.fact import Fact, Mark
from rules.moment import HOUR_US, MINUTE_US
from rules.rule import RuleSet
from rules.screen import Screen
from rules.stages import Engine
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.epoch import Epoch
from streams.ingest import Ingest
from streams.intake import Intake
from streams.settings import Settings
from streams.states import stages_of
from streams.wire.facts import decode_row, encode_fact
from streams.wire.pseudonyms import Pseudonyms
from tests.simulation.kafka import SESSION_S, Kafka, Member
from tests.simulation.virtual_loop import OWNER, Process, VirtualLoop
from tests.streams.worker_parts import (
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    blocked,
    call,
    heartbeat,
    rules_with_campaigns,
    settings_for_tests,
    transfer,
)

_QUIET_S = 2.0
_LONGEST_S = 600.0
_DAY_US = 24 * HOUR_US
_SILENT = ("transactions", 1)
EPOCH = Epoch(
    "0",
    {"calls": 1, "transactions": 2},
    "facts.0",
    2,
    "ringfence.0",
    "ringfence.alerts",
    "facts2.0",
)


@cache
def _settings() -> Settings:
    return settings_for_tests(
        RINGFENCE_BATCH_RECORDS="4",
        RINGFENCE_HELD_RECORDS="8",
        RINGFENCE_SESSION_TIMEOUT=f"{SESSION_S:g}s",
        RINGFENCE_IDLE_AFTER="40s",
    )


RULES = rules_with_campaigns()
STAGES = stages_of(EPOCH, RULES)


compiled: Final = cache(compile)
"""Python's own, once for each text: what it returns is only ever read."""

_screens: dict[tuple[str, ...], Screen] = {}


def screen_of(rule_set: RuleSet) -> Screen:
    """Return the screen of a rule set, compiled once for all runs."""
    names = tuple(rule.id for rule in rule_set.rules)
    if names not in _screens:
        _screens[names] = Screen(rule_set)
    return _screens[names]


# Compiled once for all runs and workers; what it counts is nobody's business here.
INGEST = Ingest(RULES, _settings().timing, Pseudonyms(SECRET.encode(), frozenset()))


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


def _records(random: Random, *, is_silent: bool, has_late: bool) -> dict[Partition, list[bytes]]:
    told = _Told(random, banks=1 if is_silent else 2)
    at_us = TEN_O_CLOCK
    for part in range(random.randint(1, 2)):
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
        feed.append(heartbeat(at_us + 5 * _DAY_US))
    return {("calls", 0): told.feeds[0], ("transactions", 0): told.feeds[1], _SILENT: told.last}


class _Told:
    """What feeds have told: the first is the call side's, the others are the bank's."""

    def __init__(self, random: Random, banks: int) -> None:
        self.feeds: list[list[bytes]] = [[] for _ in range(1 + banks)]
        self._random = random
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
        calls.append(call(number, at_us, person=person))
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


class Worker:
    """The real stations and the real intake over ports of a simulated Kafka."""

    def __init__(
        self, kafka: Kafka, name: str, failures: list[BaseException], *, is_slow: bool
    ) -> None:
        self._longest_s = 0.0 if is_slow else 1.0
        self.process = Process(name)
        self.context = copy_context()
        self.context.run(OWNER.set, self.process)
        self._kafka = kafka
        self._failures = failures
        self.is_gone = False
        self.ending = False

    def start(self) -> None:
        """Set it going."""
        self._kafka.loop.create_task(self._run(), context=self.context)

    def end(self) -> None:
        """Let it finish what is out and leave, as SIGTERM does."""
        if not self.ending:
            self.ending = True
            self._kafka.loop.create_task(self._end(), context=self.context)

    async def _run(self) -> None:
        ports = self._kafka.ports(self.process)
        channel: asyncio.Queue[Any] = asyncio.Queue()
        taking_in = IngestStation(
            channel,
            settings=_settings(),
            stages=STAGES,
            starts={},
            ingest=INGEST,
            sender=ports,
            offsets=ports,
            clock_us=self._kafka.now_us,
            longest_s=self._longest_s,
        )
        stations: dict[str, Any] = dict.fromkeys(EPOCH.roster, taking_in)
        self._agents = [asyncio.create_task(self._work(taking_in)) for _ in range(2)]
        for stage in STAGES:
            station = CorrelateStation(
                asyncio.Queue(),
                settings=_settings(),
                stage=stage,
                alerts_topic=EPOCH.alerts_topic,
                sender=ports,
                facts_log=ports,
                longest_s=self._longest_s,
            )
            stations[stage.log.name] = station
            self._agents += [asyncio.create_task(self._work(station)) for _ in range(2)]
        self._intake = Intake(
            _settings(),
            EPOCH,
            make_member=lambda: Member(self._kafka, self.process, self.context),
            commits=ports,
            stations=stations,
            clock_us=self._kafka.now_us,
        )
        await self._intake.start()

    async def _work(self, station: Any) -> None:  # noqa: ANN401 - either of them
        try:
            while True:
                await station.take(await station.channel.get())
        except Exception as error:  # noqa: BLE001 - a worker ends with it
            self._failures.append(error)
            self._kafka.kill(self.process)

    async def _end(self) -> None:
        await self._intake.stop()
        self.process.dead = True

    @property
    def crash(self) -> BaseException | None:
        """What its intake has crashed of."""
        intake = getattr(self, "_intake", None)
        return intake.crash_reason if intake is not None and intake.crashed else None


@dataclass
class Run:
    """A run, and what it has come to."""

    seed: int
    plan: Plan = field(init=False)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the plan."""
        self.plan = plan_of(self.seed)
        self.loop = VirtualLoop()  # type: ignore[abstract] # as much of a loop as is needed
        sizes = EPOCH.sizes
        self.kafka = Kafka(
            self.loop,
            Random(self.seed + 1),  # noqa: S311 - a run is to be had again
            {t: sizes[t] for t in sorted(sizes)},
            strays=self.plan.strays,
            crash_at=dict.fromkeys(self.plan.crash_at, True),
            wall_us=TEN_O_CLOCK + 30 * _DAY_US,
        )
        self.workers: list[Worker] = []
        self._names = iter(range(10_000))

    def wrongs(self) -> list[str]:
        """Run it and return what is wrong, in words."""
        try:
            self.loop.run(self._main(), _LONGEST_S)
        except TimeoutError:
            return [*map(repr, self.failures), "it never comes to rest"]
        return [*map(repr, self.failures), *self._wrongs()]

    async def _main(self) -> None:
        random = self.kafka.random
        asyncio.create_task(self._send(random))  # noqa: RUF006 - it ends long before this one
        for _ in range(self.plan.workers):
            self._spawn()
        events: list[tuple[float, Callable[[], None]]] = [
            *((at, self._kill_one) for at in self.plan.kill_at_s),
            *((at, self._end_one) for at in self.plan.end_at_s),
            *((at, self._stopper(seconds)) for at, seconds in self.plan.stop_at_s),
        ]
        for at_s, event in sorted(events, key=lambda item: item[0]):
            await asyncio.sleep(max(0.0, at_s - self.loop.time()))
            event()
            self._replace()
        await self._until_quiet()

    async def _send(self, random: Random) -> None:
        for places in _interleaved(self.plan.records, random):
            partition, value = places
            self.kafka.append(partition, None, value)
            if random.random() < 0.3:
                await asyncio.sleep(random.random())
        self.all_sent = True

    all_sent = False

    async def _until_quiet(self) -> None:
        quiet_s, before = 0.0, -1
        while quiet_s < _QUIET_S and not self.failures:
            await asyncio.sleep(0.5)
            self._replace()
            # Marks follow the clock for as long as a partition is silent.
            rows = [row for log in self.kafka.logs.values() for row in log]
            now = sum(row.key is not None or not self.plan.is_silent for row in rows)
            is_done = self.all_sent and now == before and self._is_settled()
            is_done = is_done and (
                self._is_passed() if self.plan.is_silent else not self.kafka.lag()
            )
            quiet_s = quiet_s + 0.5 if is_done else 0.0
            before = now

    def _is_settled(self) -> bool:
        """Whether nobody is stopped, and the group has taken note of all that happened."""
        alive = [worker for worker in self.workers if not worker.process.dead]
        return (
            not any(w.process.stopped or w.ending for w in alive) and self.kafka.group.is_settled
        )

    def _is_passed(self) -> bool:
        return any(b'"transactions",1,' in (r.value or b"") for r in self.kafka.logs["facts.0", 0])

    def _spawn(self) -> None:
        worker = Worker(
            self.kafka,
            f"w{next(self._names):04}",
            self.failures,
            is_slow=self.plan.is_slow,
        )
        self.workers.append(worker)
        worker.start()

    def _replace(self) -> None:
        """Start a worker for each that is gone, as a supervisor does."""
        for worker in self.workers:
            if worker.crash is not None and not worker.process.dead:
                self.failures.append(worker.crash)
                self.kafka.kill(worker.process)
        gone = [worker for worker in self.workers if worker.process.dead and not worker.is_gone]
        for worker in gone:
            worker.is_gone = True
            self._spawn()

    def _one(self) -> Worker | None:
        alive = [w for w in self.workers if not (w.process.dead or w.process.stopped or w.ending)]
        return self.kafka.random.choice(alive) if alive else None

    def _kill_one(self) -> None:
        worker = self._one()
        if worker is not None:
            self.kafka.kill(worker.process)

    def _end_one(self) -> None:
        worker = self._one()
        if worker is not None and hasattr(worker, "_intake"):
            worker.end()

    def _stopper(self, seconds: float) -> Callable[[], None]:
        def stop() -> None:
            worker = self._one()
            if worker is not None:
                self.kafka.stop(worker.process, seconds)

        return stop

    # What must hold.

    def _wrongs(self) -> Iterator[str]:
        alerts = [row.value or b"" for row in self.kafka.logs[_settings().alerts_topic, 0]]
        if set(alerts) != self._implied_by_facts():
            yield "the alerts are not those that the facts logs imply"
        if set(self._facts()) != self._implied_facts():
            yield "the facts are not those that the records imply"
        if not self.plan.has_late and _final(alerts) != self._implied_by_records():
            yield "the final alerts are not those that the records imply"
        if self._letters() != self._refused():
            yield "the dead letters are not the records that were refused"

    def _implied_by_facts(self) -> set[bytes]:
        implied: set[bytes] = set()
        for stage in STAGES:
            for number in range(stage.log.size):
                unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
                correlator = Correlator(stage.rules, unheard, timing=_settings().timing)
                for row in self.kafka.logs[stage.log.name, number]:
                    fact = decode_row(row.key, row.value or b"", _settings().timing)
                    alerts = correlator.observe([fact], stage.log.revision_at(row.offset))
                    implied |= {encode_alert(a) for a in alerts if not a.is_signal}
        return implied

    def _facts(self) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        for (topic, _), log in self.kafka.logs.items():
            if topic.startswith("facts"):
                for row in log:
                    if row.key is not None and b'"ringfence","alert"' not in (row.value or b""):
                        yield topic, row.key, row.value

    def _implied_facts(self) -> set[tuple[str, bytes | None, bytes | None]]:
        """Return the facts that ingest makes of the records, read once and in order."""
        implied: set[tuple[str, bytes | None, bytes | None]] = set()
        screens = [(stage.log.name, screen_of(stage.rules)) for stage in STAGES]
        for (topic, number), values in self.plan.records.items():
            clock = FeedClock(_settings().lateness_us(topic))
            for value in values:
                read = INGEST.read_whole(value, now_us=self.kafka.now_us())
                for fact in INGEST.admit(read, clock).facts:
                    by = fact.key.partition(":")[0]
                    event = fact.event
                    for name, screen in screens:
                        if by in screen.keys(event.identity.type, event.fields):
                            implied.add((name, *encode_fact(fact)))
            del number
        return implied

    def _implied_by_records(self) -> dict[str, Any]:
        engine = Engine(RULES, {("all", 0): NEVER_US}, timing=_settings().timing)
        facts: list[Fact | Mark] = []
        for values in self.plan.records.values():
            for value in values:
                read = INGEST.read_whole(value, now_us=self.kafka.now_us())
                facts += INGEST.admit(read, FeedClock(0)).facts
        alerts = []
        for number, row in enumerate([*facts, Mark("all", 0, END_US)]):
            alerts += engine.observe([row], number)
        return _final([encode_alert(alert) for alert in alerts])

    def _letters(self) -> set[str]:
        found = set()
        for row in self.kafka.logs[_settings().dead_letters_topic, 0]:
            letter = json.loads(row.value or b"")
            found.add(f"{letter['feed']}:{letter['partition']}:{letter['offset']}")
        return found

    def _refused(self) -> set[str]:
        return {
            f"{topic}:{number}:{offset}"
            for (topic, number), values in self.plan.records.items()
            for offset, value in enumerate(values)
            if value == b"{"
        }


def _interleaved(
    records: Mapping[Partition, list[bytes]], random: Random
) -> Iterator[tuple[Partition, bytes]]:
    waiting = {p: list(reversed(values)) for p, values in records.items() if values}
    while waiting:
        partition = random.choice(sorted(waiting))
        yield partition, waiting[partition].pop()
        if not waiting[partition]:
            del waiting[partition]


def _final(records: list[bytes]) -> dict[str, Any]:
    greatest: dict[str, Any] = {}
    for raw in records:
        data = json.loads(raw)["data"]
        with suppress(KeyError):
            if greatest[data["alert_id"]]["revision"] > data["revision"]:
                continue
        greatest[data["alert_id"]] = data
    return {
        key: {name: value for name, value in data.items() if name != "revision"}
        for key, data in greatest.items()
        if data["state"] == "raised"
    }
