"""What is remembered under one key: the events, in order, and which conditions each fulfils."""

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping

from rules.fact import Event, Identity
from rules.moment import MINUTE_US

Row = tuple[int, Identity, Event, int]
"""An event where it stands among others: start, identity, the event, the signatures it fits."""

_LOOKED_AT = 16


class History:
    """The events of one key, each as its greatest record tells it, in order of place."""

    __slots__ = ("_by_type", "_dropped", "_rows")

    def __init__(self) -> None:
        self._rows: dict[Identity, Row] = {}
        self._by_type: dict[str, list[Row]] = {}
        self._dropped: dict[str, tuple[int, Identity]] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, identity: Identity) -> Row | None:
        """Return an event as it stands, with the signatures it fits, if it is remembered."""
        return self._rows.get(identity)

    def put(self, event: Event, fits: int) -> None:
        """Remember an event and the signatures it fits, in place of what was known before."""
        identity = event.identity
        row = (event.start_us, identity, event, fits)
        held = self._rows.get(identity)
        if held is not None and held[0] != event.start_us:
            # A start is fixed, so its sender has broken the contract; a row at the old place
            # would outlive the event and stop the partition when it is looked up.
            self.forget(identity)
            held = None
        self._rows[identity] = row
        rows = self._by_type.get(identity.type)
        if rows is None:
            self._by_type[identity.type] = [row]
        elif held is None:
            insort(rows, row)
        else:
            rows[bisect_left(rows, row[:2])] = row

    def least_beyond(self, cap: int, event_type: str) -> Event | None:
        """Return the least event of a type, if more than `cap` of it are remembered."""
        rows = self._by_type[event_type]
        return rows[0][2] if len(rows) > cap else None

    def drop(self, event: Event) -> None:
        """Forget an event before its time, and note how far up its type has been dropped."""
        place = (event.start_us, event.identity)
        # Most histories never come to this, and there are many.
        dropped = self._dropped = self._dropped or {}
        dropped[event.identity.type] = max(place, dropped.get(event.identity.type, place))
        self.forget(event.identity)

    def may_have_dropped(self, event: Event) -> bool:
        """Tell whether an event may have been here before, and been dropped."""
        dropped = None if self._dropped is None else self._dropped.get(event.identity.type)
        return dropped is not None and (event.start_us, event.identity) <= dropped

    def fits(self, event: Event, signatures: Mapping[str, int]) -> bool:
        """Tell whether an event fits what these signatures ask of its type."""
        return self._rows[event.identity][3] & signatures[event.identity.type] != 0

    def between(self, event_type: str, least_us: int, greatest_us: int) -> list[Row]:
        """Return the rows of a type that start within the bounds, in order."""
        rows = self._by_type.get(event_type)
        if rows is None:
            return []
        return rows[bisect_left(rows, (least_us,)) : bisect_left(rows, (greatest_us + 1,))]

    def fitted_between(self, event_type: str, least_us: int, greatest_us: int) -> int:
        """Return signatures that hold all that some event fits which starts within the bounds."""
        rows = self.between(event_type, least_us, greatest_us)
        # Of many, it is quicker to find out at the time that none fits.
        if len(rows) > _LOOKED_AT:
            return -1
        fitted = 0
        for row in rows:
            fitted |= row[3]
        return fitted

    def greatest_first(
        self, signatures: Mapping[str, int], least_us: int, greatest_us: int
    ) -> Iterator[Event]:
        """Yield what fits and starts within the bounds, the greatest place first.

        Args:
            signatures: for each type that is asked for, those of which one has to fit.
            least_us: the first moment at which a start is within the bounds.
            greatest_us: the last.
        """
        if len(signatures) == 1:
            ((event_type, signature),) = signatures.items()
            rows = self._fitting(event_type, signature, least_us, greatest_us)
        else:
            several = (self._fitting(*each, least_us, greatest_us) for each in signatures.items())
            rows = heapq.merge(*several, reverse=True)
        return (row[2] for row in rows)

    def _fitting(
        self, event_type: str, signature: int, least_us: int, greatest_us: int
    ) -> Iterator[Row]:
        rows = self._by_type.get(event_type, [])
        low = bisect_left(rows, (least_us,))
        for at in range(bisect_left(rows, (greatest_us + 1,)) - 1, low - 1, -1):
            if rows[at][3] & signature:
                yield rows[at]

    def forget(self, identity: Identity) -> None:
        """Drop an event and all notes of it."""
        row = self._rows.pop(identity)
        rows = self._by_type[identity.type]
        del rows[bisect_left(rows, row[:2])]
        if not rows:
            del self._by_type[identity.type]


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
