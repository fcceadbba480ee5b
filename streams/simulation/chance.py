"""Seeded chance: the same draws for the same seed, on every machine and in every Python."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws that rest on `random()` alone.

    Python promises the sequence of that one for a seed; those of `choice`, `shuffle` and the
    like have changed between its versions, and logarithms differ between machines.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a town wants repeatable draws, not secret ones

    def share(self) -> float:
        """Return a number of at least 0 and below 1."""
        return self._random.random()

    def happens(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.share() < probability

    def between(self, least: int, greatest: int) -> int:
        """Return a whole number between two, both included."""
        return least + int(self.share() * (greatest - least + 1))

    def small(self, least: int, greatest: int, skew: int = 3) -> int:
        """Return a whole number between two, the smaller the greater `skew`: 1 favours none."""
        share = self.share()
        of_range = 1.0
        for _ in range(skew):
            of_range *= share
        return least + int(of_range * (greatest - least + 1))

    def among(self, options: Sequence[T]) -> T:
        """Return one of the options, each as likely as the others."""
        return options[self.between(0, len(options) - 1)]
