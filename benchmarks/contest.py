"""A contest: every entry once a round, in turn, so that a slow minute of the machine hits all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.field import Entry, Match
from benchmarks.measure import Run, RunFailedError, Took, measure


@dataclass(frozen=True)
class Discipline:
    """What is measured: the entries, all on one log, and the matches that are right.

    `events` is how many records the log has.
    """

    title: str
    events: int
    truth: frozenset[Match]
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Result:
    """What an entry came to: what it took, or in one sentence why there is no figure."""

    entry: Entry
    took: Took | None
    found: int
    why_not: str | None = None

    @property
    def name(self) -> str:
        """The contender's name with what it was told besides."""
        return " ".join((self.entry.name, *self.entry.flags))


def compete(
    disciplines: Sequence[Discipline], rounds: int, say: Callable[[str], None]
) -> Sequence[Sequence[Result]]:
    """Run all entries of all disciplines for some rounds; return the results of each discipline.

    An entry that fails, or finds other matches than the true ones, takes no further part.
    """
    contests = [[_Contest(d, entry) for entry in d.entries] for d in disciplines]
    for number in range(1, rounds + 1):
        for contest in (one for discipline in contests for one in discipline):
            contest.run()
            say(f"round {number} of {rounds}: {contest.told()}")
    return [[one.result() for one in discipline] for discipline in contests]


class _Contest:
    """One entry's way through the rounds."""

    def __init__(self, discipline: Discipline, entry: Entry) -> None:
        self._discipline = discipline
        self._entry = entry
        self._runs: list[Run] = []
        missing = entry.missing()
        self._why_not = f"not there ({missing})" if missing else None
        self._found = 0

    def run(self) -> None:
        if self._why_not is not None:
            return
        with TemporaryDirectory() as folder:
            out = Path(folder) / "matches"
            try:
                self._runs.append(measure(self._entry.command(out)))
            except RunFailedError as error:
                self._why_not = f"failed: {error}"
                return
            self._judge(self._entry.matches(out))

    def _judge(self, found: frozenset[Match]) -> None:
        self._found = len(found)
        if self._entry.name == "floor" or found == self._discipline.truth:
            return
        lost, false = len(self._discipline.truth - found), len(found - self._discipline.truth)
        self._why_not = f"WRONG: {lost:,} lost, {false:,} false"

    def told(self) -> str:
        took = f"{self._runs[-1].seconds:.2f} s" if self._runs else ""
        return f"{self._discipline.title}, {self._entry.name}: {self._why_not or took}"

    def result(self) -> Result:
        took = None if self._why_not else Took(self._runs)
        return Result(self._entry, took, self._found, self._why_not)
