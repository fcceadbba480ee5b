"""How far feed partitions have come, in a form that is quick to compare with."""

from datetime import datetime, timedelta
from typing import Any, Final

from rules.fact import Mark
from rules.moment import LATEST_US, MINUTE_US
from rules.watermark import NEVER_US, FeedClock, Partition
from streams.wire.first_look import EPOCH, MICROSECOND, to_us
from streams.wire.records import FUTURE_LIMIT_US

_STRIDE_US: Final = 10 * MINUTE_US


class Reach:
    """One partition's clock, and the moments up to which its records need no closer look.

    The moments have the offset of the partition's own records, since comparing is quick then.

    Attributes:
        top: The greatest time so far, as the watermark has it: the watermark plus the lateness.
        ceiling: A record above it is to be read whole: it may be of the future, its watermark may
            make an alert final, or it is time to move the ceiling.
        safe: A record from here on that is not above `top` is not late.
        earliest: A start from here on is near enough to the time of its record.
        epoch: The least time there is.
        recorded: What `recordedtime` must at least be, if these records have one.
        is_known: Whether the moments are there; they come with the first record in order.
    """

    __slots__ = (
        "_due_us",
        "_limit_us",
        "_noted",
        "_settle",
        "ceiling",
        "clock",
        "earliest",
        "epoch",
        "is_known",
        "lateness",
        "partition",
        "recorded",
        "safe",
        "top",
    )

    def __init__(self, partition: Partition, clock: FeedClock) -> None:
        self.partition = partition
        self.clock = clock
        self.lateness = clock.lateness_us * MICROSECOND
        self.top = self.ceiling = self.safe = self.earliest = self.epoch = self._noted = EPOCH
        self.recorded: datetime | None = None
        self.is_known = False
        self._limit_us = 0
        self._due_us = NEVER_US
        self._settle = timedelta()

    @property
    def time_us(self) -> int:
        """The greatest time so far in microseconds, as the watermark has it."""
        return max(self.clock.watermark_us + self.clock.lateness_us, to_us(self.top))

    def catch_up(self) -> Mark | None:
        """Bring the clock up to `top`; return the mark of it if it has moved."""
        if self.top is self._noted:
            return None
        self._noted = self.top
        before_us = self.clock.watermark_us
        self.clock.observe(to_us(self.top))
        if self.clock.watermark_us == before_us:
            return None
        return Mark(*self.partition, self.clock.watermark_us)

    def has_room_for(self, record: Any) -> bool:  # noqa: ANN401 - as first looked at
        """Tell whether a record that has been read whole leaves all moments but `top` in place."""
        if not self.is_known or record.time > self.ceiling:
            return False
        if record.time > self.top:
            self.top = self._noted = record.time
        return True

    def follow(self, time: datetime, recorded: datetime | None, now_us: int) -> None:
        """Take the clock as it stands after a record that has been read whole.

        Args:
            time: the record's.
            recorded: its `recordedtime`, where that stands in for the clock.
            now_us: the moment after which a record without it is of the future.
        """
        if self.clock.watermark_us != NEVER_US:
            self.recorded = recorded
            self._limit(now_us if recorded is None else to_us(recorded))
            self.is_known = True
            self._stand_at(time)

    def heed(self, now_us: int) -> None:
        """Take the clock of whoever reads as it stands now: it may even have been set back."""
        self._limit(now_us)
        self.look_ahead(self._due_us, self._settle)

    def _limit(self, now_us: int) -> None:
        self._limit_us = min(now_us + FUTURE_LIMIT_US, LATEST_US)

    def rest(self) -> None:
        """Take the clock as it stands after a record that only reading whole made sense of."""
        if self.is_known:
            self._stand_at(self.top)

    def raise_to(self, watermark_us: int) -> None:
        """Raise the watermark outright, for a reason that is no record."""
        self.catch_up()
        self.clock.raise_to(watermark_us)
        self.rest()
        self.look_ahead(self._due_us, self._settle)

    def _stand_at(self, moment: datetime) -> None:
        top_us = self.clock.watermark_us + self.clock.lateness_us
        self.top = self._noted = moment + (top_us - to_us(moment)) * MICROSECOND
        self.epoch = EPOCH.astimezone(moment.tzinfo)

    def look_ahead(self, due_us: int, settle: timedelta) -> None:
        """Set the moments that follow from `top`.

        Args:
            due_us: the watermark that this partition must not pass unseen, if it has not yet.
            settle: how long after its start a record is sure to count.
        """
        self._due_us, self._settle = due_us, settle
        if not self.is_known:
            return
        top_us = to_us(self.top)
        ceiling_us = min(top_us + _STRIDE_US, self._limit_us)
        if top_us - self.clock.lateness_us <= due_us:
            ceiling_us = min(ceiling_us, due_us + self.clock.lateness_us)
        self.ceiling = self.top + (ceiling_us - top_us) * MICROSECOND
        # A heartbeat can put `top` above a ceiling that keeps out the future.
        self.safe = max(self.ceiling, self.top) - self.lateness
        self.earliest = self.ceiling - settle

    def covers(self, least: datetime, greatest: datetime) -> bool:
        """Tell whether all records between two times, both included, may be passed over.

        That is so if none of them was late in whatever order, and none had a watermark that must
        not be passed unseen. None of them may be of the future.
        """
        top = max(self.top, greatest)
        if least < top - self.lateness or least < EPOCH:
            return False
        lateness_us = self.clock.lateness_us
        return (
            to_us(greatest) - lateness_us <= self._due_us
            or to_us(self.top) - lateness_us > self._due_us
        )

    def move(self, greatest: datetime) -> None:
        """Let the clock go on to a time, if that is above `top`."""
        if greatest > self.top:
            self.top = greatest
            if greatest > self.ceiling:
                self.look_ahead(self._due_us, self._settle)
