"""What two rule sets differ in over recorded logs, for people and for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rules.authoring.attribution import KINDS, Cause, Difference, Kind
from rules.authoring.clauses import Clause
from rules.authoring.standings import Standing, Total, counted, total_of
from rules.moment import format_moment
from rules.money import format_amount

_SHOWN: Final = 20
_SETS_SHOWN: Final = 3
_LONGEST: Final = 100


@dataclass(frozen=True)
class DifferenceReport:
    """The clauses that differ, by rule, and the alerts that differ, each with its causes.

    `alike` counts the alerts of the rules that were run and are the same on both sides.
    """

    old: str
    new: str
    clauses: Sequence[Clause]
    differences: Sequence[Difference]
    alike: int
    records: int
    notes: Sequence[str]

    def of_kind(self, kind: Kind) -> list[Difference]:
        """Return the alerts that were added, lost or changed."""
        return [difference for difference in self.differences if difference.kind == kind]

    def by_clause(self) -> Iterator[tuple[Clause, Mapping[Kind, Total]]]:
        """Yield each clause with what it had a part in."""
        for clause in self.clauses:
            yield (
                clause,
                {
                    kind: total(d for d in self.of_kind(kind) if clause in d.clauses)
                    for kind in KINDS
                },
            )

    def as_json(self) -> dict[str, object]:
        """Return all of it as JSON values; clauses are named by their number, from 1."""
        numbers = {clause: number for number, clause in enumerate(self.clauses, 1)}
        return {
            "old": self.old,
            "new": self.new,
            "records": self.records,
            "clauses": [
                {"clause": numbers[clause], **_clause_as_json(clause)} for clause in self.clauses
            ],
            "alike": self.alike,
            "totals": {kind: total(self.of_kind(kind)).as_json() for kind in KINDS},
            "by_clause": [
                {
                    "clause": numbers[clause],
                    **{kind: each.as_json() for kind, each in totals.items()},
                }
                for clause, totals in self.by_clause()
            ],
            "alerts": [_difference_as_json(each, numbers) for each in self.differences],
            "notes": list(self.notes),
        }

    def as_lines(self) -> Iterator[str]:
        """Yield all of it in words; of many alerts of one kind the first few."""
        yield f"OLD {self.old}"
        yield f"NEW {self.new}"
        if not self.clauses:
            yield "no rule judges differently, so nothing was replayed"
        else:
            rules = len({clause.rule for clause in self.clauses})
            yield (
                f"{counted(rules, 'rule')} {'judges' if rules == 1 else 'judge'} differently, in"
                f" {counted(len(self.clauses), 'clause')}"
            )
            yield from self._clause_lines()
            records = counted(self.records, "record")
            yield f"{records}; alerts of these rules that are alike: {self.alike:,}"
            for kind in KINDS:
                yield f"{kind}: {total(self.of_kind(kind))}"
            for kind in KINDS:
                yield from self._alert_lines(kind)
        yield from (f"note: {note}" for note in self.notes)

    def _clause_lines(self) -> Iterator[str]:
        for clause, totals in self.by_clause():
            yield f"  {clause.place}: {short(f'{clause.rule} {clause.says}')}"
            done = [f"{kind} {each}" for kind, each in totals.items() if each.alerts]
            yield f"    {'; '.join(done) or 'no alert differs by it'}"

    def _alert_lines(self, kind: Kind) -> Iterator[str]:
        found = self.of_kind(kind)
        for difference in found[:_SHOWN]:
            yield f"{kind} {in_words(difference)}"
            for cause in difference.causes:
                yield f"  {because(cause, kind)}"
        if len(found) > _SHOWN:
            yield f"… and {len(found) - _SHOWN:,} more {kind}; --format json and --html have all"


def total(differences: Iterable[Difference]) -> Total:
    """Return what the alerts that differ come to."""
    return total_of(difference.standing for difference in differences)


def in_words(difference: Difference) -> str:
    """Return which alert it is, and how it stands or in what it has changed."""
    standing = difference.standing
    money = standing.money
    amount = "" if money is None else f", {format_amount(money.amount)} {money.currency}"
    about = f"{standing.anchor.type} {standing.anchor.id} of {standing.anchor.source}"
    at = format_moment(standing.anchor_at_us)
    said = f"{standing.rule} {standing.alert_id}: {about} ({at}{amount})"
    if difference.old is None or difference.new is None:
        return f"{said}, {standing.state}, {_outcome(standing)}, first {_raised(standing)}"
    changed = ", ".join(_moved(difference.old, difference.new))
    return f"{said}: {changed}"


def _moved(old: Standing, new: Standing) -> Iterator[str]:
    told = zip(_told(old).items(), _told(new).values(), strict=True)
    yield from (f"{name} {was} → {now}" for (name, was), now in told if was != now)


def _told(standing: Standing) -> Mapping[str, str]:
    return {
        "state": standing.state,
        "severity": standing.severity,
        "action": standing.action,
        "score": str(standing.score),
        "first raised": _raised(standing).removeprefix("raised at "),
        "settles at": format_moment(standing.settles_at_us),
    }


def _outcome(standing: Standing) -> str:
    return f"{standing.severity} {standing.action} {standing.score}"


def _raised(standing: Standing) -> str:
    return f"raised at {format_moment(standing.raised_at_us)} by record {standing.record:,}"


_ASPECTS: Final[Mapping[str, str]] = {
    "alert": "",
    "raised": "first raised",
    "settles_at": "settles at",
}


def because(cause: Cause, kind: Kind) -> str:
    """Return what did it, in words."""
    aspects = ", ".join(_ASPECTS.get(aspect, aspect) for aspect in cause.aspects)
    what = f"{aspects} " if kind == "changed" else ""
    sets = [_together(clauses) for clauses in cause.sets[:_SETS_SHOWN]]
    if len(cause.sets) > _SETS_SHOWN:
        sets.append(f"{len(cause.sets) - _SETS_SHOWN} more such sets")
    said = f"{what}by {', or by '.join(sets)}"
    return said if cause.smallest else f"{said}; whether fewer would do was not tried out"


def _together(clauses: Sequence[Clause]) -> str:
    told = [f"{clause.what} ({clause.place})" for clause in clauses]
    return f"{' and '.join(told)}{' together' * (len(told) > 1)}"


def short(text: str) -> str:
    """Return a text, cut where it is too long for a line."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _clause_as_json(clause: Clause) -> dict[str, object]:
    return {
        "rule": clause.rule,
        "file": clause.file,
        "line": clause.at.line,
        "column": clause.at.column,
        "what": clause.what,
        "old": clause.old,
        "new": clause.new,
    }


def _difference_as_json(
    difference: Difference, numbers: Mapping[Clause, int]
) -> dict[str, object]:
    standing = difference.standing
    money = standing.money
    at_stake = (
        {}
        if money is None
        else {"amount": format_amount(money.amount), "currency": money.currency}
    )
    sides = {"old": difference.old, "new": difference.new}
    return {
        "kind": difference.kind,
        "alert_id": standing.alert_id,
        "rule": standing.rule,
        "anchor": {**standing.anchor._asdict(), "at": format_moment(standing.anchor_at_us)},
        "person": standing.person,
        **at_stake,
        **{side: None if s is None else s.as_json() for side, s in sides.items()},
        "causes": [
            {
                "of": list(cause.aspects),
                "sets": [[numbers[clause] for clause in clauses] for clauses in cause.sets],
                "smallest": cause.smallest,
                "undone_by": [numbers[clause] for clause in cause.undone_by],
            }
            for cause in difference.causes
        ],
    }
