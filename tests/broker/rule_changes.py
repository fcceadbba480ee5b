"""A rule set that is changed under load on a real Kafka, and what must hold afterwards (R-17).

The broker suite runs this in short, `python -m benchmarks reliability` at length.
"""

import asyncio
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rules.alert import encode_alert
from rules.moment import MINUTE_US, format_moment
from streams.epochs_topic import read_succession
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.states import stages_of
from streams.succession import Entry
from streams.topics import connected, topic_sizes
from tests.broker.bus import Bus
from tests.broker.storms import Fleet, Verdict
from tests.broker.worker_site import (
    Site,
    command,
    final_raised,
    open_site,
    run_command,
)
from tests.epoch_laws import Part, Said, part_of, too_old_us, wrongs_by_records, wrongs_of
from tests.streams.worker_parts import (
    CAMPAIGNS,
    RULE,
    SECOND_US,
    TEN_O_CLOCK,
    blocked,
    call,
    transfer,
)

# Days of event time in a minute, so that alerts become final long before the rules change.
PACE_US = 5 * MINUTE_US
_CAMPAIGNS = {name: text.replace("72h", "6h") for name, text in CAMPAIGNS.items()}
OLD_RULES = {"video_call_then_new_payee.yaml": RULE, **_CAMPAIGNS}
# Raises more about people with contacts, less about accounts, and no longer who was cut off.
NEW_RULES = {
    "video_call_then_new_payee.yaml": RULE.replace(
        'relationship == "stranger"', 'relationship in ("stranger", "contact")'
    ),
    "many_victims.yaml": _CAMPAIGNS["many_victims.yaml"].replace(">= 2", ">= 3"),
}


@dataclass(frozen=True)
class Change:
    """How the rules change: at once or by a shadow, and how often what is killed.

    `commands` is how often the command itself is killed before it may come to its end.
    """

    people: int
    shadow: bool = False
    kills: int = 1
    commands: int = 1
    seed: int = 1


@asynccontextmanager
async def two_sites(
    bus: Bus, names: Callable[[str], str], folder: Path
) -> AsyncIterator[tuple[Site, Site]]:
    """Give one system with its old rules, and the same with new ones."""
    more = {"RINGFENCE_SETTLE": "1h", "RINGFENCE_BROKER_WAIT": "3s"}
    async with open_site(bus, names, folder, **more) as first:
        for name, text in OLD_RULES.items():
            (folder / "rules" / name).write_text(text)
        rule_set = read_rules(first.settings.rules, first.settings.timing)
        old = replace(first, rule_set=rule_set)
        other = folder / "new-rules"
        other.mkdir()
        for name, text in NEW_RULES.items():
            (other / name).write_text(text)
        environ = {**old.environ, "RINGFENCE_RULES": str(other)}
        settings = load_settings({k: v for k, v in environ.items() if k.startswith("RINGFENCE_")})
        new_rules = read_rules(settings.rules, settings.timing)
        await old.make_topics()
        yield old, Site(bus, settings, new_rules, environ, old.sent)


async def send(site: Site, numbers: range) -> None:
    """Append all that some people live through, one after the other."""
    calls, transfers = [], []
    for n in numbers:
        at_us = TEN_O_CLOCK + n * PACE_US
        calls.append(call(n, at_us, "contact" if n % 5 == 0 else "stranger"))
        if n % 4 == 0:
            calls.append(blocked(n, at_us + 120 * SECOND_US))
        account = f"account-{n // 3}"
        transfers.append(transfer(n, at_us + 60 * SECOND_US, payee=account))
        if n % 7 == 0:
            told_at_us = at_us + 90 * SECOND_US
            transfers.append(
                transfer(
                    n, at_us + 60 * SECOND_US, "rejected", 1, payee=account, told_at_us=told_at_us
                )
            )
    await site.send(site.settings.calls_topics[0], calls)
    await site.send(site.settings.transactions_topics[0], transfers)


