"""Ways in which the records of a world can arrive, and what the engine writes then.

Every delivery has repeats, several feeds, and marks wherever truth allows them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from rules.alert import Alert
from rules.fact import Event, Fact, Mark
from rules.rule import By
from rules.screen import Screen
from rules.stages import Engine
from rules.timing import MAX_HISTORY
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from tests.rules.build import ORIGIN_US, event_of, facts_of
from tests.rules.oracle import Claim, Claims, Record, Shown
from tests.rules.worlds import World, keys_of


class Arrival(NamedTuple):
    """One record as it comes in, and the marks that follow it.

    `apart` says how the rows fall into steps: each on its own, all together, or all of them
    still in the step of the arrival before.
    """

    record: Record
    late: bool
    marks: tuple[Mark, ...]
    apart: str


@dataclass(frozen=True)
class Delivery:
    """A way in which the records of a world come in, repeats included.

    `roster` names all partitions that bring something, `declared` those known from the start.
    """

    roster: tuple[Partition, ...]
    declared: tuple[Partition, ...]
    arrivals: tuple[Arrival, ...]


ROSTER: tuple[Partition, ...] = (("bank", 0), ("calls", 0), ("calls", 1))


class _Way(NamedTuple):
    """Where a record comes in, whose marks follow it, whether they promise more than the clock."""

    partition: Partition
    marks: str
    promise: bool
    apart: str


def draw_delivery(random: Random, world: World, *, truthful: bool = True) -> Delivery:
    """Any order of arrival, with repeats; in a truthful one no record is late.

    Args:
        random: what decides.
        world: whose records come in.
        truthful: False lets watermarks run ahead of what is still to come, so that records
            are late, as late as they like.
    """
    roster = ROSTER[: 1 + random.randrange(3)]
    repeats = random.choices(world.records, k=random.randrange(4)) if world.records else []
    spread = (0, 3, 18, 0)[random.randrange(4)]
    order = sorted(
        [*world.records, *repeats],
        key=lambda record: record.time_us + random.randrange(spread + 1) * world.unit_us,
    )
    return _deliver(random, world, roster, order, truthful=truthful)


def shuffle_delivery(random: Random, world: World) -> Delivery:
    """Any interleaving at all, one record in ten twice, and nothing late."""
    twice = [record for record in world.records if random.random() < 0.1]
    order = [*world.records, *twice]
    random.shuffle(order)
    return _deliver(random, world, ROSTER[: 1 + random.randrange(3)], order, truthful=True)


def _deliver(
    random: Random,
    world: World,
    roster: tuple[Partition, ...],
    order: Sequence[Record],
    *,
    truthful: bool,
) -> Delivery:
    ways = [_way(random, roster) for _ in order]
    sent = [(way.partition, record) for way, record in zip(ways, order, strict=True)]
    clocks = {
        p: FeedClock(
            _disorder_us(_of(p, sent)) if truthful else random.randrange(7) * world.unit_us
        )
        for p in roster
    }
    arrivals = []
    for number, (way, record) in enumerate(zip(ways, order, strict=True)):
        clock = clocks[way.partition]
        late = clock.is_late(record.time_us)
        assert not (late and truthful), "a truthful delivery has no late record"
        clock.observe(record.time_us)
        marked = {"none": (), "own": (way.partition,), "all": roster}[way.marks]
        for p in marked if way.promise else ():
            left_us = min((r.time_us for r in _of(p, sent[number + 1 :])), default=END_US)
            ahead_us = random.randrange(2 * world.longest_us // world.unit_us) * world.unit_us
            clocks[p].raise_to(left_us if truthful else ORIGIN_US + ahead_us)
        marks = tuple(Mark(*p, clocks[p].watermark_us) for p in marked)
        arrivals.append(Arrival(record, late, marks, way.apart))
    # What an undeclared partition brings below the minimum would be late.
    declared = roster if truthful else roster[: 1 + random.randrange(len(roster))]
    return Delivery(roster, declared, tuple(arrivals))


def _way(random: Random, roster: tuple[Partition, ...]) -> _Way:
    return _Way(
        roster[random.randrange(len(roster))],
        ("all", "none", "own")[random.randrange(3)],
        (True, False)[random.randrange(2)],
        ("together", "rows", "before", "together")[random.randrange(4)],
    )


def _of(partition: Partition, sent: Sequence[tuple[Partition, Record]]) -> list[Record]:
    return [record for p, record in sent if p == partition]


def _disorder_us(records: Sequence[Record]) -> int:
    """The least lateness with which none of these records, in this order, is late."""
    greatest_us, disorder_us = NEVER_US, 0
    for record in records:
        greatest_us = max(greatest_us, record.time_us)
        disorder_us = max(disorder_us, greatest_us - record.time_us)
    return disorder_us


Row = Fact | Mark


def steps_of(world: World, delivery: Delivery, screen: Screen | None = None) -> list[list[Row]]:
    """The steps of a delivery, its end included: facts, and the marks after each.

    Facts are those that pass the screen, or all. Within a step facts come before marks, as they
    do of one input record.
    """
    steps: list[list[Row]] = []
    for arrival in delivery.arrivals:
        event = event_of(arrival.record, world.timing, late=arrival.late)
        rows: list[Row] = [*facts_of(event, kinds_of(world, event, screen)), *arrival.marks]
        if arrival.apart == "rows":
            steps += [[row] for row in rows]
        elif arrival.apart == "before" and steps:
            steps[-1] += rows
        else:
            steps.append(rows)
    return [*steps, [Mark(*partition, END_US) for partition in delivery.roster]]


def kinds_of(world: World, event: Event, screen: Screen | None) -> Sequence[By]:
    """The kinds of key under which a record becomes a fact: all in use, or what a screen says."""
    if screen is not None:
        return screen.keys(event.identity.type, event.fields)
    return keys_of(world.rule_set)


def begin(world: World, delivery: Delivery, max_history: int = MAX_HISTORY) -> Engine:
    """An engine that has heard nothing yet."""
    roster = dict.fromkeys(delivery.declared, NEVER_US)
    rules = replace(world.rule_set, max_history=max_history)
    return Engine(rules, roster, timing=world.timing)


def run(world: World, delivery: Delivery, screen: Screen | None = None) -> list[Alert]:
    """All that is written of a delivery from its first row to its end."""
    return observe_all(begin(world, delivery), steps_of(world, delivery, screen))


def observe_all(engine: Engine, steps: Iterable[Sequence[Row]]) -> list[Alert]:
    """All that an engine writes of these steps."""
    return [alert for number, rows in enumerate(steps) for alert in engine.observe(rows, number)]


def last_by_id(alerts: Sequence[Alert]) -> dict[str, Alert]:
    """The last record of each alert."""
    return {alert.alert_id: alert for alert in alerts}


def raised(alerts: Sequence[Alert]) -> Claims:
    """What each alert that is raised in the end says, in the oracle's form."""
    found: Claims = {}
    for alert in last_by_id(alerts).values():
        if alert.state == "raised":
            said = alert.content
            shown = tuple(_shown(entry) for entry in said["evidence"])
            claim = Claim(said["score"], said["severity"], said["action"], shown)
            found[said["rule"]["id"], said["key"], _name(said["anchor"])] = claim
    return found


def _shown(entry: Any) -> Shown:  # noqa: ANN401 - JSON
    if "sample" not in entry:
        return entry["step"], _name(entry)
    return entry["step"], entry["count"], tuple(_name(each) for each in entry["sample"])


def _name(coordinates: Any) -> tuple[str, str, str]:  # noqa: ANN401 - JSON
    return coordinates["source"], coordinates["type"], coordinates["id"]
