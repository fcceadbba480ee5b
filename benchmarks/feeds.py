"""Feeds that are apart, partitions that are silent, and a backlog after an outage."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.rows import Run, site_at
from tests.broker.storms import Fleet, Verdict, judged
from tests.broker.worker_site import Site, final_raised

_WORKERS: Final = 3
_KILLS: Final = 3
_SECOND_US: Final = 1_000_000
_TWO_HOURS_US: Final = 7_200 * _SECOND_US
_OUTAGE_US: Final = 12 * 3_600 * _SECOND_US
_PIECE_US: Final = 600 * _SECOND_US
"""Less than the usual lateness: blocks and rejections are told at the end of a piece."""
_IDLE_AFTER_S: Final = 8


def storms(people: int) -> Iterator[tuple[str, str, Run]]:
    """Yield the storms: row, what it is, and what runs it."""
    late = "two hours of event time behind the other"
    yield "R-12", f"transfers {late}", _apart(people, "calls", _TWO_HOURS_US)
    yield "R-12", f"calls {late}", _apart(people, "transfers", _TWO_HOURS_US)
    yield "R-12", "all calls before any transfer", _apart(people, "calls", None)
    yield "R-12", "all transfers before any call", _apart(people, "transfers", None)
    yield "R-14", "a silent partition, heartbeats speak for it", _silent(people, heartbeats=True)
    yield "R-14", "a silent partition, nothing speaks for it", _silent(people, heartbeats=False)
    yield "R-14", f"silent partitions, idle after {_IDLE_AFTER_S} s", _idle(people)
    yield "R-14", "twelve hours of backlog after an outage", _outage(people)


def _apart(people: int, first: str, behind_us: int | None) -> Run:
    """Return a storm with one feed behind the other; None means behind all of it."""

    async def run(address: str) -> Verdict:
        began_s = time.monotonic()
        async with site_at(address) as (site, journal):
            site.apart_us = 2 * _TWO_HOURS_US // people
            piece = _PIECE_US // site.apart_us
            lag = people if behind_us is None else behind_us // site.apart_us
            verdict = Verdict()
            with Fleet(site, journal, _WORKERS) as fleet:
                kills = _Kills(fleet, verdict, (people + lag) // piece)
                for at in range(0, people + lag, piece):
                    ahead = range(at, min(at + piece, people))
                    late = range(max(0, at - lag), min(at + piece - lag, people))
                    calls, transfers = (ahead, late) if first == "calls" else (late, ahead)
                    await _send(site, calls, transfers)
                    await kills.perhaps()
                await site.send_end()
                await fleet.until_caught_up()
            verdict.seconds = time.monotonic() - began_s
            return await judged(site, journal, verdict)

    return run


def _silent(people: int, *, heartbeats: bool) -> Run:
    async def run(address: str) -> Verdict:
        began_s = time.monotonic()
        async with site_at(address) as (site, journal):
            site.silent = frozenset({(site.settings.transactions_topics[0], 1)})
            site.apart_us = 3 * _OUTAGE_US // people
            piece = _PIECE_US // site.apart_us
            verdict = Verdict()
            with Fleet(site, journal, _WORKERS) as fleet:
                kills = _Kills(fleet, verdict, people // piece)
                for at in range(0, people, piece):
                    numbers = range(at, min(at + piece, people))
                    await _send(site, numbers, numbers)
                    if heartbeats:
                        await site.send_heartbeats(site.moment_us(at))
                    await kills.perhaps()
                await fleet.until_caught_up()
                verdict.notes.append(_how_many_are_final(await site.alert_records()))
                await site.send_end()
                await fleet.until_caught_up()
            verdict.seconds = time.monotonic() - began_s
            return await judged(site, journal, verdict)

    return run


def _how_many_are_final(records: list[bytes]) -> str:
    raised = final_raised(records).values()
    final = [data for data in raised if isinstance(data, dict) and data["final"]]
    return f"{len(raised):,} alerts before the end is told, {len(final):,} of them final"


def _idle(people: int) -> Run:
    """Return a storm in which only the clock says that nothing comes any more."""

    async def run(address: str) -> Verdict:
        began_s = time.monotonic()
        async with site_at(address, RINGFENCE_IDLE_AFTER=f"{_IDLE_AFTER_S}s") as (site, journal):
            site.silent = frozenset({(site.settings.transactions_topics[0], 1)})
            site.apart_us = _PIECE_US // people
            await _send(site, range(people), range(people))
            expected = site.implied_by_records()
            verdict = Verdict()
            with Fleet(site, journal, _WORKERS) as fleet:
                await _kill_while_behind(site, fleet, verdict)
                chance = random.Random(2)
                async with asyncio.timeout(site.patience_s):
                    # Marks that follow the clock come for ever: no quiet is to be waited for.
                    while final_raised(await site.alert_records()) != expected:
                        if verdict.faults < 2 * _KILLS:
                            # Long enough for some partitions to follow the clock again.
                            await asyncio.sleep(_IDLE_AFTER_S * (1 + chance.random()))
                            fleet.kill(chance)
                            verdict.faults += 1
                            verdict.notes.append("killed while the clock is followed")
                        fleet.supervise()
                        await asyncio.sleep(1)
            verdict.seconds = time.monotonic() - began_s
            return await judged(site, journal, verdict)

    return run


def _outage(people: int) -> Run:
    async def run(address: str) -> Verdict:
        began_s = time.monotonic()
        async with site_at(address) as (site, journal):
            site.apart_us = 2 * _OUTAGE_US // people
            piece = _PIECE_US // site.apart_us
            verdict = Verdict()
            with Fleet(site, journal, _WORKERS) as fleet:
                for at in range(0, people // 2, piece):
                    numbers = range(at, min(at + piece, people // 2))
                    await _send(site, numbers, numbers)
                await fleet.until_caught_up()
            for at in range(people // 2, people, piece):
                numbers = range(at, min(at + piece, people))
                await _send(site, numbers, numbers)
            await site.send_end()
            verdict.notes.append(f"{await site.lag():,} records wait when the workers come back")
            with Fleet(site, journal, _WORKERS) as fleet:
                await _kill_while_behind(site, fleet, verdict)
                await fleet.until_caught_up()
            verdict.seconds = time.monotonic() - began_s
            return await judged(site, journal, verdict)

    return run


class _Kills:
    """Kills a worker now and then while records are sent."""

    def __init__(self, fleet: Fleet, verdict: Verdict, turns: int) -> None:
        self._fleet = fleet
        self._verdict = verdict
        self._every = max(1, turns // (_KILLS + 1))
        self._turn = 0
        self._random = random.Random(1)

    async def perhaps(self) -> None:
        """Kill one if it is time, and keep workers running."""
        self._turn += 1
        if self._turn % self._every == 0 and self._verdict.faults < _KILLS:
            self._fleet.kill(self._random)
            self._verdict.faults += 1
            await asyncio.sleep(5)
        self._fleet.supervise()


async def _kill_while_behind(site: Site, fleet: Fleet, verdict: Verdict) -> None:
    chance = random.Random(1)
    whole = before = await site.lag()
    while verdict.faults < _KILLS and (left := await site.lag()):
        # A fault before anything is done, or before anything is done again, proves nothing.
        if left < before:
            fleet.kill(chance)
            verdict.faults += 1
            verdict.notes.append(f"killed with {left:,} of {whole:,} records to do")
            before = left
        fleet.supervise()
        await asyncio.sleep(0.1)


async def _send(site: Site, calls: range, transfers: range) -> None:
    if calls:
        await site.send_calls(calls)
        await site.send_blocks(calls)
    if transfers:
        await site.send_transfers(transfers)
