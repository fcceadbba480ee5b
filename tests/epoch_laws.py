"""What must hold on the topics after rules have changed on a running system (R-17).

On a real Kafka and on a simulated one alike: of both epochs their facts logs are known, and all
that stands on the topics of alerts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.moment import format_moment, parse_moment
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, Partition
from streams.epoch import first_revision
from streams.lanes import Row
from streams.states import Stage
from streams.succession import Entry
from streams.wire.facts import decode_row

Wrong = tuple[Literal["missing", "false"], str]


@dataclass(frozen=True)
class Part:
    """What one epoch has to say, by correlators of the harness's own over its facts logs.

    Attributes:
        records: All that follows from any row.
        due: What follows from the rows up to where its logs ended with its group.
        last: The last of these of each alert.
        reached_us: How far its correlators had come then.
        judges_from_us: The start of the first anchor that it judges, by rule.
    """

    entry: Entry
    records: frozenset[bytes]
    due: frozenset[bytes]
    last: Mapping[str, Alert]
    reached_us: int
    judges_from_us: Mapping[str, int]


def part_of(
    entry: Entry,
    stages: Sequence[Stage],
    rows_of: Callable[[Partition], Sequence[Row]],
    timing: Timing,
) -> Part:
    """Return what an epoch has to say; `rows_of` gives a facts partition."""
    records: set[bytes] = set()
    due: set[bytes] = set()
    last: dict[str, Alert] = {}
    reached_us = END_US
    for stage in stages:
        for number in range(stage.log.size):
            place = (stage.log.name, number)
            unheard = dict.fromkeys(stage.log.feed_partitions, NEVER_US)
            correlator = Correlator(stage.rules, unheard, timing=timing, since_us=stage.since_us)
            rows = rows_of(place)
            end = entry.end_of.get(place, len(rows))
            for row in rows:
                if row.offset == end and stage.log.name == entry.facts_topic:
                    reached_us = min(reached_us, correlator.watermarks.minimum_us)
                fact = decode_row(row.key, row.value or b"", timing)
                for alert in correlator.observe([fact], stage.log.revision_at(row.offset)):
                    if not alert.is_signal:
                        records.add(encode_alert(alert))
                        if row.offset < end:
                            due.add(encode_alert(alert))
                            last[alert.alert_id] = alert
            if end >= len(rows) and stage.log.name == entry.facts_topic:
                reached_us = min(reached_us, correlator.watermarks.minimum_us)
    judges_from_us = {
        rule.id: stage.since_us + rule.span.reach_us
        for stage in stages
        for rule in stage.rules.rules
        if stage.since_us != NEVER_US
    }
    return Part(entry, frozenset(records), frozenset(due), last, reached_us, judges_from_us)


@dataclass(frozen=True)
class Said:
    """The records on a topic of alerts, and what an epoch wrote while it was a shadow."""

    raw: Sequence[bytes]
    shadowed: Sequence[bytes]

    @property
    def decoded(self) -> list[tuple[Mapping[str, Any], bytes]]:
        """Each record with its data."""
        return _decoded(self.raw)

    def ended_for(self, entry: Entry) -> Mapping[str, bytes]:
        """Return the records that end what the epochs before one have left open."""
        border = first_revision(entry.number) - 1
        return {data["alert_id"]: raw for data, raw in self.decoded if data["revision"] == border}


def _decoded(raws: Sequence[bytes]) -> list[tuple[Mapping[str, Any], bytes]]:
    return [(msgspec.json.decode(raw)["data"], raw) for raw in raws]


def wrongs_of(before: Part, after: Part, said: Said) -> Iterator[Wrong]:
    """Yield what is missing and what is false after one epoch has followed another."""
    border = first_revision(after.entry.number) - 1
    ended = said.ended_for(after.entry)
    of_old = {raw for d, raw in said.decoded if d["revision"] < border}
    of_new = {raw for d, raw in said.decoded if d["revision"] > border}
    shadowed = set(said.shadowed)
    # Nothing is said that does not follow, and all that follows is said, here or as a shadow.
    yield from _each("false", "said by the old", of_old - before.records)
    yield from _each("false", "said by the new", of_new - after.records)
    yield from _each("false", "said by the shadow", shadowed - after.records)
    yield from _each("missing", "said by the new", after.due - of_new - shadowed)
    yield from _each("missing", "said by the old", before.due - of_old)
    # What a shadow has open when it is promoted is said once more where it counts.
    open_there = {raw for raw in _greatest(said.shadowed).values() if b'"final":false' in raw}
    yield from _each("missing", "moved", open_there - of_new)
    # Whatever the old left open and the new says nothing of is ended, and nothing that is over.
    left_open = {i for i, alert in before.last.items() if not alert.final}
    yield from _each("missing", "ended", left_open - after.last.keys() - ended.keys())
    yield from _each("false", "ended", ended.keys() - left_open)
    for alert_id in sorted(ended.keys() & left_open):
        state = _end_of(before.last[alert_id], after.judges_from_us)
        if f'"state":"{state}"'.encode() not in ended[alert_id]:
            yield "false", f"ended otherwise than {state}: {alert_id}"
    yield from _wrong_ends(before, after, ended, _greatest(said.raw))
    yield from _wrong_growth(said)


def _end_of(alert: Alert, judges_from_us: Mapping[str, int]) -> str:
    """Return how an alert ends of which the new epoch says nothing: those too old, as they are."""
    first_us = judges_from_us.get(alert.content["rule"]["id"], NEVER_US)
    return alert.state if alert.anchor_start_us < first_us else "withdrawn"


def _each(kind: Literal["missing", "false"], what: str, found: Any) -> Iterator[Wrong]:  # noqa: ANN401 - a set of any kind
    for one in sorted(found):
        yield kind, f"{what}: {one}"


def _wrong_ends(
    before: Part, after: Part, ended: Mapping[str, bytes], last: Mapping[str, bytes]
) -> Iterator[Wrong]:
    """Each alert ends as the new epoch says, or else as the old one, unless that was cut short."""
    by_old = {i: encode_alert(alert) for i, alert in before.last.items()}
    for alert_id, alert in after.last.items():
        there = last.get(alert_id)
        if there == encode_alert(alert):
            continue
        # What a shadow had ended was the old epoch's to say, if that had come so far.
        was_over = alert.final and alert.settles_at_us < before.reached_us
        if not (was_over and there == by_old.get(alert_id)):
            yield "missing", f"the new epoch's last word: {alert_id}"
    for alert_id in by_old.keys() - after.last.keys():
        if last.get(alert_id) != ended.get(alert_id, by_old[alert_id]):
            yield "missing", f"the old epoch's last word: {alert_id}"
    yield from _each("false", "raised", last.keys() - by_old.keys() - after.last.keys())
    for alert_id, raw in last.items():
        if not msgspec.json.decode(raw)["data"]["final"]:
            yield "missing", f"an end: {alert_id}"


def _greatest(raws: Sequence[bytes]) -> dict[str, bytes]:
    found: dict[str, tuple[int, bytes]] = {}
    for data, raw in _decoded(raws):
        alert_id = data["alert_id"]
        found[alert_id] = max(found.get(alert_id, (-1, b"")), (data["revision"], raw))
    return {alert_id: raw for alert_id, (_, raw) in found.items()}


def _wrong_growth(said: Said) -> Iterator[Wrong]:
    """Within an epoch no revision of an alert has two contents."""
    contents: dict[tuple[str, int], bytes] = {}
    for data, raw in said.decoded:
        place = (data["alert_id"], data["revision"])
        if contents.setdefault(place, raw) != raw:
            yield "false", f"two contents of one revision: {place}"


def too_old_us(entry: Entry) -> int:
    """Return from which start of an anchor on an epoch says all that there is to say."""
    return NEVER_US if entry.since_us is None else entry.since_us + entry.reach_us


def wrongs_by_records(
    after: Part, raised: Mapping[str, object], replayed: Mapping[str, Any]
) -> Iterator[Wrong]:
    """Yield where the new epoch raises another thing than a replay, from its start on.

    Args:
        after: the new epoch's part.
        raised: what stands in the end of each alert that it raises.
        replayed: the same of a replay of all records.
    """
    first_us = too_old_us(after.entry)
    first = "" if first_us == NEVER_US else format_moment(first_us)
    expected = {i: told for i, told in replayed.items() if told["anchor"]["at"] >= first}
    yield from _each(
        "missing", "as in a replay", [i for i in expected if raised.get(i) != expected[i]]
    )
    yield from _each("false", "not in a replay", raised.keys() - replayed.keys())


def wrongly_ended(after: Part, said: Said, standing: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield what was ended before the new epoch had come so far as to say it.

    Args:
        after: the new epoch's part.
        said: what stands on the topics.
        standing: how each alert stands that its engine raises of what the old one has done.
    """
    # What it says nothing of has been taken away by a record that the old one had not committed.
    ended = said.ended_for(after.entry).keys() & standing.keys() & after.last.keys()
    for alert_id in sorted(ended):
        told = standing[alert_id]
        first_us = after.judges_from_us.get(told["rule"]["id"], NEVER_US)
        if parse_moment(told["anchor"]["at"]) >= first_us:
            yield "false", f"ended too early: {alert_id}"