async def changed(old: Site, new: Site, journal: Path, change: Change) -> Verdict:
    """Change the rules while records come and processes die; wait for the end, and judge."""
    chance = random.Random(change.seed)  # noqa: S311 - a change is to be had again
    began_s = time.monotonic()
    third, promoted_at = change.people // 3, 0
    verdict = Verdict()
    with ExitStack() as stack:
        before = stack.enter_context(Fleet(old, journal, 2))
        await send(old, range(third))
        await old.until_caught_up(2.0)
        sending = asyncio.create_task(_trickle(old, range(third, change.people)))
        supervising = asyncio.create_task(_supervise(before))
        if change.shadow:
            verdict.faults += await _killed_switch(new, chance, change.commands, "--shadow")
        else:
            verdict.faults += await _killed_switch(new, chance, change.commands, "--wait", "0s")
        after = stack.enter_context(Fleet(new, journal, 2))
        supervising_too = asyncio.create_task(_supervise(after))
        for _ in range(change.kills):
            await asyncio.sleep(chance.random() * 2)
            fleet = chance.choice([before, after])
            if fleet.workers:
                fleet.kill(chance)
                verdict.faults += 1
        if change.shadow:
            verdict.faults += await _killed_switch(new, chance, change.commands, "--promote")
            promoted_at = len(await _shadowed(new))
        await sending
        await new.send_end()
        await new.until_caught_up(5.0)
        await _run_switch(new)
        for task in (supervising, supervising_too):
            task.cancel()
    verdict.seconds = time.monotonic() - began_s
    # Once promoted it writes where it counts, and only there.
    verdict.false += len(await _shadowed(new)) - promoted_at
    return await judged_change(old, new, verdict)


async def _shadowed(new: Site) -> list[bytes]:
    """Return what the new epoch has written as a shadow."""
    topic = (await read_succession(new.settings)).epochs[-1].shadow_topic
    return [] if topic is None else [bytes(r.value) for r in await new.bus.read(topic)]


async def _trickle(site: Site, numbers: range) -> None:
    for at in range(numbers.start, numbers.stop, 10):
        await send(site, range(at, min(at + 10, numbers.stop)))
        await asyncio.sleep(0.5)


async def _supervise(fleet: Fleet) -> None:
    while True:
        await asyncio.sleep(0.5)
        fleet.supervise()


async def _killed_switch(site: Site, chance: random.Random, kills: int, *arguments: str) -> int:
    """Run the command, killed some times at any moment; then to its end. Return the kills."""
    for _ in range(kills):
        process = await asyncio.create_subprocess_exec(
            *command("switch", *arguments), env=site.environ, stderr=subprocess.DEVNULL
        )
        await asyncio.sleep(0.5 + chance.random() * 3)
        if process.returncode is None:
            process.kill()
        await process.wait()
    await _run_switch(site, *arguments)
    return kills


async def _run_switch(site: Site, *arguments: str) -> None:
    done = await asyncio.to_thread(run_command, site.environ, "switch", *arguments)
    assert done.returncode == 0, done.stderr


async def judged_change(old: Site, new: Site, verdict: Verdict) -> Verdict:
    """Compare all that is on the topics with what each epoch's facts imply, and the records."""
    succession = await read_succession(new.settings)
    assert [e.state for e in succession.epochs] == ["retired", "current"]
    before, after = [
        await _part(site, entry) for site, entry in zip((old, new), succession.epochs, strict=True)
    ]
    said = Said(await new.alert_records(), await _shadowed(new))
    raised = final_raised([encode_alert(alert) for alert in after.last.values()])
    replayed: dict[str, Any] = dict(new.implied_by_records())
    wrongs = [*wrongs_of(before, after, said), *wrongs_by_records(after, raised, replayed)]
    verdict.events, verdict.alerts = len(new.sent), len(set(said.raw))
    verdict.repeats = len(said.raw) - len(set(said.raw))
    verdict.missing += len([what for kind, what in wrongs if kind == "missing"])
    verdict.false += len([what for kind, what in wrongs if kind == "false"])
    ended = len(said.ended_for(after.entry))
    verdict.notes.append(f"{ended} alerts of the old were ended")
    first = format_moment(max(0, too_old_us(after.entry)))
    since = [i for i, told in replayed.items() if told["anchor"]["at"] >= first]
    verdict.notes.append(f"{len(since)} of {len(replayed)} alerts since the start of the new")
    return verdict


async def _part(site: Site, entry: Entry) -> Part:
    async with connected(site.settings) as admin:
        epoch = entry.epoch(await topic_sizes(admin))
    rows: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for log in epoch.facts_logs:
        for row in await site.bus.read(log.name):
            rows[log.name, row.partition].append(row)
    stages = stages_of(epoch, site.rule_set)
    return part_of(entry, stages, lambda place: rows[place], site.settings.timing)
