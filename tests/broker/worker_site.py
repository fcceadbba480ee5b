"""Topics, settings and rules of one test of the worker, and what a worker makes of them."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.fact import Fact, Mark
from rules.rule import RuleSet
from rules.stages import Engine
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from streams.clock import now_us
from streams.epoch import Epoch, partitions_of
from streams.ingest import Ingest
from streams.joining import find_epoch
from streams.rule_files import read_rules
from streams.settings import Settings, load_settings
from streams.states import stages_of
from streams.topics import create_topics
from streams.wire.facts import decode_row
from streams.wire.pseudonyms import Pseudonyms
from tests.broker.bus import Bus
from tests.streams.worker_parts import (
    CAMPAIGNS,
    RULE,
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    blocked,
    call,
    heartbeat,
    transfer,
)

PATIENCE_S = 120.0
_END_US = 30 * 86_400 * SECOND_US

Records = list[tuple[str, int, bytes]]


@dataclass
class Site:
    """Topics, settings and rules of one test, and what a worker makes of them.

    Attributes:
        sent: Every record, with its topic and partition.
        apart_us: How far one person's events are from the next one's.
        silent: Partitions that get nothing but what is meant for every partition.
        patience_s: How long workers may take to do all that waits.
        group: The workers' group, once somebody has asked for it.
    """

    bus: Bus
    settings: Settings
    rule_set: RuleSet
    environ: Mapping[str, str]
    sent: Records = field(default_factory=list)
    apart_us: int = SECOND_US
    silent: frozenset[Partition] = frozenset()
    patience_s: float = PATIENCE_S
    group: str | None = None

    async def make_topics(self) -> None:
        """Make them as the command does, without the seconds that a process takes to start."""
        made = await create_topics(
            self.settings, self.rule_set, partitions=2, replication=None, inputs=True
        )
        self.bus.topics += made.made

    async def make_topics_by_command(self) -> None:
        """Let the command make them."""
        create = ("topics", "create", "--inputs", "--partitions", "2")
        done = await asyncio.to_thread(run_command, self.environ, *create)
        assert done.returncode == 0, done.stderr
        made = [line.split()[1].strip(",") for line in done.stderr.splitlines()]
        self.bus.topics += made

    async def send(self, topic: str, values: Sequence[bytes]) -> None:
        """Append records to a topic, turn by turn to its two partitions."""
        spoken = [n for n in range(2) if (topic, n) not in self.silent]
        await self.send_to(
            (topic, spoken[n % len(spoken)], value) for n, value in enumerate(values)
        )

    async def send_to(self, records: Iterable[tuple[str, int, bytes]]) -> None:
        """Append records to partitions."""
        records = list(records)
        self.sent += records
        await self.bus.produce_all((t, p, None, v) for t, p, v in records)

    def moment_us(self, number: int) -> int:
        """Return when a person is called."""
        return TEN_O_CLOCK + number * self.apart_us

    async def send_calls(self, numbers: range) -> None:
        """Append calls, every fifth of them by somebody in the address book."""
        await self.send(
            self.settings.calls_topics[0],
            [call(n, self.moment_us(n), "contact" if n % 5 == 0 else "stranger") for n in numbers],
        )

    async def send_transfers(self, numbers: range) -> None:
        """Append transfers a minute after the calls; every seventh of them is rejected later."""
        values = [self._paid(n) for n in numbers]
        values += [self._paid(n, "rejected", 1) for n in numbers if n % 7 == 0]
        await self.send(self.settings.transactions_topics[0], values)

    async def send_blocks(self, numbers: range) -> None:
        """Append, for every fourth person, that the caller cuts them off."""
        at = {n: self.moment_us(n) + 120 * SECOND_US for n in numbers if n % 4 == 0}
        values = [blocked(n, at_us) for n, at_us in at.items()]
        await self.send(self.settings.calls_topics[0], values)

    async def send_end(self) -> None:
        """Raise every watermark so far that all alerts become final."""
        await self.send_heartbeats(TEN_O_CLOCK + _END_US)

    async def send_heartbeats(self, watermark_us: int) -> None:
        """Raise the watermark of every partition, also of those that are silent."""
        topics = self.settings.outside_topics
        await self.send_to((t, n, heartbeat(watermark_us)) for t in topics for n in range(2))

    def _paid(self, number: int, status: str = "attempted", sequence: int = 0) -> bytes:
        """Return a transfer a minute after the call; three people share a payee."""
        at_us = self.moment_us(number) + 60 * SECOND_US
        return transfer(number, at_us, status, sequence, payee=f"account-{number // 3}")

    async def epoch(self) -> Epoch:
        """Return the epoch as the worker finds it."""
        return await find_epoch(self.settings, self.rule_set)

    async def until_caught_up(self, quiet_s: float = 3.0) -> None:
        """Wait until all that follows from what was sent is committed, and nothing comes any more.

        Marks that were held back come a second later, and on a busy machine later still.
        """
        epoch = await self.epoch()
        places = [TopicPartition(*place) for place in partitions_of(epoch.sizes)]
        silent_s, before = 0.0, -1
        async with (
            asyncio.timeout(self.patience_s + 10 * quiet_s),
            AIOKafkaConsumer(bootstrap_servers=self.bus.address) as consumer,
        ):
            while silent_s < quiet_s:
                await asyncio.sleep(0.25)
                ends = await consumer.end_offsets(places)
                commits = await self.bus.committed(epoch.group)
                done = sum(commits.get((p.topic, p.partition), (0, ""))[0] for p in places)
                is_quiet = sum(ends.values()) == done == before
                silent_s = silent_s + 0.25 if is_quiet else 0.0
                before = done

    async def done(self) -> int:
        """Return how much the group has committed of all topics together."""
        commits = await self.bus.committed(await self._group())
        return sum(offset for offset, _ in commits.values())

    async def lag(self) -> int:
        """Return how many records of the outside topics are not committed yet."""
        topics = self.settings.outside_topics
        commits = await self.bus.committed(await self._group())
        sent = Counter((topic, number) for topic, number, _ in self.sent if topic in topics)
        return sum(n - commits.get(place, (0, ""))[0] for place, n in sent.items())

    async def _group(self) -> str:
        # Asked several times a second in a storm, and each time it takes a connection.
        if self.group is None:
            self.group = (await self.epoch()).group
        return self.group

    async def alert_records(self) -> list[bytes]:
        """Return the alerts topic, partition by partition."""
        read = await self.bus.read(self.settings.alerts_topic)
        return [bytes(r.value) for r in read if r.value is not None]

    async def implied_by_facts(self) -> set[bytes]:
        """Return the records that the facts logs imply, by correlators of the test's own."""
        epoch = await self.epoch()
        implied: set[bytes] = set()
        for stage in stages_of(epoch, self.rule_set):
            rows = await self.bus.read(stage.log.name)
            for partition in range(stage.log.size):
                unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
                correlator = Correlator(stage.rules, unheard, timing=self.settings.timing)
                for row in rows:
                    if row.partition == partition:
                        assert row.value is not None
                        fact = decode_row(row.key, row.value, self.settings.timing)
                        alerts = correlator.observe([fact], stage.log.revision_at(row.offset))
                        implied |= {encode_alert(a) for a in alerts if not a.is_signal}
        return implied

    def implied_by_records(self) -> dict[str, object]:
        """Return the last record of each raised alert that the records sent imply."""
        secret = self.settings.secret()
        pseudonyms = Pseudonyms(secret, frozenset(self.settings.withheld_values))
        ingest = Ingest(self.rule_set, self.settings.timing, pseudonyms)
        engine = Engine(self.rule_set, {("all", 0): NEVER_US}, timing=self.settings.timing)
        facts: list[Fact | Mark] = []
        for _, _, value in self.sent:
            read = ingest.read_whole(value, now_us=now_us())
            facts += ingest.admit(read, FeedClock(0)).facts
        alerts: list[Alert] = []
        for number, row in enumerate([*facts, Mark("all", 0, END_US)]):
            alerts += engine.observe([row], number)
        return final_raised(encode_alert(alert) for alert in alerts)


