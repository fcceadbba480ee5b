"""The rows of a Parquet log that could be part of an alert, found by SQL.

First the candidates: rows that some rule could use, and rows that are not plainly in order, with
all their columns, in one pass over the file. Then, of the candidates, those that can be in a
match. Whenever a rule matches, each event stands as one of its rows tells it, and that row fulfils
the step's own conditions; all are under one key and at distances that the rule bounds
(`rules.reach`). An anchor that lacks such a row for some step in the whole log has no binding
whatever comes, so no alert is ever raised at it; and an event that is near no other anchor is in
no binding. Leaving both out changes no alert record. Flood limits do count events that are in no
match: where a key comes near them, all candidates are kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rules.alternatives import alternative_of, factored, weakest
from rules.events import EVENTS, KEYS, Kind
from rules.rule import By, RuleSet
from rules.screen import Screen, looked_at
from rules.watermark import END_US
from streams.parquet.checks import Checks
from streams.parquet.log import Column, ParquetLog, quoted
from streams.parquet.rule_groups import RuleGroup, rule_groups
from streams.parquet.terms import Terms

ROWS: Final = "candidate_row"
TABLE: Final = "candidate"
KEPT: Final = "kept"
IDENTITY: Final = "source, type, own_id"


class Candidates:
    """The candidates of one log for one rule set, in tables of the log's connection.

    `ROWS` holds them whole, `TABLE` what is asked of them here.

    Attributes:
        specs: The droppable types in the log.
        bys: What rules correlate by.
        has_odd: Whether some rows are not plainly in order.
        has_repeats: Whether some event is told by more than one candidate.
    """

    def __init__(
        self, log: ParquetLog, rule_set: RuleSet, checks: Checks, withheld: Iterable[str]
    ) -> None:
        """Find the candidates.

        Args:
            log: the log.
            rule_set: the rules.
            checks: which rows are not plainly in order.
            withheld: the words in place of a caller that is withheld, in lower case.
        """
        self._log = log
        self._rule_set = rule_set
        self._columns = {column.name: column for column in log.columns}
        self.specs = checks.specs
        self._withheld = ", ".join(map(quoted, sorted(withheld)))
        self._groups = rule_groups(rule_set.first_stage)
        self._timing = checks.timing
        self._terms = {spec.name: Terms(spec, self._columns) for spec in self.specs}
        self._standing = {
            spec.name: Terms(spec, self._columns, as_it_stands=True) for spec in self.specs
        }
        self.bys = tuple(dict.fromkeys(rule.by for rule in rule_set.rules))
        self._find(checks)
        self.has_odd = bool(log.scalar(f"SELECT coalesce(bool_or(is_odd), false) FROM {TABLE}"))
        self.has_repeats = bool(
            log.scalar(f"SELECT count(*) <> count(DISTINCT ({IDENTITY})) FROM {TABLE}")
        )

    def _find(self, checks: Checks) -> None:
        screen = Screen(self._rule_set)
        or_of_use = {s.name: screen.source(s.name, self._terms[s.name]) for s in self.specs}
        to_read = checks.odd(looked_at(self._rule_set), or_of_use)
        columns = ", ".join(column.sql for column in self._log.columns)
        self._log.run(
            f"CREATE OR REPLACE TABLE {ROWS} AS SELECT file_row_number AS row, {columns}"
            f" FROM {self._log.source} WHERE {to_read}"
        )
        # Apart from that: of what a chunk of the file holds few rows are left.
        flags = ", ".join(f"{sql} AS {name}" for name, sql in self._flags().items())
        self._log.run(
            f"CREATE OR REPLACE TABLE {TABLE} AS SELECT row, source, type, {flags} FROM"
            f" (SELECT *, coalesce({checks.odd()}, false) AS is_odd,"
            f" {self._start()} AS start_us FROM {ROWS})"
        )

    def _flags(self) -> Mapping[str, str]:
        flags = {
            "is_odd": "is_odd",
            "start_us": "start_us",
            "end_us": self._end(),
            "own_id": self._own_id(),
            "is_second": self._case(Screen(self._rule_set.second_stage)),
        }
        flags |= {f"key_{by}": self._key(by) for by in self.bys}
        for group in self._groups:
            flags[group.helps] = f"is_odd OR {self._case(group.screen_of_others)}"
            for place in group.places:
                flags[group.serves(place)] = f"is_odd OR {self._case(group.screen(place))}"
                flags[group.fits(place)] = f"is_odd OR {self._fits(group, place)}"
        return flags

    def _fits(self, group: RuleGroup, place: int) -> str:
        """Return SQL that is true of rows that as they stand could be a required step's event."""
        steps = group.steps(place)
        passes = {}
        for spec in self.specs:
            if spec.name in steps[0].own:
                lists = (step.own[spec.name] for step in steps)
                asked = [alternative_of(c.expression for c in own) for own in lists]
                passes[spec.wire_type] = factored(weakest(asked), self._standing[spec.name].passes)
        return self._by_type(passes, "false")

    def _case(self, screen: Screen) -> str:
        """Return SQL that is true of rows that a screen lets pass."""
        passes = {s.wire_type: screen.source(s.name, self._terms[s.name]) for s in self.specs}
        return self._by_type({t: sql for t, sql in passes.items() if sql != "False"}, "false")

    def _by_type(self, cases: Mapping[str, str], otherwise: str) -> str:
        told = " ".join(f"WHEN {quoted(wire_type)} THEN {sql}" for wire_type, sql in cases.items())
        return f"(CASE type {told} ELSE {otherwise} END)" if cases else otherwise

    def _start(self) -> str:
        """Return SQL for the start of a row's event."""
        starts = {
            spec.wire_type: f"epoch_us({column.sql})"
            for spec in self.specs
            if (column := self._columns.get(spec.start_field or "")) is not None
            and column.holds(Kind.MOMENT)
        }
        return self._by_type(starts, "epoch_us(time)")

    def _end(self) -> str:
        """Return SQL for the end of a row's event, as it stands; see `rules.fact`."""
        ends = {}
        for spec in self.specs:
            if spec.end_field is None:
                continue
            end = self._columns.get(spec.end_field)
            known = "NULL" if end is None or not end.holds(Kind.MOMENT) else f"epoch_us({end.sql})"
            longest = f"start_us + {self._timing.settle(spec.name)}"
            until = f"coalesce({known}, epoch_us(time) + {self._timing.open_for_us})"
            lasts = f"greatest(start_us, least({longest}, {until}))"
            if "answered_at" in spec.fields:
                answered = "answered_at" if "answered_at" in self._columns else "NULL"
                lasts = f"CASE WHEN {answered} IS NULL THEN start_us ELSE {lasts} END"
            ends[spec.wire_type] = lasts
        return self._by_type(ends, "start_us")

    def _own_id(self) -> str:
        """Return SQL for the own id of a row's event."""
        named = {
            spec.wire_type: f"{self._columns[spec.id_field].sql}::VARCHAR"
            for spec in self.specs
            if spec.id_field in self._columns
        }
        has_event_id = "event_id" in self._columns
        of_record = "coalesce(nullif(event_id::VARCHAR, ''), id)" if has_event_id else "id"
        return self._by_type(named, of_record)

    def _key(self, by: By) -> str:
        """Return SQL for a key, equal where pseudonyms are; see `comparable` for its reasons."""
        name = KEYS[by]
        column = self._columns.get(name)
        if column is None or not column.holds(Kind.PSEUDONYM):
            return "NULL::VARCHAR"
        key = column.sql
        if name in _SPELT_IN_MANY_WAYS:
            bare = f"translate({key}, ' -.()', '')"
            key = f"CASE WHEN starts_with({key}, '+') THEN {bare} ELSE {key} END"
            key = f"CASE WHEN contains({column.sql}, '@') THEN lower({key}) ELSE {key} END"
        return f"CASE WHEN NOT {self.withheld(column)} THEN {key} END" if name == "caller" else key

    def withheld(self, caller: Column) -> str:
        """Return SQL for whether a caller says that they hide their number."""
        return f"(lower({caller.sql}) IN ({self._withheld}))" if self._withheld else "false"

    @property
    def odd_rows(self) -> str | None:
        """A query for the rows that are not plainly in order; None if there are none."""
        return f"SELECT row FROM {TABLE} WHERE is_odd" if self.has_odd else None

    def odd_us(self, rows_per_block: int, latest_us: int) -> Mapping[int, int]:
        """Return how far the odd rows of a block can bring event time, by block.

        Args:
            rows_per_block: how many rows a block has.
            latest_us: what is dated after that is refused.
        """
        if not self.has_odd:
            return {}
        # The clock of whoever recorded a row may have been ahead of ours.
        beyond_us = END_US if "recordedtime" in self._columns else latest_us
        told_us = ["epoch_us(time)"]
        watermark = self._columns.get("watermark")
        if watermark is not None and watermark.holds(Kind.MOMENT):
            told_us.append("epoch_us(watermark)")
        elif watermark is not None:
            told_us.append(f"CASE WHEN watermark IS NOT NULL THEN {beyond_us} END")
        most = ", ".join(f"max({us}) FILTER ({us} <= {beyond_us})" for us in told_us)
        told = self._log.query(
            f"SELECT row // {rows_per_block}, greatest({most}) FROM {ROWS}"
            f" WHERE row IN ({self.odd_rows}) GROUP BY 1"
        )
        return {block: us for block, us in told if us is not None}

    def in_order(self, counts: Mapping[str | None, int]) -> Mapping[str, int]:
        """Return how many rows of each wire type are plainly in order, of how many there are."""
        odd = dict(
            self._log.query(f"SELECT type, count(*) FROM {TABLE} WHERE is_odd GROUP BY type")
        )
        wire_types = [spec.wire_type for spec in self.specs]
        return {each: counts[each] - odd.get(each, 0) for each in wire_types}

    def keep(self, ends_us: Sequence[int], rows_per_block: int) -> None:
        """Make a table of the rows to read.

        Args:
            ends_us: how far event time can have come at the end of each block of rows.
            rows_per_block: how many rows a block has.
        """
        parts = [f"SELECT row FROM {TABLE} WHERE is_odd OR is_second"]
        parts += [self._kept(group) for group in self._groups]
        parts += self._too_late(ends_us, rows_per_block)
        if not self._may_be_parted():
            parts = [f"SELECT row FROM {TABLE}"]
        kept = " UNION ".join(parts)
        if self.has_repeats:
            # All records of one event or none.
            told = f"SELECT {IDENTITY} FROM {TABLE} WHERE row IN ({kept})"
            kept = f"SELECT row FROM {TABLE} WHERE ({IDENTITY}) IN ({told})"
        self._log.run(f"CREATE OR REPLACE TABLE {KEPT} AS {kept}")

    def _too_late(self, ends_us: Sequence[int], rows_per_block: int) -> list[str]:
        """Return SQL for the rows that might come when what they could serve is forgotten."""
        if not ends_us:
            return []
        keep_us = min((rule.keep_us for rule in self._rule_set.rules), default=0)
        last_us = ends_us[-1] - keep_us
        if not self._log.scalar(f"SELECT count(*) FROM {TABLE} WHERE start_us < {last_us}"):
            return []
        ends = f"[{', '.join(str(end_us - keep_us) for end_us in ends_us)}]"
        block = f"row // {rows_per_block} + 1"
        return [f"SELECT row FROM {TABLE} WHERE start_us < ({ends})[{block}]"]

    def closings(self) -> list[int]:
        """Return the moments at which an anchor among the rows to read can close, in order."""
        parts = [
            f"SELECT start_us + {after_us} FROM {TABLE} WHERE {group.serves(group.anchor)}"
            f" AND row IN (FROM {KEPT})"
            for group in self._groups
            for after_us in sorted({rule.closes_at(0) for rule in group.rules})
        ]
        if not parts:
            return []
        return [moment for (moment,) in self._log.query(f"{' UNION '.join(parts)} ORDER BY 1")]

    def _kept(self, group: RuleGroup) -> str:
        """Return SQL for the rows that can be in a match of a rule of the group."""
        near = [
            f"a.row IN (SELECT a.row FROM {TABLE} a JOIN {TABLE} e ON a.{group.key} ="
            f" e.{group.key} AND a.{group.fits(group.anchor)} AND e.{group.fits(place)}"
            f" AND {_near(group.range_of(place), group.gap_of(place))})"
            for place in group.places
            if place != group.anchor
        ]
        anchors = " AND ".join([f"a.{group.fits(group.anchor)}", *near])
        roles = [
            f"e.{group.serves(place)} AND {_near(group.range_of(place))}" for place in group.places
        ]
        roles.append(f"e.{group.helps} AND {_near(group.whole_range)}")
        return (
            f"SELECT e.row FROM {TABLE} e JOIN (FROM {TABLE} a WHERE {anchors}) a"
            f" ON a.{group.key} = e.{group.key} AND ({' OR '.join(roles)})"
        )

    def _may_be_parted(self) -> bool:
        """Tell whether rows can be left out: no key is odd, and none comes near a flood limit."""
        for by in self.bys:
            key = f"key_{by}"
            # Lower case of other letters is a matter of Unicode's version.
            unlike = (
                f"SELECT count(*) FROM {TABLE} WHERE contains({key}, '@')"
                f" AND strlen({key}) <> length({key})"
            )
            most = (
                f"SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM {TABLE}"
                f" WHERE {key} IS NOT NULL GROUP BY {key}, type)"
            )
            if self._log.scalar(unlike) or self._log.scalar(most) >= self._rule_set.max_history:
                return False
        return True


_SPELT_IN_MANY_WAYS: Final = frozenset(
    field.name
    for spec in EVENTS.values()
    for field in spec.fields.values()
    if field.pseudonym in {"person", "handle"}
)


def _near(range_us: tuple[int, int], gap_us: int | None = None) -> str:
    low, high = range_us
    near = f"e.start_us - a.start_us BETWEEN {low} AND {high}"
    if gap_us is not None:
        near += f" AND greatest(a.start_us - e.end_us, e.start_us - a.end_us) <= {gap_us}"
    # Of an odd row nothing is known before it is read, nor is its key: but that is its own text.
    return f"(e.is_odd OR a.is_odd OR {near})"
