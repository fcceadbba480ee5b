"""What is remembered under one key: the events, in order, and which conditions each fulfils."""

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import ClassVar, Final

from rules.fact import Event, Identity
from rules.moment import MINUTE_US
from rules.tally import Row
from rules.watermark import END_US
from rules.window import Window

_MOST_KINDS = 16
_MOST_WINDOWS = 32
_NO_WINDOWS: Final[dict[Hashable, Window]] = {}


class Rows:
    """The events of one type under one key, in order of place.

    Many are also held by what they fit, so that those which fit nothing cost nothing.

    Attributes:
        longest_us: How long the longest of them lasts, or of those that were here.
        windows: The sets of them that are kept up to date.
    """

    FEW: ClassVar[int] = 16
    __slots__ = ("_all", "_by_fits", "longest_us", "windows")

    def __init__(self) -> None:
        self._all: list[Row] = []
        self._by_fits: dict[int, list[Row]] | None = None
        self.longest_us = 0
        # Most never have one, and an empty dictionary takes 64 bytes.
        self.windows = _NO_WINDOWS

    def __len__(self) -> int:
        return len(self._all)

    @property
    def are_many(self) -> bool:
        """Whether looking at each of them would take long."""
        return len(self._all) > self.FEW

    @property
    def least(self) -> Row:
        """The first of them."""
        return self._all[0]

    def row(self, event: Event) -> Row | None:
        """Return the row of an event, as it stands now."""
        place = (event.start_us, event.identity)
        at = bisect_left(self._all, place)
        found = self._all[at : at + 1]
        return found[0] if found and found[0][:2] == place else None

    def replace(self, old: Row | None, new: Row | None) -> None:
        """Put a row in the place of another, which starts when it does; either may be none."""
        if old is not None:
            at = bisect_left(self._all, old[:2])
            if new is not None:
                self._all[at] = new
            else:
                del self._all[at]
        elif new is not None:
            insort(self._all, new)
        if new is not None and new[2].end_us - new[0] > self.longest_us:
            self.longest_us = new[2].end_us - new[0]
        if self._by_fits is not None:
            self._sort_in(old, new)
        elif len(self._all) > self.FEW:
            self._by_fits = {}
            for row in self._all:
                self._by_fits.setdefault(row[3], []).append(row)
        if self.windows:
            for window in self.windows.values():
                window.replace(old, new)

    def _sort_in(self, old: Row | None, new: Row | None) -> None:
        assert self._by_fits is not None, "they are many"
        if old is not None:
            rows = self._by_fits[old[3]]
            del rows[bisect_left(rows, old[:2])]
            if not rows:
                del self._by_fits[old[3]]
        if new is not None:
            insort(self._by_fits.setdefault(new[3], []), new)

    def kinds(self, least_us: int, greatest_us: int) -> Iterator[tuple[int, list[Row]]]:
        """Yield the rows that start within the bounds, in order, by what they fit."""
        if self._by_fits is None:
            for row in _between(self._all, least_us, greatest_us):
                yield row[3], [row]
        else:
            for fits, rows in self._by_fits.items():
                yield fits, _between(rows, least_us, greatest_us)

    def fitted(self, least_us: int, greatest_us: int) -> int:
        """Return signatures that hold all that some row fits which starts within the bounds."""
        if self._by_fits is None:
            found = 0
            for row in _between(self._all, least_us, greatest_us):
                found |= row[3]
            return found
        # Where there are so many kinds, it is quicker to find out at the time that none fits.
        if len(self._by_fits) > _MOST_KINDS:
            return -1
        found = 0
        for fits, rows in self._by_fits.items():
            at = bisect_left(rows, (least_us,))
            if at < len(rows) and rows[at][0] <= greatest_us:
                found |= fits
        return found

    def fitting(self, signature: int, least_us: int, greatest_us: int) -> Iterator[Row]:
        """Yield the rows that fit and start within the bounds, the greatest place first."""
        if self._by_fits is None:
            return _downwards(self._all, signature, least_us, greatest_us)
        several = [
            _downwards(rows, signature, least_us, greatest_us)
            for fits, rows in self._by_fits.items()
            if fits & signature
        ]
        return several[0] if len(several) == 1 else heapq.merge(*several, reverse=True)

    def keep(self, name: Hashable, window: Window) -> Window:
        """Keep a set up to date from now on, let go the oldest of many, and return it."""
        if self.windows is _NO_WINDOWS:
            self.windows = {}
        if len(self.windows) >= _MOST_WINDOWS:
            del self.windows[next(iter(self.windows))]
        self.windows[name] = window
        return window


