"""The topics of an epoch: whether they are there, and making those that are not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from rules.moment import DAY_US
from rules.rule import RuleSet
from rules.watermark import Partition
from streams.epoch import Epoch, digest8, partitions_of
from streams.epochs_topic import TOPIC_SETTINGS, epochs_topic, read_succession
from streams.failures import OutsideFailure, UsageFailure
from streams.lanes import Commit
from streams.refusals import Refusal, find_refusal, why
from streams.rule_files import read_params, read_texts
from streams.security import client_options
from streams.settings import Settings
from streams.succession import Entry, State, Succession, refusal, write_rules
from streams.wire.commits import LIMIT, decode_point, longest_point

_RETRY_S: Final = 0.3
_TRIAL: Final = 'make what is missing, for a trial with "ringfence topics create --inputs"'
_USUAL_REPLICATION: Final = 3
_MILLISECOND_US: Final = 1_000
_SHORTEST_RETENTION_US: Final = 7 * DAY_US
_NOTHING_MORE: Final[Mapping[str, str]] = {}


@dataclass
class Made:
    """What `create_topics` made, what was there, and why there are no facts logs, if so."""

    made: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    refused: UsageFailure | None = None


def make_entry(
    settings: Settings,
    rule_set: RuleSet,
    roster: Mapping[str, int],
    succession: Succession,
    *,
    state: State = "current",
) -> Entry:
    """Return the entry of an epoch to come, as far as settings, rules and roster make it.

    Its names carry the digest; if an epoch before it had the same one, its number too, for each
    has logs of its own.

    Raises:
        SettingsError: There is no pseudonym key.
        UsageFailure: The rule files cannot be read any more.
    """
    digest = digest_of(settings, rule_set, roster)
    number = succession.next_number
    was_there = any(entry.digest == digest for entry in succession.epochs)
    suffix = f"{digest}.{number}" if was_there else digest
    facts2_topic = f"{settings.facts_topic}2.{suffix}" if rule_set.second_stage.rules else None
    written = write_rules(
        read_texts(settings.rules), read_params(settings.params), settings.timing
    )
    return Entry(
        number=number,
        digest=digest,
        state=state,
        roster=dict(roster),
        facts_topic=f"{settings.facts_topic}.{suffix}",
        facts2_topic=facts2_topic,
        group=f"{settings.group}.{suffix}",
        alerts_topic=settings.alerts_topic,
        shadow_topic=f"{settings.alerts_topic}.{suffix}" if state == "shadow" else None,
        since_us=None,
        starts=[],
        reach_us=rule_set.reach_us,
        settled_us=rule_set.settled_us,
        rules=written,
    )


def digest_of(settings: Settings, rule_set: RuleSet, roster: Mapping[str, int]) -> str:
    """Return the digest of the epoch of these settings and rules over a roster."""
    return digest8(
        rule_set,
        pseudonym_key=settings.secret(),
        roster=roster,
        withheld_values=settings.withheld_values,
    )


def check_sizes(epoch: Epoch, sizes: Mapping[str, int]) -> None:
    """Make sure that both facts logs have the same number of partitions.

    Raises:
        OutsideFailure: They have not.
    """
    for log in epoch.facts_logs:
        if sizes[log.name] != log.size:
            raise OutsideFailure(
                f'topic "{log.name}" has {sizes[log.name]} partitions and "{epoch.facts_topic}"'
                f' {log.size}, wanted as many; delete both and run "ringfence topics create"'
            )


def check_metadata_fits(roster: Mapping[str, int]) -> None:
    """Make sure that the broker will take the metadata of every commit.

    Raises:
        OutsideFailure: The roster has too many partitions.
    """
    partitions = partitions_of(roster)
    worst = longest_point(partitions)
    if worst > LIMIT:
        raise OutsideFailure(
            f"the topics {', '.join(sorted(roster))} have {len(partitions)} partitions together,"
            f" and a commit that tells all their watermarks can take {worst} bytes of the {LIMIT}"
            " that brokers take"
        )


async def create_topics(
    settings: Settings,
    rule_set: RuleSet,
    *,
    partitions: int,
    replication: int | None,
    inputs: bool,
) -> Made:
    """Make the topics that are missing, and leave those that are there as they are.

    Args:
        settings: they name the topics.
        rule_set: the rules of the epoch that the facts log is for.
        partitions: of each topic that is made.
        replication: how many brokers hold each; None for three, or as many as there are.
        inputs: whether to make outside topics too.

    Raises:
        SettingsError: There is no pseudonym key.
        OutsideFailure: The broker is not there or will not make them, or an outside topic is not
            there and `inputs` is not wanted.
    """
    settings.secret()
    async with connected(settings) as admin:
        result = Made()
        sizes = await topic_sizes(admin)
        replication = replication or await usual_replication(admin)
        redriven = () if settings.redrive_topic is None else (settings.redrive_topic,)
        makeable = settings.outside_topics if inputs else redriven
        outside = [_topic(name, partitions, replication) for name in makeable]
        await _make(admin, outside, sizes, result)
        roster = roster_of(settings, {**sizes, **result.made})
        ours = [
            _topic(epochs_topic(settings), 1, replication, TOPIC_SETTINGS),
            _topic(settings.alerts_topic, partitions, replication),
            _topic(settings.dead_letters_topic, partitions, replication),
        ]
        await _make(admin, ours, sizes, result)
        await _until_led(admin, result.made)
        succession = await read_succession(settings)
        entry = succession.running(digest_of(settings, rule_set, roster))
        if entry is None and succession.current is None:
            entry = make_entry(settings, rule_set, roster, succession)
        if entry is None:
            result.refused = refusal(succession, digest_of(settings, rule_set, roster))
        else:
            await make_facts_topics(
                admin, entry, rule_set, result, partitions=partitions, replication=replication
            )
        return result


async def make_facts_topics(
    admin: AIOKafkaAdminClient,
    entry: Entry,
    rule_set: RuleSet,
    result: Made,
    *,
    partitions: int,
    replication: int,
) -> None:
    """Make what is missing of an epoch's facts logs and of a shadow's topic for alerts.

    Raises:
        OutsideFailure: The broker will not make them.
    """
    names = [log.name for log in entry.epoch({}).facts_logs]
    wanted = [_topic(n, partitions, replication, _facts_settings(rule_set)) for n in names]
    if entry.shadow_topic is not None:
        wanted.append(_topic(entry.shadow_topic, partitions, replication))
    await _make(admin, wanted, await topic_sizes(admin), result)
    await _until_led(admin, result.made)


async def usual_replication(admin: AIOKafkaAdminClient) -> int:
    """Return how many brokers hold a topic if nobody says: three, or as many as there are."""
    return min(_USUAL_REPLICATION, len((await admin.describe_cluster())["brokers"]))


def roster_of(settings: Settings, sizes: Mapping[str, int]) -> Mapping[str, int]:
    """Return every outside topic with its number of partitions.

    Raises:
        OutsideFailure: One is not there.
    """
    demand(settings.outside_topics, sizes, _TRIAL)
    return {topic: sizes[topic] for topic in settings.outside_topics}


def facts_retention_us(rule_set: RuleSet) -> int:
    """Return how long rows of the facts log stay: twice what a rule keeps, or a week."""
    keep_us = max((rule.keep_us + rule.settles_after_us for rule in rule_set.rules), default=0)
    return max(2 * keep_us, _SHORTEST_RETENTION_US)


def _facts_settings(rule_set: RuleSet) -> Mapping[str, str]:
    return {
        # By the time of appending: event time may lie years back, and would be deleted at once.
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(facts_retention_us(rule_set) // _MILLISECOND_US),
        "retention.bytes": "-1",
    }


def _topic(
    name: str, partitions: int, replication: int, more: Mapping[str, str] = _NOTHING_MORE
) -> NewTopic:
    configs = {
        # Never compacted: of alerts the greatest revision counts, which need not be the last.
        "cleanup.policy": "delete",
        "min.insync.replicas": str(max(1, replication - 1)),
        **more,
    }
    return NewTopic(name, partitions, replication, topic_configs=configs)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect to the broker, and disconnect afterwards.

    Raises:
        OutsideFailure: No broker answers within `broker_wait`.
    """
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=10_000)
    try:
        with _without_noise():
            await _start(admin, settings)
        yield admin
    except KafkaError as error:
        raise OutsideFailure(f"the broker does not do what was asked: {why(error)}") from error
    finally:
        await admin.close()


