"""Stock Faust agents and ringfence at the same small job, undisturbed and under `kill -9`."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import page
from benchmarks.rows import site_at
from tests.broker.storms import Fleet
from tests.broker.worker_site import Site
from tests.streams.worker_parts import RULE, SECOND_US, call, transfer

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

_PARTITIONS: Final = 2
_WORKERS: Final = 2
_KILLS: Final = 6
_PATIENCE_S: Final = 240.0
_LONGEST_S: Final = 3.0
_FAUST: Final = "stock Faust"
_OURS: Final = "ringfence"

Pair = tuple[str, str]
"""The ids of a call and a transfer."""


class Ran(NamedTuple):
    """What one run came to.

    Attributes:
        lost: People with a call and a transfer and no alert.
        false: Alerts about nobody who has both, or with a wrong pair.
        repeated: Alert records beyond what is due.
        per_second: Events per second from the first alert to the last, as the broker has them.
        settled_s: From the last kill to the last alert; None if one was still missing when none
            had come for so long that patience was at an end.
        undone: Records that nobody had committed then.
    """

    name: str
    what: str
    kills: int
    events: int = 0
    lost: int = 0
    false: int = 0
    repeated: int = 0
    per_second: float = 0.0
    settled_s: float | None = None
    undone: int = 0


async def tables(address: str, people: int, rounds: int, say: Callable[[str], None]) -> str:
    """Run both, and return the table.

    Args:
        address: the broker's.
        people: each has one call and one transfer, so that one alert each is the truth.
        rounds: how many storms.
        say: is told of each run.
    """
    ran = []
    for name in (_FAUST, _OURS):
        ran.append(await _run(address, name, people, kills=0, seed=0))
        say(str(ran[-1]))
    for seed in range(rounds):
        for name in (_FAUST, _OURS):
            ran.append(await _run(address, name, people, kills=_KILLS, seed=seed))
            say(str(ran[-1]))
    header = (
        *("who", "what", "events", "kills", "lost", "not committed", "false"),
        *("repeated alert records", "events/s", "seconds from the last kill to the last alert"),
    )
    return page.table(header, [_row(r) for r in ran])


def _row(ran: Ran) -> Sequence[str]:
    settled = "never" if ran.settled_s is None else f"{ran.settled_s:.0f}"
    counts = (ran.events, ran.kills, ran.lost, ran.undone, ran.false, ran.repeated)
    return (ran.name, ran.what, *(f"{n:,}" for n in counts), f"{ran.per_second:,.0f}", settled)


class _FaustFleet(Fleet):
    """Workers of the contender, under the same supervisor."""

    @property
    def command(self) -> Sequence[str]:
        """See `Fleet`."""
        module = "benchmarks.contenders.on_faust"
        # Several workers share one machine, so their web pages would meet on one port.
        return [sys.executable, "-m", module, "worker", "--loglevel", "error", "--without-web"]

    @property
    def environ(self) -> Mapping[str, str]:
        """See `Fleet`."""
        settings = self.site.settings
        told = {
            "broker": self.site.bus.address,
            "outside": settings.outside_topics,
            "alerts": settings.alerts_topic,
            "group": settings.group,
            "table": "people",
            "partitions": _PARTITIONS,
            "folder": str(Path(self._journal.name).parent / "data"),
        }
        return {**self.site.environ, "CONTENDER": json.dumps(told)}


async def _run(address: str, name: str, people: int, *, kills: int, seed: int) -> Ran:
    make = _FaustFleet if name == _FAUST else Fleet
    what = f"storm {seed + 1}" if kills else "a backlog, one worker, no fault"
    with TemporaryDirectory() as folder:
        rule = Path(folder) / "video_call_then_new_payee.yaml"
        rule.write_text(RULE)
        async with site_at(address, RINGFENCE_RULES=str(rule)) as (site, journal):
            await _send(site, range(people))
            with make(site, journal, _WORKERS if kills else 1) as fleet:
                done = await _storm(site, fleet, people, kills, seed)
                return await _judged(site, fleet, people, Ran(name, what, done))


async def _storm(site: Site, fleet: Fleet, people: int, kills: int, seed: int) -> int:
    """Kill workers while they work off a backlog; return how many kills there were time for."""
    chance = random.Random(seed)
    for done in range(kills):
        if not await _gets_on(site, fleet, people):
            return done
        # Anywhere between two commits of either: stock Faust commits every 2.8 s.
        await asyncio.sleep(chance.random() * _LONGEST_S)
        fleet.kill(chance)
    return kills


async def _gets_on(site: Site, fleet: Fleet, people: int) -> bool:
    """Wait until there are more alerts than before; False if that is all that are due or come."""
    topic = site.settings.alerts_topic
    places = [TopicPartition(topic, n) for n in range(_PARTITIONS)]
    give_up_s = time.monotonic() + _PATIENCE_S
    async with AIOKafkaConsumer(bootstrap_servers=site.bus.address) as consumer:
        before = now = sum((await consumer.end_offsets(places)).values())
        while now == before < people and time.monotonic() < give_up_s:
            fleet.supervise()
            await asyncio.sleep(0.1)
            now = sum((await consumer.end_offsets(places)).values())
    return bool(before < now < people)


async def _judged(site: Site, fleet: Fleet, people: int, ran: Ran) -> Ran:
    """Wait until all alerts are there and ten seconds more, or until none comes any more."""
    due = {(f"c-{n}", f"p-{n}") for n in range(people)}
    sent_s, settled_s = time.monotonic(), None
    heard_s, before = sent_s, 0
    while time.monotonic() - heard_s < _PATIENCE_S and settled_s is None:
        await asyncio.sleep(2)
        fleet.supervise()
        found = await _alerts(site)
        if len(found) != before:
            heard_s, before = time.monotonic(), len(found)
        if due <= {pair for pair, _ in map(_alert, found)}:
            settled_s = time.monotonic() - sent_s
    # What comes after all are there is a repeat.
    await asyncio.sleep(10)
    records = await _alerts(site)
    alerts = [_alert(record) for record in records]
    times = [record.timestamp for record in records]
    took_s = (max(times) - min(times)) / 1000 if times else 0.0
    return ran._replace(
        events=2 * people,
        lost=len(due - {pair for pair, _ in alerts}),
        false=len({pair for pair, _ in alerts} - due),
        repeated=len(alerts) - len(set(alerts)),
        per_second=2 * people / took_s if took_s else 0.0,
        settled_s=settled_s,
        undone=await _undone(site, ran),
    )


async def _undone(site: Site, ran: Ran) -> int:
    if ran.name == _OURS:
        return await site.lag()
    commits = await site.bus.committed(site.settings.group)
    done = sum(
        o for (topic, _), (o, _) in commits.items() if topic in site.settings.outside_topics
    )
    return len(site.sent) - done


async def _alerts(site: Site) -> Sequence["ConsumerRecord[Any, Any]"]:
    return await site.bus.read(site.settings.alerts_topic)


def _alert(record: "ConsumerRecord[Any, Any]") -> tuple[Pair, int]:
    """Return whose call and transfer an alert record tells of, and its revision if it has one."""
    told = json.loads(record.value)
    if "data" not in told:
        return (told["call"], told["transfer"]), 0
    data = told["data"]
    return (data["evidence"][0]["id"], data["anchor"]["id"]), data["revision"]


async def _send(site: Site, numbers: range) -> None:
    """Send a call and a transfer of each person, as Faust wants them: by person, all in one."""
    calls, transfers = site.settings.outside_topics
    records: list[tuple[str, int, bytes | None, bytes | None]] = []
    for n in numbers:
        at_us, key = site.moment_us(n), f"cust-{n}".encode()
        records.append((calls, n % _PARTITIONS, key, call(n, at_us)))
        records.append((transfers, n % _PARTITIONS, key, transfer(n, at_us + 60 * SECOND_US)))
    site.sent += [(topic, partition, value or b"") for topic, partition, _, value in records]
    await site.bus.produce_all(records)
