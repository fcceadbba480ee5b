"""Ways in which the records of a world can arrive, and what the engine writes then.

Every delivery has repeats, several feeds, and marks wherever truth allows them; this file is
used by properties only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from hypothesis import strategies as st

from rules.alert import Alert
from rules.engine import Correlator
from rules.fact import Event, Fact, Mark
from rules.rule import By
from rules.screen import Screen
from rules.watermark import END_US, NEVER_US, FeedClock, Partition
from tests.rules.build import ORIGIN_US, event_of, facts_of
from tests.rules.oracle import Record
from tests.rules.worlds import LONGEST_US, World


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


# One choice out of many draws faster than many choices.
_WAYS = tuple(
    _Way(*way)
    for way in product(
        ROSTER, ("none", "own", "all"), (False, True), ("rows", "together", "before")
    )
)


@st.composite
def deliveries(draw: st.DrawFn, world: World, *, truthful: bool = True) -> Delivery:
    """Any order of arrival, with repeats, in which no record is late.

    Args:
        draw: given by Hypothesis.
        world: whose records come in.
        truthful: False lets watermarks run ahead of what is still to come, so that records
            are late, as late as they like.
    """
    roster = ROSTER[: draw(st.integers(1, 3))]
    records = list(world.records)
    if records:
        records += draw(st.lists(st.sampled_from(records), max_size=3))
    spread_us = draw(st.sampled_from((0, 3, 2 * LONGEST_US)))
    order = sorted(records, key=lambda r: r.time_us + draw(st.integers(0, spread_us)))
    ways = [_WAYS[draw(st.integers(0, 18 * len(roster) - 1))] for _ in order]
    sent = [(way.partition, record) for way, record in zip(ways, order, strict=True)]
    clocks = {
        p: FeedClock(_disorder_us(_of(p, sent)) if truthful else draw(st.integers(0, 6)))
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
            left = _of(p, sent[number + 1 :])
            clocks[p].raise_to(_promise(draw, left, truthful=truthful))
        marks = tuple(Mark(*p, clocks[p].watermark_us) for p in marked)
        arrivals.append(Arrival(record, late, marks, way.apart))
    # What an undeclared partition brings below the minimum would be late.
    declared = roster if truthful else roster[: draw(st.integers(1, len(roster)))]
    return Delivery(roster, declared, tuple(arrivals))


def _of(partition: Partition, sent: Sequence[tuple[Partition, Record]]) -> list[Record]:
    return [record for p, record in sent if p == partition]


def _disorder_us(records: Sequence[Record]) -> int:
    """The least lateness with which none of these records, in this order, is late."""
    greatest_us, disorder_us = NEVER_US, 0
    for record in records:
        greatest_us = max(greatest_us, record.time_us)
        disorder_us = max(disorder_us, greatest_us - record.time_us)
    return disorder_us


def _promise(draw: st.DrawFn, left: Sequence[Record], *, truthful: bool) -> int:
    """A heartbeat: up to the least time that is still to come, or as far as it likes."""
    if not truthful:
        return ORIGIN_US + draw(st.integers(0, 4 * LONGEST_US))
    return min((record.time_us for record in left), default=END_US)


Row = Fact | Mark


def steps_of(world: World, delivery: Delivery, screen: Screen | None = None) -> list[list[Row]]:
    """The steps of a delivery: facts that pass the screen, or all, and the marks after each."""
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
    return steps


def kinds_of(world: World, event: Event, screen: Screen | None) -> Sequence[By]:
    """The kinds of key under which a record becomes a fact: all in use, or what a screen says."""
    if screen is not None:
        return screen.keys(event.identity.type, event.fields)
    return sorted({rule.by for rule in world.rule_set.rules})


def end_of(delivery: Delivery) -> list[Row]:
    """The marks with which a log ends."""
    return [Mark(*partition, END_US) for partition in delivery.roster]


def begin(world: World, delivery: Delivery) -> Correlator:
    """A correlator that has heard nothing yet."""
    return Correlator(world.rule_set, dict.fromkeys(delivery.declared, NEVER_US))


def run(world: World, delivery: Delivery, screen: Screen | None = None) -> list[Alert]:
    """All that is written of a delivery from its first row to its end."""
    correlator = begin(world, delivery)
    steps = [*steps_of(world, delivery, screen), end_of(delivery)]
    return [a for number, rows in enumerate(steps) for a in correlator.observe(rows, number)]


def last_by_id(alerts: Sequence[Alert]) -> dict[str, Alert]:
    """The last record of each alert."""
    return {alert.alert_id: alert for alert in alerts}


def raised(
    alerts: Sequence[Alert],
) -> dict[tuple[str, tuple[str, str, str]], tuple[tuple[str, str, str], ...]]:
    """What is bound by each alert that is raised in the end, in the oracle's form."""
    found = {}
    for alert in last_by_id(alerts).values():
        if alert.state == "raised":
            anchor = alert.content["anchor"]
            name = (anchor["source"], anchor["type"], anchor["id"])
            found[alert.content["rule"]["id"], name] = tuple(
                (e["source"], e["type"], e["id"]) for e in alert.content["evidence"]
            )
    return found
