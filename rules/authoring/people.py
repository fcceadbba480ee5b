"""How many people were seen on the call side, on the bank's, and on both."""

from collections.abc import Callable, Mapping

_EVERYBODY = "\U0010ffff" * 2
"""Comes after every text that can name a person."""


Sample = tuple[str, int, tuple[str, ...]]
"""What a side holds: before which text, at what scale, and whom."""


class Side:
    """The people of one side: all of them, or of many those whose text comes before `below`.

    Whoever takes note of a person calls `add` if the text comes before `below`; `thin` is to be
    called now and then. Each time more than `most` are held, the upper half goes and its texts
    count no longer: an even sample, made without chance, from which the number is estimated.
    """

    __slots__ = ("_most", "_scale", "add", "below", "held")

    def __init__(self, most: int) -> None:
        self.held: set[str] = set()
        self.add = self.held.add
        self.below = _EVERYBODY
        self._most = most
        self._scale = 1

    def thin(self) -> None:
        """Halve the sample until it is no longer too large."""
        while len(self.held) > self._most:
            people = sorted(self.held)
            middle = len(people) // 2
            self.below = people[middle]
            self.held.difference_update(people[middle:])
            self._scale *= 2

    def clear(self) -> None:
        """Begin anew."""
        self.held.clear()
        self.below, self._scale = _EVERYBODY, 1

    def sample(self) -> Sample:
        """Return what is held, for another side to take over."""
        return self.below, self._scale, tuple(self.held)

    def take(self, sample: Sample) -> None:
        """Take over what another side of the same kind has met."""
        below, scale, people = sample
        if below < self.below:
            self.below, self._scale = below, max(scale, self._scale)
            self.held.difference_update([p for p in self.held if p >= below])
        self.held.update([p for p in people if p < self.below])
        self.thin()

    def count(self) -> int:
        """Return how many people there are, about if there are many."""
        return len(self.held) * self._scale

    @property
    def is_sample(self) -> bool:
        """Whether not everybody is held any more."""
        return self._scale > 1


class People:
    """The people of both sides, in bounded memory.

    `comparable` gives the text that all writings of one person have in common.
    """

    def __init__(self, comparable: Callable[[str], str], most: int = 8_192) -> None:
        self._comparable = comparable
        self._most = most
        self.sides = {"calls": Side(most), "bank": Side(most)}

    def thin(self) -> None:
        """Keep memory bounded; to be called every few thousand records."""
        for side in self.sides.values():
            side.thin()

    def clear(self) -> None:
        """Begin anew."""
        for side in self.sides.values():
            side.clear()

    def samples(self) -> dict[str, Sample]:
        """Return what both sides hold, for others to take over."""
        return {name: side.sample() for name, side in self.sides.items()}

    def take(self, samples: Mapping[str, Sample]) -> None:
        """Take over what others have met."""
        for name, sample in samples.items():
            self.sides[name].take(sample)

    def copy(self) -> "People":
        """Return the same people, for whoever counts them while more come."""
        copied = People(self._comparable, self._most)
        copied.take(self.samples())
        return copied

    def note(self, side: str, person: str) -> None:
        """Take note of one record's person."""
        held = self.sides[side]
        if person < held.below:
            held.add(person)

    def counts(self) -> tuple[int, int, int]:
        """Return how many were seen on the call side, on the bank's, and on both."""
        calls, bank = self.sides["calls"], self.sides["bank"]
        below = min(calls.below, bank.below)
        first, second = ({p for p in side.held if p < below} for side in (calls, bank))
        alike = {self._comparable(p) for p in first} & {self._comparable(p) for p in second}
        sampled = len(first) + len(second)
        if not sampled or not (calls.is_sample or bank.is_sample):
            return calls.count(), bank.count(), len(alike)
        scale = (calls.count() + bank.count()) / sampled
        return calls.count(), bank.count(), round(len(alike) * scale)

    @property
    def is_sample(self) -> bool:
        """Whether the counts are estimates."""
        return any(side.is_sample for side in self.sides.values())


def people_sentence(calls: int, bank: int, both: int, *, about: bool = False) -> str:
    """Return counts of people in one sentence, which warns where both sides never meet."""
    roughly = "about " if about else ""
    said = f"people: {roughly}{calls:,} with calls, {bank:,} with a bank, {both:,} with both"
    if calls and bank and not both:
        return f"{said}; the two sides do not name people alike"
    return said
