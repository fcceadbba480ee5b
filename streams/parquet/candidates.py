"""The rows of a Parquet log that could be part of an alert, found by SQL.

First the candidates: rows that some rule could use, and rows that are not plainly in order. Then,
of the candidates, those that can be in a match. A binding needs an event for every step, all under
one key and at distances that the rule bounds (`rules.reach`). An anchor that lacks one of them in
the whole log has no binding whatever comes, so no alert is ever raised at it; and an event that
is near no other anchor is in no binding. Leaving both out changes no alert record. Flood limits
do count events that are in no match: where a key comes near them, all candidates are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rules.events import KEYS, Kind
from rules.rule import By, Rule, RuleSet, Step
from rules.screen import Screen
from streams.parquet.checks import DROPPABLE
from streams.parquet.log import ParquetLog, quoted
from streams.parquet.terms import Terms

TABLE: Final = "candidate"
_KEPT: Final = "kept"


@dataclass(frozen=True)
class _Group:
    """Rules of one key whose steps read the same types: they differ in conditions and windows.

    Attributes:
        by: What they correlate by.
        rules: The rules.
        number: Its place among the groups.
    """

    by: By
    rules: tuple[Rule, ...]
    number: int

    @property
    def key(self) -> str:
        """The column of the candidates' table that holds the key."""
        return f"key_{self.by}"

    @property
    def of_use(self) -> str:
        """The column that says whether some part of a rule could use the row."""
        return f"of_use_{self.number}"

    @property
    def helps(self) -> str:
        """The column that says whether it could be of use to what a match can do without."""
        return f"helps_{self.number}"

    def serves(self, place: int) -> str:
        """Return the column that says whether the row could be the event of a required step."""
        return f"serves_{self.number}_{place}"

    @property
    def anchor(self) -> int:
        """The place of the anchor among the required steps."""
        steps = _required(self.rules[0])
        return next(n for n, step in enumerate(steps) if step.name == self.rules[0].anchor)

    def range_of(self, place: int) -> tuple[int, int]:
        """Return how far from the anchor's start a required step's event can start."""
        ranges = [rule.span.ranges[_required(rule)[place].name] for rule in self.rules]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    @property
    def whole_range(self) -> tuple[int, int]:
        """The same of any part of any of the rules."""
        ranges = [r for rule in self.rules for r in rule.span.ranges.values()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)


