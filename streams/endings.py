"""What an epoch that has been followed leaves behind, and what becomes of that.

What its engine gives at the end of its facts logs is what it had to say, whether a worker has come
to that or not: one that was paused may still write it. So what lies behind the commits is written
here, and then what is open is ended. The group has to be empty, and the logs' ends are put on
record first, so that whoever is interrupted writes the same bytes when they begin again.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rules.alert import Alert, encode_alert
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.watermark import END_US, NEVER_US, Partition
from streams.epoch import Epoch, first_revision
from streams.failures import OutsideFailure
from streams.lanes import Commit
from streams.operating import Broker
from streams.outbox import Message
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
    settles_at_us: int
    value: bytes


async def last_records(broker: Broker, topic: str) -> Mapping[str, Written]:
    """Return the record of greatest revision of each alert on a topic."""
    found: dict[str, Written] = {}
    for number in range((await broker.topic_sizes()).get(topic, 0)):
        async for value in _values(broker, (topic, number)):
            data = json.loads(value)["data"]
            held = found.get(data["alert_id"])
            if held is None or held.revision < data["revision"]:
                settles_at_us = parse_moment(data["settles_at"])
                found[data["alert_id"]] = Written(
                    data["revision"], data["final"], settles_at_us, value
                )
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


@dataclass
class Left:
    """What an epoch leaves behind.

    Attributes:
        unwritten: The records that follow from rows behind the commits, in order.
        opened: A final record of each alert that is open when the logs end, as it stands.
        reached_us: The watermark that all its correlators have reached then.
    """

    unwritten: list[Alert] = field(default_factory=list)
    opened: list[Alert] = field(default_factory=list)
    reached_us: int = END_US


async def left_by(settings: Settings, broker: Broker, entry: Entry, epoch: Epoch, at: int) -> Left:
    """Return what an epoch leaves behind where its logs end.

    Args:
        settings: the rows to step over are theirs.
        broker: where the logs are.
        entry: the epoch that has been followed; it says where its logs end.
        epoch: the same.
        at: the revision that ends alerts.

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
    left = Left()
    for stage in stages_of(epoch, rule_set):
        for number in range(stage.log.size):
            place = (stage.log.name, number)
            commit = commits.get(place)
            state = FactsState(stage, timing, await _point(broker, stage, place, commit))
            state.step_over(settings.skipped(place))
            done = state.next_offset if commit is None else commit.offset
            await _observed(broker, state, place, done)
            left.unwritten += await _observed(broker, state, place, entry.end_of[place])
            left.opened += [alert for alert in state.cut_off(at) if not alert.is_signal]
            if stage.log.name == epoch.facts_topic:
                left.reached_us = min(left.reached_us, *state.watermarks.values())
    return left


async def _observed(broker: Broker, state: FactsState, place: Partition, end: int) -> list[Alert]:
    """Let a state observe the rows up to an offset; return the records that they imply."""
    found: list[Alert] = []
    async for rows in broker.rows(place, state.next_offset, end):
        found += [alert for alert in state.observe(rows).alerts if not alert.is_signal]
    return found


async def _point(broker: Broker, stage: Stage, place: Partition, commit: Commit | None) -> Point:
    if commit is not None and commit.metadata:
        return decode_point(commit.metadata, stage.log.feed_partitions)[0]
    unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
    return Point(0 if commit is None else await broker.begin_of(place), unheard)


def closings(
    left: Left,
    entry: Entry,
    current: Entry,
    *,
    rules: RuleSet,
    written: Mapping[str, Written],
    shadowed: Mapping[str, Written],
) -> Iterator[Message]:
    """Yield what an epoch still had to say, and what ends the alerts that it has left open.

    Where an epoch that came later has said something of an alert, that stands; what it said as
    a shadow is said once more where it counts. Of the others the current rules say nothing: they
    are withdrawn, but for those too old for the current epoch to judge, which end as they are.

    Args:
        left: what there is.
        entry: the epoch that has left it.
        current: the epoch that has all that comes.
        rules: the current epoch's.
        written: the last record of each alert on the topic that counts.
        shadowed: the same of the topic where the current epoch was a shadow.
    """
    for alert in left.unwritten:
        yield _message(current, alert.alert_id, encode_alert(alert))
    first_us = _first_anchors(current, rules)
    for alert in left.opened:
        there = written.get(alert.alert_id)
        if there is not None and there.revision >= first_revision(entry.number + 1):
            continue
        shadow = shadowed.get(alert.alert_id)
        if shadow is not None:
            value = shadow.value
        elif alert.anchor_start_us < first_us.get(alert.content["rule"]["id"], NEVER_US):
            value = encode_alert(alert)
        else:
            value = encode_alert(msgspec.structs.replace(alert, state="withdrawn"))
        yield _message(current, alert.alert_id, value)


def _message(current: Entry, alert_id: str, value: bytes) -> Message:
    return Message(current.alerts_topic, alert_id.encode(), value)


def ended_early(
    current: Entry,
    reached_us: int,
    *,
    written: Mapping[str, Written],
    shadowed: Mapping[str, Written],
) -> Iterator[Message]:
    """Yield the alerts that ended while the current epoch was a shadow and ahead of the old.

    Of what settled later than the old had come nobody else has said how it ended.

    Args:
        current: the epoch that was a shadow.
        reached_us: how far the epoch before it had come in the end.
        written: the last record of each alert on the topic that counts.
        shadowed: the same of the topic where the current epoch was a shadow.
    """
    for alert_id, record in sorted(shadowed.items()):
        there = written.get(alert_id)
        is_said = there is not None and there.revision >= first_revision(current.number)
        if record.final and record.settles_at_us >= reached_us and not is_said:
            yield _message(current, alert_id, record.value)


def moved(current: Entry, shadowed: Mapping[str, Written]) -> Iterator[Message]:
    """Yield every open alert of a shadow, unchanged, for the topic that counts."""
    for alert_id, record in sorted(shadowed.items()):
        if not record.final:
            yield _message(current, alert_id, record.value)


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
