"""Whether the epoch that a worker works for is still what it was when the worker began."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import faust
import structlog

from streams.epoch import Epoch
from streams.lanes import Row
from streams.succession import Succession, fold

log: Final = structlog.get_logger("ringfence")


class EpochWatch(faust.Service):
    """Follows the epochs topic, and has the worker leave when its epoch is not what it was."""

    def __init__(
        self,
        rows: AsyncIterator[Sequence[Row]],
        epoch: Epoch,
        *,
        leave: Callable[[], None],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """Prepare to watch.

        Args:
            rows: the epochs topic from its beginning, and whatever is appended.
            epoch: the worker's.
            leave: ends the worker in order.
            kwargs: what every service takes.
        """
        super().__init__(**kwargs)
        self._rows = rows
        self._epoch = epoch
        self._leave = leave

    @faust.Service.task
    async def _watch(self) -> None:
        succession = Succession()
        was_ours = False
        async for rows in self._rows:
            for row in rows:
                succession = fold(succession, row.value)
                if self._is_ours(succession):
                    was_ours = True
                # Before that it is told of times when this epoch was still to come.
                elif was_ours:
                    log.info("epoch_left", epoch=self._epoch.number, digest=self._epoch.digest)
                    self._leave()
                    return

    def _is_ours(self, succession: Succession) -> bool:
        entry = succession.running(self._epoch.digest)
        if entry is None:
            return False
        epoch = entry.epoch({})
        return (epoch.number, epoch.alerts_topic) == (self._epoch.number, self._epoch.alerts_topic)
