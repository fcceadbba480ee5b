"""The end of a connection: waited for, but not for long, for the broker may be gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

log: Final = structlog.get_logger("ringfence")

LONGEST_END_S: Final = 8.0
"""How long what is in hand may take when the worker stops; with all connections, under 30 s."""
_PATIENCE_S: Final = 4.0


async def close(what: str, closing: Coroutine[Any, Any, None]) -> None:
    """Wait until a connection is closed, or for some seconds: then it goes with the process."""
    task = asyncio.ensure_future(closing)
    # Not a timeout: what is cancelled may swallow that, and be waited for all the same.
    _, left = await asyncio.wait([task], timeout=_PATIENCE_S)
    if left:
        task.cancel()
        log.warning("connection_left_behind", what=what)
    else:
        task.result()
