"""What is remembered under one key: the events, and in order those that each step could bind."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from rules.fact import Event, Identity, Place

StepKey = tuple[int, int]
"""A step of a rule: the rule's and the step's index."""


class History:
    """The events of one key, each as its greatest record tells it.

    The candidates of a step are the events that fulfil its own conditions, ordered by place.
    """

    __slots__ = ("_candidates", "_events")

    def __init__(self) -> None:
        self._events: dict[Identity, Event] = {}
        self._candidates: dict[StepKey, list[Place]] = {}

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
        self._events[event.identity] = event

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
        for places in self._candidates.values():
            at = _find(places, event.place)
            if at >= 0:
                del places[at]


def _find(places: list[Place], place: Place) -> int:
    at = bisect_left(places, place)
    return at if at < len(places) and places[at] == place else -1
