"""What a story says: timed records, and the alerts that they must give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rules.events import Value
from rules.moment import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_moment

DAY_0_US = parse_moment("2023-07-08T00:00:00Z")
"""The day that the times of a story lie on; further days are counted from it."""

_TIME = re.compile(
    r"(?:(?P<days>\d{1,4})d )?(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:\.(?P<fraction>\d{1,6}))?)?",
    re.ASCII,
)
TIME_WANTED = "a time such as 10:42, 10:42:30 or 1d 09:00"


@dataclass(frozen=True)
class StoryRecord:
    """One record of a story, as far as its author says it.

    `name` is the event's own id, `at_us` when it is told. Of the fields, None takes away what
    would be there by default; an update gives only what it changes.
    """

    name: str
    event: str
    at_us: int
    time_us: int | None
    source: str | None
    sequence: int | None
    fields: Mapping[str, Value | None]
    update: bool
    line: int


@dataclass(frozen=True)
class StoryAlert:
    """An alert that a story must give: what is None is left open, `others` must be in it."""

    anchor: str
    action: str | None
    others: tuple[str, ...]
    severity: str | None = None
    score: int | None = None

    @property
    def says(self) -> Mapping[str, str | int]:
        """What it claims of the alert, by the alert's own keys."""
        claims = {"action": self.action, "severity": self.severity, "score": self.score}
        return {key: value for key, value in claims.items() if value is not None}


@dataclass(frozen=True)
class Miss:
    """The nearest miss of a story: the step that nothing fitted, and the field that decided it."""

    step: str
    on: str


@dataclass(frozen=True)
class Story:
    """A timed list of records with the alerts that they must give, in any order of arrival.

    `arrival` is an order given for it, as places in `records`. Without `lateness_us` no record
    is late.
    """

    title: str
    records: tuple[StoryRecord, ...]
    alerts: tuple[StoryAlert, ...]
    misses: Miss | None
    arrival: tuple[int, ...] | None
    lateness_us: int | None
    line: int


def parse_time(text: str) -> int:
    """Return the moment of a time of day on day 0 or later, or of an RFC 3339 moment."""
    match = _TIME.fullmatch(text)
    if match is None:
        return parse_moment(text)
    parts = match.groupdict(default="0")
    return (
        DAY_0_US
        + int(parts["days"]) * DAY_US
        + int(parts["hour"]) * HOUR_US
        + int(parts["minute"]) * MINUTE_US
        + int(parts["second"]) * SECOND_US
        + int(parts["fraction"].ljust(6, "0"))
    )
