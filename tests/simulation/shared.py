"""What is made of rules once for all runs and workers, since nobody changes it."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, Final

from rules.language import load_rules
from rules.rule import RuleSet
from rules.screen import Screen
from streams.ingest import Ingest
from streams.rule_files import read_texts
from streams.settings import Settings
from streams.succession import WrittenRules
from streams.wire.pseudonyms import Pseudonyms
from tests.simulation.kafka import SESSION_S
from tests.simulation.ports import Ports
from tests.streams.worker_parts import SECRET, settings_for_tests

compiled: Final = cache(compile)
"""Python's own, once for each text: what it returns is only ever read."""


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes one thing of the same objects, whoever asks, and keeps both."""
    made: dict[object, tuple[object, object]] = {}

    @wraps(make)
    def known(*arguments: Any) -> Any:  # noqa: ANN401 - of whatever is made
        key = tuple(map(_key, arguments))
        if key not in made:
            made[key] = (arguments, make(*arguments))
        return made[key][1]

    return known


def _key(argument: object) -> object:
    if isinstance(argument, RuleSet):
        argument = argument.rules
    return tuple(map(id, argument)) if isinstance(argument, list | tuple) else id(argument)


PORTS: Final[ContextVar[Ports]] = ContextVar("ports")
"""What the process of a context has of a Kafka, for code that makes its own connection."""

screen_of: Final = once(Screen)


def settings(**more: str) -> Settings:
    """Return what all runs are set to: batches so small that there are many."""
    return settings_for_tests(
        RINGFENCE_BATCH_RECORDS="4",
        RINGFENCE_HELD_RECORDS="8",
        RINGFENCE_SESSION_TIMEOUT=f"{SESSION_S:g}s",
        RINGFENCE_IDLE_AFTER="40s",
        **more,
    )


_loaded: Final[dict[tuple[tuple[str, str], ...], RuleSet]] = {}


def load_once(written: WrittenRules) -> RuleSet:
    """Return rules as an epoch keeps them, read once."""
    files = tuple(sorted(written.files.items()))
    if files not in _loaded:
        _loaded[files] = load_rules(written.files, written.timing)
    return _loaded[files]


read_once: Final = cache(read_texts)
"""The rule files of a folder, which nobody changes."""


@once
def ingest_of(rule_set: RuleSet, settings: Settings) -> Ingest:
    """Return what makes facts of records; what it counts is nobody's business here."""
    return Ingest(rule_set, settings.timing, Pseudonyms(SECRET.encode(), frozenset()))
