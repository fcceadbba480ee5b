"""What a worker tells of itself: every metric, its labels, and what a bad value means.

`docs/operations.md` prints this list, `/metrics` serves it, dashboards and alert rules name
nothing else. A count is kept where it arises, in a `Counter` whose keys are the metric's name and
the values of its labels.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

Key = tuple[str, ...]
"""A metric's name and the values of its labels."""


@dataclass(frozen=True)
class Metric:
    """A metric: `help` says what it is, `bad` what to make of a value that should not be."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    bad: str
    labels: tuple[str, ...] = ()


_PLACE: Final = ("topic", "partition")

RECORDS: Final = Metric(
    "ringfence_records_total",
    "counter",
    "Records and rows of a topic that are done.",
    "Stands still while others send: look at lag and at `/healthz`.",
    ("topic",),
)
LATE: Final = Metric(
    "ringfence_late_records_total",
    "counter",
    "Records older than the watermark of their own partition.",
    "Many: the feed's `RINGFENCE_LATENESS` is too short, or a sender sends again what is old."
    " What they belong to may already be final.",
    ("topic",),
)
WITHOUT_VALUE: Final = Metric(
    "ringfence_records_without_value_total",
    "counter",
    "Records without a value, which say nothing.",
    "Any: somebody compacts the topic or deletes by key; nothing of that is taken over.",
    ("topic",),
)
DEAD_LETTERS: Final = Metric(
    "ringfence_dead_letters_total",
    "counter",
    "Records refused, by the reason in their dead letter.",
    "Grows: a sender breaks the contract; the dead letters say where. `internal` is a bug.",
    ("reason",),
)
SKIPPED: Final = Metric(
    "ringfence_skipped_rows_total",
    "counter",
    "Rows stepped over because `RINGFENCE_SKIP` names them.",
    "Any that nobody remembers having wanted: take the setting away.",
    ("topic",),
)
FACTS: Final = Metric(
    "ringfence_facts_total",
    "counter",
    "Facts written to a facts log.",
    "None while records come: no rule could use any of them.",
    ("topic",),
)
ALERTS: Final = Metric(
    "ringfence_alert_records_total",
    "counter",
    "Records of alerts written, by rule and by what they say.",
    "Falls to none for a rule that used to match: see `ringfence_rule_blind`. Rises manifold: look"
    " at what has changed in the rules or at the senders.",
    ("rule", "state", "final"),
)
TRUNCATED: Final = Metric(
    "ringfence_truncated_alerts_total",
    "counter",
    "Alerts that ended with `truncated`: a flood limit has cut what they rest on.",
    "Any: one key has more events than are kept; the alert stands, its evidence is not all.",
    ("rule",),
)
DROPPED: Final = Metric(
    "ringfence_dropped_events_total",
    "counter",
    "Events forgotten before their time because one key had too many.",
    "Grows: one number or account is flooded, or a sender gives many people one name."
    " `RINGFENCE_MAX_HISTORY` is how many are kept.",
    ("topic",),
)
CUT_SHORT: Final = Metric(
    "ringfence_matches_cut_short_total",
    "counter",
    "Anchors of which not every possible match was tried, because there were too many.",
    "Grows: a rule joins what is frequent with what is frequent; it wants closer conditions.",
    ("topic",),
)
BELOW_HORIZON: Final = Metric(
    "ringfence_events_below_horizon_total",
    "counter",
    "Events that came when every alert they could serve was final; they are not used.",
    "Grows: a feed comes later than `RINGFENCE_SETTLE` allows.",
    ("topic",),
)
UNKNOWN: Final = Metric(
    "ringfence_events_unknown_total",
    "counter",
    "Events that a part of a rule could not use for no other reason than that fields are unknown.",
    "Grows as fast as the events come: the sender never says it, and the rule cannot match.",
    ("rule", "part", "event", "fields"),
)
BLIND: Final = Metric(
    "ringfence_rule_blind",
    "gauge",
    "1 if a rule could not have matched, whatever people did: what it needs was never known since"
    " this worker began. Told by workers that read some of every outside topic.",
    "1 at every worker for an hour: a feed is missing, or a field that it never fills.",
    ("rule",),
)
PEOPLE: Final = Metric(
    "ringfence_people",
    "gauge",
    "People seen since this worker began, on the call side, on the bank's, and on both;"
    " an estimate once they are many.",
    "None on `both`: the two sides do not name people alike (`docs/identity.md`), and no rule that"
    " joins them can match.",
    ("side",),
)
HISTORIES: Final = Metric(
    "ringfence_histories",
    "gauge",
    "Keys under which something is remembered.",
    "Grows without end: a watermark stands still, so nothing is forgotten.",
    ("topic",),
)
KEPT: Final = Metric(
    "ringfence_kept_events",
    "gauge",
    "Events remembered, under all keys together.",
    "Grows without end: a watermark stands still, so nothing is forgotten.",
    ("topic",),
)
REBUILDS: Final = Metric(
    "ringfence_rebuilds_total",
    "counter",
    "Partitions whose state was made anew from the facts log.",
    "Grows all the time: the group rebalances again and again; look at restarts and at"
    " `RINGFENCE_SESSION_TIMEOUT`.",
    ("topic",),
)
REBUILT_ROWS: Final = Metric(
    "ringfence_rebuilt_rows_total",
    "counter",
    "Rows read again to make states anew.",
    "See rebuilds; by rows it says how much work they were.",
    ("topic",),
)
REBUILD_SECONDS: Final = Metric(
    "ringfence_rebuild_seconds_total",
    "counter",
    "Seconds spent on making states anew.",
    "By rebuild, more than alerts can wait: more partitions and more workers.",
    ("topic",),
)
DECISIONS: Final = Metric(
    "ringfence_decision_seconds",
    "histogram",
    "From a record's time stamp on its topic (the sender's clock, unless the topic has"
    " `LogAppendTime`) to the acknowledgement of the alert record that it caused.",
    "p99 above what a bank can hold a payment for: look at lag, then at CPU.",
    ("topic",),
)
COMMITS: Final = Metric(
    "ringfence_commits_total",
    "counter",
    "Commits that the group has accepted.",
    "Stands still while records come: look at `/healthz` and at the broker.",
)
REFUSED_COMMITS: Final = Metric(
    "ringfence_refused_commits_total",
    "counter",
    "Commits refused because the group had moved on; the work is repeated, byte for byte.",
    "Grows: this worker is too slow for its session, see `RINGFENCE_SESSION_TIMEOUT`.",
)
LANES: Final = Metric(
    "ringfence_lanes",
    "gauge",
    "Partitions assigned to this worker, by what they are about: `opening` makes its state anew.",
    "`opening` for minutes: see rebuilds. None at all: more workers than partitions.",
    ("stage",),
)
STALLED: Final = Metric(
    "ringfence_stalled_lanes",
    "gauge",
    "Partitions that have had work in hand for `RINGFENCE_STALLED_AFTER` and have not moved.",
    "Any: `/healthz` says which; the worker is to be restarted.",
)
LAG: Final = Metric(
    "ringfence_lag_records",
    "gauge",
    "Records of a partition that are not done; as of the last fetch.",
    "Grows: more comes than this worker does. Falls no more: see `ringfence_fetch_age_seconds`.",
    _PLACE,
)
FETCH_AGE: Final = Metric(
    "ringfence_fetch_age_seconds",
    "gauge",
    "How long ago the broker last answered for a partition; none for one that is not asked.",
    "Beyond a minute with no lag: the broker is gone, and lag is stale.",
    _PLACE,
)
WATERMARK_AGE: Final = Metric(
    "ringfence_watermark_age_seconds",
    "gauge",
    "How far a partition's watermark is behind the clock; infinite until it is heard.",
    "Beyond lateness and `RINGFENCE_IDLE_AFTER`: the feed is late or silent, and every alert waits"
    " for it to become final.",
    _PLACE,
)
INFO: Final = Metric(
    "ringfence_worker_info",
    "gauge",
    "Always 1: which release runs which rule set (the epoch's digest).",
    "Two digests in one group of workers: not all of them have the same rules.",
    ("version", "digest"),
)
MEMORY: Final = Metric(
    "process_resident_memory_bytes",
    "gauge",
    "Resident memory of the process (on Linux).",
    "Near the limit: see kept events; more workers share them.",
)
CPU: Final = Metric(
    "process_cpu_seconds_total",
    "counter",
    "CPU time of the process (on Linux).",
    "One second per second: this worker is at its limit; a worker is one process.",
)

METRICS: Final = (
    INFO,
    LANES,
    STALLED,
    LAG,
    FETCH_AGE,
    WATERMARK_AGE,
    RECORDS,
    LATE,
    WITHOUT_VALUE,
    DEAD_LETTERS,
    SKIPPED,
    FACTS,
    ALERTS,
    DECISIONS,
    TRUNCATED,
    DROPPED,
    CUT_SHORT,
    BELOW_HORIZON,
    UNKNOWN,
    BLIND,
    PEOPLE,
    HISTORIES,
    KEPT,
    REBUILDS,
    REBUILT_ROWS,
    REBUILD_SECONDS,
    COMMITS,
    REFUSED_COMMITS,
    MEMORY,
    CPU,
)

_BOUNDS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)


class Spread:
    """How often something took how long."""

    def __init__(self, bounds: Sequence[float] = _BOUNDS_S) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count one; what two clocks make negative counts as nothing."""
        seconds = max(0.0, seconds)
        self.sum += seconds
        self._counts[bisect_left(self._bounds, seconds)] += 1

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each bound, as Prometheus writes it, with how many were no greater."""
        bounds = [*map(str, map(float, self._bounds)), "+Inf"]
        return zip(bounds, accumulate(self._counts), strict=True)
