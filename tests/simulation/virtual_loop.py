"""An event loop whose clock is virtual, in which processes can be killed and stopped.

What a process has set going is told by its context. What belongs to a dead process never runs
again, not even its `finally`; what belongs to a stopped one waits until it goes on.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Process:
    """A process of the simulation: its context marks all that it sets going."""

    name: str
    dead: bool = False
    stopped: bool = False
    parked: list["Call"] = field(default_factory=list)


OWNER: ContextVar[Process | None] = ContextVar("owner", default=None)


class Call:
    """A call that is to be made, now or at a moment."""

    __slots__ = ("args", "callback", "context", "due_s", "is_cancelled")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[object, ...],
        context: Context,
        due_s: float,
    ) -> None:
        self.callback, self.args, self.context, self.due_s = callback, args, context, due_s
        self.is_cancelled = False

    def cancel(self) -> None:
        """Do not make it."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Tell whether it is not to be made."""
        return self.is_cancelled

    def when(self) -> float:
        """Return when it is to be made."""
        return self.due_s


class VirtualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as the worker's code needs; time passes when nothing is to do."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._count = 0
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        """Return the seconds since the loop began."""
        return self._now_s

    def call_soon(  # type: ignore[override] # a handle of our own
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Call:
        """Make a call as soon as it is its turn."""
        call = Call(callback, args, copy_context() if context is None else context, self._now_s)
        self._ready.append(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # there is one thread

    def call_at(  # type: ignore[override] # a handle of our own
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> Call:
        """Make a call at a moment."""
        call = Call(callback, args, copy_context() if context is None else context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, call))
        return call

    def call_later(  # type: ignore[override] # a handle of our own
        self,
        delay: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> Call:
        """Make a call after a while."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override] # without what nobody uses
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        """Set a coroutine going."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """Return False: runs are many."""
        return False

    def is_running(self) -> bool:
        """Return True: nobody asks outside of a run."""
        return True

    def is_closed(self) -> bool:
        """Return False: nobody closes it."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what nobody has caught; what is left of dead processes is no error."""
        self.errors.append(context)

    def go_on(self, process: Process) -> None:
        """Let a stopped process go on."""
        process.stopped = False
        self._ready.extend(process.parked)
        process.parked.clear()

    def run(self, main: Coroutine[Any, Any, None], until_s: float) -> None:
        """Run a coroutine to its end.

        Raises:
            TimeoutError: It has not come to its end by a moment.
        """
        asyncio._set_running_loop(self)  # noqa: SLF001 - made for loops, see its docstring
        try:
            task = self.create_task(main)
            while not task.done():
                if self._now_s > until_s:
                    raise TimeoutError(f"not done after {until_s:g} virtual seconds")
                self._turn()
            task.result()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - as above

    def _turn(self) -> None:
        # Most of a run's calls are made here: one function, and no more than it takes.
        ready = self._ready
        while ready:
            call = ready.popleft()
            if call.is_cancelled:
                continue
            context = call.context
            owner = context.get(OWNER)
            if owner is None or not (owner.dead or owner.stopped):
                context.run(call.callback, *call.args)
            elif not owner.dead:
                owner.parked.append(call)
        if not self._timers:
            raise RuntimeError("everything waits for everything")
        when, _, call = heapq.heappop(self._timers)
        if not call.is_cancelled:
            self._now_s = max(self._now_s, when)
            ready.append(call)
