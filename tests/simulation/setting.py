"""What all simulated runs have in common: no log, slow polls, rules compiled once."""

import gc
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

import pytest
import structlog

from rules.claim import Teller
from rules.judging import Judging
from rules.plan import make_plan
from rules.use import make_uses
from tests.simulation.shared import (
    PORTS,
    compiled,
    load_once,
    once,
    read_once,
    screen_of,
)

_COLLECT_EVERY = 50
"""Runs: each leaves objects behind that name each other, and to look for them takes its time."""


_MADE_ONCE = {what: once(what) for what in (Judging, make_plan, Teller, make_uses)}


@contextmanager
def simulated() -> Iterator[None]:
    """Let runs be many: what a worker says goes nowhere, and it looks less often.

    What engines compile of rules is the same for all of them: it is compiled once. Nothing of it
    knows what an engine has observed but for counts that only metrics show.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), _seldom_collected():
        # A process that is killed leaves coroutines behind that nobody will ever await.
        warnings.simplefilter("ignore")
        patch.setattr("streams.intake._COMMIT_EVERY_S", 0.5)
        patch.setattr("streams.intake._POLL_MS", 600)
        # Few people live here: else no history would ever be put to rest.
        patch.setattr("rules.memory.Memory.RECENT", 2)
        patch.setattr("rules.condition.compile", compiled, raising=False)
        patch.setattr("rules.stages.Screen", screen_of)
        patch.setattr("streams.agents.ingest.Screen", screen_of)
        patch.setattr("streams.succession.WrittenRules.load", load_once)
        patch.setattr("streams.topics.read_texts", read_once)
        # What connects by itself gets what the process of its context has.
        patch.setattr("streams.epochs_topic.Bus", lambda *_: PORTS.get())
        patch.setattr("streams.epochs_topic.producing", lambda _: nullcontext(PORTS.get()))
        for what, made_once in _MADE_ONCE.items():
            patch.setattr(f"rules.engine.{what.__name__}", made_once)
        told = structlog.get_config()
        structlog.configure(wrapper_class=silent)
        try:
            yield
        finally:
            structlog.configure(**told)
            logging.disable(disabled)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let `collect` alone look for garbage, and not among what was there before."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class Simulated(Protocol):
    """A run: what it comes to follows from its seed."""

    def wrongs(self) -> list[str]:
        """Run it and return what is wrong, in words."""


def wrong_runs(
    make: Callable[[int], Simulated], seeds: Iterable[int]
) -> Iterator[tuple[int, list[str]]]:
    """Run some seeds, and yield those with something wrong."""
    for number, seed in enumerate(seeds, 1):
        wrongs = make(seed).wrongs()
        if wrongs:
            yield seed, wrongs
        if number % _COLLECT_EVERY == 0:
            gc.collect()
