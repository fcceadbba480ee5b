"""The open alerts of an epoch that has been followed: what becomes of them, written once for all.

What its engine gives at the end of its facts logs is open, whether a worker has written it or
not: one that was paused may still do so. The group has to be empty, and the logs' ends are put on
record first, so that whoever is interrupted writes the same bytes when they begin again.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rules.alert import Alert, encode_alert
from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams.epoch import Epoch, first_revision
from streams.failures import OutsideFailure
from streams.lanes import Commit
from streams.operating import Broker
from streams.producer import Message
from streams.settings import Settings
from streams.states import FactsState, Stage, stages_of
from streams.succession import Entry
from streams.wire.commits import Point, decode_point

_BATCH: Final = 500


@dataclass(frozen=True)
class Written:
    """A record of an alert as it stands on a topic."""

    revision: int
    final: bool
    value: bytes


async def last_records(broker: Broker, topic: str) -> Mapping[str, Written]:
    """Return the record of greatest revision of each alert on a topic."""
    found: dict[str, Written] = {}
    for number in range((await broker.topic_sizes()).get(topic, 0)):
        async for value in _values(broker, (topic, number)):
            data = json.loads(value)["data"]
            held = found.get(data["alert_id"])
            if held is None or held.revision < data["revision"]:
                found[data["alert_id"]] = Written(data["revision"], data["final"], value)
    return found


async def _values(broker: Broker, place: Partition) -> AsyncIterator[bytes]:
    begin, end = await broker.begin_of(place), await broker.end_of(place)
    async for rows in broker.rows(place, begin, end):
        for row in rows:
            if row.value is not None:
                yield row.value


async def ends_of(broker: Broker, epoch: Epoch) -> Mapping[Partition, int]:
    """Return where the facts logs of an epoch end."""
    places = [(log.name, n) for log in epoch.facts_logs for n in range(log.size)]
    return {place: await broker.end_of(place) for place in places}


async def open_alerts(
    settings: Settings, broker: Broker, entry: Entry, epoch: Epoch, at: int
) -> list[Alert]:
    """Return a final record, of one revision, of each alert that is open when the logs end.

    Args:
        settings: the rows to step over are theirs.
        broker: where the logs are.
        entry: the epoch that has been followed; it says where its logs end.
        epoch: the same.
        at: the revision.

    Raises:
        OutsideFailure: Its rules or its facts can be read no more.
    """
    assert entry.rules is not None, "an epoch keeps its rules until it is retired"
    try:
        rule_set = entry.rules.load()
    except ExceptionGroup as error:
        raise OutsideFailure(
            f"the rules of epoch {entry.number} cannot be read by this release; end the switch"
            " with the one that began it"
        ) from error
    timing = entry.rules.timing
    commits = await broker.commits(epoch.group)
    found: list[Alert] = []
    for stage in stages_of(epoch, rule_set):
        for number in range(stage.log.size):
            place = (stage.log.name, number)
            point = await _point(broker, stage, place, commits.get(place))
            state = FactsState(stage, timing, point)
            state.step_over(settings.skipped(place))
            async for rows in broker.rows(place, state.next_offset, entry.end_of[place]):
                state.observe(rows)
            found += [alert for alert in state.cut_off(at) if not alert.is_signal]
    return found


async def _point(broker: Broker, stage: Stage, place: Partition, commit: Commit | None) -> Point:
    if commit is not None and commit.metadata:
        return decode_point(commit.metadata, stage.log.feed_partitions)[0]
    unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
    return Point(0 if commit is None else await broker.begin_of(place), unheard)


def closings(
    opened: Sequence[Alert],
    left: Entry,
    current: Entry,
    *,
    rules: RuleSet,
    written: Mapping[str, Written],
    shadowed: Mapping[str, Written],
) -> Iterator[Message]:
    """Yield what ends the alerts that an epoch has left open.

    Where an epoch that came later has said something of an alert, that stands; what it said as
    a shadow is said once more where it counts. Of the others the current rules say nothing: they
    are withdrawn, but for those too old for the current epoch to judge, which end as they are.

    Args:
        opened: what is open, with the revision that ends it.
        left: the epoch that has left it open.
        current: the epoch that has all that comes.
        rules: the current epoch's.
        written: the last record of each alert on the topic that counts.
        shadowed: the same of the topic where the current epoch was a shadow.
    """
    first_us = _first_anchors(current, rules)
    for alert in opened:
        there = written.get(alert.alert_id)
        if there is not None and there.revision >= first_revision(left.number + 1):
            continue
        shadow = shadowed.get(alert.alert_id)
        if shadow is not None:
            value = shadow.value
        elif alert.anchor_start_us < first_us.get(alert.content["rule"]["id"], NEVER_US):
            value = encode_alert(alert)
        else:
            value = encode_alert(replace(alert, state="withdrawn"))
        yield Message(current.alerts_topic, alert.alert_id.encode(), value)


def moved(current: Entry, shadowed: Mapping[str, Written]) -> Iterator[Message]:
    """Yield every open alert of a shadow, unchanged, for the topic that counts."""
    for alert_id, record in sorted(shadowed.items()):
        if not record.final:
            yield Message(current.alerts_topic, alert_id.encode(), record.value)


def _first_anchors(current: Entry, rules: RuleSet) -> Mapping[str, int]:
    """Return for each rule the start of the first anchor that the current epoch judges."""
    if current.since_us is None:
        return {}
    above_us = rules.first_stage.reach_us
    return {
        rule.id: current.since_us + rule.span.reach_us + (above_us if rule.reads_alerts else 0)
        for rule in rules.rules
    }


def batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    """Yield the messages, some at a time."""
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
