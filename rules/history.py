"""What is remembered under one key: the events, and in order those that each step could bind."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator

from rules.fact import Event, Identity, Place
from rules.moment import MINUTE_US

StepKey = tuple[int, int]
"""A part of a rule: the rule's number and the part's place."""


class History:
    """The events of one key, each as its greatest record tells it.

    The candidates of a step are the events that fulfil its own conditions, ordered by place.
    """

    __slots__ = ("_by_type", "_candidates", "_dropped", "_events")

    def __init__(self) -> None:
        self._events: dict[Identity, Event] = {}
        self._by_type: dict[str, list[Place]] = {}
        self._candidates: dict[StepKey, list[Place]] = {}
        self._dropped: dict[str, Place] = {}

    def __len__(self) -> int:
        return len(self._events)

    def get(self, identity: Identity) -> Event | None:
        """Return the event as it stands, if it is remembered."""
        return self._events.get(identity)

    def put(self, event: Event) -> None:
        """Remember an event, in place of what was known of it before."""
        held = self._events.get(event.identity)
        if held is not None and held.start_us != event.start_us:
            # A start is fixed, so its sender has broken the contract; notes of the old place
            # would outlive the event and stop the partition when they are looked up.
            self.forget(event.identity)
            held = None
        if held is None:
            insort(self._by_type.setdefault(event.identity.type, []), event.place)
        self._events[event.identity] = event

    def least_beyond(self, cap: int, event_type: str) -> Event | None:
        """Return the least event of a type, if more than `cap` of it are remembered."""
        places = self._by_type[event_type]
        return self._events[Identity(*places[0][1:])] if len(places) > cap else None

    def drop(self, event: Event) -> None:
        """Forget an event before its time, and note how far up its type has been dropped."""
        dropped = self._dropped.get(event.identity.type)
        if dropped is None or dropped < event.place:
            self._dropped[event.identity.type] = event.place
        self.forget(event.identity)

    def may_have_dropped(self, event: Event) -> bool:
        """Tell whether an event may have been here before, and been dropped."""
        dropped = self._dropped.get(event.identity.type)
        return dropped is not None and event.place <= dropped

    def mark_candidate(self, step: StepKey, event: Event, *, fits: bool) -> bool:
        """Note whether an event fits a step; tell whether it did before or does now."""
        places = self._candidates.get(step)
        at = -1 if places is None else _find(places, event.place)
        if fits and at < 0:
            insort(self._candidates.setdefault(step, []), event.place)
        elif at >= 0 and not fits and places is not None:
            del places[at]
        return fits or at >= 0

    def is_candidate(self, step: StepKey, event: Event) -> bool:
        """Tell whether an event fits a step."""
        return _find(self._candidates.get(step, []), event.place) >= 0

    def greatest_first(self, step: StepKey, least_us: int, greatest_us: int) -> Iterator[Event]:
        """Yield a step's candidates that start within the bounds, the greatest place first."""
        places = self._candidates.get(step, [])
        low = bisect_left(places, (least_us,))
        for at in range(bisect_left(places, (greatest_us + 1,)) - 1, low - 1, -1):
            yield self._events[Identity(*places[at][1:])]

    def forget(self, identity: Identity) -> None:
        """Drop an event and all notes of it."""
        event = self._events.pop(identity)
        for places in (self._by_type[identity.type], *self._candidates.values()):
            at = _find(places, event.place)
            if at >= 0:
                del places[at]


class FirstRows:
    """Which row of the log a rebuild must begin at: that of the oldest event still needed.

    An event needs its first row until its time to be forgotten. A later row that is needed no
    longer than an earlier one can never decide, so what is kept rises in both; times are rounded
    up to whole minutes, which bounds it by the horizon, not by the number of events.
    """

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int]] = deque()

    def note(self, row: int, needed_until_us: int) -> None:
        """Note an event's first row; rows must be noted in ascending order."""
        until_us = -(-needed_until_us // MINUTE_US) * MINUTE_US
        if not self._rows or self._rows[-1][1] < until_us:
            self._rows.append((row, until_us))

    def oldest(self, minimum_us: int) -> int | None:
        """Return the first row that is still needed at this minimum of the watermarks."""
        while self._rows and self._rows[0][1] < minimum_us:
            self._rows.popleft()
        return self._rows[0][0] if self._rows else None


def _find(places: list[Place], place: Place) -> int:
    at = bisect_left(places, place)
    return at if at < len(places) and places[at] == place else -1
