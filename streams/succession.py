"""Which epochs there are and which follows which, as the epochs topic tells it.

Each record of that topic is all of it, one version after the other. Whoever changes it appends
the version that follows the one they have read; of two records with one version the first counts.
So whatever two commands do at the same moment, one of them has changed nothing, and can see that.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from rules.language import load_rules, read_overrides
from rules.rule import RuleSet
from rules.timing import MAX_HISTORY, Timing
from rules.watermark import NEVER_US, Partition
from streams.epoch import Epoch
from streams.failures import OutsideFailure, UsageFailure

State = Literal["current", "shadow", "promoting", "leaving", "retired"]
"""What an epoch is: the one whose alerts count; one beside it, with alerts of its own; one that
is about to take its place; one that has been followed, and whose open alerts are not closed yet;
one that is over."""

_STORIES: Final = "\nstories:\n"
_WORKERS: Final = (
    'start an epoch with these by "ringfence switch", or give the worker those of the one that'
    " runs"
)


class WrittenRules(msgspec.Struct, frozen=True):
    """Rules as their author wrote them, without stories, and all that they depend on."""

    files: dict[str, str]
    params: tuple[str, str] | None
    settle_us: int
    open_for_us: int
    timezone: str
    settle_by_type_us: dict[str, int]
    max_history: int = MAX_HISTORY

    @property
    def timing(self) -> Timing:
        """The durations that the rules share."""
        return Timing(
            settle_us=self.settle_us,
            open_for_us=self.open_for_us,
            timezone=self.timezone,
            settle_by_type_us=self.settle_by_type_us,
            max_history=self.max_history,
        )

    def load(self) -> RuleSet:
        """Return the rules.

        Raises:
            ExceptionGroup: This release reads them no more.
        """
        given = None if self.params is None else read_overrides(*self.params)
        return load_rules(self.files, self.timing, given)


def write_rules(
    files: Mapping[str, str], params: tuple[str, str] | None, timing: Timing
) -> WrittenRules:
    """Return rules as they can be kept."""
    return WrittenRules(
        # Stories may tell of real cases, and no engine reads them.
        files={name: text.partition(_STORIES)[0] + "\n" for name, text in files.items()},
        params=params,
        settle_us=timing.settle_us,
        open_for_us=timing.open_for_us,
        timezone=timing.timezone,
        settle_by_type_us=dict(timing.settle_by_type_us),
        max_history=timing.max_history,
    )


class Entry(msgspec.Struct, frozen=True):
    """One epoch: its names on the bus, where it begins, and what it is.

    Attributes:
        since_us: From this moment on every event is in its logs; None for all that there is.
        starts: Topic, partition and offset at which it begins to read; elsewhere at the first.
        reach_us: How far before an anchor the events can lie that count for its rules.
        settled_us: How long after an anchor's start the last alert about it becomes final.
        shadow_topic: Where its alerts went, or go, while it is a shadow.
        rules: What its engine is made of, until it is retired.
        ends: Topic, partition and offset at which its facts logs end, once its group is empty.
    """

    number: int
    digest: str
    state: State
    roster: dict[str, int]
    facts_topic: str
    facts2_topic: str | None
    group: str
    alerts_topic: str
    since_us: int | None
    starts: list[tuple[str, int, int]]
    reach_us: int
    settled_us: int
    shadow_topic: str | None = None
    rules: WrittenRules | None = None
    ends: list[tuple[str, int, int]] | None = None

    def epoch(self, sizes: Mapping[str, int]) -> Epoch:
        """Return the epoch; as a shadow it writes alerts to a topic of its own.

        Args:
            sizes: the number of partitions of its facts logs, as they are.
        """
        is_shadow = self.state == "shadow"
        return Epoch(
            digest=self.digest,
            roster=self.roster,
            facts_topic=self.facts_topic,
            facts_partitions=sizes.get(self.facts_topic, 0),
            group=self.group,
            alerts_topic=self.shadow_topic or "" if is_shadow else self.alerts_topic,
            facts2_topic=self.facts2_topic,
            number=self.number,
            since_us=NEVER_US if self.since_us is None else self.since_us,
            starts={(topic, n): offset for topic, n, offset in self.starts},
        )

    @property
    def end_of(self) -> Mapping[Partition, int]:
        """Where its facts logs end; empty until that is known."""
        return {(topic, n): offset for topic, n, offset in self.ends or ()}


class Succession(msgspec.Struct, frozen=True):
    """All epochs so far, by number in ascending order."""

    version: int = 0
    epochs: tuple[Entry, ...] = ()

    def with_state(self, *states: State) -> Sequence[Entry]:
        """Return the epochs that are one of these."""
        return [entry for entry in self.epochs if entry.state in states]

    @property
    def current(self) -> Entry | None:
        """The epoch whose alerts count; None before the first."""
        return next(iter(self.with_state("current")), None)

    @property
    def beside(self) -> Entry | None:
        """The shadow, also while it is being promoted, if there is one."""
        return next(iter(self.with_state("shadow", "promoting")), None)

    @property
    def next_number(self) -> int:
        """The number of the epoch to come."""
        return len(self.epochs) + 1

    def entry_of(self, number: int) -> Entry:
        """Return an epoch by its number."""
        return self.epochs[number - 1]

    def running(self, digest: str) -> Entry | None:
        """Return the epoch for which workers with this digest work now, if there is one."""
        return next((e for e in self.with_state("current", "shadow") if e.digest == digest), None)

    def follow(self, entry: Entry) -> "Succession":
        """Return what is when an epoch takes the place of the current one."""
        left = self._each(lambda e: _stated(e, "leaving") if e.state == "current" else e)
        return left.add(entry)

    def add(self, entry: Entry) -> "Succession":
        """Return what is when an epoch is put beside those there are."""
        return Succession(self.version, (*self.epochs, entry))

    def drop(self) -> "Succession":
        """Return what is when there is no shadow any more."""
        return self._each(lambda e: _retired(e) if e.state in ("shadow", "promoting") else e)

    def promote(self) -> "Succession":
        """Return what is when the shadow's workers have to stop, for its alerts to be moved."""
        return self._each(lambda e: _stated(e, "promoting") if e.state == "shadow" else e)

    def enthrone(self) -> "Succession":
        """Return what is when the promoted epoch takes the place of the current one."""
        after: dict[State, State] = {"promoting": "current", "current": "leaving"}
        return self._each(lambda e: _stated(e, after.get(e.state, e.state)))

    def end(self, number: int, ends: Mapping[Partition, int]) -> "Succession":
        """Return what is when it is known where the facts logs of an epoch end."""
        listed = [(topic, n, offset) for (topic, n), offset in sorted(ends.items())]
        return self._each(
            lambda e: msgspec.structs.replace(e, ends=listed) if e.number == number else e
        )

    def retire(self) -> "Succession":
        """Return what is when the open alerts of those who are leaving have been closed."""
        return self._each(lambda e: _retired(e) if e.state == "leaving" else e)

    def _each(self, change: Callable[[Entry], Entry]) -> "Succession":
        return Succession(self.version, tuple(map(change, self.epochs)))


