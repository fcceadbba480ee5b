"""One simulated run: records, workers, faults, and what must hold when all is quiet again."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from rules.alert import encode_alert
from rules.engine import Correlator
from rules.fact import split_key
from rules.watermark import NEVER_US, FeedClock
from streams.epoch import Epoch
from streams.states import stages_of
from streams.wire.facts import decode_row, encode_fact
from tests.simulation.laws import Reader, final_raised, interleaved, letters, raised_by, refused
from tests.simulation.plan import plan_of
from tests.simulation.seeded import SeededRun
from tests.simulation.shared import ingest_of, screen_of, settings
from tests.simulation.worker import Fleet, Work, Worker
from tests.streams.worker_parts import (
    rules_with_campaigns,
)

_QUIET_S = 2.0
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


SETTINGS = settings()
RULES = rules_with_campaigns()
STAGES = stages_of(EPOCH, RULES)
INGEST = ingest_of(RULES, SETTINGS)


class _Worker(Worker):
    """A worker of the one epoch."""

    work = Work(EPOCH, STAGES, SETTINGS, INGEST)


class Run(SeededRun):
    """A run of one epoch."""

    longest_s = 600.0

    def __init__(self, seed: int) -> None:
        self.plan = plan_of(seed)
        super().__init__(seed, self.plan, EPOCH.sizes)
        self.group = self.kafka.group(EPOCH)
        self.fleet = Fleet(self.kafka, self._worker, self.failures)

    def _worker(self, name: str) -> Worker:
        return _Worker(self.kafka, name, self.failures, is_slow=self.plan.is_slow)

    async def _main(self) -> None:
        random = self.kafka.random
        asyncio.create_task(self._send(random))  # noqa: RUF006 - it ends long before this one
        for _ in range(self.plan.workers):
            self.fleet.spawn()
        events: list[tuple[float, Callable[[], None]]] = [
            *((at, self.fleet.kill_one) for at in self.plan.kill_at_s),
            *((at, self.fleet.end_one) for at in self.plan.end_at_s),
            *((at, partial(self.fleet.stop_one, seconds)) for at, seconds in self.plan.stop_at_s),
        ]
        for at_s, event in sorted(events, key=lambda item: item[0]):
            await self._wait_until(at_s)
            event()
            self.fleet.replace()
        await self._until_quiet()

    async def _send(self, random: Random) -> None:
        for places in interleaved(self.plan.records, random):
            partition, value = places
            self.kafka.append(partition, None, value)
            if random.random() < 0.3:
                await asyncio.sleep(random.random())
        self.all_sent = True

    async def _until_quiet(self) -> None:
        quiet_s, before = 0.0, -1
        while not (self.failures or (quiet_s >= _QUIET_S and not self.group.lag())):
            await asyncio.sleep(0.5)
            self.fleet.replace()
            now = self._rows()
            is_done = self.all_sent and now == before and self.fleet.is_settled
            is_done = is_done and self.group.is_settled
            # There is a lag again and again while marks follow the clock.
            has_come = self._is_passed() if self.plan.is_silent else not self.group.lag()
            is_done = is_done and has_come
            quiet_s = quiet_s + 0.5 if is_done else 0.0
            before = now

    def _rows(self) -> int:
        logs = self.kafka.logs.values()
        if not self.plan.is_silent:
            return sum(map(len, logs))
        # Marks follow the clock for as long as a partition is silent.
        return sum(row.key is not None for log in logs for row in log)

    def _is_passed(self) -> bool:
        """Whether a silent partition has followed the clock, in every facts partition."""
        logs = [self.kafka.logs["facts.0", number] for number in range(EPOCH.facts_partitions)]
        return all(any(b'"transactions",1,' in (row.value or b"") for row in log) for log in logs)

    # What must hold.

    def _wrongs(self) -> Iterator[str]:
        alerts = [row.value or b"" for row in self.kafka.logs[SETTINGS.alerts_topic, 0]]
        if set(alerts) != self._implied_by_facts():
            yield "the alerts are not those that the facts logs imply"
        reader = Reader(INGEST, self.kafka.now_us())
        if set(self._facts()) != self._implied_facts(reader):
            yield "the facts are not those that the records imply"
        if not self.plan.has_late:
            raised = raised_by(RULES, SETTINGS.timing, reader, self.plan.records)
            if final_raised(alerts) != raised:
                yield "the final alerts are not those that the records imply"
        if letters(self.kafka.logs[SETTINGS.dead_letters_topic, 0]) != refused(self.plan.records):
            yield "the dead letters are not the records that were refused"

    def _implied_by_facts(self) -> set[bytes]:
        implied: set[bytes] = set()
        for stage in STAGES:
            for number in range(stage.log.size):
                unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
                correlator = Correlator(stage.rules, unheard, timing=SETTINGS.timing)
                for row in self.kafka.logs[stage.log.name, number]:
                    fact = decode_row(row.key, row.value or b"", SETTINGS.timing)
                    alerts = correlator.observe([fact], stage.log.revision_at(row.offset))
                    implied |= {encode_alert(a) for a in alerts if not a.is_signal}
        return implied

    def _facts(self) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        for (topic, _), log in self.kafka.logs.items():
            if topic.startswith("facts"):
                for row in log:
                    if row.key is not None and b'"ringfence","alert"' not in (row.value or b""):
                        yield topic, row.key, row.value

    def _implied_facts(self, reader: Reader) -> set[tuple[str, bytes | None, bytes | None]]:
        """Return the facts that ingest makes of the records, read once and in order."""
        implied: set[tuple[str, bytes | None, bytes | None]] = set()
        screens = [(stage.log.name, screen_of(stage.rules)) for stage in STAGES]
        for (topic, number), values in self.plan.records.items():
            clock = FeedClock(SETTINGS.lateness_us(topic))
            for value in values:
                for fact in reader.admit(value, clock):
                    by, _ = split_key(fact.key)
                    event = fact.event
                    for name, screen in screens:
                        if by in screen.keys(event.identity.type, event.fields):
                            implied.add((name, *encode_fact(fact)))
            del number
        return implied
