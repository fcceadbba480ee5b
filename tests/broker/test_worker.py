"""The worker as a process of its own, on a real Kafka: alerts, refusals, kills."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.fact import Fact, Mark
from rules.rule import RuleSet
from rules.watermark import END_US, NEVER_US, FeedClock
from streams.clock import now_us
from streams.epoch import Epoch, revision_at
from streams.ingest import Ingest
from streams.rule_files import read_rules
from streams.settings import Settings, load_settings
from streams.topics import connected, find_epoch
from streams.wire.facts import decode_row
from streams.wire.pseudonyms import Pseudonyms
from tests.broker.bus import Bus
from tests.streams.worker_parts import (
    RULE,
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    call,
    heartbeat,
    transfer,
)

pytestmark = pytest.mark.broker

PATIENCE_S = 120.0
# Takes the committed offset at its word and knows nothing of the rows before it.
WITHOUT_REBUILD = """
from streams.agents.correlate import CorrelateStation
from streams.cli import main

async def forget(self, state, partition, offset):
    state.next_offset = offset

CorrelateStation.rebuild = forget
main()
"""


Records = list[tuple[str, int, bytes]]


@dataclass
class Site:
    """Topics, settings and rules of one test, and what a worker makes of them."""

    bus: Bus
    settings: Settings
    rule_set: RuleSet
    environ: Mapping[str, str]
    sent: Records = field(default_factory=list)

    async def make_topics(self) -> None:
        """Let the command make them."""
        done = run_command(self.environ, "topics", "create", "--inputs", "--partitions", "2")
        assert done.returncode == 0, done.stderr
        made = [line.split()[1].strip(",") for line in done.stderr.splitlines()]
        self.bus.topics += made

    async def send(self, topic: str, values: Sequence[bytes]) -> None:
        """Append records to a topic, turn by turn to its two partitions."""
        records = [(topic, n % 2, value) for n, value in enumerate(values)]
        self.sent += records
        await self.bus.produce_all((t, p, None, v) for t, p, v in records)

    async def send_calls(self, numbers: range) -> None:
        """Append calls, every fifth of them by somebody in the address book."""
        await self.send(
            self.settings.calls_topics[0],
            [
                call(n, TEN_O_CLOCK + n * SECOND_US, "contact" if n % 5 == 0 else "stranger")
                for n in numbers
            ],
        )

    async def send_transfers(self, numbers: range) -> None:
        """Append transfers a minute after the calls; every seventh of them is rejected later."""
        values = [transfer(n, TEN_O_CLOCK + (n + 60) * SECOND_US) for n in numbers]
        values += [
            transfer(n, TEN_O_CLOCK + (n + 60) * SECOND_US, "rejected", 1)
            for n in numbers
            if n % 7 == 0
        ]
        await self.send(self.settings.transactions_topics[0], values)

    async def send_end(self) -> None:
        """Raise every watermark so far that all alerts become final."""
        for topic in self.settings.outside_topics:
            await self.send(topic, [heartbeat(TEN_O_CLOCK + 86_400 * SECOND_US)] * 2)

    async def epoch(self) -> Epoch:
        """Return the epoch as the worker finds it."""
        return await find_epoch(self.settings, self.rule_set)

    async def until_caught_up(self) -> None:
        """Wait until everything is read and all that follows from it is committed."""
        epoch = await self.epoch()
        async with asyncio.timeout(PATIENCE_S):
            # Twice, with a pause in which held-back marks go out.
            for _ in range(2):
                while await self._lag(epoch):  # noqa: ASYNC110 - a broker has no event to await
                    await asyncio.sleep(0.2)
                await asyncio.sleep(1.5)

    async def _lag(self, epoch: Epoch) -> int:
        sizes = {**epoch.roster, epoch.facts_topic: epoch.facts_partitions}
        places = [TopicPartition(t, n) for t, count in sizes.items() for n in range(count)]
        async with AIOKafkaConsumer(bootstrap_servers=self.bus.address) as consumer:
            ends = await consumer.end_offsets(places)
        commits = await self.bus.committed(epoch.group)
        return sum(
            end - commits.get((p.topic, p.partition), (0, ""))[0] for p, end in ends.items()
        )

    async def alert_records(self) -> list[bytes]:
        """Return the alerts topic, partition by partition."""
        read = await self.bus.read(self.settings.alerts_topic)
        return [bytes(r.value) for r in read if r.value is not None]

    async def implied_by_facts(self) -> set[bytes]:
        """Return the records that the facts log implies, by a correlator of the test's own."""
        epoch = await self.epoch()
        implied: set[bytes] = set()
        for partition in range(epoch.facts_partitions):
            correlator = Correlator(self.rule_set, dict.fromkeys(epoch.partitions, NEVER_US))
            for row in await self.bus.read(epoch.facts_topic):
                if row.partition == partition:
                    assert row.value is not None
                    fact = decode_row(row.key, row.value, self.settings.timing)
                    alerts = correlator.observe([fact], revision_at(row.offset))
                    implied |= {encode_alert(alert) for alert in alerts}
        return implied

    def implied_by_records(self) -> dict[str, object]:
        """Return the last record of each raised alert that the records sent imply."""
        secret = self.settings.secret()
        pseudonyms = Pseudonyms(secret, frozenset(self.settings.withheld_values))
        ingest = Ingest(self.rule_set, self.settings.timing, pseudonyms)
        correlator = Correlator(self.rule_set, {("all", 0): NEVER_US})
        facts: list[Fact | Mark] = []
        for _, _, value in self.sent:
            facts += ingest.take(value, FeedClock(0), now_us=now_us()).facts
        alerts: list[Alert] = []
        for number, row in enumerate([*facts, Mark("all", 0, END_US)]):
            alerts += correlator.observe([row], number)
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
async def _site(
    bus: Bus, names: Callable[[str], str], folder: Path, **more: str
) -> AsyncIterator[Site]:
    rules = folder / "video_call_then_new_payee.yaml"
    rules.write_text(RULE)
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
        # The least that a broker takes: a killed worker's partitions are free again after it.
        "RINGFENCE_SESSION_TIMEOUT": "6s",
        **more,
    }
    settings = load_settings(variables)
    others = {k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")}
    rule_set = read_rules(settings.rules, settings.timing)
    yield Site(bus, settings, rule_set, {**others, "PYTHONPATH": ".", **variables})


@pytest.fixture
async def site(bus: Bus, names: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose topics are there."""
    async with _site(bus, names, tmp_path) as site:
        await site.make_topics()
        yield site


async def test_records_on_topics_become_alerts_and_a_signal_ends_the_worker(
    site: Site, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    with worker(site.environ, journal) as process:
        await site.send_calls(range(40))
        await site.send_transfers(range(40))
        await site.send_end()
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    alerts = await site.alert_records()
    assert set(alerts) == await site.implied_by_facts()
    assert final_raised(alerts) == site.implied_by_records()
    assert len(final_raised(alerts)) == len([n for n in range(40) if n % 5 and n % 7])
    assert "cust-" not in await asyncio.to_thread(journal.read_text)


async def test_no_alert_is_lost_when_a_worker_is_killed_and_another_takes_over(
    site: Site, tmp_path: Path
) -> None:
    alerts = await alerts_over_a_kill(site, tmp_path / "journal")
    # Work may be repeated, and then gives the same bytes.
    assert set(alerts) == await site.implied_by_facts()
    assert final_raised(alerts) == site.implied_by_records()


async def test_without_a_rebuild_a_kill_does_lose_alerts(site: Site, tmp_path: Path) -> None:
    alerts = await alerts_over_a_kill(site, tmp_path / "journal", WITHOUT_REBUILD)
    assert final_raised(alerts) != site.implied_by_records()


async def alerts_over_a_kill(
    site: Site, journal: Path, code: str = "from streams.cli import main; main()"
) -> list[bytes]:
    """Return the alerts topic after a worker was killed with calls behind and transfers ahead."""
    with worker(site.environ, journal, code) as process:
        await site.send_calls(range(600))
        await site.send_transfers(range(200))
        await site.until_caught_up()
        await site.send_transfers(range(200, 400))
        process.kill()
        process.wait()
    with worker(site.environ, journal, code) as process:
        await site.send_transfers(range(400, 600))
        await site.send_end()
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    return await site.alert_records()


async def test_a_worker_refuses_to_start_without_its_topics(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    async with _site(bus, names, tmp_path) as site:
        done = await asyncio.to_thread(run_command, site.environ, "worker")
    assert done.returncode == 3
    missing = f'"{names("calls")}", "{names("transactions")}"'
    remedy = 'make what is missing, for a trial with "ringfence topics create --inputs"'
    assert done.stderr == f"ringfence: topics {missing} are not there; {remedy}\n"


async def test_malformed_records_become_dead_letters_and_the_others_alerts(
    site: Site, tmp_path: Path
) -> None:
    calls, transactions = site.settings.outside_topics
    with worker(site.environ, tmp_path / "journal"):
        values = [b"{not json", None, call(1, TEN_O_CLOCK), b'"text"']
        await site.bus.produce_all((calls, 0, b"any", value) for value in values)
        await site.bus.produce(transactions, [transfer(1, TEN_O_CLOCK + 60 * SECOND_US)])
        await site.until_caught_up()
    letters = await site.bus.read_json(site.settings.dead_letters_topic)
    found = sorted((x["feed"], x["partition"], x["offset"], x["reason"]) for x in letters)
    assert found == [(calls, 0, 0, "not_json"), (calls, 0, 3, "wrong_type")]
    assert len(await site.alert_records()) == 1


async def test_a_row_that_nobody_can_read_stops_the_worker_and_is_not_stepped_over(
    site: Site, tmp_path: Path
) -> None:
    epoch = await site.epoch()
    journal = tmp_path / "journal"
    with worker(site.environ, journal) as process:
        await site.bus.produce(epoch.facts_topic, [b"no row of ours: cust-7"])
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 70
    said = await asyncio.to_thread(journal.read_text)
    assert "RowError" in said
    assert "cust-7" not in said
    assert (epoch.facts_topic, 0) not in await site.bus.committed(epoch.group)


async def test_a_topic_that_goes_away_stops_the_worker_by_name(site: Site, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    calls = site.settings.calls_topics[0]
    with worker(site.environ, journal) as process:
        await site.send_calls(range(4))
        await site.until_caught_up()
        async with connected(site.settings) as admin:
            await admin.delete_topics([calls])
        site.bus.topics.remove(calls)
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 3
    last = (await asyncio.to_thread(journal.read_text)).splitlines()[-1]
    assert last == f'ringfence: topic "{calls}" is gone'
