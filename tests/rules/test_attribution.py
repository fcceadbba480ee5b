"""Which clauses did it: alone, together, or one as well as another."""

from collections.abc import Collection
from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from rules.authoring.attribution import Cause, Difference, Set, Trial
from rules.authoring.clauses import Clause
from rules.authoring.difference_page import difference_page
from rules.authoring.difference_report import DifferenceReport, because
from rules.authoring.standings import Standing
from rules.fact import Identity
from rules.language.mistakes import Place

NAMES = "abcde"
CLAUSES = {
    name: Clause("tried", name, "1", "2", "new/tried.yaml", Place(line, 1))
    for line, name in enumerate(NAMES, 1)
}
FIRST = Standing(
    alert_id="a1",
    rule="tried",
    anchor=Identity("//bank.example/core", "transfer", "p1"),
    anchor_at_us=0,
    key="somebody",
    person="somebody",
    money=None,
    state="raised",
    severity="low",
    action="warn",
    score=40,
    raised_at_us=0,
    record=1,
    settles_at_us=10,
)


def some(names: str) -> Set:
    return frozenset(CLAUSES[name] for name in names)


class World:
    """What the alert comes to: it is there if a set of clauses is, and scores by others.

    `needs` are sets one of which it takes, `adds` what clauses add to the score; `refused` are
    clauses that make no rule without the one before them.
    """

    def __init__(
        self,
        number: int,
        needs: Collection[str] = ("",),
        adds: dict[str, int] | None = None,
        refused: str = "",
    ) -> None:
        self._needs = [some(names) for names in needs]
        self._adds = {CLAUSES[name]: score for name, score in (adds or {}).items()}
        self._refused = {CLAUSES[n]: CLAUSES[NAMES[NAMES.index(n) - 1]] for n in refused}
        self.asked = 0
        self.trial = Trial([CLAUSES[n] for n in NAMES[:number]], self.is_rule_set)

    def is_rule_set(self, taken: Set) -> bool:
        """Tell whether no clause lacks what it cannot stand without."""
        return all(taken >= {c, before} or c not in taken for c, before in self._refused.items())

    def standing(self, taken: Set) -> Standing | None:
        """Return how the alert stands with some clauses."""
        score = 40 + sum(self._adds.get(clause, 0) for clause in taken)
        there = any(taken >= needed for needed in self._needs)
        return replace(FIRST, score=score) if there else None

    def tried(self) -> list[Difference]:
        """Try what is asked for, and return the differences."""
        for sets_of in (self.trial.first_sets, self.trial.further_sets):
            for taken in sets_of():
                assert self.is_rule_set(taken)
                self.asked += 1
                standing = self.standing(taken)
                self.trial.known[taken] = {} if standing is None else {"a1": standing}
        return self.trial.differences()


def causes(world: World) -> list[tuple[tuple[str, ...], list[str], bool]]:
    (difference,) = world.tried()
    return [
        (
            cause.aspects,
            ["".join(clause.what for clause in clauses) for clauses in cause.sets],
            cause.smallest,
        )
        for cause in difference.causes
    ]


def test_one_clause_does_it_alone() -> None:
    assert causes(World(3, ["b"])) == [(("alert",), ["b"], True)]


def test_each_of_two_clauses_would_do() -> None:
    assert causes(World(3, ["a", "c"])) == [(("alert",), ["a", "c"], True)]


def test_two_clauses_do_it_together() -> None:
    assert causes(World(4, ["bd"])) == [(("alert",), ["bd"], True)]


def test_three_clauses_do_it_together_and_no_pair_does() -> None:
    assert causes(World(5, ["abd"])) == [(("alert",), ["abd"], True)]


def test_four_clauses_are_the_fewest_that_were_tried() -> None:
    assert causes(World(5, ["abde"])) == [(("alert",), ["abde"], False)]


def test_what_needs_another_clause_is_tried_with_it() -> None:
    world = World(3, ["c"], refused="c")
    assert world.trial.first_sets()[2:5] == [some("a"), some("b"), some("bc")]
    assert causes(world) == [(("alert",), ["bc"], True)]


def test_what_no_two_more_make_a_rule_of_is_tried_only_with_all() -> None:
    world = World(5, ["e"], refused="bcde")
    assert causes(world) == [(("alert",), ["abcde"], False)]


def test_parts_of_a_change_have_causes_of_their_own() -> None:
    world = World(3, adds={"a": 5, "b": 10})
    assert causes(world) == [(("score",), ["ab"], True)]
    (difference,) = world.trial.differences()
    assert difference.kind == "changed"
    assert difference.causes[0].undone_by == (CLAUSES["a"], CLAUSES["b"])
    assert difference.clauses == (CLAUSES["a"], CLAUSES["b"])


def test_what_changes_for_one_reason_is_told_once() -> None:
    trial = Trial([CLAUSES["a"]], lambda _: True)
    later = replace(FIRST, score=50, action="hold", record=3)
    assert trial.first_sets() == [frozenset(), trial.all]
    trial.known = {frozenset(): {"a1": FIRST}, trial.all: {"a1": later}}
    (cause,) = trial.differences()[0].causes
    assert cause.aspects == ("action", "score", "raised")


def test_sides_that_are_alike_need_no_further_trial() -> None:
    trial = Trial([CLAUSES["a"], CLAUSES["b"]], lambda _: True)
    trial.known = {taken: {"a1": FIRST} for taken in trial.first_sets()}
    assert trial.further_sets() == []
    assert trial.differences() == []


SETS = st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=3)


@given(SETS)
def test_every_difference_has_a_cause_and_what_is_called_the_smallest_is(
    needs: list[set[str]],
) -> None:
    world = World(5, ["".join(sorted(each)) for each in needs])
    (difference,) = world.tried()
    (cause,) = difference.causes
    least = min(len(each) for each in needs)
    for clauses in cause.sets:
        assert world.standing(frozenset(clauses)) is not None
        assert len(clauses) == least or not cause.smallest
    if cause.smallest and least <= 2:
        every = [frozenset(c) for c in combinations(CLAUSES.values(), least)]
        enough = {each for each in every if world.standing(each) is not None}
        assert {frozenset(clauses) for clauses in cause.sets} == enough


def test_of_many_causes_the_first_are_told() -> None:
    sets = tuple((CLAUSES[name],) for name in NAMES)
    told = because(Cause(("alert",), sets, (), smallest=True), "lost")
    places = [f"by {name} (new/tried.yaml:{line}:1)" for line, name in enumerate("abc", 1)]
    assert told == f"{', or '.join(places)}, or by 2 more such sets"
    told = because(Cause(("raised", "score"), sets[:1], (), smallest=False), "changed")
    assert told == (
        "first raised, score by a (new/tried.yaml:1:1); whether fewer would do was not tried out"
    )


def test_a_page_without_notes_has_no_heading_for_them() -> None:
    page = difference_page(DifferenceReport("old", "new", (), (), 0, 0, ()))
    assert "<h2>Notes</h2>" not in page


def test_of_many_clauses_not_every_two_are_tried() -> None:
    clauses = [
        Clause("tried", f"c{n}", "1", "2", "new/tried.yaml", Place(n, 1)) for n in range(13)
    ]
    trial = Trial(clauses, lambda _: True)
    trial.known = {taken: {} for taken in trial.first_sets()}
    trial.known[trial.all] = {"a1": FIRST}
    assert trial.further_sets() == []
    (cause,) = trial.differences()[0].causes
    assert (len(cause.sets[0]), cause.smallest) == (13, False)