async def _start(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    wait_s = settings.broker_wait.total_seconds()
    refusal: Refusal | None = None
    try:
        async with asyncio.timeout(wait_s):
            while True:
                try:
                    await admin.start()
                except KafkaError:
                    refusal = await find_refusal(settings) or refusal
                else:
                    return
                if refusal is not None and refusal.is_final:
                    raise OutsideFailure(refusal.sentence)
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        servers = ", ".join(settings.kafka_bootstrap_servers)
        because = "" if refusal is None else f": {refusal.sentence}"
        raise OutsideFailure(
            f"no Kafka broker answers at {servers} within {wait_s:g} s{because}"
        ) from None


@contextmanager
def _without_noise() -> Iterator[None]:
    """Keep aiokafka silent: it reports every attempt, and what counts is whether one succeeds."""
    noise = logging.getLogger("aiokafka")
    level = noise.level
    noise.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        noise.setLevel(level)


async def sizes_of(settings: Settings, topics: Sequence[str], remedy: str) -> dict[str, int]:
    """Return the number of partitions of each of these topics.

    Raises:
        OutsideFailure: The broker is not there, or a topic is not; the text ends with `remedy`.
    """
    sizes = await all_sizes(settings)
    demand(topics, sizes, remedy)
    return {topic: sizes[topic] for topic in topics}


async def all_sizes(settings: Settings) -> dict[str, int]:
    """Return the number of partitions of every topic.

    Raises:
        OutsideFailure: The broker is not there.
    """
    async with connected(settings) as admin:
        return await topic_sizes(admin)


async def topic_sizes(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Return the number of partitions of every topic.

    Of all of them, for asking by name can create what is not there.
    """
    found = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in found}


def demand(names: Sequence[str], sizes: Mapping[str, int], remedy: str) -> None:
    """Make sure that topics are there.

    Raises:
        OutsideFailure: Some are not; the text says which, and what to do about it.
    """
    missing = [f'"{name}"' for name in names if not sizes.get(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        noun = "topic" if len(missing) == 1 else "topics"
        # To whoever may not see a topic, a broker says that there is none.
        raise OutsideFailure(
            f"{noun} {', '.join(missing)} {verb} not there, or not for us to see; {remedy}"
        )


def check_commits(commits: Mapping[Partition, Commit], epoch: Epoch) -> None:
    """Make sure that what the group has committed was made with as many facts partitions.

    Raises:
        OutsideFailure: It was not.
    """
    for log in epoch.facts_logs:
        for (topic, _), commit in commits.items():
            # A commit without metadata is an operator's: see `CorrelateStation.open`.
            if topic == log.name and commit.metadata:
                _, spread = decode_point(commit.metadata, log.feed_partitions)
                log.check_spread(spread)


async def _make(
    admin: AIOKafkaAdminClient,
    wanted: Sequence[NewTopic],
    sizes: Mapping[str, int],
    result: Made,
) -> None:
    """Make those topics that have no size yet, and note in `result` which were there."""
    missing = [topic for topic in wanted if not sizes.get(topic.name)]
    result.found.update({t.name: sizes[t.name] for t in wanted if t not in missing})
    if not missing:
        return
    partitions = {topic.name: topic.num_partitions for topic in missing}
    response = await admin.create_topics(missing)
    for name, code, *rest in response.topic_errors:
        if code != 0:
            error_name = for_code(code).__name__
            text = f": {rest[0]}" if rest and rest[0] else ""
            raise OutsideFailure(f'topic "{name}" could not be made, {error_name}{text}')
        result.made[name] = partitions[name]


async def _until_led(admin: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Wait until every partition has a leader: until then a broker refuses to write to it."""
    waiting = set(names)
    while waiting:
        for topic in await admin.describe_topics():
            if all(_is_led(partition) for partition in topic["partitions"]):
                waiting.discard(topic["topic"])
        if waiting:
            await asyncio.sleep(_RETRY_S)


def _is_led(partition: Mapping[str, Any]) -> bool:
    return bool(partition["error_code"] == 0 and partition["leader"] >= 0)