class Candidates:
    """The candidates of one log for one rule set, in a table of the log's connection."""

    def __init__(self, log: ParquetLog, rule_set: RuleSet, odd: str) -> None:
        """Find the candidates.

        Args:
            log: the log.
            rule_set: the rules.
            odd: SQL that is true of rows that are not plainly in order.
        """
        self._log = log
        self._columns = {column.name: column for column in log.columns}
        self._max_history = rule_set.max_history
        self._groups = _groups(rule_set.first_stage)
        self._second = rule_set.second_stage
        self._terms = {spec.name: Terms(spec, self._columns) for spec in DROPPABLE}
        self._find(odd, Screen(rule_set))

    def _find(self, odd: str, screen: Screen) -> None:
        bys = dict.fromkeys(group.by for group in self._groups)
        columns = [
            "file_row_number AS row",
            "type",
            f"({odd}) AS is_odd",
            f"{self._start()} AS start_us",
            f"{self._case(Screen(self._second))} AS is_second",
            *(f"{self._key(by)} AS key_{by}" for by in bys),
        ]
        for group in self._groups:
            columns.append(f"({odd}) OR {self._case(_screen(group.rules))} AS {group.of_use}")
            others = tuple(only for rule in group.rules for only in _others(rule))
            columns.append(f"({odd}) OR {self._case(_screen(others))} AS {group.helps}")
            for place in range(len(_required(group.rules[0]))):
                alone = tuple(_only(rule, _required(rule)[place]) for rule in group.rules)
                serves = f"({odd}) OR {self._case(_screen(alone))}"
                columns.append(f"{serves} AS {group.serves(place)}")
        self._log.run(
            f"CREATE OR REPLACE TABLE {TABLE} AS SELECT {', '.join(columns)}"
            f" FROM {self._log.source} WHERE ({odd}) OR {self._case(screen)}"
        )

    def _case(self, screen: Screen) -> str:
        """Return SQL that is true of rows that a screen lets pass."""
        passes = {s.wire_type: screen.source(s.name, self._terms[s.name]) for s in DROPPABLE}
        cases = " ".join(
            f"WHEN {quoted(wire_type)} THEN {source}"
            for wire_type, source in passes.items()
            if source != "False"
        )
        return f"(CASE type {cases} ELSE false END)" if cases else "false"

    def _start(self) -> str:
        """Return SQL for the start of a row's event."""
        starts = {
            spec.wire_type: column
            for spec in DROPPABLE
            if (column := self._columns.get(spec.start_field or "")) is not None
            and column.holds(Kind.MOMENT)
        }
        cases = " ".join(
            f"WHEN {quoted(wire_type)} THEN epoch_us({column.sql})"
            for wire_type, column in starts.items()
        )
        return f"(CASE type {cases} ELSE epoch_us(time) END)" if cases else "epoch_us(time)"

    def _key(self, by: By) -> str:
        """Return SQL for a key: equal wherever pseudonyms are, if not only there."""
        column = self._columns.get(KEYS[by])
        if column is None or not column.holds(Kind.PSEUDONYM):
            return "NULL::VARCHAR"
        return f"translate(lower({column.sql}), ' -.()', '')"

    def keep(self, sample: int) -> str:
        """Make a table of the rows to read and return its name.

        Args:
            sample: how many candidates of each type to read though they are in no match.
        """
        place = "row_number() OVER (PARTITION BY type ORDER BY row)"
        parts = [
            f"SELECT row FROM {TABLE} WHERE is_odd OR is_second",
            f"SELECT row FROM {TABLE} QUALIFY {place} <= {sample}",
        ]
        parts += [self._kept(group) for group in self._groups]
        if not self._may_be_parted():
            parts = [f"SELECT row FROM {TABLE}"]
        self._log.run(f"CREATE OR REPLACE TABLE {_KEPT} AS {' UNION '.join(parts)}")
        return _KEPT

    def closings(self, kept: str) -> list[int]:
        """Return the moments at which an anchor among the rows to read can close, in order."""
        parts = [
            f"SELECT start_us + {after_us} FROM {TABLE} WHERE {group.serves(group.anchor)}"
            f" AND row IN (FROM {kept})"
            for group in self._groups
            for after_us in sorted({rule.closes_at(0) for rule in group.rules})
        ]
        if not parts:
            return []
        return [moment for (moment,) in self._log.query(f"{' UNION '.join(parts)} ORDER BY 1")]

    def _kept(self, group: _Group) -> str:
        """Return SQL for the rows that can be in a match of a rule of the group."""
        required = range(len(_required(group.rules[0])))
        near = [
            f"a.row IN (SELECT a.row FROM {TABLE} a JOIN {TABLE} e ON a.{group.key} ="
            f" e.{group.key} AND a.{group.serves(group.anchor)} AND e.{group.serves(place)}"
            f" AND {_near(group.range_of(place))})"
            for place in required
            if place != group.anchor
        ]
        anchors = " AND ".join([f"a.{group.serves(group.anchor)}", *near])
        roles = [
            f"e.{group.serves(place)} AND {_near(group.range_of(place))}" for place in required
        ]
        roles.append(f"e.{group.helps} AND {_near(group.whole_range)}")
        return (
            f"SELECT e.row FROM {TABLE} e JOIN (FROM {TABLE} a WHERE {anchors}) a"
            f" ON a.{group.key} = e.{group.key} AND ({' OR '.join(roles)})"
        )

    def _may_be_parted(self) -> bool:
        """Tell whether rows can be left out: no key is odd, and none comes near a flood limit."""
        keys = dict.fromkeys(group.key for group in self._groups)
        for key in keys:
            # Lower case of other letters is a matter of Unicode's version.
            unlike = f"SELECT count(*) FROM {TABLE} WHERE strlen({key}) <> length({key})"
            most = (
                f"SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM {TABLE}"
                f" WHERE {key} IS NOT NULL GROUP BY {key}, type)"
            )
            if self._log.scalar(unlike) or self._log.scalar(most) >= self._max_history:
                return False
        return True


def _near(range_us: tuple[int, int]) -> str:
    low, high = range_us
    # Of an odd row nothing is known before it is read, nor is its key: but that is its own text.
    return f"(e.is_odd OR a.is_odd OR e.start_us - a.start_us BETWEEN {low} AND {high})"


def _groups(rule_set: RuleSet) -> Sequence[_Group]:
    found: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rule_set.rules:
        types = tuple(tuple(sorted(step.own)) for step in _required(rule))
        anchor = next(n for n, s in enumerate(_required(rule)) if s.name == rule.anchor)
        found.setdefault((rule.by, anchor, types), []).append(rule)
    return [_Group(rules[0].by, tuple(rules), n) for n, rules in enumerate(found.values())]


def _required(rule: Rule) -> tuple[Step, ...]:
    """Return the steps that each need an event; sets can be empty, but for the anchor's."""
    return tuple(step for step in rule.steps if not step.each or step.name == rule.anchor)


def _only(rule: Rule, step: Step) -> Rule:
    return replace(rule, steps=(step,), unless=(), evidence=())


def _others(rule: Rule) -> tuple[Rule, ...]:
    """Return the parts that need no event, each as a rule of its own."""
    required = _required(rule)
    return tuple(_only(rule, part) for part in rule.parts if part not in required)


def _screen(rules: tuple[Rule, ...]) -> Screen:
    return Screen(RuleSet(rules))
