"""How many people a Parquet log is about: with calls, with a bank, and with both."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from streams.parquet.checks import DROPPABLE
from streams.parquet.log import ParquetLog, quoted

_ROWS: Final = 250_000
"""Up to how many rows everybody is counted; of longer logs a sample that does not grow."""

_FEW: Final = 1_000
"""A sample of fewer people says too little: then everybody is counted all the same."""

_SIDES: Final[Mapping[str, str]] = {
    spec.wire_type: spec.side for spec in DROPPABLE if spec.side != "everyone"
}


class Headcount:
    """Counts the people of one log.

    Attributes:
        is_sample: Whether the counts are estimates.
    """

    def __init__(self, log: ParquetLog, comparable: Callable[[str], str]) -> None:
        """Prepare to count; see `rules.authoring.people.People`."""
        self.is_sample = False
        self._comparable = comparable
        self._log = log

    def counts(
        self, odd_rows: str | None, read: Mapping[str, Collection[str]]
    ) -> tuple[int, int, int]:
        """Return how many were seen on the call side, on the bank's, and on both.

        Args:
            odd_rows: a query for the rows that only reading shows to be in order, if any.
            read: the people of each side of records that have been read and are in order.
        """
        if all(column.name != "person" for column in self._log.columns):
            return (0, 0, 0)
        one_in = 1 if self._log.rows <= _ROWS else 8 * self._log.rows // _ROWS
        people = self._people(one_in, odd_rows, read)
        if one_in > 1 and sum(map(len, people.values())) < _FEW:
            one_in, people = 1, self._people(1, odd_rows, read)
        self.is_sample = one_in > 1
        calls, bank = people["calls"], people["bank"]
        spelt = ({self._comparable(person) for person in side} for side in (calls, bank))
        both = set.intersection(*spelt)
        return len(calls) * one_in, len(bank) * one_in, len(both) * one_in

    def _people(
        self, one_in: int, odd_rows: str | None, read: Mapping[str, Collection[str]]
    ) -> Mapping[str, set[str]]:
        """Return whom each side names; of them all, one in so many."""
        in_order = "true" if odd_rows is None else f"file_row_number NOT IN ({odd_rows})"
        # Who was read and is in order at first sight is found there anyway.
        read = {} if odd_rows is None else read
        types = ", ".join(map(quoted, _SIDES))
        of_rows = f"FROM {self._log.source} WHERE type IN ({types}) AND {in_order}"
        parts = [f"SELECT type AS side, person {of_rows}"]
        parts += [f"SELECT '{side}', unnest(${side}::VARCHAR[])" for side in read]
        told = self._log.query(
            f"SELECT DISTINCT side, person FROM ({' UNION ALL '.join(parts)})"
            f" WHERE person IS NOT NULL AND hash(person::VARCHAR) % {one_in} = 0",
            {side: list(people) for side, people in read.items()},
        )
        people: Mapping[str, set[str]] = {"calls": set(), "bank": set()}
        for side, person in told:
            people[_SIDES.get(side, side)].add(str(person))
        return people
