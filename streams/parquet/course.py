"""How far the partitions of a Parquet log have come before a row, and where they pass a moment.

One pass over two columns gives the least and the greatest time of each partition in each block of
rows. What lies inside a block is asked for those rows and moments alone that a replay needs, each
joined with the rows of its own block.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from rules.watermark import END_US, NEVER_US, Partition
from streams.parquet.log import ParquetLog, quoted

ROWS: Final = 1024
"""How many rows there are in a block."""

Tops = Sequence[int]
"""The greatest time of each partition so far, by its place; NEVER_US if it has brought nothing."""

_Told = tuple[str | None, str | None, int]
"""What a row says of its partition: its feed, its source if that is none, its number."""


class Course:
    """How far one log comes; rows that are not plainly in order are left out.

    Attributes:
        partitions: Every feed partition that its rows come from.
        first_rows: For each of them the first row that it brought.
    """

    def __init__(self, log: ParquetLog, odd_rows: str | None, place: int) -> None:
        """Read the times of all blocks.

        Args:
            log: the log.
            odd_rows: a query for the rows that are not plainly in order, if there are any.
            place: where the log stands on the command line, from 0.
        """
        self._log = log
        self._where = "true" if odd_rows is None else f"file_row_number NOT IN ({odd_rows})"
        names = {column.name for column in log.columns}
        self._feed = "feed" if "feed" in names else "NULL::VARCHAR"
        self._number = "coalesce(partition::BIGINT, 0)" if "partition" in names else "0"
        told, blocks = self._read()
        self.partitions: Sequence[Partition] = [
            (f"{source} in log {place + 1}" if feed is None else feed, number)
            for feed, source, number in told
        ]
        self.first_rows: Sequence[int] = list(told.values())
        self._place = self._sql_of_place(list(told))
        count, places = -(-log.rows // ROWS), {each: n for n, each in enumerate(told)}
        self._least = [[END_US] * len(told) for _ in range(count)]
        self._tops = [[NEVER_US] * len(told) for _ in range(count + 1)]
        for block, partition, least_us, greatest_us in blocks:
            self._least[block][places[partition]] = least_us
            self._tops[block + 1][places[partition]] = greatest_us
        for before, tops in zip(self._tops, self._tops[1:], strict=False):
            tops[:] = map(max, before, tops)
        self._before: dict[int, Tops] = {}
        self._above: dict[tuple[int, int], int] = {}

    def _read(self) -> tuple[Mapping[_Told, int], list[tuple[int, _Told, int, int]]]:
        """Return the first row of each partition, in order, and the times of each block."""
        told = self._log.query(
            f"SELECT file_row_number // {ROWS}, min(file_row_number), {self._feed},"
            f" CASE WHEN {self._feed} IS NULL THEN source END, {self._number},"
            f" epoch_us(min(time)), epoch_us(max(time))"
            f" FROM {self._log.source} WHERE {self._where} GROUP BY ALL ORDER BY 2"
        )
        first_rows: dict[_Told, int] = {}
        blocks: list[tuple[int, _Told, int, int]] = []
        for block, row, feed, source, number, least_us, greatest_us in told:
            first_rows.setdefault((feed, source, number), row)
            blocks.append((block, (feed, source, number), least_us, greatest_us))
        return first_rows, blocks

    def _sql_of_place(self, told: Sequence[_Told]) -> str:
        cases = (
            f"WHEN {self._is(feed, source)} AND {self._number} = {number} THEN {n}"
            for n, (feed, source, number) in enumerate(told)
        )
        return f"(CASE {' '.join(cases)} END)" if len(told) > 1 else "0"

    def _is(self, feed: str | None, source: str | None) -> str:
        if feed is None:
            return f"{self._feed} IS NULL AND source = {quoted(source or '')}"
        return f"{self._feed} = {quoted(feed)}"

    def ends_us(self, odd_us: Mapping[int, int]) -> Sequence[int]:
        """Return how far the furthest partition can have come at the end of each block.

        Args:
            odd_us: how far the rows left out can bring one, by the block they stand in.
        """
        most = [max(tops, default=NEVER_US) for tops in self._tops[1:]]
        return list(accumulate((max(top, odd_us.get(n, top)) for n, top in enumerate(most)), max))

    def tops_before(self, row: int) -> Tops:
        """Return how far each partition had come before a row; quick if it was expected."""
        if row not in self._before:
            self.expect_rows([row])
        return self._before[row]

    def row_above(self, place: int, limit_us: int) -> int:
        """Return the first row of a partition above a time; quick if it was expected.

        If there is none, it is the number of rows.
        """
        if (place, limit_us) not in self._above:
            self.expect_limits([(place, limit_us)])
        return self._above[place, limit_us]

    def expect_rows(self, rows: Iterable[int]) -> None:
        """Look up all at once before which rows it will be asked how far partitions had come."""
        found = {row: list(self._tops[row // ROWS]) for row in rows}
        told = self._log.query(
            f"SELECT s.row, {self._place}, epoch_us(max(time)) FROM {self._log.source} JOIN"
            f" (SELECT unnest($rows::BIGINT[]) AS row) s ON file_row_number // {ROWS} ="
            f" s.row // {ROWS} AND file_row_number < s.row WHERE {self._where} GROUP BY ALL",
            {"rows": list(found)},
        )
        for row, place, greatest_us in told:
            found[row][place] = max(found[row][place], greatest_us)
        self._before.update(found)

    def expect_limits(self, limits: Iterable[tuple[int, int]]) -> Iterable[int]:
        """Look up all at once which rows are the first above their time; return those rows.

        Args:
            limits: places of partitions, each with a time.
        """
        columns = [[tops[n] for tops in self._tops] for n in range(len(self.partitions))]
        blocks: dict[tuple[int, int], int] = {}
        for place, limit_us in limits:
            # The first block whose end is above it; before the first stands the log's beginning.
            blocks[place, limit_us] = bisect_right(columns[place], limit_us) - 1
        wanted = {limit: block for limit, block in blocks.items() if block < len(self._least)}
        told = self._log.query(
            f"SELECT w.place, w.limit_us, min(file_row_number) FROM {self._log.source} JOIN"
            " (SELECT unnest($blocks::BIGINT[]) AS block, unnest($places::BIGINT[]) AS place,"
            " unnest($limits::BIGINT[]) AS limit_us) w"
            f" ON file_row_number // {ROWS} = w.block AND {self._place} = w.place"
            f" AND epoch_us(time) > w.limit_us WHERE {self._where} GROUP BY ALL",
            {
                "blocks": list(wanted.values()),
                "places": [place for place, _ in wanted],
                "limits": [limit_us for _, limit_us in wanted],
            },
        )
        found = {(place, limit_us): row for place, limit_us, row in told}
        self._above.update(dict.fromkeys(blocks, self._log.rows) | found)
        return found.values()

    def late(
        self, lateness_us: Sequence[int], raised: Sequence[Sequence[tuple[int, int]]]
    ) -> Iterator[int]:
        """Return the rows that are late.

        Args:
            lateness_us: how far each partition's watermark stays behind.
            raised: for each partition the rows before which its watermark was raised outright,
                and to what, ascending in both.
        """
        behind: list[int] = []
        for block, least in enumerate(self._least):
            end = (block + 1) * ROWS
            tops, marks = self._tops[block + 1], (_raised(each, end) for each in raised)
            if any(
                least_us < max(top_us - late_us, mark_us)
                for least_us, top_us, late_us, mark_us in zip(
                    least, tops, lateness_us, marks, strict=True
                )
            ):
                behind.append(block)
        return self._late_in(behind, lateness_us, raised) if behind else iter(())

    def _late_in(
        self,
        blocks: Sequence[int],
        lateness_us: Sequence[int],
        raised: Sequence[Sequence[tuple[int, int]]],
    ) -> Iterator[int]:
        told = self._log.query(
            f"SELECT file_row_number, {self._place}, epoch_us(time) FROM {self._log.source}"
            f" WHERE {self._where} AND file_row_number // {ROWS} IN (SELECT unnest($blocks))"
            " ORDER BY file_row_number",
            {"blocks": list(blocks)},
        )
        at, tops = -1, [NEVER_US]
        for row, place, time_us in told:
            if row // ROWS != at:
                at = row // ROWS
                tops = list(self._tops[at])
            mark_us = _raised(raised[place], row)
            if time_us < max(mark_us, tops[place] - lateness_us[place]):
                yield row
            tops[place] = max(tops[place], time_us)


def _raised(raised: Sequence[tuple[int, int]], row: int) -> int:
    """Return to what a watermark had been raised outright before a row or at it."""
    at = bisect_right(raised, (row, END_US))
    return raised[at - 1][1] if at else NEVER_US
