"""The settings that all rules share: how long things count, and how much is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rules.moment import HOUR_US, MINUTE_US

MAX_HISTORY: Final = 10_000


@dataclass(frozen=True)
class Timing:
    """The durations, in microseconds, that decide when an event ends and when it is certain.

    `settle_us` is how long after its start an event's records still count, and the longest that
    an interval counts as; `settle_by_type_us` overrides it for single event types. `open_for_us`
    is how long an interval with no known end lasts beyond its record's time. `timezone` is the
    IANA name in which conditions read hours and weekdays. `max_history` is the most events of one
    type that are remembered under one key.
    """

    settle_us: int = 6 * HOUR_US
    open_for_us: int = 90 * MINUTE_US
    timezone: str = "UTC"
    settle_by_type_us: Mapping[str, int] = field(default_factory=dict)
    max_history: int = MAX_HISTORY

    def settle(self, event_type: str) -> int:
        """Return how long, in microseconds, records of this event type count after its start."""
        return self.settle_by_type_us.get(event_type, self.settle_us)