def final_raised(records: Iterator[bytes] | Sequence[bytes]) -> dict[str, object]:
    """Return the data, without revision, of each alert whose greatest revision is raised."""
    greatest: dict[str, Any] = {}
    for raw in records:
        data = json.loads(raw)["data"]
        if data["revision"] >= greatest.get(data["alert_id"], {"revision": -1})["revision"]:
            greatest[data["alert_id"]] = data
    raised = {i: d for i, d in greatest.items() if d["state"] == "raised"}
    return {i: {k: v for k, v in d.items() if k != "revision"} for i, d in raised.items()}


def command(*arguments: str, code: str = "from streams.cli import main; main()") -> list[str]:
    """Return the command line of `ringfence`, or of what stands in for it."""
    return [sys.executable, "-c", code, *arguments]


def run_command(environ: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    return subprocess.run(
        command(*arguments),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


@contextmanager
def worker(
    environ: Mapping[str, str], journal: Path, code: str = "from streams.cli import main; main()"
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker; it is gone afterwards, whatever happens."""
    with journal.open("ab") as stderr:
        process = subprocess.Popen(command("worker", code=code), env=environ, stderr=stderr)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def open_site(
    bus: Bus, names: Callable[[str], str], folder: Path, **more: str
) -> AsyncIterator[Site]:
    """Give a site with rules of both stages; its topics are not made yet."""
    rules = folder / "rules"
    rules.mkdir()
    for name, text in {"video_call_then_new_payee.yaml": RULE, **CAMPAIGNS}.items():
        (rules / name).write_text(text)
    variables = {
        "RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": bus.address,
        "RINGFENCE_CALLS_TOPICS": names("calls"),
        "RINGFENCE_TRANSACTIONS_TOPICS": names("transactions"),
        "RINGFENCE_FACTS_TOPIC": names("facts"),
        "RINGFENCE_ALERTS_TOPIC": names("alerts"),
        "RINGFENCE_DEAD_LETTERS_TOPIC": names("dead-letters"),
        "RINGFENCE_GROUP": names("workers"),
        "RINGFENCE_RULES": str(rules),
        "RINGFENCE_PSEUDONYM_KEY": SECRET,
        # A killed worker's partitions are free again after it; brokers of ours take as little.
        "RINGFENCE_SESSION_TIMEOUT": "3s",
        **more,
    }
    settings = load_settings(variables)
    others = {k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")}
    rule_set = read_rules(settings.rules, settings.timing)
    yield Site(bus, settings, rule_set, {**others, "PYTHONPATH": ".", **variables})
