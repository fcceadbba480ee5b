"""The wall clock: the only place that reads it."""

import time


def now_us() -> int:
    """Return the present moment in microseconds since the epoch."""
    return time.time_ns() // 1_000
