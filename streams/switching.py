"""What `ringfence switch` does: start an epoch beside the current one or in its place, and end it.

Every step is on record in the epochs topic before the next one begins, and doing a step again
changes nothing: whoever is interrupted, or runs out of patience, runs the command again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from rules.moment import format_moment
from rules.rule import RuleSet
from rules.watermark import NEVER_US
from streams.beginnings import begin_since
from streams.comparing import Window, compared
from streams.endings import (
    Left,
    batches,
    closings,
    ended_early,
    ends_of,
    last_records,
    left_by,
    moved,
)
from streams.epoch import Epoch, first_revision, partitions_of
from streams.failures import OutsideFailure, UsageFailure
from streams.following import Deadline, Say, minimum_of, until_caught_up, watermark_of
from streams.joining import begun_at
from streams.operating import Broker
from streams.outbox import Message
from streams.settings import Settings
from streams.succession import Entry, Succession
from streams.topics import digest_of, make_entry, roster_of

_AGAIN: Final = "run the command again to go on"


class UnfinishedError(OutsideFailure):
    """What was asked for has begun, and waits for workers."""


@dataclass
class Switch:
    """The command with what it needs: a broker, the epochs as they are, whom to tell.

    `patience_s` is how long to wait for workers, in seconds.
    """

    settings: Settings
    broker: Broker
    succession: Succession
    say: Say
    patience_s: float

    @property
    def current(self) -> Entry:
        """The epoch whose alerts count.

        Raises:
            UsageFailure: There is none yet.
        """
        if self.succession.current is None:
            raise UsageFailure(
                "no epoch runs yet, so there is nothing to switch: the first worker begins the"
                ' first one, start it with "ringfence worker"'
            )
        return self.succession.current

    @property
    def leaving(self) -> Sequence[Entry]:
        """The epochs whose open alerts are not closed yet, the latest first."""
        return self.succession.with_state("leaving")[::-1]

    async def epoch(self, entry: Entry) -> Epoch:
        """Return an epoch with its facts logs as they are."""
        return entry.epoch(await self.broker.topic_sizes())

    async def change(self, succession: Succession) -> None:
        """Put on record what a step has come to."""
        self.succession = await self.broker.write_succession(succession)

    async def start(self, rule_set: RuleSet, *, shadow: bool) -> None:
        """Start an epoch with these rules, in place of the current one or beside it.

        Raises:
            UsageFailure: There is one beside it already, or nothing is new about this one.
        """
        current, beside = self.current, self.succession.beside
        roster = roster_of(self.settings, await self.broker.topic_sizes())
        digest = digest_of(self.settings, rule_set, roster)
        if beside is not None:
            if shadow and beside.digest == digest and beside.state == "shadow":
                self.say(f"epoch {beside.number} ({digest}) is the shadow already")
                return
            raise UsageFailure(_beside(beside, is_same=beside.digest == digest))
        if current.digest == digest:
            if shadow:
                raise UsageFailure(
                    f"epoch {current.number} has these rules, topics and key already, and a"
                    " shadow of the same would say the same; change the rules first"
                )
            left = ", but what was open before it is still to be ended" if self.leaving else ""
            self.say(
                f"epoch {current.number} has these rules, topics and key: nothing to switch{left}"
            )
            return
        entry = make_entry(
            self.settings,
            rule_set,
            roster,
            self.succession,
            state="shadow" if shadow else "current",
        )
        entry = await self._begun(rule_set, entry)
        await self.broker.make_topics(entry, rule_set, current.facts_topic)
        after = self.succession.add(entry) if shadow else self.succession.follow(entry)
        await self.change(after)
        what = "runs as a shadow" if shadow else "is current"
        self.say(f"epoch {entry.number} ({digest}) {what}: start workers with its rules")

    async def _begun(self, rule_set: RuleSet, entry: Entry) -> Entry:
        """Return an entry with where it begins: far enough back to judge whatever is open."""
        before = [self.current, *self.leaving]
        reached = [
            await minimum_of(self.settings, self.broker, await self.epoch(e)) for e in before
        ]
        heard = [us for us in reached if us != NEVER_US]
        if not heard:
            # Nothing is open; it begins where the one before it would have.
            starts = [s for s in self.current.starts if s[1] < entry.roster.get(s[0], 0)]
            return msgspec.structs.replace(entry, since_us=self.current.since_us, starts=starts)
        back_us = max(e.reach_us for e in (entry, *before))
        back_us += max(e.settled_us for e in (entry, *before))
        since_us = min(heard) - back_us
        begun = await begin_since(
            self.broker, self.settings, rule_set, partitions_of(entry.roster), since_us
        )
        if begun.since_us > since_us:
            self.say(
                f"warning: retention has left no records of before {format_moment(begun.since_us)}"
                f" everywhere, and this epoch would need them from {format_moment(since_us)} on:"
                " older open alerts end as they stand"
            )
        return begun_at(entry, begun)

    async def drop(self) -> None:
        """Let there be no shadow any more.

        Raises:
            UsageFailure: There is none, or it is being promoted.
        """
        beside = self.succession.beside
        if beside is None:
            raise UsageFailure("there is no shadow to drop")
        if beside.state == "promoting":
            raise UsageFailure(_beside(beside, is_same=True))
        await self.change(self.succession.drop())
        names = [log.name for log in beside.epoch({}).facts_logs]
        self.say(
            f"epoch {beside.number} is over; its topics can be deleted:"
            f" {', '.join([*names, str(beside.shadow_topic)])}"
        )

    async def promote(self) -> None:
        """Make the shadow the current epoch, once it has caught up.

        Raises:
            UsageFailure: There is no shadow.
            UnfinishedError: It is behind, or its workers do not leave.
        """
        shadow, current = self.succession.beside, self.current
        if shadow is None:
            if current.shadow_topic is not None:
                self.say(f"epoch {current.number} ({current.digest}) has been promoted")
                return
            raise UsageFailure('there is no shadow; start one with "ringfence switch --shadow"')
        epoch = await self.epoch(shadow)
        if shadow.state == "shadow":
            leaders = [await self.epoch(current)]
            left = await until_caught_up(self.broker, leaders, epoch, self.deadline())
            if left:
                raise UnfinishedError(await self._not_caught_up(leaders[0], epoch, left))
            await self.change(self.succession.promote())
        await self._until_empty(shadow)
        topic = str(shadow.shadow_topic)
        shadowed = await last_records(self.broker, topic)
        await self._write(moved(shadow, shadowed))
        await self.change(self.succession.enthrone())
        self.say(f"epoch {shadow.number} ({shadow.digest}) is current")

    async def _not_caught_up(self, leader: Epoch, epoch: Epoch, left: int) -> str:
        of_leader = watermark_of(await self.broker.commits(leader.group), leader)
        of_shadow = watermark_of(await self.broker.commits(epoch.group), epoch)
        times = ""
        if NEVER_US not in (of_leader, of_shadow):
            times = (
                f", at {format_moment(of_shadow)} in event time where epoch {leader.number} is at"
                f" {format_moment(of_leader)}"
            )
        return (
            f"epoch {epoch.number} has not caught up: it is {left:,} records behind{times}; let"
            " its workers run, and promote it then"
        )

    async def close(self) -> None:
        """End the alerts that epochs have left open, once the current one has caught up.

        Raises:
            UnfinishedError: Workers of the old do not leave, or those of the new are behind.
        """
        if not self.leaving:
            return
        for entry in self.leaving:
            if entry.ends is None:
                await self._until_empty(entry)
                ends = await ends_of(self.broker, await self.epoch(entry))
                await self.change(self.succession.end(entry.number, ends))
        current = self.current
        leaders = [await self.epoch(entry) for entry in self.leaving]
        epoch = await self.epoch(current)
        left = await until_caught_up(self.broker, leaders, epoch, self.deadline())
        if left:
            raise UnfinishedError(
                f"epoch {current.number} is current and {left:,} records behind; what was open"
                f" before it stays so until its workers have caught up: {_AGAIN}"
            )
        at = first_revision(current.number) - 1
        lefts = [
            await left_by(self.settings, self.broker, entry, old, at)
            for entry, old in zip(self.leaving, leaders, strict=True)
        ]
        await self._close(current, dict(zip([e.number for e in self.leaving], lefts, strict=True)))
        await self.change(self.succession.retire())

    async def _close(self, current: Entry, lefts: Mapping[int, Left]) -> None:
        assert current.rules is not None, "an epoch keeps its rules until it is retired"
        rules = current.rules.load()
        topic = current.shadow_topic
        shadowed = {} if topic is None else await last_records(self.broker, topic)
        for number, left in lefts.items():
            written = await last_records(self.broker, current.alerts_topic)
            entry = self.succession.entry_of(number)
            said = closings(left, entry, current, rules=rules, written=written, shadowed=shadowed)
            ended = await self._write(said) - len(left.unwritten)
            self.say(
                f"epoch {number} is over: of the {len(left.opened)} alerts that it left open"
                f" {ended} were ended, and epoch {current.number} goes on with the others"
            )
        written = await last_records(self.broker, current.alerts_topic)
        reached_us = max(left.reached_us for left in lefts.values())
        await self._write(ended_early(current, reached_us, written=written, shadowed=shadowed))

    async def _until_empty(self, entry: Entry) -> None:
        deadline = self.deadline()
        while members := await self.broker.members(entry.group):
            who = "1 worker has" if members == 1 else f"{members} workers have"
            why = f"epoch {entry.number}: {who} not left yet"
            if not await deadline.allows(why):
                raise UnfinishedError(f"{why}; {_AGAIN}")

    async def _write(self, messages: Iterator[Message]) -> int:
        count = 0
        for batch in batches(messages):
            await self.broker.send(batch)
            count += len(batch)
        return count

    async def compare(self) -> dict[str, Any]:
        """Return what the shadow and the current epoch raise differently, as a JSON object.

        Raises:
            UsageFailure: There is no shadow.
            UnfinishedError: One of them has not come far enough.
        """
        current, shadow = self.current, self.succession.beside
        if shadow is None:
            raise UsageFailure('there is no shadow; start one with "ringfence switch --shadow"')
        reached = [
            watermark_of(await self.broker.commits(e.group), await self.epoch(e))
            for e in (current, shadow)
        ]
        begun = [e.since_us + e.reach_us for e in (current, shadow) if e.since_us is not None]
        window = Window(max(begun, default=NEVER_US), min(reached))
        if window.until_us <= window.from_us:
            raise UnfinishedError(
                "there is nothing to compare yet: the workers of both epochs have to pass"
                f" {'the first record' if not begun else format_moment(window.from_us)}"
            )
        topics = (current.alerts_topic, str(shadow.shadow_topic))
        of_current, of_shadow = [
            window.raised(
                record.value for record in (await last_records(self.broker, topic)).values()
            )
            for topic in topics
        ]
        found = compared(of_current, of_shadow, window)
        return {"current": current.number, "shadow": shadow.number, **found}

    def deadline(self) -> Deadline:
        """Return how long to wait for workers from now on."""
        return Deadline(self.patience_s, self.say)

    async def told(self) -> list[dict[str, Any]]:
        """Return what there is to know of each epoch, as JSON objects."""
        return [await self._told(entry) for entry in self.succession.epochs]

    async def _told(self, entry: Entry) -> dict[str, Any]:
        said: dict[str, Any] = {
            "epoch": entry.number,
            "digest": entry.digest,
            "state": entry.state,
            "since": None if entry.since_us is None else format_moment(entry.since_us),
            "group": entry.group,
            "alerts_topic": entry.epoch({}).alerts_topic,
            "facts_topics": [log.name for log in entry.epoch({}).facts_logs],
        }
        if entry.state == "retired":
            return said
        epoch = await self.epoch(entry)
        watermark_us = watermark_of(await self.broker.commits(entry.group), epoch)
        heard = None if watermark_us == NEVER_US else format_moment(watermark_us)
        return {
            **said,
            "workers": await self.broker.members(entry.group),
            "watermark": heard,
        }


def _beside(beside: Entry, *, is_same: bool) -> str:
    if beside.state == "promoting":
        return (
            f"epoch {beside.number} ({beside.digest}) is being promoted; run"
            ' "ringfence switch --promote" to its end first'
        )
    these = " with these rules" if is_same else ""
    return (
        f"epoch {beside.number} ({beside.digest}){these} runs as a shadow; promote it by"
        ' "ringfence switch --promote" or let it go by "ringfence switch --drop" first'
    )
