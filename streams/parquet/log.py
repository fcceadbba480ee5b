"""Parquet logs: one row per record, each put together again as the JSON that a bus would bring."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rules.events import EVENTS, FieldSpec, Kind, own_fields
from streams.failures import OutsideFailure

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ENVELOPE: Final = (
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "sequence",
    "recordedtime",
    "feed",
    "partition",
)
_MOMENTS: Final = frozenset({"time", "recordedtime"})
_WANTED: Final = frozenset({"id", "source", "type", "time"})
_ROWS: Final = 4096

_INTEGERS: Final = frozenset(
    f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER"}
_PLAIN: Final = _INTEGERS | {"VARCHAR", "BOOLEAN"}
_EXACT_TIMES: Final = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_MOST_DECIMALS: Final = 6
# What lies outside is endless, or no year of four digits.
_CALENDAR: Final = ("0001-01-01", "9999-12-31")


def is_parquet(name: str) -> bool:
    """Tell by its name whether a log is one."""
    return name.endswith(".parquet")


@dataclass(frozen=True)
class Column:
    """A column that the contract knows: its name, and its type as DuckDB calls it."""

    name: str
    type: str

    @property
    def in_data(self) -> bool:
        """Whether it is a field of `data`, and not of the envelope."""
        return self.name not in _ENVELOPE

    @property
    def is_time(self) -> bool:
        """Whether it holds moments that are no text."""
        return self.type.startswith("TIMESTAMP")

    def holds(self, kind: Kind) -> bool:
        """Tell whether what it holds of a kind needs no reading: it is what it says."""
        match kind:
            case Kind.MOMENT:
                return self.type in _EXACT_TIMES
            case Kind.MONEY:
                return self.type.startswith("DECIMAL") and _is_exact(self.type)
            case Kind.INTEGER:
                return self.type in _INTEGERS
            case Kind.BOOL:
                return self.type == "BOOLEAN"
        return self.type == "VARCHAR"

    @property
    def sql(self) -> str:
        """The name as it is written in SQL."""
        return f'"{self.name}"'

    def outside(self, first: str, last: str) -> tuple[str, str]:
        """Return SQL that is true of moments before the first, and of those after the last."""
        return f"{self.sql} < '{first}'::{self.type}", f"{self.sql} > '{last}'::{self.type}"

    @property
    def as_json(self) -> str:
        """SQL for a value as it stands in a record: moments and amounts as text."""
        if self.is_time:
            # Of a time zone nothing is left but the moment; the connection is set to UTC.
            return f"strftime({self.sql}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"{self.sql}::VARCHAR" if self.type.startswith("DECIMAL") else self.sql


class ParquetLog:
    """An open Parquet log: its columns and how many rows there are.

    Raises:
        OutsideFailure: it is no Parquet, or not of the contract; or DuckDB is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Loaded only here: it is an extra.
            import duckdb  # noqa: PLC0415 - see above
        except ImportError as error:
            raise OutsideFailure(
                f'log "{path}" cannot be read without DuckDB: pip install "ringfence[columnar]"'
            ) from error
        self.faults: tuple[type[Exception], ...] = (duckdb.Error,)
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.source = f"read_parquet({quoted(str(path))}, file_row_number = true)"
        try:
            self.columns = self._columns()
            self.rows = int(self.scalar(f"SELECT count(*) FROM {self.source}"))
        except duckdb.Error as error:
            # The first line: the others quote the query.
            reason = str(error).partition("\n")[0]
            raise OutsideFailure(f'log "{path}" cannot be read: {reason}') from error

    @property
    def is_comparable(self) -> bool:
        """Whether names and times can be compared as they stand: no time is text, or endless."""
        kinds = dict.fromkeys(("id", "source", "type"), Kind.TEXT) | {"time": Kind.MOMENT}
        if not all(c.holds(kinds[c.name]) for c in self.columns if c.name in kinds):
            return False
        # The file's own statistics answer this at once.
        ever = [
            bound
            for column in self.columns
            if column.is_time
            for bound in (
                f"min({column.sql}) < '{_CALENDAR[0]}'::{column.type}",
                f"max({column.sql}) > '{_CALENDAR[1]}'::{column.type}",
            )
        ]
        return not self.scalar(f"SELECT coalesce({' OR '.join(ever)}, false) FROM {self.source}")

    def scalar(self, query: str) -> Any:  # noqa: ANN401 - whatever it asks for
        """Return the one value of a query."""
        row = self.connection.execute(query).fetchone()
        assert row is not None, "an aggregate gives one row"
        return row[0]

    def run(self, statement: str) -> None:
        """Run a statement that gives nothing back."""
        self.connection.execute(statement)

    def query(
        self, query: str, parameters: Mapping[str, object] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, a few thousand at a time in memory."""
        cursor = self.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(_ROWS):
            yield from rows

    def records(self) -> Iterator[bytes]:
        """Yield each row as the JSON of one record, in the file's order."""
        picked = ", ".join(column.as_json for column in self.columns)
        assemble = Assembly(self.columns)
        for row in self.query(f"SELECT {picked} FROM {self.source}"):
            yield assemble(row)

    def _columns(self) -> tuple[Column, ...]:
        told = self.connection.execute(f"DESCRIBE SELECT * FROM {self.source}").fetchall()
        found = {name: Column(name, kind) for name, kind, *_ in told}
        missing = sorted(_WANTED - found.keys())
        if missing:
            raise OutsideFailure(
                f'log "{self.path}" has no column "{missing[0]}"; a Parquet log has one row per'
                " record, with a column for each attribute and each field of data"
            )
        known = dict.fromkeys((*_ENVELOPE, *_fields()))
        columns = tuple(found[name] for name in known if name in found)
        for column in columns:
            self._check(column)
        return columns

    def _check(self, column: Column) -> None:
        field = _fields().get(column.name)
        is_moment = column.name in _MOMENTS or (field is not None and field.kind is Kind.MOMENT)
        is_amount = field is not None and field.kind in (Kind.MONEY, Kind.NUMBER)
        if (
            column.type in _PLAIN
            or (is_moment and column.is_time)
            or (is_amount and column.type.startswith("DECIMAL"))
        ):
            return
        wanted = "TIMESTAMP or text" if is_moment else "DECIMAL or text" if is_amount else "text"
        raise OutsideFailure(
            f'log "{self.path}" has a column "{column.name}" of type {column.type}, wanted'
            f" {wanted}"
        )


class Assembly:
    """Puts values of columns together again as the JSON of one record."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._envelope = [(n, c.name) for n, c in enumerate(columns) if not c.in_data]
        self._data = [(n, c.name) for n, c in enumerate(columns) if c.in_data]
        self._has_version = any(column.name == "specversion" for column in columns)

    def __call__(self, row: Sequence[Any]) -> bytes:
        """Return the record of a row, whose values are those of `Column.as_json`."""
        record: dict[str, Any] = {} if self._has_version else {"specversion": "1.0"}
        record.update((name, row[n]) for n, name in self._envelope if row[n] is not None)
        record["data"] = {name: row[n] for n, name in self._data if row[n] is not None}
        return msgspec.json.encode(record)


class Lines(io.RawIOBase):
    """The records of a Parquet log as the lines of a file."""

    def __init__(self, log: ParquetLog) -> None:
        self._records = log.records()
        self._text = b""
        self.read_rows = 0

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        view = memoryview(buffer)
        if not self._text:
            record = next(self._records, None)
            if record is None:
                return 0
            self.read_rows += 1
            self._text = record + b"\n"
        text, self._text = self._text[: len(view)], self._text[len(view) :]
        view[: len(text)] = text
        return len(text)


def _fields() -> dict[str, FieldSpec | None]:
    own = (field for spec in EVENTS.values() for field in own_fields(spec))
    # The own id that may stand in `event_id` is no field.
    return {"event_id": None} | {field.name: field for field in own}


def _is_exact(decimal: str) -> bool:
    decimals = int(decimal.removesuffix(")").partition(",")[2])
    return decimals <= _MOST_DECIMALS


def quoted(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"
