"""The worker's process: from the settings to the exit code."""

import asyncio
import os
import signal
import sys
from typing import Final

import faust
import structlog

from rules.rule import RuleSet
from streams.app import IntakeApp, build_app
from streams.failures import Failure
from streams.garbage import look_seldom
from streams.joining import find_epoch
from streams.journal import log_crash, open_journal
from streams.settings import Settings

log: Final = structlog.get_logger("ringfence")


def run_worker(settings: Settings, rule_set: RuleSet) -> None:
    """Work until a signal comes; what is in hand is finished first.

    Raises:
        Failure: The settings are wrong, or something outside is not as it has to be.
        Exception: A bug; nothing has been committed since.
    """
    open_journal(settings.log_format, settings.log_level)
    epoch = asyncio.run(find_epoch(settings, rule_set))
    log.info(
        "worker_starting",
        epoch=epoch.number,
        digest=epoch.digest,
        rules=len(rule_set.rules),
        roster=dict(epoch.roster),
        facts_topics=[log.name for log in epoch.facts_logs],
        facts_partitions=epoch.facts_partitions,
    )
    app = build_app(settings, rule_set, epoch, leave=_leave)
    look_seldom()
    try:
        _run(app)
    except Failure:
        raise
    except Exception as error:
        log_crash(error)
        raise
    log.info("worker_stopped")
    if app.has_left:
        # As if it had just been started: its epoch may be another one now, or be over.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself


def _leave() -> None:
    """End as if somebody had told this process to."""
    signal.raise_signal(signal.SIGTERM)


def _run(app: IntakeApp) -> None:
    loop = asyncio.new_event_loop()
    # Not Faust's command line: that one ends with 1 whatever has happened.
    worker = faust.Worker(
        app, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.spinner = None
    try:
        loop.run_until_complete(worker.start())
    finally:
        # Raises what the worker has crashed of, if it has.
        worker.stop_and_shutdown()
