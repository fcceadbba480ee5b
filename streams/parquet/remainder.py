"""What the candidates come to that are not read, in groups that every rule judges alike.

Unread they can be in no alert, but the summary tells how many there were, what was never known of
them, and what steps lost because something was unknown. All that depends on which fields are
known, on the amounts' currency and on the truth of the rules' conditions; so rows that agree in
these are counted by SQL, and one of them is read and judged for all.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rules.alternatives import Alternative, alternative_of
from rules.condition import (
    Compare,
    Constant,
    Expression,
    Field,
    Junction,
    Parameter,
    Unknown,
    walk,
)
from rules.events import KEYS, EventSpec, Kind
from rules.rule import RuleSet
from rules.screen import Screen, looked_at
from streams.parquet.candidates import IDENTITY, KEPT, ROWS, TABLE, Candidates
from streams.parquet.log import ParquetLog, quoted
from streams.parquet.terms import NULL, Terms

_CONSTANTS: Final = frozenset({"0", "true", "false"})
_ORDERED: Final = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Alike:
    """Candidates that every rule judges alike: one of them, and how many there are.

    `stand` are the kinds of key under which they are the events as they stand, and not
    superseded by a later record.
    """

    row: int
    records: int
    stand: frozenset[str]


class Remainder:
    """The candidates of one log that are not among the rows to read."""

    def __init__(self, log: ParquetLog, rule_set: RuleSet, candidates: Candidates) -> None:
        """Prepare to count; `Candidates.keep` comes first."""
        self._log = log
        self._candidates = candidates
        self._rule_set = rule_set
        self._columns = {column.name: column for column in log.columns}

    def alike(self) -> Iterator[Alike]:
        """Yield the groups, by their rows."""
        fields, bys = looked_at(self._rule_set), self._candidates.bys
        stands = ", ".join(f"stands_{by}" for by in bys)
        parts = []
        for spec in self._candidates.specs:
            seen = self._seen(spec, fields.get(spec.name, frozenset()))
            # What is a constant tells no rows from each other.
            told_by = "".join(
                f", {sql}" for sql in dict.fromkeys(seen) if sql.lower() not in _CONSTANTS
            )
            parts.append(
                f"SELECT min(row), count(*), {stands} FROM remainder"
                f" WHERE type = {quoted(spec.wire_type)} GROUP BY {stands}{told_by}"
            )
        if not parts:
            return
        told = f"WITH remainder AS MATERIALIZED ({self._remainder()}) {' UNION ALL '.join(parts)}"
        for row, records, *stand in sorted(self._log.query(told)):
            yield Alike(
                row, records, frozenset(by for by, is_so in zip(bys, stand, strict=True) if is_so)
            )

    def _remainder(self) -> str:
        place = "row_number() OVER (PARTITION BY {} ORDER BY {}) = 1"
        order = ["time DESC", "id DESC"]
        if "sequence" in self._columns:
            order.insert(0, "coalesce(sequence, 0) DESC")
        stands = ", ".join(
            f"{place.format(f'{IDENTITY}, key_{by}', ', '.join(order))} AS stands_{by}"
            if self._candidates.has_repeats
            else f"true AS stands_{by}"
            for by in self._candidates.bys
        )
        unread = f"SELECT * EXCLUDE (source, type) FROM {TABLE} WHERE row NOT IN (FROM {KEPT})"
        return f"SELECT *, {stands} FROM {ROWS} JOIN ({unread}) USING (row)"

    def _seen(self, spec: EventSpec, looked_at: Collection[str]) -> Iterator[str]:
        """Yield SQL for all that rules can tell rows of one type by."""
        asked = self._asked(spec.name)
        screened, standing = (
            Terms(spec, self._columns, as_it_stands=as_it_stands) for as_it_stands in (False, True)
        )
        yield self._known(sorted({*looked_at, *(KEYS[by] for by in self._candidates.bys)}))
        if "caller" in spec.fields and (caller := self._columns.get("caller")) is not None:
            yield self._candidates.withheld(caller)
        if "currency" in looked_at and "currency" in self._columns:
            yield '"currency"'
        for by in self._candidates.bys:
            rules = tuple(rule for rule in self._rule_set.rules if rule.by == by)
            yield Screen(RuleSet(rules)).source(spec.name, screened)
        yield from _truths(asked, standing)
        yield from self._untold(spec, asked, screened, standing)

    def _asked(self, event: str) -> list[Alternative]:
        """Return what each part that can bind a type of event asks of it alone, each once."""
        lists = [
            alternative_of(c.expression for c in part.own[event])
            for rule in self._rule_set.rules
            for part in rule.parts
            if event in part.own
        ]
        return list({frozenset(each): each for each in lists}.values())

    def _known(self, names: Iterable[str]) -> str:
        bits = (
            f"(({self._columns[name].sql} IS NULL)::BIGINT << {n})"
            for n, name in enumerate(name for name in names if name in self._columns)
        )
        return " | ".join(bits) or "0"

    def _untold(
        self,
        spec: EventSpec,
        asked: Iterable[Alternative],
        screened: Terms,
        standing: Terms,
    ) -> Iterator[str]:
        """Yield the columns of conditions that have no SQL, where such a one may matter."""
        where: dict[str, dict[str, None]] = {}
        for each in asked:
            gate = " AND ".join(screened.passes(node) for node in each.values())
            for node in each.values():
                if standing.truth(node) == NULL:
                    for name in _read(spec, node):
                        where.setdefault(name, {})[gate] = None
        for name, gates in where.items():
            if name in self._columns:
                may_matter = " OR ".join(f"({gate})" for gate in gates)
                yield f"CASE WHEN {may_matter} THEN {self._columns[name].sql} END"


def _truths(asked: Iterable[Alternative], terms: Terms) -> Iterator[str]:
    """Yield SQL for the truth of conditions; thresholds on one field by how many are reached."""
    nodes = {shape: node for each in asked for shape, node in each.items()}
    ladders: dict[object, list[str]] = {}
    for node in nodes.values():
        truth, ladder = terms.truth(node), _ladder(node)
        if truth == NULL:
            continue
        if ladder is None:
            yield truth
        else:
            ladders.setdefault(ladder, []).append(f"coalesce({truth}, false)::INTEGER")
    for rungs in ladders.values():
        yield " + ".join(rungs)


def _ladder(node: Expression) -> object:
    """Return what thresholds have in common of which, of two, the one implies the other."""
    match node:
        case Compare(op=op, left=Field(name=name), right=Constant() | Parameter()):
            return (op, name) if op in _ORDERED else None
        case Junction(op="or", parts=(Unknown(item=Field(name=name), negated=False), part)):
            found = _ladder(part)
            return None if found is None else (name, found)
    return None


def _read(spec: EventSpec, node: Expression) -> Iterator[str]:
    """Yield the columns that an expression reads; whether they are known is told anyway."""
    if isinstance(node, Unknown) and node.item.kind is Kind.PSEUDONYM:
        return
    for part in walk(node):
        if isinstance(part, Field):
            field = spec.fields[part.name]
            yield from field.needs if field.derived else (part.name,)
