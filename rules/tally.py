"""The members of a set in order of place, and what is known of their fields, kept up to date.

An event that comes or goes costs a look-up in a sorted list, however many members there are.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from rules.fact import Event, Identity
from rules.money import Money

Row = tuple[int, Identity, Event, int]
"""An event where it stands among others: start, identity, the event, the signatures it fits."""


class Tally(Protocol):
    """What the known values of one field come to."""

    def add(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        """Count a value in."""
        ...

    def drop(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        """Take back a value that was counted in."""
        ...

    def result(self) -> Any:  # noqa: ANN401 - of the function's kind
        """Return what they come to; None if there is no value."""
        ...


class _Distinct:
    """How many different values there are."""

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}

    def add(self, value: object) -> None:
        self._counts[value] = self._counts.get(value, 0) + 1

    def drop(self, value: object) -> None:
        left = self._counts.pop(value) - 1
        if left:
            self._counts[value] = left

    def result(self) -> int | None:
        return len(self._counts) or None


class _Sorted:
    """All values in ascending order, of money for each currency."""

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}

    def add(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        currency, number = _split(value)
        insort(self._values.setdefault(currency, []), number)

    def drop(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        currency, number = _split(value)
        values = self._values[currency]
        del values[bisect_left(values, number)]
        if not values:
            del self._values[currency]


class _Least(_Sorted):
    """The least value."""

    def result(self) -> Any:  # noqa: ANN401 - of the field's kind
        return _joined({currency: values[0] for currency, values in self._values.items()})


class _Greatest(_Sorted):
    """The greatest value."""

    def result(self) -> Any:  # noqa: ANN401 - of the field's kind
        return _joined({currency: values[-1] for currency, values in self._values.items()})


class _Sum:
    """The sum of all values, of money for each currency.

    Amounts have 21 digits at most, so the sums of as many as are remembered are exact, and what
    was added can be taken away again.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sums: dict[str, Any] = {}

    def add(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        currency, number = _split(value)
        self._counts[currency] = self._counts.get(currency, 0) + 1
        self._sums[currency] = self._sums.get(currency, 0) + number

    def drop(self, value: Any) -> None:  # noqa: ANN401 - of the field's kind
        currency, number = _split(value)
        self._counts[currency] -= 1
        self._sums[currency] -= number
        if not self._counts[currency]:
            del self._counts[currency], self._sums[currency]

    def result(self) -> Any:  # noqa: ANN401 - of the field's kind
        return _joined(self._sums)


_NO_CURRENCY: Final = ""


def _split(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - of the field's kind
    if isinstance(value, Money):
        return value.currency, value.amount
    return _NO_CURRENCY, value


def _joined(numbers: dict[str, Any]) -> Any:  # noqa: ANN401 - of the field's kind
    if _NO_CURRENCY in numbers:
        return numbers[_NO_CURRENCY]
    return {currency: numbers[currency] for currency in sorted(numbers)} or None


_TALLIES: Final[dict[str, type[Tally]]] = {
    "count": _Distinct,
    "sum": _Sum,
    "least": _Least,
    "greatest": _Greatest,
}


class Members:
    """The events of a set, in order of place.

    Attributes:
        late: How many of them are late.
        open: How many are intervals whose end is not known yet.
    """

    __slots__ = ("_rows", "_tallies", "late", "open")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Begin with these rows, in ascending order."""
        self._rows = list(rows)
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.late = sum(row[2].late for row in self._rows)
        self.open = sum(row[2].open for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Event]:
        return (row[2] for row in self._rows)

    @property
    def least(self) -> Event:
        """The first of them, if there is any."""
        return self._rows[0][2]

    @property
    def greatest(self) -> Event:
        """The last of them, if there is any."""
        return self._rows[-1][2]

    def latest(self, number: int) -> list[Event]:
        """Return so many of them at most, the last ones."""
        return [row[2] for row in self._rows[-number:]]

    def has(self, event: Event) -> bool:
        """Tell whether an event is a member."""
        at = bisect_left(self._rows, (event.start_us, event.identity))
        return at < len(self._rows) and self._rows[at][1] == event.identity

    def add(self, row: Row) -> None:
        """Let in an event that is no member yet."""
        insort(self._rows, row)
        event = row[2]
        self.late += event.late
        self.open += event.open
        for (_, field), tally in self._tallies.items():
            value = event.fields.get(field)
            if value is not None:
                tally.add(value)

    def drop(self, row: Row) -> None:
        """Let go an event that is a member."""
        del self._rows[bisect_left(self._rows, row[:2])]
        event = row[2]
        self.late -= event.late
        self.open -= event.open
        for (_, field), tally in self._tallies.items():
            value = event.fields.get(field)
            if value is not None:
                tally.drop(value)

    def known(self, function: str, field: str) -> Any:  # noqa: ANN401 - of the function's kind
        """Return what the members' known values of a field come to; None over none of them."""
        tally = self._tallies.get((function, field))
        if tally is None:
            tally = self._tallies[function, field] = tally_of(function, self, field)
        return tally.result()


def tally_of(function: str, members: Iterable[Event], field: str) -> Tally:
    """Return the known values of a field, counted for one function."""
    tally = _TALLIES[function]()
    for event in members:
        value = event.fields.get(field)
        if value is not None:
            tally.add(value)
    return tally
