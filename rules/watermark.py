"""How far event time has come: in one feed partition, and in all of them together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NEVER_US = -(2**63)
END_US = 2**63 - 1

Partition = tuple[str, int]


@dataclass(slots=True)
class FeedClock:
    """The watermark of one feed partition: the greatest time in it, less its lateness."""

    lateness_us: int
    watermark_us: int = NEVER_US

    def is_late(self, time_us: int) -> bool:
        """Tell whether a record of this time is older than the watermark as it stands."""
        return time_us < self.watermark_us

    def observe(self, time_us: int) -> None:
        """Take note of a record's time; the watermark never goes back."""
        self.raise_to(time_us - self.lateness_us)

    def raise_to(self, watermark_us: int) -> None:
        """Raise the watermark outright, as a heartbeat does; lower values are ignored."""
        self.watermark_us = max(self.watermark_us, watermark_us)


class Watermarks:
    """The watermarks of all feed partitions of a roster, and the least of them.

    A partition of the roster that has not been heard yet holds the minimum at `NEVER_US`.
    """

    def __init__(self, roster: Iterable[Partition]) -> None:
        self._by_partition: dict[Partition, int] = dict.fromkeys(roster, NEVER_US)
        self.minimum_us = NEVER_US

    def raise_to(self, partition: Partition, watermark_us: int) -> bool:
        """Raise one partition's watermark; tell whether the minimum went up with it."""
        # A partition first met now starts at the minimum: it must not take back what has been
        # judged final, and the mapping must say all, for a restart begins from it alone.
        held_us = self._by_partition.setdefault(partition, self.minimum_us)
        if watermark_us <= held_us:
            return False
        self._by_partition[partition] = watermark_us
        if held_us > self.minimum_us:
            return False
        before_us, self.minimum_us = self.minimum_us, min(self._by_partition.values())
        return self.minimum_us > before_us

    def behind(self, moment_us: int) -> list[str]:
        """Return the feeds, in order, some partition of which has not passed this moment."""
        return sorted({p[0] for p, held_us in self._by_partition.items() if held_us <= moment_us})

    def as_mapping(self) -> Mapping[Partition, int]:
        """Return each partition's watermark, to be kept with a commit."""
        return dict(self._by_partition)
