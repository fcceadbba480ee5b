"""The intake: reads the partitions that the group gives us, and commits what agents acknowledge.

One task reads everything that is assigned and hands it to the lanes; each lane opens, then puts
one batch after the other on its station's channel; one task commits. What a rebalance does comes
in between as calls of a listener. aiokafka is used by its public names only, and these things of
it (0.14) are why the code is as it is:

* Exceptions of a listener are swallowed, so they are caught here and crash the worker.
* No heartbeat is sent until `on_partitions_assigned` returns: it starts lanes and waits for none.
* `getmany` may return rows of a new assignment to a call that began under the old one, before
  anything is sought: new partitions are paused and given a position before anything is awaited,
  and rows that belong to no open lane are dropped.
* `on_partitions_revoked` never comes when the consumer is stopped: `on_stop` does its work.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import faust
import structlog
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    OffsetOutOfRangeError,
)

from rules.watermark import Partition
from streams.clock import now_us
from streams.closing import LONGEST_END_S, close
from streams.epoch import Epoch
from streams.failures import OutsideFailure
from streams.group import Commits, Listener, Member
from streams.lanes import Lane, LaneStage, Station
from streams.metrics import COMMITS, REFUSED_COMMITS, Key
from streams.quiet import follow_clock
from streams.refusals import why
from streams.settings import Settings

log: Final = structlog.get_logger("ringfence")

_POLL_MS: Final = 200
_COMMIT_EVERY_S: Final = 0.25
_CHECK_EVERY_S: Final = 5.0
_LONGEST_BATCH_S: Final = 300.0
_MOST_HOLES: Final = 5
_STORM: Final = 10
_STORM_S: Final = 60.0
"""Given partitions so often in so many seconds, a worker with a name is not the only one of it."""


class Intake(faust.Service):
    """Feeds the agents of the stations and commits what they have done."""

    def __init__(
        self,
        settings: Settings,
        epoch: Epoch,
        *,
        make_member: Callable[[], Member],
        commits: Commits,
        stations: Mapping[str, Station[Any]],
        clock_us: Callable[[], int] = now_us,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """Prepare an intake.

        Args:
            settings: the worker's.
            epoch: names the topics and the group.
            make_member: makes a member of the group; called in the worker's event loop.
            commits: tells what the group has committed.
            stations: where batches of each topic go.
            clock_us: ingest's clock, by which partitions are quiet.
            kwargs: what every service takes.
        """
        super().__init__(**kwargs)
        self._settings = settings
        self._epoch = epoch
        self._make_member = make_member
        self._commits = commits
        self._stations = stations
        self._clock_us = clock_us
        self.counts: Counter[Key] = Counter()
        self._lanes: dict[Partition, Lane[Any]] = {}
        self._running: dict[Partition, asyncio.Task[None]] = {}
        self._kept: dict[Partition, Any] = {}
        self._is_ready = False
        self._given_at_s: deque[float] = deque(maxlen=_STORM)
        # Revoking and stopping both end all lanes, and must not do so at the same time.
        self._ending = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._member: Member | None = None

    @property
    def member(self) -> Member:
        """The member of the group that this is."""
        assert self._member is not None, "nothing is read before this service has started"
        return self._member

    @property
    def lanes(self) -> Mapping[Partition, Lane[Any]]:
        """The lane of each partition that is ours."""
        return self._lanes

    @property
    def is_ready(self) -> bool:
        """Whether the group has given what it gives, and every lane of it is open."""
        stages = {lane.stage for lane in self._lanes.values()}
        return self._is_ready and stages <= {LaneStage.OPEN}

    async def on_start(self) -> None:
        """Join the group."""
        self._member = self._make_member()
        await self._member.start()
        self._member.subscribe(list(self._stations), listener=Listener(self))

    async def on_stop(self) -> None:
        """Finish the batches that are out, commit, and leave the group."""
        async with self._ending:
            try:
                # After a crash nothing more is committed: what crashed may have been to be done.
                await self._end_lanes(finish=not self.crashed)
            except Exception as error:  # noqa: BLE001 - the worker ends with it
                await self.crash(error)
            if self._member is not None:
                await close("group", self._member.stop())

    # What the group does.

    async def on_revoked(self) -> None:
        """End all lanes: eager rebalancing takes everything before it gives anything."""
        if self.should_stop:
            return
        async with self._ending:
            self._is_ready = False
            await self._end_lanes(finish=True)

    def on_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin a lane for each partition; nothing is awaited here, nothing read before."""
        if self.should_stop:
            return
        self._check_name()
        for place in assigned:
            self.member.pause(place)
            # Any position will do: without one even a paused partition makes reading fail.
            self.member.seek(place, 0)
        for lane in list(self._lanes.values()):
            self._end(lane)
        self._is_ready = False
        partitions = [(place.topic, place.partition) for place in assigned]
        self._kept = {p: self._kept[p] for p in partitions if p in self._kept}
        for partition in partitions:
            self._begin(partition)
        self._tell_ready()

    def _check_name(self) -> None:
        """Make sure that no other worker has this one's name.

        aiokafka 0.14 does not know the broker's error for it: each of the two joins again and
        puts the other out, without end.
        """
        name = self._settings.group_instance_id
        self._given_at_s.append(self._now_s())
        often = len(self._given_at_s) == self._given_at_s.maxlen
        if name and often and self._given_at_s[-1] - self._given_at_s[0] < _STORM_S:
            raise OutsideFailure(
                f'the group gives and takes without end: another worker is "{name}" too;'
                " RINGFENCE_GROUP_INSTANCE_ID has to be another one for each"
            )

    def _begin(self, partition: Partition) -> None:
        contiguous = self._stations[partition[0]].contiguous
        lane: Lane[Any] = Lane(partition, contiguous=contiguous, room=self._settings.held_records)
        lane.state = self._kept.pop(partition, None)
        self._lanes[partition] = lane
        # No future of the service: one that is cancelled before it begins leaves its inner
        # coroutine unawaited, and a lane may be taken away at once.
        self._running[partition] = asyncio.create_task(self._watch(lane))

    # A lane, from its opening to its end.

    async def _watch(self, lane: Lane[Any]) -> None:
        try:
            await self._run(lane)
        except Exception as error:  # noqa: BLE001 - the worker ends with it
            await self.crash(error)

    async def _run(self, lane: Lane[Any]) -> None:
        holes = 0
        while lane.stage is LaneStage.OPENING:
            await self._open(lane)
            before = lane.done
            await self._serve(lane)
            holes = holes + 1 if lane.done == before else 0
            if holes > _MOST_HOLES:
                topic, number = lane.partition
                raise OutsideFailure(
                    f'topic "{topic}" partition {number} has a hole at offset {lane.expected}'
                )

    async def _open(self, lane: Lane[Any]) -> None:
        station = self._stations[lane.partition[0]]
        await self._commit()
        lane.committed = await self._commits.committed(lane.partition)
        opening = await station.open(lane.partition, lane.committed, lane.state)
        if lane.stage is not LaneStage.OPENING:
            return
        lane.open(opening)
        lane.heard_us = self._clock_us()
        place = TopicPartition(*lane.partition)
        self.member.seek(place, opening.offset)
        self.member.resume(place)
        topic, number = lane.partition
        log.info(
            "lane_opened",
            topic=topic,
            partition=number,
            offset=opening.offset,
            rebuilt_rows=opening.rebuilt_rows,
        )
        self._tell_ready()

    def _tell_ready(self) -> None:
        stages = {lane.stage for lane in self._lanes.values()}
        if not self._is_ready and stages <= {LaneStage.OPEN}:
            self._is_ready = True
            log.info("worker_ready", partitions=len(self._lanes), group=self._epoch.group)

    async def _serve(self, lane: Lane[Any]) -> None:
        """Put out one batch after the other until the lane is no longer open."""
        channel = self._stations[lane.partition[0]].channel
        place = TopicPartition(*lane.partition)
        while lane.stage is LaneStage.OPEN or lane.out is not None:
            lane.changed.clear()
            batch = lane.take(self._settings.batch_records, self._now_s())
            if batch is not None:
                await channel.put(batch)
            if lane.stage is LaneStage.OPEN and lane.is_low:
                self.member.resume(place)
            await lane.changed.wait()

    # The tasks.

    @faust.Service.task
    async def _read(self) -> None:
        while not self.should_stop:
            try:
                fetched = await self.member.getmany(timeout_ms=_POLL_MS)
            except OffsetOutOfRangeError as error:
                raise OutsideFailure(_retained_away(error)) from error
            except KafkaError as error:
                raise OutsideFailure(f"reading has failed: {why(error)}") from error
            # Nothing is awaited from here on: a rebalance in between would make rows outlive
            # their lane.
            for place, rows in fetched.items():
                lane = self._lanes.get((place.topic, place.partition))
                if lane is not None:
                    lane.heard_us = self._clock_us()
                if lane is not None and (not lane.hold(rows) or lane.is_full):
                    self.member.pause(place)

    @faust.Service.task
    async def _keep_committing(self) -> None:
        while not self.should_stop:
            await self.sleep(_COMMIT_EVERY_S)
            await self._commit()
            await follow_clock(self._lanes, self._stations, self.member, self._commit)
            for station in {id(s): s for s in self._stations.values()}.values():
                await station.tick()
            for lane in self._lanes.values():
                opened_so_far = self._stations[lane.partition[0]].opened_so_far(lane.partition)
                lane.look(self._now_s(), opened_so_far)
            self._check_for_stuck_batches()

    @faust.Service.task
    async def _keep_checking(self) -> None:
        before: str | None = None
        while not self.should_stop:
            await self.sleep(_CHECK_EVERY_S)
            wrong = await self._commits.topics_changed(self._epoch.sizes)
            # One broker may know of a change later than another, so it has to be seen twice.
            if wrong is not None and wrong == before:
                raise OutsideFailure(wrong)
            before = wrong

    async def _commit(self) -> None:
        async with self._committing:
            waiting = {p: c for p, lane in self._lanes.items() if (c := lane.to_commit())}
            if not waiting:
                return
            lanes = {partition: self._lanes[partition] for partition in waiting}
            try:
                await self.member.commit(
                    {
                        TopicPartition(*partition): OffsetAndMetadata(c.offset, c.metadata)
                        for partition, c in waiting.items()
                    }
                )
            except (CommitFailedError, IllegalStateError) as error:
                # The group has moved on; whoever has the partitions now repeats the work.
                log.info("commit_refused", why=type(error).__name__)
                self.counts[REFUSED_COMMITS.name,] += 1
                return
            except KafkaError as error:
                raise OutsideFailure(f"committing has failed: {why(error)}") from error
            self.counts[COMMITS.name,] += 1
            for partition, commit in waiting.items():
                lanes[partition].committed = commit

    def _check_for_stuck_batches(self) -> None:
        for lane in self._lanes.values():
            if lane.out is not None and self._now_s() - lane.out.put_at_s > _LONGEST_BATCH_S:
                raise RuntimeError(f"a batch of {lane.partition} has been out for too long")

    # The end of lanes.

    async def _end_lanes(self, *, finish: bool) -> None:
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.stop_taking()
        if finish:
            try:
                longest_s = self._settings.session_timeout.total_seconds() / 2
                async with asyncio.timeout(min(longest_s, LONGEST_END_S)):
                    await self._until_nothing_is_out(lanes)
                    await self._commit()
            except TimeoutError:
                log.warning("batches_left_behind", lanes=len([x for x in lanes if x.out]))
        for lane in lanes:
            self._end(lane)

    async def _until_nothing_is_out(self, lanes: Iterable[Lane[Any]]) -> None:
        for lane in lanes:
            while lane.out is not None:
                lane.changed.clear()
                await lane.changed.wait()

    def _end(self, lane: Lane[Any]) -> None:
        state = lane.kill()
        if state is not None:
            self._kept[lane.partition] = state
        self._stations[lane.partition[0]].close(lane.partition)
        self._lanes.pop(lane.partition, None)
        self._running.pop(lane.partition).cancel()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _retained_away(error: OffsetOutOfRangeError) -> str:
    places = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
    where = ", ".join(f"{p.topic} {p.partition} at {offset}" for p, offset in places.items())
    return f"retention has deleted rows not read yet ({where}); see RINGFENCE_START"
