"""Latency: from the record that completes a match, appended, to its alert, appended."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.contenders.by_hand import Match, Person, is_kept, least_amount, observe
from benchmarks.contenders.needed import Call, decode
from benchmarks.kafka.course import OUTSIDE, Course, own_id, sending
from benchmarks.kafka.field import Heat, Name, now_s
from benchmarks.truth import Limits

_STEP_S: Final = 0.005
_WARM_S: Final = 5.0
_LINGER_S: Final = 5.0
_READY_S: Final = 12.0
_FEWEST: Final = 2
"""Alerts without which there are no percentiles."""


@dataclass(frozen=True)
class Delays:
    """The delays of one contender in milliseconds, or why there are none."""

    name: Name
    delays_ms: Sequence[float]
    missing: int = 0
    cpu_share: float = 0.0
    why_not: str | None = None

    def quantile_ms(self, percent: int) -> float:
        """Return a percentile."""
        return quantiles(self.delays_ms, n=100, method="inclusive")[percent - 1]


async def delays(
    opens: Callable[[], AbstractAsyncContextManager[Course]],
    names: Sequence[Name],
    *,
    lines: Sequence[bytes],
    per_second: int,
    variants: Sequence[Limits],
    rules: Path,
    say: Callable[[str], None],
) -> Sequence[Delays]:
    """Send the lines at a steady pace to each contender in turn, on a fresh broker each."""
    found = []
    for name in names:
        with TemporaryDirectory() as folder:
            try:
                async with opens() as course:
                    heat = Heat(name, course, variants, rules, Path(folder), "latency")
                    one = await _measure(heat, lines, per_second)
            # A contender that cannot run here takes no part; the page says why.
            except Exception as error:  # noqa: BLE001 - see above
                one = Delays(name, (), why_not=f"{type(error).__name__}: {error}")
        say(f"latency, {name}: {one.why_not or _told(one)}")
        found.append(one)
    return found


def _told(found: Delays) -> str:
    return f"p50 {found.quantile_ms(50):.0f} ms, p99 {found.quantile_ms(99):.0f} ms"


async def _measure(heat: Heat, lines: Sequence[bytes], per_second: int) -> Delays:
    course = heat.course
    await course.load(())
    await heat.make_topics()
    found: dict[Match, int] = {}
    with heat.process() as process:
        async with heat.course.follow(heat.topic("alerts")) as alerts:
            await asyncio.sleep(_READY_S)
            process.check()
            begun_s, begun_cpu_s = now_s(), process.cpu_s()
            pacing = asyncio.create_task(_send(course, lines, per_second))
            ended_s: float | None = None
            cpu_share = 0.0
            while ended_s is None or now_s() - ended_s < _LINGER_S:
                for record in await alerts.more():
                    match = heat.match(bytes(record.value or b""))
                    if match is not None:
                        found.setdefault(match, record.timestamp)
                process.check()
                if pacing.done() and ended_s is None:
                    pacing.result()
                    ended_s = now_s()
                    cpu_share = (process.cpu_s() - begun_cpu_s) / (ended_s - begun_s)
    appended: dict[str, int] = {}
    for topic in OUTSIDE:
        appended |= await course.appended_us(topic)
    complete = _complete_us(lines, appended, heat.variants)
    first_us = min(appended.values()) + _WARM_S * 1e6
    counted = {match: at for match, at in complete.items() if at > first_us}
    delays_ms = [found[m] - at / 1000 for m, at in counted.items() if m in found]
    if len(delays_ms) < _FEWEST:
        raise RuntimeError(f"{len(delays_ms)} alerts came in time")
    return Delays(heat.name, delays_ms, len(counted.keys() - found.keys()), cpu_share)


async def _send(course: Course, lines: Sequence[bytes], per_second: int) -> None:
    """Send at a steady pace, a few records every few milliseconds, come what may."""
    remaining, sent, begun_s = iter(lines), 0, now_s()
    async with sending(course) as sender:
        while sent < len(lines):
            due = min(len(lines), int((now_s() - begun_s) * per_second))
            for line in islice(remaining, due - sent):
                await sender.add(line)
            await sender.flush()
            sent = due
            await asyncio.sleep(_STEP_S)


def _complete_us(
    lines: Sequence[bytes], appended: Mapping[str, int], variants: Sequence[Limits]
) -> Mapping[Match, int]:
    """Return when the record that completes each match was appended."""
    people: defaultdict[str, Person] = defaultdict(Person)
    complete: dict[Match, int] = {}
    for at_us, line in sorted(_kept(lines, appended, least_amount(variants))):
        record = decode(line)
        for match in observe(people[record.data.person], record.data, variants):
            complete.setdefault(match, at_us)
    return complete


def _kept(
    lines: Sequence[bytes], appended: Mapping[str, int], least: int
) -> Iterator[tuple[int, bytes]]:
    for line in lines:
        record = decode(line)
        if is_kept(record, least):
            name = own_id(line) if isinstance(record, Call) else record.data.transfer_id
            yield appended[name], line
