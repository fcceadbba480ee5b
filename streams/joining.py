"""A worker's way into its epoch: the one that its rules, topics and key make, if that one runs."""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from rules.rule import RuleSet
from streams.beginnings import Beginnings, begin_at_end, begin_since
from streams.clock import now_us
from streams.epoch import Epoch, partitions_of
from streams.epochs_topic import OvertakenError, epochs_topic
from streams.operating import Broker, operating
from streams.settings import Settings
from streams.succession import Entry, Succession, refusal
from streams.topics import (
    check_commits,
    check_metadata_fits,
    check_sizes,
    demand,
    digest_of,
    make_entry,
    roster_of,
)

log: Final = structlog.get_logger("ringfence")

_LOOK_EVERY_S: Final = 1.0
_REMEDY: Final = 'run "ringfence topics create" with the settings of this worker'


async def find_epoch(settings: Settings, rule_set: RuleSet) -> Epoch:
    """Return the epoch that these settings and rules belong to; the first of all begins here.

    One that is about to begin is waited for a little.

    Raises:
        SettingsError: There is no pseudonym key.
        UsageFailure: Another epoch runs.
        OutsideFailure: The broker is not there, or a topic is not, or not as it was.
    """
    settings.secret()
    async with operating(settings) as broker:
        return await join(settings, rule_set, broker)


async def look_up_epoch(settings: Settings, rule_set: RuleSet, *, remedy: str) -> Epoch:
    """Return the epoch for whoever looks on only: nothing begins here, and nothing is waited for.

    Where topics of it are not there, the text of the error ends with `remedy`.

    Raises:
        SettingsError: There is no pseudonym key.
        UsageFailure: Another epoch runs.
        OutsideFailure: The broker is not there, or a topic is not, or not as it was.
    """
    settings.secret()
    async with operating(settings) as broker:
        sizes = await broker.topic_sizes()
        roster = roster_of(settings, sizes)
        _demand_shared(settings, sizes, remedy)
        succession = await broker.read_succession()
        digest = digest_of(settings, rule_set, roster)
        entry = succession.running(digest)
        if entry is None and succession.current is None:
            # Nobody has begun it yet, but its logs may be there.
            entry = make_entry(settings, rule_set, roster, succession)
        if entry is None:
            raise refusal(succession, digest, remedy)
        return await _epoch(broker, entry, remedy)


async def join(settings: Settings, rule_set: RuleSet, broker: Broker) -> Epoch:
    """Return the epoch; see `find_epoch`."""
    sizes = await broker.topic_sizes()
    roster = roster_of(settings, sizes)
    _demand_shared(settings, sizes, _REMEDY)
    digest = digest_of(settings, rule_set, roster)
    succession = await _awaited(settings, broker, digest)
    if succession.current is None:
        entry = make_entry(settings, rule_set, roster, succession)
        _demand_logs(entry, sizes, _REMEDY)
        succession = await _begun(settings, broker, rule_set, succession.add(entry))
    running = succession.running(digest)
    if running is None:
        raise refusal(succession, digest)
    return await _epoch(broker, running, _REMEDY)


async def _epoch(broker: Broker, entry: Entry, remedy: str) -> Epoch:
    sizes = await broker.topic_sizes()
    _demand_logs(entry, sizes, remedy)
    epoch = entry.epoch(sizes)
    for facts_log in epoch.facts_logs:
        check_metadata_fits(facts_log.roster)
    check_commits(await broker.commits(epoch.group), epoch)
    check_sizes(epoch, sizes)
    return epoch


def _demand_shared(settings: Settings, sizes: Mapping[str, int], remedy: str) -> None:
    ours = (epochs_topic(settings), settings.alerts_topic, settings.dead_letters_topic)
    demand(ours, sizes, remedy)


def _demand_logs(entry: Entry, sizes: Mapping[str, int], remedy: str) -> None:
    epoch = entry.epoch(sizes)
    demand([*(log.name for log in epoch.facts_logs), epoch.alerts_topic], sizes, remedy)


async def _awaited(settings: Settings, broker: Broker, digest: str) -> Succession:
    """Return the epochs once one of this digest runs, or none at all, or patience is over.

    Whoever is refused is started again by a supervisor, and that must not be hot; and where
    workers are renewed before the switch, they need not be refused at all.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + settings.broker_wait.total_seconds()
    is_told = False
    while True:
        succession = await broker.read_succession()
        may_go_on = succession.current is None or succession.running(digest) is not None
        if may_go_on or loop.time() > give_up_at:
            return succession
        if not is_told:
            log.info("epoch_awaited", digest=digest)
            is_told = True
        await asyncio.sleep(_LOOK_EVERY_S)


async def _begun(
    settings: Settings, broker: Broker, rule_set: RuleSet, succession: Succession
) -> Succession:
    """Begin the first epoch where RINGFENCE_START says."""
    (entry,) = succession.epochs
    partitions = partitions_of(entry.roster)
    if settings.start == "latest":
        entry = begun_at(entry, await begin_at_end(broker, rule_set, partitions, now_us()))
    elif isinstance(settings.start, int):
        begun = await begin_since(broker, settings, rule_set, partitions, settings.start)
        entry = begun_at(entry, begun)
    try:
        return await broker.write_succession(Succession(succession.version, (entry,)))
    except OvertakenError:
        # Several workers are started at once, and one of them is the first.
        return await broker.read_succession()


def begun_at(entry: Entry, begun: Beginnings) -> Entry:
    """Return an epoch's entry with where it begins."""
    starts = [(topic, n, offset) for (topic, n), offset in sorted(begun.offsets.items())]
    return msgspec.structs.replace(entry, since_us=begun.since_us, starts=starts)
