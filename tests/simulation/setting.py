"""What all simulated runs have in common: no log, slow polls, rules compiled once."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from tests.simulation.run import compiled, screen_of


@contextmanager
def simulated() -> Iterator[None]:
    """Let runs be many: what a worker says goes nowhere, and it looks less often."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with (
        pytest.MonkeyPatch.context() as patch,
        structlog.testing.capture_logs(),
        warnings.catch_warnings(),
    ):
        # A process that is killed leaves coroutines behind that nobody will ever await.
        warnings.simplefilter("ignore")
        patch.setattr("streams.intake._COMMIT_EVERY_S", 0.5)
        patch.setattr("streams.intake._POLL_MS", 600)
        patch.setattr("rules.condition.compile", compiled, raising=False)
        patch.setattr("rules.stages.Screen", screen_of)
        patch.setattr("streams.agents.ingest.Screen", screen_of)
        yield
    logging.disable(disabled)
