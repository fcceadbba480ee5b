"""Workers on a real Kafka that are killed, stopped and restarted, and what must hold afterwards.

The broker suite runs these in short, `python -m benchmarks reliability` at length.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.broker.restartable import RestartableBroker
from tests.broker.worker_site import Site, command, final_raised

_AT_WORK_S = 10.0
"""The most that a worker takes to begin, and that a rebalance takes."""
_PIECE = 500
"""People who are a second apart: far less than the usual lateness."""

REAL = "from streams.cli import main; main()"

# Takes the committed offset at its word and knows nothing of the rows before it.
WITHOUT_REBUILD = """
from streams.agents.correlate import CorrelateStation
from streams.cli import main

async def forget(self, state, partition, offset):
    state.next_offset = offset

CorrelateStation.rebuild = forget
main()
"""
# Acknowledges rows, and only then begins to send what follows from them.
ACKNOWLEDGES_FIRST = """
import asyncio
from streams.agents.correlate import CorrelateStation
from streams.cli import main
from streams.wire.commits import encode_point

async def take(self, batch):
    implied = batch.state.observe(batch.rows)
    batch.ack(encode_point(batch.state.commit_point(), self._stage.log.size))
    await asyncio.sleep(1)
    await self._sender.send_all(self._messages(batch.rows, implied))
    batch.state.acknowledge()
    await self._mark(batch.partition, batch.state)

CorrelateStation.take = take
main()
"""
# Commits what has been delivered, a batch ahead of what has been done.
COMMITS_EARLY = """
import asyncio
from streams.agents.ingest import IngestStation
from streams.cli import main
from streams.wire.commits import encode_watermark

real = IngestStation.take

async def take(self, batch):
    batch.ack(encode_watermark(batch.state.watermark_us))
    await asyncio.sleep(1)
    await real(self, batch)

