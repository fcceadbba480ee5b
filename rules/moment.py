"""Moments and durations: whole microseconds inside, RFC 3339 and `1h30m` outside."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import durationpy

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LATEST_US: Final = (datetime(2262, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND - 1

# The second 60 and the hour 24 stay out: Python's versions differ over them.
_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_PLAIN = re.compile(
    r"(?=\d)(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?", re.ASCII
)
_ISO_8601 = re.compile(
    r"P(?=.)(\d+(\.\d+)?D)?(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?", re.ASCII
)
_HOURS_UP_TO = 2 * DAY_US
# durationpy adds up floats: up to here they are exact to the microsecond.
_LONGEST_US = 3650 * DAY_US


# A record says one moment several times: as its `time`, as its start, as that of the last step.
@lru_cache(maxsize=64)
def parse_moment(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 moment with an offset; finer fractions are cut.

    Raises:
        ValueError: The text is no such moment, or lies outside 1970 to 2261 (in UTC).
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError(f'"{text}" is not a moment with an offset like 2023-07-08T10:42:00+08:00')
    try:
        since = datetime.fromisoformat(text.upper()) - _EPOCH
    except ValueError as error:
        raise ValueError(f'"{text}" is not a day of the calendar') from error
    moment_us = (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
    if not 0 <= moment_us <= LATEST_US:
        raise ValueError(f'"{text}" lies outside the years 1970 to 2261')
    return moment_us


# Of one event many rules say the same, so what was said last is remembered.
@lru_cache(4_096)
def format_moment(us: int) -> str:
    """The moment in UTC, with six digits after the point or none: `2023-07-08T02:42:00Z`."""
    return (_EPOCH + us * _MICROSECOND).isoformat().replace("+00:00", "Z")


def parse_duration(text: str) -> int:
    """Microseconds of `90s`, `15m`, `2h`, `1d12h`, or of ISO 8601 in days and less (`P1DT2H`).

    Raises:
        ValueError: The text is no such duration.
    """
    if _ISO_8601.fullmatch(text):
        plain = text.replace("P", "").replace("T", "").lower()
    elif _PLAIN.fullmatch(text):
        # durationpy passes over what stands between two parts, and takes months and years.
        plain = text
    else:
        raise ValueError(f'"{text}" is not a duration like 90s, 15m, 2h, 1d12h or PT2H')
    try:
        us = durationpy.from_str(plain) // _MICROSECOND
    except durationpy.DurationError:
        us = _LONGEST_US + 1
    if us > _LONGEST_US:
        raise ValueError(f'"{text}" is longer than ten years')
    return us


@lru_cache(4_096)
def format_duration(us: int) -> str:
    """The duration as people say it: `14h10m`, `3m12s`, `0.5s`; days from two days up: `2d4h`."""
    rest = abs(us)
    days, rest = divmod(rest, DAY_US) if rest >= _HOURS_UP_TO else (0, rest)
    hours, rest = divmod(rest, HOUR_US)
    minutes, rest = divmod(rest, MINUTE_US)
    whole, fraction = divmod(rest, SECOND_US)
    seconds = f"{whole}.{fraction:06}".rstrip("0").rstrip(".")
    parts = [
        f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count
    ]
    if rest or not parts:
        parts.append(f"{seconds}s")
    return "-" * (us < 0) + "".join(parts)
