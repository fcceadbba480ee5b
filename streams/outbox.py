"""What waits to be written to one partition: it goes out together, one batch after the other."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

Headers = list[tuple[str, bytes]]

_APPENDED: Final = "appended"
_NONE: Final[Headers] = []


class Message(NamedTuple):
    """A record to write; without a partition, its key decides on one."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None
    headers: Headers = _NONE


def appended_at(milliseconds: int) -> Headers:
    """Return headers that tell when an outside record was appended, for what it causes."""
    return [(_APPENDED, b"%d" % milliseconds)]


def appended_ms(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """Return when the outside record was appended that has caused a row, if one has."""
    return next((int(value) for name, value in headers if name == _APPENDED), None)


class Outbox:
    """The messages for one partition, in the order in which they were put in.

    While a batch is on its way, what comes in is collected for the next: many writers share one
    request, and none of them can be overtaken for ever. (aiokafka 0.14 lets writers of batches
    compete for one place per partition, and the unlucky ones run into a timeout.)
    """

    def __init__(
        self, make_batch: Callable[[], Any], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Prepare an empty one.

        Args:
            make_batch: makes an empty batch, which takes messages until it is full.
            send: writes a batch and returns when it is acknowledged.
        """
        self._make_batch = make_batch
        self._send = send
        self._waiting: deque[tuple[Message, asyncio.Future[None] | None]] = deque()
        self._emptying: asyncio.Task[None] | None = None

    def put(self, messages: Iterable[Message]) -> "asyncio.Future[None]":
        """Put messages in, one at least; the future is done when all of them are acknowledged."""
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.extend((message, None) for message in messages)
        last, _ = self._waiting.pop()
        self._waiting.append((last, acknowledged))
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._empty())
        return acknowledged

    async def _empty(self) -> None:
        while self._waiting:
            batch, ends = self._fill()
            try:
                await self._send(batch)
            except Exception as error:  # noqa: BLE001 - whoever waits for it is told
                ends += [end for _, end in self._waiting if end is not None]
                self._waiting.clear()
                for end in ends:
                    if not end.done():
                        end.set_exception(error)
                return
            for end in ends:
                if not end.done():
                    end.set_result(None)

    def _fill(self) -> tuple[Any, list["asyncio.Future[None]"]]:
        """Return a batch with as many messages as it takes, and what is complete with it."""
        batch, ends = self._make_batch(), []
        while self._waiting:
            message, end = self._waiting[0]
            # A batch takes its first record whatever the size; the broker may still refuse.
            _, key, value, _, headers = message
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                break
            self._waiting.popleft()
            if end is not None:
                ends.append(end)
        return batch, ends