IngestStation.take = take
main()
"""


class Fleet:
    """Workers of one site under a supervisor that starts one anew for each that is gone."""

    def __init__(self, site: Site, journal: Path, size: int, code: str = REAL) -> None:
        self.site = site
        self.size = size
        self.code = code
        self.exits: Counter[int] = Counter()
        self._journal = journal.open("ab")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.stopped: set[int] = set()

    def __enter__(self) -> Self:
        self.supervise()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self._journal.close()

    def supervise(self) -> None:
        """Replace the workers that have ended."""
        for worker in list(self.workers):
            code = worker.poll()
            if code is not None:
                self.exits[code] += 1
                self.workers.remove(worker)
        while len(self.workers) < self.size:
            self.workers.append(
                subprocess.Popen(self.command, env=self.environ, stderr=self._journal)
            )

    @property
    def command(self) -> Sequence[str]:
        """The command of a worker."""
        return command("worker", code=self.code)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of a worker."""
        return self.site.environ

    def kill(self, chance: random.Random) -> None:
        """Kill a worker as a power cut would."""
        worker = chance.choice(self.workers)
        worker.kill()
        worker.wait()
        self.supervise()

    async def freeze(self, chance: random.Random, seconds: float) -> None:
        """Stop a worker, and let it go on as a zombie."""
        worker = chance.choice(self.workers)
        os.kill(worker.pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(worker.pid, signal.SIGCONT)

    async def end(self, at: int, patience_s: float) -> float:
        """End a worker in order; return the seconds that it took."""
        worker = self.workers.pop(at)
        began_s = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(worker.wait, patience_s)
        self.exits[code] += 1
        took_s = time.monotonic() - began_s
        self.supervise()
        return took_s

    async def until_caught_up(self) -> None:
        """Wait until all is done and silent for longer than a session, and keep workers running.

        Until then whoever has been killed may be a member still, and what it had be nobody's.
        """
        session_s = self.site.settings.session_timeout.total_seconds()
        task = asyncio.create_task(self.site.until_caught_up(1.5 * session_s))
        while not task.done():
            self.supervise()
            await asyncio.wait([task], timeout=0.5)
        await task


@dataclass
class Verdict:
    """What a storm has come to: how many events and faults, and what was wrong.

    `bugs` is how often a worker ended with words about a bug.
    """

    events: int = 0
    faults: int = 0
    alerts: int = 0
    missing: int = 0
    false: int = 0
    repeats: int = 0
    letters_missing: int = 0
    letters_false: int = 0
    raw: int = 0
    bugs: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is missing, nothing is there that should not be, and no bug was met."""
        letters = (self.letters_missing, self.letters_false)
        wrong = (self.missing, self.false, *letters, self.raw, self.bugs)
        return not any(wrong)


async def judged(site: Site, journal: Path, verdict: Verdict) -> Verdict:
    """Compare what workers have written with what the records and the facts logs imply."""
    records = await site.alert_records()
    implied = await site.implied_by_facts()
    verdict.alerts = len(set(records))
    verdict.repeats = len(records) - len(set(records))
    verdict.false = len(set(records) - implied)
    verdict.missing = len(implied - set(records))
    expected, found = site.implied_by_records(), final_raised(records)
    verdict.missing += len([key for key in expected if expected[key] != found.get(key)])
    verdict.false += len(found.keys() - expected.keys())
    letters = await _letters(site)
    refused = _refused(site)
    verdict.letters_missing = len(refused - letters)
    verdict.letters_false = len(letters - refused)
    verdict.raw = await _raw(site, journal)
    verdict.bugs = (await asyncio.to_thread(journal.read_bytes)).count(b"ringfence: a bug: ")
    verdict.events = len(site.sent)
    return verdict


MALFORMED: Sequence[bytes] = (
    b"{not json",
    b'"text"',
    b'{"specversion": "1.0", "id": "r", "source": "//s.example"}',
    b'{"specversion": "1.0", "id": "r", "source": "//s.example", "type": "ringfence.tea.v1"}',
    b"\xff\xfe",
)


def _refused(site: Site) -> set[tuple[str, int, int]]:
    offsets: Counter[tuple[str, int]] = Counter()
    refused = set()
    for topic, partition, value in site.sent:
        if value in MALFORMED:
            refused.add((topic, partition, offsets[topic, partition]))
        offsets[topic, partition] += 1
    return refused


async def _letters(site: Site) -> set[tuple[str, int, int]]:
    letters = await site.bus.read_json(site.settings.dead_letters_topic)
    assert all(letter["reason"] != "internal" for letter in letters)
    return {(x["feed"], x["partition"], x["offset"]) for x in letters}


async def _raw(site: Site, journal: Path) -> int:
    """Return how many rows and log lines show something that only senders may know."""
    settings = site.settings
    logs = [log.name for log in (await site.epoch()).facts_logs]
    found = 0
    for topic in (*logs, settings.alerts_topic, settings.dead_letters_topic):
        for row in await site.bus.read(topic):
            text = (row.key or b"") + (row.value or b"")
            found += b"cust-" in text or b"account-" in text or b"desk@" in text
    for line in (await asyncio.to_thread(journal.read_bytes)).splitlines():
        found += b"cust-" in line or b"account-" in line or b"desk@" in line
    return found


@dataclass(frozen=True)
class Weather:
    """How big a storm is, and what goes wrong in it, once per chunk of the events.

    `rolls` ends one worker in order per chunk; `sizes` is how many workers there are, by chunk;
    `rest_s` is how long a storm rests after a chunk, and up to as long again.
    """

    people: int
    chunks: int
    workers: int = 2
    kills: int = 0
    freezes: int = 0
    rolls: bool = False
    sizes: Sequence[int] = ()
    malformed: bool = False
    code: str = REAL
    seed: int = 1
    rest_s: float = 3.0


async def storm(site: Site, journal: Path, weather: Weather) -> Verdict:
    """Send records chunk by chunk while workers die, wait for quiet, and judge."""
    chance = random.Random(weather.seed)  # noqa: S311 - a storm is to be had again
    verdict = Verdict()
    began_s = time.monotonic()
    faults = ["kill"] * weather.kills + ["freeze"] * weather.freezes
    chance.shuffle(faults)
    step = weather.people // weather.chunks
    with Fleet(site, journal, weather.workers, weather.code) as fleet:
        for chunk in range(weather.chunks):
            numbers = range(chunk * step, (chunk + 1) * step)
            sending = asyncio.create_task(
                send_in_pieces(site, numbers, malformed=weather.malformed)
            )
            for fault in faults[chunk :: weather.chunks]:
                # While work is done: a fault in quiet times proves nothing.
                await _until_at_work(site)
                await asyncio.sleep(chance.random() * 1.5)
                if fault == "kill":
                    fleet.kill(chance)
                else:
                    await fleet.freeze(chance, 3 * site.settings.session_timeout.total_seconds())
                verdict.faults += 1
            if weather.rolls:
                await _until_at_work(site)
                await asyncio.sleep(chance.random())
                took_s = await fleet.end(0, 60)
                verdict.notes.append(f"exit after {took_s:.1f} s")
                verdict.faults += 1
            if weather.sizes:
                await _until_at_work(site)
                fleet.size = weather.sizes[chunk % len(weather.sizes)]
                while len(fleet.workers) > fleet.size:
                    await fleet.end(0, 60)
                verdict.faults += 1
            await sending
            # A worker takes seconds to start: without some the next fault would meet few at work.
            await asyncio.sleep(weather.rest_s * (1 + chance.random()))
            fleet.supervise()
        await site.send_end()
        await fleet.until_caught_up()
    verdict.seconds = time.monotonic() - began_s
    return await judged(site, journal, verdict)


async def _until_at_work(site: Site) -> None:
    """Wait until workers get on with something, or have nothing to do."""
    began_s, before = time.monotonic(), await site.done()
    while time.monotonic() - began_s < _AT_WORK_S and await site.done() == before:  # noqa: ASYNC110 - a broker has no event
        await asyncio.sleep(0.1)


async def kill_each_broker(
    site: Site, journal: Path, brokers: Sequence[RestartableBroker], people: int
) -> Verdict:
    """Kill one broker of a cluster after the other under load, and judge.

    The next one is killed once all copies of all partitions are up to date again.
    """
    began_s = time.monotonic()
    verdict = Verdict()
    step = people // len(brokers)
    with Fleet(site, journal, 2) as fleet:
        for turn, broker in enumerate(brokers):
            numbers = range(turn * step, (turn + 1) * step)
            half = turn * step + step // 2
            sending = asyncio.create_task(send_in_pieces(site, numbers[: step // 2]))
            await _until_at_work(site)
            await asyncio.to_thread(broker.kill)
            verdict.faults += 1
            await sending
            # What comes while it is gone is written by the two that are left.
            await send_in_pieces(site, range(half, numbers.stop))
            await asyncio.sleep(2)
            await asyncio.to_thread(broker.again)
            fleet.supervise()
            await site.bus.until_replicated()
        await site.send_end()
        await fleet.until_caught_up()
        ended = sum(fleet.exits.values())
    lines = (await asyncio.to_thread(journal.read_text)).splitlines()
    last_words = [line for line in lines if line.startswith("ringfence: ")]
    verdict.notes += [f"{ended} workers had to be started anew", *last_words]
    verdict.seconds = time.monotonic() - began_s
    return await judged(site, journal, verdict)


async def send_in_pieces(site: Site, numbers: range, *, malformed: bool = False) -> None:
    """Append all that some people live through, in pieces, or what is told last comes late."""
    for at in range(numbers.start, numbers.stop, _PIECE):
        piece = numbers[at - numbers.start : at - numbers.start + _PIECE]
        await site.send_calls(piece)
        await site.send_transfers(piece)
        await site.send_blocks(piece)
        if malformed:
            for topic in site.settings.outside_topics:
                kinds = [MALFORMED[n % len(MALFORMED)] for n in piece]
                await site.send(topic, kinds)


def told(verdict: Verdict) -> str:
    """Return a verdict in one line, for the message of a test that fails."""
    return json.dumps(verdict.__dict__)