def _between(rows: list[Row], least_us: int, greatest_us: int) -> list[Row]:
    return rows[bisect_left(rows, (least_us,)) : bisect_left(rows, (greatest_us + 1,))]


def _downwards(rows: list[Row], signature: int, least_us: int, greatest_us: int) -> Iterator[Row]:
    low = bisect_left(rows, (least_us,))
    for at in range(bisect_left(rows, (greatest_us + 1,)) - 1, low - 1, -1):
        if rows[at][3] & signature:
            yield rows[at]


class History:
    """The events of one key, each as its greatest record tells it, in order of place.

    Attributes:
        cut_short: The rules, by number, and anchors of which not every choice was tried.
        until_us: The moment until which all of them are needed, and then no more the first.
    """

    __slots__ = ("_by_type", "_dropped", "_rows", "cut_short", "until_us")

    def __init__(self) -> None:
        self._rows: dict[Identity, Row] = {}
        self._by_type: dict[str, Rows] = {}
        self._dropped: dict[str, tuple[int, Identity]] | None = None
        self.cut_short: frozenset[tuple[int, Identity]] = frozenset()
        self.until_us = END_US

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, identity: Identity) -> Row | None:
        """Return an event as it stands, with the signatures it fits, if it is remembered."""
        return self._rows.get(identity)

    @property
    def types(self) -> frozenset[str]:
        """The types of which there are events."""
        return frozenset(self._by_type)

    @property
    def is_plain(self) -> bool:
        """Whether it is no more than its events: nothing was dropped or left untried."""
        return self._dropped is None and not self.cut_short

    def events(self) -> Iterator[Event]:
        """Yield the events."""
        return (row[2] for row in self._rows.values())

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
            rows = self._by_type[identity.type] = Rows()
        rows.replace(held, row)

    def least_beyond(self, cap: int, event_type: str) -> Event | None:
        """Return the least event of a type, if more than `cap` of it are remembered."""
        rows = self._by_type[event_type]
        return rows.least[2] if len(rows) > cap else None

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
        return self._rows[event.identity][3] & signatures.get(event.identity.type, 0) != 0

    def of_type(self, event_type: str) -> Rows | None:
        """Return the events of a type, if there are any."""
        return self._by_type.get(event_type)

    def of_types(self, event_types: Iterable[str]) -> list[Rows]:
        """Return the events of these types; nothing for a type of which there is none."""
        return [self._by_type[t] for t in event_types if t in self._by_type]

    def greatest_first(
        self, signatures: Mapping[str, int], least_us: int, greatest_us: int
    ) -> Iterator[Event]:
        """Yield what fits and starts within the bounds, the greatest place first.

        Args:
            signatures: for each type that is asked for, those of which one has to fit.
            least_us: the first moment at which a start is within the bounds.
            greatest_us: the last.
        """
        several = [
            rows.fitting(signature, least_us, greatest_us)
            for event_type, signature in signatures.items()
            if (rows := self._by_type.get(event_type)) is not None
        ]
        found = several[0] if len(several) == 1 else heapq.merge(*several, reverse=True)
        return (row[2] for row in found)

    def forget(self, identity: Identity) -> None:
        """Drop an event and all notes of it."""
        row = self._rows.pop(identity)
        rows = self._by_type[identity.type]
        rows.replace(row, None)
        if not rows:
            del self._by_type[identity.type]
        if self.cut_short:
            self.cut_short = frozenset(cut for cut in self.cut_short if cut[1] != identity)

    def forget_until(self, minimum_us: int, keep_us: Mapping[str, int]) -> None:
        """Forget what is needed no more.

        Args:
            minimum_us: the least watermark.
            keep_us: for how long from their start on the events of each type are needed.
        """
        if self.until_us >= minimum_us:
            return
        self.until_us = END_US
        for event_type, rows in list(self._by_type.items()):
            longest_us = keep_us[event_type]
            while rows and rows.least[0] + longest_us < minimum_us:
                self.forget(rows.least[1])
            if rows:
                self.until_us = min(self.until_us, rows.least[0] + longest_us)


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
