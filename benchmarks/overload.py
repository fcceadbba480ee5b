"""One worker under far too much: of one key, of everything at once, of what is malformed."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks import page
from benchmarks.kafka.field import Process
from benchmarks.rows import Told, site_at
from rules.moment import DAY_US
from streams.brokers import free_ports
from streams.metrics import KEPT
from tests.broker.storms import MALFORMED, Fleet, Verdict, judged
from tests.broker.worker_site import Site
from tests.streams.worker_parts import SECOND_US, blocked, call, transfer

_CATALOGUE: Final = "rules/catalog"
_CHUNK: Final = 10_000
_QUIET_S: Final = 2.0
_LONG_QUIET_S: Final = 10.0
"""Before anything is judged: on a busy machine the last marks come seconds after all else."""
_LAST: Final = 20
"""So many transfers end a flood, each with alerts that rest on what is left of it."""

Records = Iterable[tuple[int, int, bytes]]
"""Which outside topic, which partition, and what comes there, in the order of sending."""


class Load(NamedTuple):
    """What one load did to the worker.

    Attributes:
        cpu_s: Its processor time until all was done.
        before_mb: Its memory before.
        peak_mb: The most memory that was seen meanwhile.
        behind: The most records that were seen to wait.
        behind_mb: The memory at that moment.
        kept: The rows that it remembers afterwards.
        kept_mb: The memory then.
    """

    what: str
    events: int
    cpu_s: float
    before_mb: float
    peak_mb: float
    behind: int
    behind_mb: float
    kept: int
    kept_mb: float

    @property
    def us_per_event(self) -> float:
        """Processor microseconds per event."""
        return self.cpu_s / self.events * 1e6


@dataclass
class _Gauge:
    """Sends loads to a site with one worker, and watches that."""

    site: Site
    process: Process

    async def measure(self, what: str, records: Records) -> Load:
        """Send records as fast as the broker takes them, and wait until all is done."""
        before_s, before_mb = self.process.cpu_s(), self.process.resident_mb()
        seen: list[tuple[int, float]] = [(0, before_mb)]
        watching = asyncio.create_task(self._watch(seen))
        sent = len(self.site.sent)
        topics = self.site.settings.outside_topics
        chunk: list[tuple[str, int, bytes]] = []
        for topic, partition, value in records:
            chunk.append((topics[topic], partition, value))
            if len(chunk) == _CHUNK:
                await self.site.send_to(chunk)
                chunk = []
        await self.site.send_to(chunk)
        await self.site.until_caught_up(_QUIET_S)
        watching.cancel()
        behind, behind_mb = max(seen)
        peak_mb = max(mb for _, mb in seen)
        events = len(self.site.sent) - sent
        cpu_s = self.process.cpu_s() - before_s
        kept, kept_mb = await asyncio.to_thread(self._kept), self.process.resident_mb()
        return Load(what, events, cpu_s, before_mb, peak_mb, behind, behind_mb, kept, kept_mb)

    def _kept(self) -> int:
        """Return how many events the worker remembers, as it tells itself."""
        url = f"http://127.0.0.1:{self.site.settings.web_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(float(x.split()[-1])) for x in lines if x.startswith(KEPT.name))

    async def _watch(self, seen: list[tuple[int, float]]) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.process.check()
            behind = await self.site.lag()
            seen.append((behind, self.process.resident_mb()))


async def of_one_key(
    address: str, people: int, many: int, say: Callable[[str], None]
) -> tuple[Told, list[Load]]:
    """Run ordinary load, ten times as much at once, and floods of one person, caller and event.

    Args:
        address: the broker's.
        people: of the ordinary load; each has a call and a transfer.
        many: how many events of one person; a twentieth of that where they are out of order, and
            more of what costs less: of one caller five times as many, of one event ten times.
        say: is told of each load.
    """
    began_s = time.monotonic()
    port = str(free_ports(1)[0])
    settings = {"RINGFENCE_RULES": _CATALOGUE, "RINGFENCE_WEB_PORT": port}
    async with site_at(address, **settings) as (site, journal):
        with Fleet(site, journal, 1) as fleet:
            await site.until_caught_up(_QUIET_S)
            gauge = _Gauge(site, Process(fleet.workers[0], journal))
            hour = 3_600
            at = iter(range(0, 10_000 * hour, 100 * hour))
            # What is only done once is done before anything is measured.
            await gauge.measure("first", _ordinary(site, next(at), 500))
            loads = []
            for what, records in (
                ("ordinary", _ordinary(site, next(at), people)),
                ("ten times as much at once", _ordinary(site, next(at), 10 * people)),
                ("one person", _person(site, next(at), many, 1)),
                ("one person, out of order", _person(site, next(at), max(40, many // 20), 2)),
                ("one caller", _caller(site, next(at), 5 * many)),
                ("one event, the same record", _event(site, next(at), 10 * many, 0)),
                ("one event, told anew", _event(site, next(at), 10 * many, 1)),
            ):
                loads.append(await gauge.measure(what, records))
                say(str(loads[-1]))
            await site.send_heartbeats(site.moment_us(next(at)) + 30 * DAY_US)
            await site.until_caught_up(_LONG_QUIET_S)
            ended = [worker for worker in fleet.workers if worker.poll() is not None]
        notes = [f"{len(ended)} workers ended"]
        verdict = Verdict(seconds=time.monotonic() - began_s, notes=notes)
        return Told("R-21, R-22", "floods", await judged(site, journal, verdict)), loads


async def of_malformed(
    address: str, many: int, say: Callable[[str], None]
) -> tuple[Told, list[Load]]:
    """Send as many malformed records as good ones, over so long that the good are forgotten.

    Args:
        address: the broker's.
        many: how many malformed ones.
        say: is told of each part.
    """
    began_s = time.monotonic()
    async with site_at(address, RINGFENCE_WEB_PORT=str(free_ports(1)[0])) as (site, journal):
        # The last part is many times as long, in event time, as anything is remembered.
        people = max(_PARTS, many * 4 // 9)
        horizon_us = max(rule.keep_us + rule.settles_after_us for rule in site.rule_set.rules)
        site.apart_us = max(SECOND_US, _HORIZONS * horizon_us // people)
        with Fleet(site, journal, 1) as fleet:
            await site.until_caught_up(_QUIET_S)
            gauge = _Gauge(site, Process(fleet.workers[0], journal))
            # A person has two good records and a quarter.
            step = people // _PARTS
            loads = []
            for part in range(_PARTS):
                numbers = range(part * step, (part + 1) * step)
                loads.append(await gauge.measure(f"part {part + 1}", _half_good(site, numbers)))
                say(str(loads[-1]))
            await site.send_heartbeats(site.moment_us(people) + 2 * horizon_us)
            await site.until_caught_up(_LONG_QUIET_S)
        verdict = Verdict(seconds=time.monotonic() - began_s)
        verdict.notes.append(
            f"an event is kept for {horizon_us / DAY_US:.1f} days at most, and the records tell of"
            f" {site.apart_us * people / DAY_US:.0f}"
        )
        return Told("R-16", "malformed 1:1", await judged(site, journal, verdict)), loads


_PARTS: Final = 10
_HORIZONS: Final = 8
"""So often is all that was remembered forgotten while they come."""


def table(loads: Sequence[Load]) -> str:
    """Return the table of some loads; ratios are to the first."""
    header = (
        *("load", "events", "CPU µs per event", "times the first", "MB before", "MB at most"),
        *("most records waiting", "MB then", "rows kept afterwards", "MB afterwards"),
    )
    first_us = loads[0].us_per_event
    return page.table(
        header,
        [
            (
                load.what,
                f"{load.events:,}",
                f"{load.us_per_event:,.0f}",
                f"{load.us_per_event / first_us:.2f}",
                f"{load.before_mb:.0f}",
                f"{load.peak_mb:.0f}",
                f"{load.behind:,}",
                f"{load.behind_mb:.0f}",
                f"{load.kept:,}",
                f"{load.kept_mb:.0f}",
            )
            for load in loads
        ],
    )


def _ordinary(site: Site, from_s: int, people: int) -> Iterator[tuple[int, int, bytes]]:
    for n in range(people):
        number = from_s * 10 + n
        at_us = site.moment_us(from_s) + n * SECOND_US * 36_000 // people
        yield 0, n % 2, _called(number, at_us, f"cust-{number}", f"desk@{number}.example")
        yield 1, n % 2, transfer(number, at_us + 60 * SECOND_US, payee=f"account-{number}")


def _person(
    site: Site, from_s: int, many: int, partitions: int
) -> Iterator[tuple[int, int, bytes]]:
    """Yield calls of many callers to one person, every other one answered, then transfers.

    Over more partitions than one they come out of order, by as much as a batch.
    """
    for n in range(many):
        at_us = site.moment_us(from_s) + n * SECOND_US
        number = from_s * 10 + n
        answered = n % 2 == 0
        value = _called(number, at_us, "cust-one", f"desk@{number}.example", answered=answered)
        yield 0, n // 2 % partitions, value
    yield from _paid(site, from_s, many, lambda _: "cust-one")


def _caller(site: Site, from_s: int, many: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield calls of one caller to many people, then transfers of the last of them."""
    for n in range(many):
        number = from_s * 10 + n
        at_us = site.moment_us(from_s) + n * SECOND_US
        yield 0, n % 2, _called(number, at_us, f"cust-{number}", "desk@one.example")
    yield from _paid(site, from_s, many, lambda number: f"cust-{number}")