def _stated(entry: Entry, state: State) -> Entry:
    return msgspec.structs.replace(entry, state=state)


def _retired(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, state="retired", rules=None)


def refusal(succession: Succession, digest: str, remedy: str = _WORKERS) -> UsageFailure:
    """Return why nobody runs with this digest, and what to do."""
    found = next((e for e in reversed(succession.epochs) if e.digest == digest), None)
    current = succession.current
    runs = (
        "no epoch runs" if current is None else f"epoch {current.number} ({current.digest}) runs"
    )
    if found is None:
        return UsageFailure(
            f"{runs}, and these rules, topics and key make another one ({digest}); {remedy}"
        )
    if found.state == "promoting":
        return UsageFailure(
            f"epoch {found.number} ({digest}) is being promoted and {runs}; run"
            ' "ringfence switch --promote" to its end'
        )
    return UsageFailure(f"epoch {found.number} ({digest}) is over and {runs}; {remedy}")


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(Succession).decode


def encode_succession(succession: Succession) -> bytes:
    """Return the record of a version, the same bytes for the same version."""
    return _encode(succession)


def fold(succession: Succession, value: bytes | None) -> Succession:
    """Return what is after one more record of the epochs topic: one out of turn changes nothing.

    Raises:
        OutsideFailure: No ringfence of this release wrote it.
    """
    try:
        told = _decode(value or b"")
    except msgspec.MsgspecError as error:
        raise OutsideFailure(
            "the epochs topic holds a record that no ringfence of this release wrote; use the"
            " release that wrote it, or one that is newer"
        ) from error
    return told if told.version == succession.version + 1 else succession
