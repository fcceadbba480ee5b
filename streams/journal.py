"""What the worker logs, and how: an event name and fields, as JSON unless a person watches."""

import logging
import sys
import traceback
from typing import Final, Literal

import structlog

LogFormat = Literal["auto", "json", "text"]

# `streams` is how mode names the services of ours; what they have to say goes to `ringfence`.
_OTHERS: Final = ("aiokafka", "asyncio", "faust", "mode", "streams")


def open_journal(log_format: LogFormat = "auto", level: str = "info") -> None:
    """Send the log of this process to stderr.

    Args:
        log_format: `json`, `text`, or `auto`: text where stderr is a terminal.
        level: the least that is logged. What libraries have to say below a warning never is.
    """
    least: int = getattr(logging, level.upper())
    structlog.configure(
        processors=[*_FIRST, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _formatter(is_text=log_format == "text" or (log_format == "auto" and sys.stderr.isatty()))
    )
    handler.addFilter(_says_nothing_of_errors)
    logging.basicConfig(handlers=[handler], level=least, force=True)
    for name in _OTHERS:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))


_FIRST: Final[list[structlog.types.Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _formatter(*, is_text: bool) -> logging.Formatter:
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if is_text:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FIRST,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _says_nothing_of_errors(record: logging.LogRecord) -> bool:
    """Drop what libraries write of an exception: its text could hold what a record holds."""
    return record.exc_info is None


def log_crash(error: BaseException) -> None:
    """Log where an error came from: its type and the places, without its text."""
    places = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    structlog.get_logger("ringfence").critical(
        "worker_crashed", error=type(error).__name__, places=places
    )