def _event(site: Site, from_s: int, many: int, step: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield one call as often, each time the same or, with a step, each time told anew."""
    at_us = site.moment_us(from_s)
    called = json.loads(_called(from_s * 10, at_us, "cust-two", "desk@two.example"))
    del called["data"]["ended_at"]
    paid_us = at_us + 60 * SECOND_US
    yield 1, 0, transfer(from_s * 10, paid_us, person="cust-two", payee="account-two")
    for n in range(many):
        told = {**called, "id": f"{called['id']}.{n * step}", "sequence": n * step}
        yield 0, 0, json.dumps(told).encode()


def _paid(
    site: Site, from_s: int, many: int, person: Callable[[int], str]
) -> Iterator[tuple[int, int, bytes]]:
    for n in range(many - _LAST, many):
        number = from_s * 10 + n
        at_us = site.moment_us(from_s) + (n + 60) * SECOND_US
        yield 1, 0, transfer(number, at_us, person=person(number), payee=f"account-{number}")


def _called(number: int, at_us: int, person: str, caller: str, *, answered: bool = True) -> bytes:
    told = json.loads(call(number, at_us, person=person))
    told["data"]["caller"] = caller
    if not answered:
        del told["data"]["answered_at"]
    return json.dumps(told).encode()


def _half_good(site: Site, numbers: range) -> Iterator[tuple[int, int, bytes]]:
    for n in numbers:
        at_us = site.moment_us(n)
        yield 0, n % 2, call(n, at_us, "contact" if n % 5 == 0 else "stranger")
        yield 0, n % 2, MALFORMED[n % len(MALFORMED)]
        yield 1, n % 2, transfer(n, at_us + 60 * SECOND_US, payee=f"account-{n // 3}")
        yield 1, n % 2, MALFORMED[(n + 1) % len(MALFORMED)]
        if n % 4 == 0:
            yield 0, n % 2, blocked(n, at_us + 120 * SECOND_US)
            yield 0, n % 2, MALFORMED[n % len(MALFORMED)]
