"""A rule set that is changed under load on a real Kafka, and what must hold afterwards (R-17).

The broker suite runs this in short, `python -m benchmarks reliability` at length.
"""

import asyncio
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.moment import MINUTE_US, format_moment
from rules.watermark import END_US, NEVER_US
from streams.epoch import first_revision
from streams.epochs_topic import read_succession
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.states import Stage, stages_of
from streams.succession import Entry
from streams.topics import connected, topic_sizes
from streams.wire.facts import decode_row
from tests.broker.bus import Bus
from tests.broker.storms import Fleet, Verdict
from tests.broker.worker_site import (
    Site,
    command,
    final_raised,
    open_site,
    run_command,
)
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


@dataclass(frozen=True)
class Part:
    """What one epoch has to say, by correlators of the harness's own over its facts logs."""

    entry: Entry
    records: frozenset[bytes]
    last: Mapping[str, Alert]
    reached_us: int


async def judged_change(old: Site, new: Site, verdict: Verdict) -> Verdict:
    """Compare all that is on the topics with what each epoch's facts imply, and the records."""
    succession = await read_succession(new.settings)
    assert [e.state for e in succession.epochs] == ["retired", "current"]
    before, after = [
        await _part(site, entry) for site, entry in zip((old, new), succession.epochs, strict=True)
    ]
    found = [json.loads(raw)["data"] for raw in await new.alert_records()]
    raw = await new.alert_records()
    shadowed = await _shadowed(new)
    border = first_revision(2) - 1
    ended = {d["alert_id"]: r for d, r in zip(found, raw, strict=True) if d["revision"] == border}
    of_old = {r for d, r in zip(found, raw, strict=True) if d["revision"] < border}
    of_new = {r for d, r in zip(found, raw, strict=True) if d["revision"] > border}
    verdict.events, verdict.alerts = len(new.sent), len(set(raw))
    verdict.repeats = len(raw) - len(set(raw))
    # Nothing is said that does not follow, and all that follows is said, here or as a shadow.
    verdict.false += len(of_old - before.records) + len(of_new - after.records)
    verdict.false += len(set(shadowed) - after.records)
    verdict.missing += len(after.records - of_new - set(shadowed))
    verdict.missing += len(before.records - of_old)
    # Whatever the old left open and the new says nothing of is withdrawn, and nothing else is.
    left_open = {i for i, alert in before.last.items() if not alert.final and i not in after.last}
    verdict.missing += len(left_open - ended.keys())
    verdict.false += len(ended.keys() - left_open)
    verdict.false += len([r for r in ended.values() if b'"state":"withdrawn"' not in r])
    verdict.notes.append(f"{len(ended)} alerts of the old were ended")
    _judge_ends(verdict, raw, before, after, ended)
    _judge_growth(verdict, found, raw)
    _judge_by_records(verdict, new, after)
    return verdict


def _judge_ends(
    verdict: Verdict,
    raw: Sequence[bytes],
    before: Part,
    after: Part,
    ended: Mapping[str, bytes],
) -> None:
    """Each alert ends as the new epoch says, or else as the old one, unless that was cut short."""
    last = _greatest(raw)
    by_old = {i: encode_alert(alert) for i, alert in before.last.items()}
    for alert_id, alert in after.last.items():
        there = last.get(alert_id)
        if there == encode_alert(alert):
            continue
        # What a shadow had ended was the old epoch's to say, if that had come so far.
        was_over = alert.final and alert.settles_at_us < before.reached_us
        verdict.missing += not (was_over and there == by_old.get(alert_id))
    for alert_id in by_old.keys() - after.last.keys():
        verdict.missing += last.get(alert_id) != ended.get(alert_id, by_old[alert_id])
    verdict.false += len(last.keys() - by_old.keys() - after.last.keys())
    verdict.missing += len([r for r in last.values() if b'"final":true' not in r])


def _greatest(raw: Sequence[bytes]) -> dict[str, bytes]:
    found: dict[str, tuple[int, bytes]] = {}
    for record in raw:
        data = json.loads(record)["data"]
        found[data["alert_id"]] = max(
            found.get(data["alert_id"], (-1, b"")), (data["revision"], record)
        )
    return {alert_id: record for alert_id, (_, record) in found.items()}


def _judge_growth(
    verdict: Verdict, found: Sequence[Mapping[str, Any]], raw: Sequence[bytes]
) -> None:
    """Within an epoch revisions only grow, and none has two contents."""
    seen: set[bytes] = set()
    reached: Counter[tuple[str, int]] = Counter()
    for data, record in zip(found, raw, strict=True):
        if record in seen:
            continue
        seen.add(record)
        of = (data["alert_id"], data["revision"] >> 40)
        verdict.false += data["revision"] <= reached[of]
        reached[of] = max(reached[of], data["revision"])


def _judge_by_records(verdict: Verdict, new: Site, after: Part) -> None:
    """What the new epoch raises is what a replay of all records raises, from its start on."""
    entry = after.entry
    first_us = NEVER_US if entry.since_us is None else entry.since_us + entry.reach_us
    replayed: dict[str, Any] = dict(new.implied_by_records())
    expected = {
        i: said for i, said in replayed.items() if said["anchor"]["at"] >= format_moment(first_us)
    }
    raised = final_raised([encode_alert(alert) for alert in after.last.values()])
    wrong = [i for i, said in expected.items() if raised.get(i) != said]
    verdict.missing += len(wrong)
    verdict.false += len(raised.keys() - replayed.keys())
    verdict.notes.append(f"{len(expected)} of {len(replayed)} alerts since the start of the new")


async def _part(site: Site, entry: Entry) -> Part:
    async with connected(site.settings) as admin:
        epoch = entry.epoch(await topic_sizes(admin))
    records: set[bytes] = set()
    last: dict[str, Alert] = {}
    reached_us = END_US
    for stage in stages_of(epoch, site.rule_set):
        rows = await site.bus.read(stage.log.name)
        for partition in range(stage.log.size):
            unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
            correlator = Correlator(
                stage.rules, unheard, timing=site.settings.timing, since_us=stage.since_us
            )
            mine = [row for row in rows if row.partition == partition]
            for alert in _implied(site, stage, correlator, mine):
                records.add(encode_alert(alert))
                last[alert.alert_id] = alert
            if stage.log.name == epoch.facts_topic:
                reached_us = min(reached_us, correlator.watermarks.minimum_us)
    return Part(entry, frozenset(records), last, reached_us)


def _implied(
    site: Site, stage: Stage, correlator: Correlator, rows: Sequence[Any]
) -> Iterator[Alert]:
    for row in rows:
        fact = decode_row(row.key, row.value, site.settings.timing)
        for alert in correlator.observe([fact], stage.log.revision_at(row.offset)):
            if not alert.is_signal:
                yield alert
