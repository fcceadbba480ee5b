"""What a row must be like to be dropped unread: in order as far as `--validate kept` promises.

Each check is SQL that is true of rows that are not plainly in order. What fails one is read like
any record, and that alone refuses. Of a row that no rule can use only what rules look at is
checked; of one that some rule could use, everything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from rules.events import (
    EVENTS,
    IDENTIFIER_LIMIT,
    INTEGER_LIMIT,
    EventSpec,
    FieldSpec,
    Kind,
    own_fields,
)
from rules.moment import LATEST_US, format_moment
from rules.money import CURRENCIES
from rules.timing import Timing
from streams.parquet.log import Column, ParquetLog, quoted

DROPPABLE: Final = tuple(
    spec for name, spec in EVENTS.items() if name not in ("heartbeat", "outcome", "alert")
)
"""The types whose records can be dropped; all others are read."""


class Checks:
    """The checks of one log.

    Attributes:
        counts: How many rows of each wire type there are; None stands for those without one.
        specs: The droppable types among them.
        timing: How long records count.
    """

    def __init__(self, log: ParquetLog, timing: Timing, *, as_of_us: int, ahead_us: int) -> None:
        """Prepare the checks.

        Args:
            log: the log.
            timing: how long records count.
            as_of_us: the moment after which a record without `recordedtime` is of the future.
            ahead_us: how far a record may be dated after that.
        """
        self._columns = {column.name: column for column in log.columns}
        self.timing = timing
        self._ahead_us = ahead_us
        self._latest_us = min(as_of_us + ahead_us, LATEST_US)
        currency = '"currency"' if "currency" in self._columns else "NULL"
        told = list(
            log.query(
                f"SELECT type, {currency}, count(*) FROM {log.source} GROUP BY ALL ORDER BY ALL"
            )
        )
        self.counts: dict[str | None, int] = {}
        for wire_type, _, count in told:
            self.counts[wire_type] = self.counts.get(wire_type, 0) + count
        self.specs = tuple(spec for spec in DROPPABLE if spec.wire_type in self.counts)
        codes = {str(code) for _, code, _ in told if code is not None}
        self._no_currencies = sorted(codes - CURRENCIES)

    def odd(
        self,
        looked_at: Mapping[str, Collection[str]] | None = None,
        or_of_use: Mapping[str, str] | None = None,
    ) -> str:
        """Return SQL that is true of rows that are not plainly in order.

        A row that is of no droppable type is one of them.

        Args:
            looked_at: of each event type the own fields that are checked; all if None.
            or_of_use: for each event type, what may be true of a row instead.
        """
        parts = list(self._of_envelope())
        if looked_at is None:
            parts.append(self._is_large())
        for spec in self.specs:
            names = None if looked_at is None else looked_at.get(spec.name, ())
            either = list(self._of_type(spec, names))
            either += [] if or_of_use is None else [or_of_use[spec.name]]
            parts.append(f"type = {quoted(spec.wire_type)} AND ({_any(either)})")
        types = _listed(spec.wire_type for spec in self.specs)
        parts += ["type IS NULL", f"type NOT IN ({types})" if types else "true"]
        return _any(parts)

    def _is_large(self) -> str:
        """Return SQL that is true of rows that could be too large for a record."""
        texts = (c.sql for c in self._columns.values() if c.type == "VARCHAR")
        size = " + ".join(f"coalesce(strlen({sql}), 0)" for sql in texts)
        return f"{size} > {_LARGE}"

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

    # -- the fields of one type ----------------------------------------------------------------

    def _of_type(self, spec: EventSpec, looked_at: Collection[str] | None) -> Iterator[str]:
        fields = own_fields(spec, looked_at)
        for field in fields:
            column = self._columns.get(field.name)
            if column is not None:
                yield from self._of_field(column, field)
            if field.required:
                yield "true" if column is None else f"{column.sql} IS NULL"
        event_id = self._columns.get("event_id")
        if looked_at is None and event_id is not None:
            yield from self._of_text(event_id)
        yield from self._of_amounts(spec, fields)
        yield from self._of_times(spec)

    def _of_field(self, column: Column, field: FieldSpec) -> Iterator[str]:
        yield from self._not_held(column, field.kind)
        if not column.holds(field.kind):
            return
        if column.name == "currency" and self._no_currencies:
            yield f"{column.sql} IN ({_listed(self._no_currencies)})"
        if field.kind in (Kind.PSEUDONYM, Kind.TEXT) and column.name != "currency":
            yield from self._of_text(column)
        if field.classes:
            yield f"{column.sql} NOT IN ({_listed(field.classes)})"

    def _of_text(self, column: Column) -> Iterator[str]:
        yield from self._not_held(column, Kind.TEXT)
        if column.holds(Kind.TEXT):
            yield f"{column.sql} = ''"
            # In bytes: a text with more of them than characters may be in order all the same.
            yield f"strlen({column.sql}) > {IDENTIFIER_LIMIT}"

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

    def _of_amounts(self, spec: EventSpec, fields: Iterable[FieldSpec]) -> Iterator[str]:
        amounts = [sql for f in fields if f.currency and (sql := self._sql(f.name)) is not None]
        if not amounts or spec.fields["currency"].required:
            return
        known = f"coalesce({', '.join(f'{sql}::VARCHAR' for sql in amounts)}) IS NOT NULL"
        currency = self._sql("currency")
        yield f"({known}) <> ({currency or 'NULL'} IS NOT NULL)"

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
        settle_us = self.timing.settle(spec.name)
        yield f"{start} > time"
        yield f"epoch_us(time) - epoch_us({start}) > {settle_us}"
        known = [start, *(each for each in later if each is not None)]
        for place, first in enumerate(known):
            for second in known[place + 1 :]:
                yield f"{first} > {second}"

    def _sql(self, name: str | None) -> str | None:
        column = self._columns.get(name or "")
        return None if column is None else column.sql


# In bytes: an eighth of the limit, since in JSON a character can take six.
_LARGE: Final = 8_192
_GREATEST_AMOUNT: Final = "999999999999999.999999"
_ABSENT: Final = Column("", "")
_EARLIEST: Final = "1970-01-01 00:00:00"
# In UTC, as the connection has it.
_LATEST: Final = format_moment(LATEST_US).removesuffix("Z")


def _any(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(map(quoted, texts))
