"""What a row must be like to be dropped unread: in order as far as `--validate kept` promises.

Each check is SQL that is true of rows that are not plainly in order. Most logs have none of them,
which the file's own statistics tell at once; so each check is first asked of the whole file, and
only those that some row fails are asked of every row. What fails one is read like any record, and
that alone refuses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rules.events import EVENTS, IDENTIFIER_LIMIT, INTEGER_LIMIT, EventSpec, FieldSpec, Kind
from rules.moment import LATEST_US, format_moment
from rules.money import CURRENCIES
from rules.timing import Timing
from streams.parquet.log import Column, ParquetLog, quoted

DROPPABLE: Final = tuple(
    spec for name, spec in EVENTS.items() if name not in ("heartbeat", "outcome", "alert")
)
"""The types whose records can be dropped; all others are read."""


class Checks:
    """The checks of one log for one rule set."""

    def __init__(
        self,
        log: ParquetLog,
        looked_at: Mapping[str, frozenset[str]],
        timing: Timing,
        *,
        as_of_us: int,
        ahead_us: int,
    ) -> None:
        """Prepare the checks.

        Args:
            log: the log.
            looked_at: the own fields that rules look at, by event type.
            timing: how long records count.
            as_of_us: the moment after which a record without `recordedtime` is of the future.
            ahead_us: how far a record may be dated after that.
        """
        self._log = log
        self._columns = {column.name: column for column in log.columns}
        self._looked_at = {
            s.name: _fields(s, looked_at.get(s.name, frozenset())) for s in DROPPABLE
        }
        self._timing = timing
        self._ahead_us = ahead_us
        self._latest_us = min(as_of_us + ahead_us, LATEST_US)

    def odd(self) -> str:
        """Return SQL that is true of rows that are not plainly in order; false if there are none.

        A row that is of no droppable type is one of them.
        """
        types = _listed(spec.wire_type for spec in DROPPABLE)
        failed = [check for check in self._of_columns() if self._log.is_ever(check)]
        failed += self._failed(list(self._of_rows()))
        checks = " OR ".join(f"({check})" for check in failed)
        of_other_type = f"coalesce(type NOT IN ({types}), true)"
        # What is unknown fails no check.
        return f"{of_other_type} OR coalesce({checks}, false)" if failed else of_other_type

    def _failed(self, checks: Sequence[str]) -> list[str]:
        """Return the checks that some row fails, all of them asked in one pass."""
        if not checks:
            return []
        asked = ", ".join(f"coalesce(bool_or({check}), false)" for check in checks)
        (found,) = self._log.query(f"SELECT {asked} FROM {self._log.source}")
        return [check for check, is_failed in zip(checks, found, strict=True) if is_failed]

    def _of_columns(self) -> Iterator[str]:
        """Yield the checks that look at one column each."""
        yield from self._of_envelope()
        for name, fields in self._by_name().items():
            column = self._columns.get(name)
            if column is not None:
                yield from self._of_column(column, fields)

    def _of_rows(self) -> Iterator[str]:
        """Yield the checks that have to look at every row."""
        for name, fields in self._by_name().items():
            column = self._columns.get(name)
            is_name = any(field.kind is Kind.PSEUDONYM for field in fields)
            if column is not None and is_name and column.holds(Kind.PSEUDONYM):
                # In bytes: a text with more of them than characters may be in order all the same.
                yield f"strlen({column.sql}) > {IDENTIFIER_LIMIT}"
        known = self._known()
        for spec in DROPPABLE:
            if spec.wire_type in known:
                yield from self._of_type(spec, known[spec.wire_type])

    def _known(self) -> Mapping[str, Mapping[str, int]]:
        """Return for each type in the log how many rows it has, as `type`, and know each field."""
        looked_at = (field.name for fields in self._looked_at.values() for field in fields)
        names = ["type", *(name for name in dict.fromkeys(looked_at) if name in self._columns)]
        counts = ", ".join(f"count({self._columns[name].sql})" for name in names)
        told = self._log.query(f"SELECT type, {counts} FROM {self._log.source} GROUP BY type")
        return {wire_type: dict(zip(names, found, strict=True)) for wire_type, *found in told}

    # -- the envelope ------------------------------------------------------------------------

    def _of_envelope(self) -> Iterator[str]:
        for name in ("id", "source"):
            yield f"{name} IS NULL"
            yield f"{name} = ''"
        yield "time IS NULL"
        time = self._columns["time"]
        yield from time.outside(_EARLIEST, _LATEST)
        limit = format_moment(self._latest_us).removesuffix("Z")
        if "recordedtime" in self._columns:
            yield from self._recorded(limit)
        else:
            yield time.outside(_EARLIEST, limit)[1]
        if "specversion" in self._columns:
            yield "specversion IS NULL"
            yield "specversion <> '1.0'"
        for name in ("sequence", "partition"):
            if name in self._columns:
                yield from self._not_held(self._columns[name], Kind.INTEGER)
        if "feed" in self._columns:
            yield from self._not_held(self._columns["feed"], Kind.TEXT)

    def _recorded(self, limit: str) -> Iterator[str]:
        column = self._columns["recordedtime"]
        yield from self._not_held(column, Kind.MOMENT)
        if column.holds(Kind.MOMENT):
            ahead = f"epoch_us(time) - epoch_us(recordedtime) > {self._ahead_us}"
            beyond = self._columns["time"].outside(_EARLIEST, limit)[1]
            yield f"recordedtime IS NULL AND {beyond} OR {ahead}"

    # -- the fields that rules look at, and those of every type -------------------------------

    def _by_name(self) -> Mapping[str, list[FieldSpec]]:
        found: dict[str, list[FieldSpec]] = {}
        for fields in self._looked_at.values():
            for field in fields:
                found.setdefault(field.name, []).append(field)
        return found

    def _of_column(self, column: Column, fields: Sequence[FieldSpec]) -> Iterator[str]:
        for kind in dict.fromkeys(field.kind for field in fields):
            yield from self._not_held(column, kind)
        if not column.holds(fields[0].kind):
            return
        if any(field.kind is Kind.PSEUDONYM for field in fields):
            yield f"{column.sql} = ''"
        if column.name == "currency":
            yield from self._of_currencies(column)
        classes = {choice for field in fields for choice in field.classes}
        if classes and all(field.classes for field in fields):
            yield f"{column.sql} NOT IN ({_listed(sorted(classes))})"

    def _of_currencies(self, column: Column) -> Iterator[str]:
        told = (
            f"SELECT DISTINCT {column.sql} FROM {self._log.source} WHERE {column.sql} IS NOT NULL"
        )
        found = {str(code) for (code,) in self._log.query(told)}
        if unknown := sorted(found - CURRENCIES):
            yield f"{column.sql} IN ({_listed(unknown)})"

    def _not_held(self, column: Column, kind: Kind) -> Iterator[str]:
        """Yield the checks of a column's values by themselves."""
        if not column.holds(kind):
            # Text where a moment or an amount can stand is read, not compared.
            yield f"{column.sql} IS NOT NULL"
        elif kind is Kind.MOMENT:
            yield from column.outside(_EARLIEST, _LATEST)
        elif kind in (Kind.MONEY, Kind.INTEGER):
            yield f"{column.sql} < 0"
            if kind is Kind.MONEY:
                yield f"{column.sql} > {_GREATEST_AMOUNT}"
            if column.type in ("UBIGINT", "HUGEINT", "UHUGEINT"):
                yield f"{column.sql} > {INTEGER_LIMIT}"

    # -- what more than one field decides ----------------------------------------------------

    def _of_type(self, spec: EventSpec, known: Mapping[str, int]) -> Iterator[str]:
        is_it, fields = f"type = {quoted(spec.wire_type)}", self._looked_at[spec.name]
        for field in fields:
            if field.required and known.get(field.name, 0) < known["type"]:
                sql = self._sql(field.name)
                yield is_it if sql is None else f"{is_it} AND {sql} IS NULL"
        yield from self._of_classes(is_it, fields)
        yield from self._of_amounts(is_it, spec, fields)
        yield from self._of_times(spec)

    def _of_classes(self, is_it: str, fields: Iterable[FieldSpec]) -> Iterator[str]:
        by_name = self._by_name()
        for field in fields:
            sql = self._sql(field.name)
            if sql is None or not field.classes:
                continue
            # Where all types have one list, the column has been checked as a whole.
            if any(other.classes != field.classes for other in by_name[field.name]):
                yield f"{is_it} AND {sql} NOT IN ({_listed(field.classes)})"

    def _of_amounts(
        self, is_it: str, spec: EventSpec, fields: Iterable[FieldSpec]
    ) -> Iterator[str]:
        amounts = [sql for f in fields if f.currency and (sql := self._sql(f.name)) is not None]
        if not amounts or spec.fields["currency"].required:
            return
        known = f"coalesce({', '.join(f'{sql}::VARCHAR' for sql in amounts)}) IS NOT NULL"
        currency = self._sql("currency")
        yield f"{is_it} AND ({known}) <> ({currency or 'NULL'} IS NOT NULL)"

    def _of_times(self, spec: EventSpec) -> Iterator[str]:
        names = (spec.start_field, "answered_at", spec.end_field)
        start, *later = (
            self._sql(name)
            if name in spec.fields and self._columns.get(name or "", _ABSENT).holds(Kind.MOMENT)
            else None
            for name in names
        )
        if start is None:
            return
        settle_us = self._timing.settle(spec.name)
        yield f"{start} > time"
        yield f"epoch_us(time) - epoch_us({start}) > {settle_us}"
        known = [start, *(each for each in later if each is not None)]
        for place, first in enumerate(known):
            for second in known[place + 1 :]:
                yield f"{first} > {second}"

    def _sql(self, name: str | None) -> str | None:
        column = self._columns.get(name or "")
        return None if column is None else column.sql


_GREATEST_AMOUNT: Final = "999999999999999.999999"
_ABSENT: Final = Column("", "")


def _fields(spec: EventSpec, looked_at: frozenset[str]) -> tuple[FieldSpec, ...]:
    always = {"person", spec.start_field, spec.end_field, "answered_at"}
    own = (field for field in spec.fields.values() if not field.derived)
    return tuple(field for field in own if field.name in looked_at | always)


_EARLIEST: Final = "1970-01-01 00:00:00"
# In UTC, as the connection has it.
_LATEST: Final = format_moment(LATEST_US).removesuffix("Z")


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(map(quoted, texts))
