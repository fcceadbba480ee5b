"""Which alerts two rule sets differ in, and the clauses that did it.

A clause did it if the old rules with that clause alone of the new ones come to what the new rules
come to. Where none does it alone, it takes several together: the smallest set that was tried.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal

from rules.authoring.clauses import Clause
from rules.authoring.standings import Standing, Standings

Kind = Literal["added", "lost", "changed"]
Set = frozenset[Clause]
KINDS: Final[tuple[Kind, ...]] = ("added", "lost", "changed")

_MOST_PAIRED: Final = 12
_ASPECTS: Final[Mapping[str, Callable[[Standing], object]]] = {
    "state": lambda s: s.state,
    "severity": lambda s: s.severity,
    "action": lambda s: s.action,
    "score": lambda s: s.score,
    "raised": lambda s: (s.raised_at_us, s.record),
    "settles_at": lambda s: s.settles_at_us,
}


@dataclass(frozen=True)
class Cause:
    """What did it: one of these sets of clauses, and of what.

    Several sets mean that each would do. `smallest` is false if smaller sets than these were not
    all tried. `undone_by` are those that need only be taken back alone.
    """

    aspects: tuple[str, ...]
    sets: tuple[tuple[Clause, ...], ...]
    undone_by: tuple[Clause, ...]
    smallest: bool

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """Every clause that is named."""
        return tuple(dict.fromkeys(clause for each in self.sets for clause in each))


@dataclass(frozen=True)
class Difference:
    """An alert that the two rule sets differ in."""

    old: Standing | None
    new: Standing | None
    causes: tuple[Cause, ...]

    @property
    def kind(self) -> Kind:
        """Whether it was added, lost or changed."""
        return "added" if self.old is None else "lost" if self.new is None else "changed"

    @property
    def standing(self) -> Standing:
        """The alert as it stands now, or stood."""
        found = self.new or self.old
        assert found is not None, "an alert that neither side has is no difference"
        return found

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """Every clause that had a part in it."""
        return tuple(dict.fromkeys(clause for cause in self.causes for clause in cause.clauses))


class Trial:
    """What was tried of some clauses: for each set of them taken over, how the alerts stand.

    The empty set is the old rules, the set of all the new ones.
    """

    def __init__(self, clauses: Sequence[Clause], is_rule_set: Callable[[Set], bool]) -> None:
        """Begin with nothing tried.

        Args:
            clauses: all that differs.
            is_rule_set: tells whether a set of them, taken over, comes to rules at all.
        """
        self.clauses = tuple(clauses)
        self.all = frozenset(clauses)
        self.known: dict[Set, Standings] = {}
        self._is_rule_set = is_rule_set

    def first_sets(self) -> list[Set]:
        """Return the two sides, and each clause taken over alone and taken back alone."""
        alone = (self._standing(frozenset({clause})) for clause in self.clauses)
        back = (self.all - {clause} for clause in self.clauses)
        sets = [frozenset[Clause](), self.all, *(s for s in alone if s is not None)]
        sets += [s for s in back if self._is_rule_set(s)]
        return list(dict.fromkeys(sets))

    def further_sets(self) -> list[Set]:
        """Return what is to be tried for what no set so far explains."""
        sets: dict[Set, None] = {}
        for cause in (
            cause for d in self.differences() for cause in d.causes if not cause.smallest
        ):
            sets[frozenset(cause.undone_by)] = None
            if len(self.clauses) <= _MOST_PAIRED:
                sets.update(dict.fromkeys(map(frozenset, combinations(self.clauses, 2))))
        return [s for s in sets if s not in self.known and self._is_rule_set(s)]

    def _standing(self, wanted: Set) -> Set | None:
        """Return a set with what it cannot stand without, if that is one or two clauses more."""
        others = [clause for clause in self.clauses if clause not in wanted]
        most = 2 if len(self.clauses) <= _MOST_PAIRED else 1
        for number in range(most + 1):
            for more in combinations(others, number):
                if self._is_rule_set(wanted | {*more}):
                    return wanted | {*more}
        return None

    def differences(self) -> list[Difference]:
        """Return the alerts that differ, by anchor and id, each with its causes so far."""
        old, new = self.known[frozenset()], self.known[self.all]
        differing = [
            Difference(old.get(alert_id), new.get(alert_id), self._causes(alert_id))
            for alert_id in {*old, *new}
            if list(_differing(old.get(alert_id), new.get(alert_id)))
        ]
        return sorted(differing, key=lambda d: (d.standing.anchor_at_us, d.standing.alert_id))

    def _causes(self, alert_id: str) -> tuple[Cause, ...]:
        """Return what did it, aspects with the same causes together."""
        old, new = (self.known[s].get(alert_id) for s in (frozenset[Clause](), self.all))
        causes: dict[object, Cause] = {}
        for aspect in _differing(old, new):
            cause = self._cause(alert_id, aspect)
            like = causes.get((cause.sets, cause.undone_by))
            aspects = cause.aspects if like is None else like.aspects + cause.aspects
            causes[cause.sets, cause.undone_by] = replace(cause, aspects=aspects)
        return tuple(causes.values())

    def _cause(self, alert_id: str, aspect: str) -> Cause:
        told = {s: _aspect(aspect, known.get(alert_id)) for s, known in self.known.items()}
        new = told[self.all]
        enough = [s for s, each in told.items() if each == new and s]
        least = min(len(s) for s in enough)
        sets = tuple(self._ordered(s) for s in enough if len(s) == least)
        back = [c for c in self.clauses if told.get(self.all - {c}, new) != new]
        return Cause((aspect,), sets, tuple(back), self._is_smallest(least))

    def _is_smallest(self, number: int) -> bool:
        """Tell whether all sets of fewer clauses than this have been tried, or are no rules."""
        if number <= 2:  # noqa: PLR2004 - each clause alone has always been tried
            return True
        pairs = map(frozenset, combinations(self.clauses, 2))
        return number == 3 and all(  # noqa: PLR2004 - one more than two
            s in self.known or not self._is_rule_set(s) for s in pairs
        )

    def _ordered(self, some: Set) -> tuple[Clause, ...]:
        return tuple(clause for clause in self.clauses if clause in some)


def _differing(old: Standing | None, new: Standing | None) -> Iterator[str]:
    """Yield in what two standings of one alert differ; one side at least has it."""
    if old is None or new is None:
        yield "alert"
        return
    for aspect in _ASPECTS:
        if _aspect(aspect, old) != _aspect(aspect, new):
            yield aspect


def _aspect(aspect: str, standing: Standing | None) -> object:
    if aspect == "alert":
        return standing is not None
    return None if standing is None else _ASPECTS[aspect](standing)
