"""All histories of a partition: the few that were touched lately, and the many that rest.

What is asked for is given back as it was, whatever has been put to rest in between; and what is
needed no more is not there when it is asked for, even if it has not been cleared away yet. So
nothing that the engine says depends on what is packed when.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import ClassVar, Final

import msgspec

from rules.fact import greatest, split_key
from rules.fewest import Fewest
from rules.history import History
from rules.moment import HOUR_US
from rules.row import Sealed, decode_event, encode_event
from rules.shelf import AtRest, Shelf
from rules.timing import Timing
from rules.use import Use
from rules.watermark import END_US, NEVER_US

_MOST_ROWS: Final = 16
"""The most rows of a key that rest: to ask for one event is to read all of its key's."""


class _Unread(msgspec.Struct, frozen=True, gc=False):
    """The history of a key of which nothing has been read.

    Where the `types` of its events are known, none of them were judged: nothing can follow from
    so few of these types.
    """

    until_us: int
    rows: tuple[bytes, ...]
    types: frozenset[str] | None


_NOTHING: Final = _Unread(NEVER_US, (), frozenset())


class Memory:
    """The history of each key.

    One that nothing has touched while some thousand others were is put to rest, unless an open
    alert rests on it or it is more than its few events.
    """

    RECENT: ClassVar[int] = 8_192
    """How many keys are touched until those rest that were touched before all of them."""

    def __init__(
        self,
        uses: Mapping[tuple[str, str], Use],
        timing: Timing,
        *,
        fewest: Fewest,
        open_keys: Collection[str],
        most_rows: int,
    ) -> None:
        """Begin with nothing remembered.

        Args:
            uses: by kind of key and type of event.
            timing: what events are made with.
            fewest: tells how many events a match takes.
            open_keys: those that an open alert rests on, at any time.
            most_rows: the most events of one type that are remembered under one key.
        """
        self._uses = uses
        self._timing = timing
        self._fewest = fewest
        self._open_keys = open_keys
        self._most_rows = min(most_rows, _MOST_ROWS)
        self._keep_us: dict[str, dict[str, int]] = {}
        for (by, event_type), use in uses.items():
            self._keep_us.setdefault(by, {})[event_type] = use.keep_us
        # What was touched since the last turn, and what was touched only before; what could not
        # be put to rest is looked at again when time has moved on.
        self._recent: dict[str, History | _Unread] = {}
        self._older: dict[str, History | _Unread] = {}
        self._awake: dict[str, History | _Unread] = {}
        self._shelf = Shelf()
        self._entered = 0
        # No event among them is needed no more before that.
        self._first_us = END_US

    def __getitem__(self, key: str) -> History:
        """Return the history of a key that was touched last."""
        held = self._recent[key]
        assert isinstance(held, History), "what is touched is read"
        return held

    def touch(self, by: str, key: str, until_us: int, minimum_us: int) -> History:
        """Return the history of a key as it stands, a new one if it has none.

        Args:
            by: the kind of key.
            key: the key.
            until_us: the moment until which what is going to be put there is needed.
            minimum_us: the least watermark.
        """
        held = self._find(key, minimum_us)
        if held is None:
            rows = self._shelf.take(key)
            held = History() if rows is None else self._read(by, rows)
        elif isinstance(held, _Unread):
            held = self._read(by, held.rows)
        held.forget_until(minimum_us, self._keep_us[by])
        self._recent[key] = held
        self._first_us = min(self._first_us, until_us)
        held.until_us = min(held.until_us, until_us)
        return held

    def set_aside(self, sealed: Sealed, until_us: int, minimum_us: int) -> bool:
        """Remember a fact unread, if nothing can follow from it yet; tell whether that is so.

        Args:
            sealed: the fact.
            until_us: the moment until which it is needed.
            minimum_us: the least watermark.
        """
        key = sealed.key
        held = self._find(key, minimum_us)
        if held is None:
            if self._shelf.may_have(key):
                return False
            held = _NOTHING
        if isinstance(held, _Unread) and held.types is not None:
            types = held.types
            if sealed.type not in types:
                types = _with(types, sealed.type)
            rows = (*held.rows, sealed.row)
            # None of them is a match by itself, so only rules count that need several.
            most = min(self._fewest.events(sealed.by, types, 2) - 1, self._most_rows)
            if len(rows) <= most and not self._fewest.may_match_alone(sealed):
                self._recent[key] = _Unread(max(held.until_us, until_us), rows, types)
                self._first_us = min(self._first_us, until_us)
                return True
        self._recent[key] = held
        return False

    def forget(self, minimum_us: int) -> None:
        """Let go of what is needed no more, at the latest an hour of event time later."""
        self._shelf.forget(minimum_us)
        if minimum_us > self._first_us + HOUR_US:
            for some in (self._recent, self._older, self._awake):
                over = [key for key, held in some.items() if self._is_over(key, held, minimum_us)]
                for key in over:
                    del some[key]
            # What can be put to rest by now will be.
            self._older.update(self._awake)
            self._awake.clear()
            lately = (*self._recent.values(), *self._older.values())
            self._first_us = min((held.until_us for held in lately), default=END_US)

    @property
    def size(self) -> tuple[int, int]:
        """How many keys have a history, and how many events those hold together.

        What is needed no more counts until it is let go of, and of what is unread each row.
        """
        lately = (*self._recent.values(), *self._older.values(), *self._awake.values())
        sizes = [len(held.rows if isinstance(held, _Unread) else held) for held in lately]
        return len(self._shelf) + sum(map(bool, sizes)), self._shelf.rows + sum(sizes)

    def _find(self, key: str, minimum_us: int) -> History | _Unread | None:
        """Return what is not on the shelf of a key; whoever asks puts it among the recent."""
        while self._entered >= self.RECENT and (self._recent or self._older):
            self._turn(minimum_us)
        held = self._recent.get(key)
        if held is None:
            self._entered += 1
            held = self._older.pop(key, None) or self._awake.pop(key, None)
        return held

    def _read(self, by: str, rows: Sequence[bytes]) -> History:
        history = History()
        for row in rows:
            event = decode_event(row, self._timing)
            held = history.row(event.identity)
            if held is not None:
                event = greatest(held[2], event)
            use = self._uses[by, event.identity.type]
            # How it stands was counted when it came, so that it counts in place of itself.
            history.put(event, use.own.fits(event, event))
            history.until_us = min(history.until_us, event.start_us + use.keep_us)
        return history

    def _turn(self, minimum_us: int) -> None:
        """Put to rest what was not touched since the last turn."""
        resting: dict[str, AtRest] = {}
        for key, held in self._older.items():
            if self._is_over(key, held, minimum_us):
                continue
            if isinstance(held, _Unread):
                resting[key] = AtRest(held.until_us, held.rows)
            elif key in self._open_keys or not held.is_plain or len(held) > self._most_rows:
                self._awake[key] = held
            else:
                resting[key] = self._at_rest(key, held)
        for key, rest in self._shelf.put(resting).items():
            self._awake[key] = _Unread(rest.until_us, tuple(rest.rows), None)
        self._older, self._recent, self._entered = self._recent, {}, 0

    def _at_rest(self, key: str, history: History) -> AtRest:
        keep_us = self._keep_us[split_key(key)[0]]
        until_us = max(e.start_us + keep_us[e.identity.type] for e in history.events())
        return AtRest(until_us, [encode_event(event) for event in history.events()])

    def _is_over(self, key: str, held: History | _Unread, minimum_us: int) -> bool:
        """Tell whether nothing of a history is needed any more."""
        if isinstance(held, _Unread):
            return held.until_us < minimum_us
        held.forget_until(minimum_us, self._keep_us[split_key(key)[0]])
        return not held


@cache
def _with(types: frozenset[str], event_type: str) -> frozenset[str]:
    return types | {event_type}
