"""An epoch: one run of one rule set over one roster, and the names it has on the bus."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from rules.rule import RuleSet
from rules.watermark import Partition
from streams.failures import OutsideFailure
from streams.wire.facts import FORMAT

NUMBER: Final = 1
"""Stands above the offset in every revision, so that a later epoch's revisions are greater."""
_SPAN: Final = 2**40


@dataclass(frozen=True)
class Epoch:
    """An epoch, its names on the bus, and the size of its facts log.

    `roster` is the number of partitions of each outside topic.
    """

    digest: str
    roster: Mapping[str, int]
    facts_topic: str
    facts_partitions: int
    group: str

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The outside partitions in ascending order."""
        return partitions_of(self.roster)

    def check_spread(self, committed: int) -> None:
        """Make sure that keys are spread over the facts log as they were when it was committed.

        Raises:
            OutsideFailure: The number of its partitions has been changed.
        """
        if committed != self.facts_partitions:
            raise OutsideFailure(
                f'topic "{self.facts_topic}" has {self.facts_partitions} partitions, and its'
                f" committed state was made with {committed}; delete the topic and the group"
                f' "{self.group}" to begin anew'
            )


def partitions_of(roster: Mapping[str, int]) -> tuple[Partition, ...]:
    """Return every partition of a roster, in ascending order."""
    return tuple((topic, n) for topic in sorted(roster) for n in range(roster[topic]))


def revision_at(offset: int) -> int:
    """Return the revision of what the row at an offset of the facts log causes."""
    return NUMBER * _SPAN + offset


def offset_of(revision: int) -> int:
    """Return the offset in the facts log of the row that caused a revision."""
    return revision % _SPAN


def digest8(
    rule_set: RuleSet,
    *,
    pseudonym_key: bytes,
    roster: Mapping[str, int],
    withheld_values: Iterable[str],
    caps: Sequence[int] = (),
) -> str:
    """Return the digest that tells an epoch from every other that could not read its facts.

    Args:
        rule_set: the effective rules; their digests count, and their order does not.
        pseudonym_key: only a fingerprint of it goes in.
        roster: the number of partitions of each outside topic.
        withheld_values: the texts that count as no caller, in any order.
        caps: the engine's flood limits.
    """
    told = {
        "rules": sorted([rule.id, rule.digest] for rule in rule_set.rules),
        "key": hmac.digest(pseudonym_key, b"ringfence epoch", "sha256").hex(),
        "format": FORMAT,
        "roster": dict(roster),
        "caps": list(caps),
        "withheld": sorted(set(withheld_values)),
    }
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:8]
