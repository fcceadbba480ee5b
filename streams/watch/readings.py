"""What `/metrics` says: the counts as they stand when somebody asks, so that no event pays."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from rules.authoring.people import People
from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams import metrics
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.clock import now_us
from streams.epoch import Epoch
from streams.ingest import Ingest
from streams.intake import Intake
from streams.lanes import Lane, LaneStage
from streams.metrics import METRICS, Key
from streams.watch.health import stalled
from streams.wire.dead_letters import REASONS

_SECOND_US: Final = 1_000_000
_SECOND_MS: Final = 1_000
Values = Mapping[Key, float]


@dataclass(frozen=True)
class Watched:
    """The parts of a worker that have something to tell."""

    epoch: Epoch
    rule_set: RuleSet
    ingest: Ingest
    taking_in: IngestStation
    correlating: Sequence[CorrelateStation]
    intake: Intake
    stalled_after_s: float


async def exposition(watched: Watched, now_s: float) -> bytes:
    """Return everything in Prometheus' text format.

    What takes its time is done in a thread, so that no alert waits for it.
    """
    values = {**counted(watched), **_gauges(watched, now_s), **await _lags(watched.intake)}
    people = watched.ingest.people.copy()
    return await asyncio.to_thread(_text, watched, values, people)


def _text(watched: Watched, values: Values, people: People) -> bytes:
    sides = zip(("calls", "bank", "both"), people.counts(), strict=True)
    of_people: Values = {(metrics.PEOPLE.name, side): count for side, count in sides}
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families(watched, {**values, **of_people}))
    return generate_latest(registry)


class _Families(Collector):
    """Metrics by name, each with what is known of it."""

    def __init__(self, watched: Watched, values: Values) -> None:
        self._watched = watched
        self._values = values

    def collect(self) -> Iterator[Family]:
        """Yield each metric of the list, with all its values."""
        for metric in METRICS:
            if metric.kind == "histogram":
                yield self._histogram(metric)
            elif metric.name.startswith("ringfence_"):
                make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = make(metric.name, metric.help, labels=metric.labels)
                for (name, *labels), value in self._values.items():
                    if name == metric.name:
                        family.add_metric(labels, value)
                yield family

    def _histogram(self, metric: metrics.Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for station in self._watched.correlating:
            spread = station.decisions
            family.add_metric([station.topic], list(spread.buckets()), spread.sum)
        return family


def counted(watched: Watched) -> Values:
    """Return all counters; where every label is known beforehand, from zero on."""
    epoch, intake = watched.epoch, watched.intake
    zeros: list[Key] = [(metrics.COMMITS.name,), (metrics.REFUSED_COMMITS.name,)]
    of_topic = (metrics.RECORDS, metrics.LATE, metrics.WITHOUT_VALUE, metrics.SKIPPED)
    zeros += [(m.name, topic) for m in of_topic for topic in epoch.roster]
    of_log = (
        metrics.RECORDS,
        metrics.SKIPPED,
        metrics.FACTS,
        metrics.DROPPED,
        metrics.CUT_SHORT,
        metrics.BELOW_HORIZON,
        metrics.REBUILDS,
        metrics.REBUILT_ROWS,
    )
    zeros += [(m.name, log.name) for m in of_log for log in epoch.facts_logs]
    zeros += [(metrics.DEAD_LETTERS.name, reason) for reason in REASONS]
    rules = [rule.id for rule in watched.rule_set.rules if not rule.is_signal]
    zeros += [(metrics.TRUNCATED.name, rule) for rule in rules]
    states = product(rules, ("raised", "withdrawn"), ("false", "true"))
    zeros += [(metrics.ALERTS.name, *labels) for labels in states]
    values = Counter(dict.fromkeys(zeros, 0))
    for station in watched.correlating:
        station.count_on()
    for counts in (watched.taking_in.counts, intake.counts):
        values.update(counts)
    for station in watched.correlating:
        values.update(station.counts)
    seconds = metrics.REBUILD_SECONDS.name
    return {**values, **{(seconds, s.topic): s.rebuild_s for s in watched.correlating}}


def _gauges(watched: Watched, now_s: float) -> Values:
    intake, found = watched.intake, dict[Key, float]()
    found[metrics.INFO.name, version("ringfence"), watched.epoch.digest] = 1
    lanes = list(intake.lanes.values())
    for stage in (LaneStage.OPENING, LaneStage.OPEN, LaneStage.CLOSING):
        found[metrics.LANES.name, stage.value] = sum(lane.stage is stage for lane in lanes)
    found[metrics.STALLED.name,] = len(stalled(lanes, now_s, watched.stalled_after_s))
    for station in watched.correlating:
        keys, events = station.remembered()
        found[metrics.HISTORIES.name, station.topic] = keys
        found[metrics.KEPT.name, station.topic] = events
    for (topic, number), watermark_us in watched.taking_in.watermarks().items():
        heard = watermark_us != NEVER_US
        age_s = (now_us() - watermark_us) / _SECOND_US if heard else float("inf")
        found[metrics.WATERMARK_AGE.name, topic, str(number)] = age_s
    return {**found, **_blind(watched)}


def _blind(watched: Watched) -> Values:
    """Return which rules are blind; nothing if this worker does not read of every topic."""
    read = {topic for topic, _ in watched.intake.lanes}
    if not watched.epoch.roster.keys() <= read:
        return {}
    blind = watched.ingest.blind_rules()
    return {(metrics.BLIND.name, rule.id): rule.id in blind for rule in watched.rule_set.rules}


async def _lags(intake: Intake) -> Values:
    found = dict[Key, float]()
    for (topic, number), age_s in fetch_ages_s(intake).items():
        found[metrics.FETCH_AGE.name, topic, str(number)] = age_s
    for lane in list(intake.lanes.values()):
        lag = await _lag(intake, lane)
        if lag is not None:
            topic, number = lane.partition
            found[metrics.LAG.name, topic, str(number)] = lag
    return found


async def _lag(intake: Intake, lane: Lane[Any]) -> int | None:
    place = TopicPartition(*lane.partition)
    if lane.stage is not LaneStage.OPEN or place not in intake.member.assignment():
        return None
    end, done = intake.member.highwater(place), lane.undone_from
    if lane.is_quiet:
        # Ends of transactions have an offset of their own and are nothing to be done.
        try:
            done = await intake.member.position(place)
        except IllegalStateError:
            return None  # it was taken away just now
    return None if end is None else max(0, end - done)


def fetch_ages_s(intake: Intake) -> Mapping[Partition, float]:
    """Return how long ago each open partition was last fetched, as far as it is known."""
    if not intake.lanes:
        return {}
    given, found = intake.member.assignment(), {}
    for partition, lane in intake.lanes.items():
        place = TopicPartition(*partition)
        if place in given and lane.stage is LaneStage.OPEN and not lane.is_full:
            read_ms = intake.member.last_poll_timestamp(place)
            if read_ms is not None:
                found[partition] = max(0.0, (now_us() / 1_000 - read_ms) / _SECOND_MS)
    return found
