"""An epoch: one run of one rule set over one roster, and the names it has on the bus."""

import hashlib
import hmac
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rules.rule import RuleSet
from rules.watermark import NEVER_US, Partition
from streams.failures import OutsideFailure
from streams.wire.facts import FORMAT

_SPAN: Final = 2**40
"""The epoch's number stands above the offset in every revision: a later epoch's are greater."""
_ALERTS_FEED: Final = "alerts"
"""What the first stage is called as a feed of the second: its partitions are its facts log's."""


@dataclass(frozen=True)
class FactsTopic:
    """The facts log of one stage, and the feeds whose marks lie in it, with their partitions.

    `number` is the epoch's.
    """

    name: str
    size: int
    roster: Mapping[str, int]
    number: int

    @property
    def feed_partitions(self) -> tuple[Partition, ...]:
        """The partitions of the feeds, in ascending order."""
        return partitions_of(self.roster)

    def revision_at(self, offset: int) -> int:
        """Return the revision of what the row at an offset causes."""
        return first_revision(self.number) + offset

    def partition_of(self, key: bytes) -> int:
        """Return the partition that all facts of a key lie in."""
        # Not Kafka's own hash: in Python that one takes as long as writing the fact.
        return zlib.crc32(key) % self.size

    def check_spread(self, committed: int) -> None:
        """Make sure that keys are spread over the log as they were when it was committed.

        Raises:
            OutsideFailure: The number of its partitions has been changed.
        """
        if committed != self.size:
            raise OutsideFailure(
                f'topic "{self.name}" has {self.size} partitions, and its committed state was'
                f" made with {committed}; delete the topic and the group to begin anew"
            )


@dataclass(frozen=True)
class Epoch:
    """An epoch, its names on the bus, and the size of its facts logs, which is the same for both.

    `roster` is the number of partitions of each outside topic. Without rules that read alerts
    there is no second facts log. `starts` are the offsets at which the group begins to read
    outside partitions, where they have been set; from them on, all events that start at
    `since_us` or later are there.
    """

    digest: str
    roster: Mapping[str, int]
    facts_topic: str
    facts_partitions: int
    group: str
    alerts_topic: str
    facts2_topic: str | None = None
    number: int = 1
    since_us: int = NEVER_US
    starts: Mapping[Partition, int] = field(default_factory=dict)

    @property
    def first(self) -> FactsTopic:
        """The facts log of the rules on outside events."""
        return FactsTopic(self.facts_topic, self.facts_partitions, self.roster, self.number)

    @property
    def second(self) -> FactsTopic | None:
        """The facts log of the rules on alerts."""
        if self.facts2_topic is None:
            return None
        roster = {_ALERTS_FEED: self.facts_partitions}
        return FactsTopic(self.facts2_topic, self.facts_partitions, roster, self.number)

    @property
    def facts_logs(self) -> tuple[FactsTopic, ...]:
        """The facts log of each stage."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of partitions of every topic that a worker reads."""
        return {**self.roster, **{log.name: log.size for log in self.facts_logs}}


def partitions_of(roster: Mapping[str, int]) -> tuple[Partition, ...]:
    """Return every partition of a roster, in ascending order."""
    return tuple((topic, n) for topic in sorted(roster) for n in range(roster[topic]))


def first_revision(number: int) -> int:
    """Return the least revision of an epoch: greater than all of those before it."""
    return number * _SPAN


def offset_of(revision: int) -> int:
    """Return the offset in the facts log of the row that caused a revision."""
    return revision % _SPAN


def digest8(
    rule_set: RuleSet,
    *,
    pseudonym_key: bytes,
    roster: Mapping[str, int],
    withheld_values: Iterable[str],
) -> str:
    """Return the digest that tells an epoch from every other that could not read its facts.

    Args:
        rule_set: the effective rules and their flood limit; their digests count, and their order
            does not.
        pseudonym_key: only a fingerprint of it goes in.
        roster: the number of partitions of each outside topic.
        withheld_values: the texts that count as no caller, in any order.
    """
    told = {
        "rules": sorted([rule.id, rule.digest] for rule in rule_set.rules),
        "key": hmac.digest(pseudonym_key, b"ringfence epoch", "sha256").hex(),
        "format": FORMAT,
        "roster": dict(roster),
        "caps": [rule_set.max_history],
        "withheld": sorted(set(withheld_values)),
    }
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:8]
