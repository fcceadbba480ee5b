"""A simulated run in which the rules change: the real command and the real workers of two epochs.

The command starts an epoch at once or as a shadow, promotes that, and ends what the old one has
left open; it is killed after any of its effects and run again. Workers of both rule sets find,
watch and leave their epochs as they do on a real Kafka, and die as in every other run.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import msgspec

from rules.alert import encode_alert
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams.epoch_watch import EpochWatch
from streams.epochs_topic import epochs_topic, read_succession, write_succession
from streams.failures import OutsideFailure, UsageFailure
from streams.joining import join
from streams.lanes import Commit
from streams.outbox import Message
from streams.settings import Settings
from streams.states import stages_of
from streams.succession import Entry, Succession, fold, write_rules
from streams.switch_command import Wish, carry_out
from streams.switching import Switch
from streams.topics import make_entry, roster_of
from tests.epoch_laws import (
    Part,
    Said,
    Wrong,
    part_of,
    wrongly_ended,
    wrongs_by_records,
    wrongs_of,
)
from tests.simulation.kafka import SESSION_S, Kafka
from tests.simulation.laws import Reader, final_raised, interleaved, letters, raised_by, refused
from tests.simulation.plan import change_plan_of
from tests.simulation.ports import Ports
from tests.simulation.seeded import SeededRun
from tests.simulation.shared import PORTS, ingest_of, load_once, read_once, settings
from tests.simulation.virtual_loop import OWNER, Process
from tests.simulation.worker import Fleet, Work, Worker
from tests.streams.worker_parts import CAMPAIGNS, RULE

_QUIET_S: Final = 2.0
_PATIENCE_S: Final = 15.0
_SHORT: Final = {name: text.replace("72h", "6h") for name, text in CAMPAIGNS.items()}
_OLD: Final = {"video_call_then_new_payee.yaml": RULE, **_SHORT}
# Raises more about people with contacts, less about accounts, and no longer who was cut off.
_NEW: Final = {
    "video_call_then_new_payee.yaml": RULE.replace(
        'relationship == "stranger"', 'relationship in ("stranger", "contact")'
    ),
    "many_victims.yaml": _SHORT["many_victims.yaml"].replace(">= 2", ">= 3"),
}
_SIZES: Final = {
    "calls": 1,
    "transactions": 2,
    "ringfence.alerts": 1,
    "ringfence.dead-letters": 1,
    "ringfence.epochs": 1,
}
_FACTS_SIZE: Final = 2


@dataclass(frozen=True)
class Side:
    """The rules before the change, or those after it."""

    settings: Settings
    rules: RuleSet


def _side(files: Mapping[str, str]) -> Side:
    folder = Path(mkdtemp(prefix="ringfence-"))
    for name, text in files.items():
        (folder / name).write_text(text)
    given = settings(
        RINGFENCE_RULES=str(folder), RINGFENCE_SETTLE="90m", RINGFENCE_BROKER_WAIT="3s"
    )
    return Side(given, load_once(write_rules(read_once(given.rules), None, given.timing)))


@cache
def sides() -> tuple[Side, Side]:
    """Return both, with their files in folders of their own."""
    return _side(_OLD), _side(_NEW)


class Broker(Ports):
    """What commands and joining workers ask a broker, as `streams.operating` has it."""

    async def read_succession(self) -> Succession:
        """Read the epochs topic as the command does."""
        return await read_succession(_any_settings())

    async def write_succession(self, succession: Succession) -> Succession:
        """Append to it as the command does."""
        return await write_succession(_any_settings(), succession)

    async def topic_sizes(self) -> Mapping[str, int]:
        """Return all topics."""
        await self.kafka.latency()
        return dict(self.kafka.sizes)

    async def commits(self, group: str) -> Mapping[Partition, Commit]:
        """Return what a group has committed."""
        await self.kafka.latency()
        found = self.kafka.groups.get(group)
        return {} if found is None else dict(found.commits)

    async def members(self, group: str) -> int:
        """Return how many members the coordinator knows, those included whose session runs on."""
        await self.kafka.latency()
        found = self.kafka.groups.get(group)
        return 0 if found is None else len(found.members)

    async def make_topics(self, entry: Entry, rule_set: RuleSet, like: str) -> None:
        """Make the topics of an epoch."""
        del rule_set
        await self.kafka.latency()
        names = [log.name for log in entry.epoch({}).facts_logs]
        for name in names:
            self.kafka.sizes.setdefault(name, self.kafka.sizes[like])
        if entry.shadow_topic is not None:
            self.kafka.sizes.setdefault(entry.shadow_topic, 1)
        await self.kafka.step(self.process)

    async def send(self, messages: Sequence[Message]) -> None:
        """Append records."""
        await self.send_all(messages)

    async def start_of(self, partition: Partition, start: str | int) -> int:
        """Return the first offset that was sent at a moment or later."""
        await self.kafka.latency()
        assert isinstance(start, int), "only moments are asked for"
        log = self.kafka.logs[partition]
        return next((r.offset for r in log if r.timestamp * 1_000 >= start), len(log))


def _any_settings() -> Settings:
    # Both name one epochs topic.
    return sides()[0].settings


class EpochWorker(Worker):
    """A worker that finds its epoch, and leaves when it is followed."""

    def __init__(self, kafka: Kafka, side: Side, name: str, failures: list[BaseException]) -> None:
        super().__init__(kafka, name, failures, is_slow=False)
        self._side = side

    async def run(self) -> None:
        """See `Worker`."""
        broker = Broker(self.kafka, self.process)
        PORTS.set(broker)
        given, rules = self._side.settings, self._side.rules
        try:
            epoch = await join(given, rules, broker)
        except (UsageFailure, OutsideFailure):
            # It ends with a sentence, and a supervisor starts it anew.
            self.process.dead = True
            return
        ingest = ingest_of(rules, given)
        await self.begin(Work(epoch, stages_of(epoch, rules), given, ingest))
        rows = broker.follow((epochs_topic(given), 0))
        self._watch = EpochWatch(rows, epoch, leave=self.end)
        await self._watch.start()


class ChangeRun(SeededRun):
    """A run in which one epoch follows another."""

    longest_s = 900.0

    def __init__(self, seed: int) -> None:
        self.plan = change_plan_of(seed)
        super().__init__(seed, self.plan, _SIZES)
        self.old, self.new = [
            Fleet(self.kafka, partial(self._worker, side), self.failures, prefix)
            for side, prefix in zip(sides(), ("old", "new"), strict=True)
        ]
        self._commands = 0

    def _worker(self, side: Side, name: str) -> Worker:
        return EpochWorker(self.kafka, side, name, self.failures)

    async def _main(self) -> None:
        self._tasks = [asyncio.create_task(t) for t in (self._send(), self._fail())]
        self.kafka.sizes.update(self._first_logs())
        for _ in range(self.plan.workers):
            self.old.spawn()
        until_change_s, until_workers_s, until_promotion_s = self.plan.wait_s
        await self._until_begun()
        await self._supervise(until_change_s)
        changing = asyncio.create_task(
            self._command("shadow" if self.plan.is_shadow else "switch")
        )
        await self._supervise(until_workers_s)
        for _ in range(self.plan.workers):
            self.new.spawn()
        await self._supervise_until(changing)
        if self.plan.is_shadow:
            await self._supervise(until_promotion_s)
            await self._supervise_until(asyncio.create_task(self._command("promote")))
        self.old.is_over = True
        await self._until_quiet()

    def _first_logs(self) -> Mapping[str, int]:
        """Return the topics that `topics create` has made for the old rules."""
        given, rules = sides()[0].settings, sides()[0].rules
        entry = make_entry(given, rules, roster_of(given, self.kafka.sizes), Succession())
        return {log.name: _FACTS_SIZE for log in entry.epoch({}).facts_logs}

    async def _until_begun(self) -> None:
        while not self.kafka.logs[epochs_topic(_any_settings()), 0]:
            await self._supervise(0.5)

    async def _send(self) -> None:
        random = self.kafka.random
        for partition, value in interleaved(self.plan.records, random):
            sent_us = 0 if value == b"{" else parse_moment(msgspec.json.decode(value)["time"])
            self.kafka.append(partition, None, value, sent_us)
            if random.random() < 0.5:
                await asyncio.sleep(random.random())
        self.all_sent = True

    async def _fail(self) -> None:
        """Let workers of either side die and stop."""
        random = self.kafka.random
        events: list[tuple[float, float | None]] = [
            *((at_s, None) for at_s in self.plan.kill_at_s),
            *self.plan.stop_at_s,
        ]
        for at_s, seconds in sorted(events, key=lambda event: event[0]):
            await self._wait_until(at_s)
            fleet = random.choice([self.old, self.new])
            if seconds is None:
                fleet.kill_one()
            else:
                fleet.stop_one(seconds)

    async def _supervise(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.old.replace()
        self.new.replace()

    async def _supervise_until(self, task: "asyncio.Task[None]") -> None:
        while not (task.done() or self.failures):
            await self._supervise(0.5)

    # The command, as an operator runs it: until it says that all is done.

    async def _command(self, wish: Wish) -> None:
        dies_at, stops_at = iter(self.plan.command_dies_at), self.plan.command_stops_at
        while True:
            self._commands += 1
            process = Process(f"command{self._commands}")
            context = copy_context()
            context.run(OWNER.set, process)
            said: list[bool] = []
            self._tasks.append(
                self.loop.create_task(self._once(wish, process, said), context=context)
            )
            if stops_at is not None:
                self.kafka.interrupt_at[process] = (stops_at, 2 * SESSION_S)
                stops_at = None
            elif at := next(dies_at, None):
                self.kafka.interrupt_at[process] = (at, None)
            while not (said or process.dead or process.stopped):  # noqa: ASYNC110 - a dead process sets none
                await asyncio.sleep(0.2)
            if said and said[0]:
                return
            await asyncio.sleep(0.5)

    async def _once(self, wish: Wish, process: Process, said: list[bool]) -> None:
        broker = Broker(self.kafka, process)
        PORTS.set(broker)
        side = sides()[1]
        try:
            succession = await broker.read_succession()
            command = Switch(side.settings, broker, succession, _nobody, _PATIENCE_S)
            rules = None if wish == "promote" else side.rules
            await carry_out(command, wish, rules, as_json=False)
        except (OutsideFailure, UsageFailure):
            # Overtaken, or workers are not as far yet: it is run again.
            said.append(False)
        except Exception as error:  # noqa: BLE001 - a bug
            self.failures.append(error)
            said.append(False)
        else:
            said.append(True)

    async def _until_quiet(self) -> None:
        quiet_s, before = 0.0, -1
        while quiet_s < _QUIET_S and not self.failures:
            await self._supervise(0.5)
            rows = sum(len(log) for log in self.kafka.logs.values())
            fleets = self.old.is_settled and self.new.is_settled
            group = self.kafka.groups.get(self._entries()[-1].group)
            is_quiet = group is not None and group.is_settled and not group.lag()
            is_done = self.all_sent and rows == before and fleets and is_quiet
            quiet_s = quiet_s + 0.5 if is_done else 0.0
            before = rows

    # What must hold.

    def _entries(self) -> Sequence[Entry]:
        succession = Succession()
        for row in self.kafka.logs[epochs_topic(_any_settings()), 0]:
            succession = fold(succession, row.value)
        return succession.epochs

    def _wrongs(self) -> Iterator[str]:
        entries = self._entries()
        if [entry.state for entry in entries] != ["retired", "current"]:
            yield f"the epochs are {[entry.state for entry in entries]}"
            return
        parts = [self._part(e, side) for e, side in zip(entries, sides(), strict=True)]
        after = parts[1]
        shadow = after.entry.shadow_topic
        raw = [row.value or b"" for row in self.kafka.logs[after.entry.alerts_topic, 0]]
        shadowed = [] if shadow is None else [r.value or b"" for r in self.kafka.logs[shadow, 0]]
        said = Said(raw, shadowed)
        wrongs = list(wrongs_of(parts[0], after, said))
        if not self.plan.has_late:
            wrongs += self._wrongs_by_records(parts[0], after, said)
        yield from (f"{kind}: {what}" for kind, what in wrongs)
        topic = _any_settings().dead_letters_topic
        if letters(self.kafka.logs[topic, 0]) != refused(self.plan.records):
            yield "the dead letters are not the records that were refused"

    def _wrongs_by_records(self, before: Part, after: Part, said: Said) -> Iterator[Wrong]:
        side, records = sides()[1], self.plan.records
        reader = Reader(ingest_of(side.rules, side.settings), self.kafka.now_us())
        raised_of = partial(raised_by, side.rules, side.settings.timing, reader)
        raised = final_raised([encode_alert(alert) for alert in after.last.values()])
        yield from wrongs_by_records(after, raised, raised_of(records))
        done = self.kafka.groups[before.entry.group].commits
        told = {p: values[: done[p].offset if p in done else 0] for p, values in records.items()}
        standing = raised_of(told, until_us=NEVER_US)
        yield from wrongly_ended(after, said, standing)

    def _part(self, entry: Entry, side: Side) -> Part:
        stages = stages_of(entry.epoch(self.kafka.sizes), side.rules)
        return part_of(entry, stages, lambda place: self.kafka.logs[place], side.settings.timing)


def _nobody(sentence: str) -> None:
    """Tell nobody what a command says."""
    del sentence
