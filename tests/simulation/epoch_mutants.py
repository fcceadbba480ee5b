"""Changes of rules with one safety rule switched off each, which the simulation has to notice."""

# What is switched off lies behind underscores.
# ruff: noqa: SLF001

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from rules.rule import RuleSet
from streams.beginnings import Beginnings, begin_since
from streams.endings import Left, closings, left_by
from streams.outbox import Message
from streams.succession import Entry
from streams.switching import Switch
from tests.simulation.mutants import Mutant


def group_not_empty(patch: pytest.MonkeyPatch) -> None:
    """Say where an epoch's logs end while its workers may still write to them."""

    async def until_empty(self: Switch, entry: Entry) -> None:
        del self, entry

    patch.setattr(Switch, "_until_empty", until_empty)


def not_caught_up(patch: pytest.MonkeyPatch) -> None:
    """End what is open before the new epoch has come as far as the old."""

    async def at_once(*_: object) -> int:
        return 0

    patch.setattr("streams.switching.until_caught_up", at_once)


def rest_unsaid(patch: pytest.MonkeyPatch) -> None:
    """Leave out what follows from rows behind the commits of the old epoch."""

    async def left(*arguments: Any) -> Left:  # noqa: ANN401 - whatever it takes
        found = await left_by(*arguments)
        return Left([], found.opened, found.reached_us)

    patch.setattr("streams.switching.left_by", left)


def left_open(patch: pytest.MonkeyPatch) -> None:
    """End nothing that is open."""

    def none(left: Left, *others: Any, **more: Any) -> Iterator[Message]:  # noqa: ANN401 - likewise
        return closings(Left(left.unwritten, [], left.reached_us), *others, **more)

    patch.setattr("streams.switching.closings", none)


def ended_whatever_is_said(patch: pytest.MonkeyPatch) -> None:
    """End what is open without a look at what the new epoch has said of it as a shadow."""

    def all_of_them(*others: Any, shadowed: Mapping[str, Any], **more: Any) -> Iterator[Message]:  # noqa: ANN401 - likewise
        del shadowed
        return closings(*others, shadowed={}, **more)

    patch.setattr("streams.switching.closings", all_of_them)


def begun_too_late(patch: pytest.MonkeyPatch) -> None:
    """Begin an epoch where the old one has come to, and not further back."""

    async def begin(
        outside: Any,  # noqa: ANN401 - likewise
        settings: Any,  # noqa: ANN401 - likewise
        rule_set: RuleSet,
        partitions: Any,  # noqa: ANN401 - likewise
        since_us: int,
    ) -> Beginnings:
        back_us = rule_set.reach_us + rule_set.settled_us
        found = await begin_since(outside, settings, rule_set, partitions, since_us + back_us)
        return Beginnings(found.offsets, since_us)

    patch.setattr("streams.switching.begin_since", begin)


def judges_from_the_start(patch: pytest.MonkeyPatch) -> None:
    """Judge anchors whose events may lie before the epoch's beginning."""
    real = Switch._begun

    async def begun(self: Switch, rule_set: RuleSet, entry: Entry) -> Entry:
        return msgspec.structs.replace(await real(self, rule_set, entry), since_us=None)

    patch.setattr(Switch, "_begun", begun)


def not_moved(patch: pytest.MonkeyPatch) -> None:
    """Promote a shadow without saying where it counts what it has open."""
    patch.setattr("streams.switching.moved", lambda *_: iter(()))


def ended_early_unsaid(patch: pytest.MonkeyPatch) -> None:
    """Keep to the shadow's topic what ended while it was ahead of the old epoch."""
    patch.setattr("streams.switching.ended_early", lambda *_, **__: iter(()))


EPOCH_MUTANTS: Sequence[tuple[str, Mutant]] = (
    ("the old group is empty before its logs' ends are on record", group_not_empty),
    ("the new epoch has caught up before anything is ended", not_caught_up),
    ("what follows from rows behind the old commits is said", rest_unsaid),
    ("what the old epoch has left open is ended", left_open),
    ("what the new epoch has said as a shadow stands", ended_whatever_is_said),
    ("an epoch begins so far back that it can judge what is open", begun_too_late),
    ("an epoch judges no anchor whose events may be missing", judges_from_the_start),
    ("a promotion says what the shadow has open", not_moved),
    ("a promotion says what ended while the shadow was ahead", ended_early_unsaid),
)
"""Each safety rule of a change of rules, and the command that does without."""
