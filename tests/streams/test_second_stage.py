"""Tests of the second stage on the bus: alerts become facts, and time is passed on with them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from rules.fact import Fact, Mark
from rules.moment import HOUR_US, MINUTE_US
from rules.watermark import NEVER_US
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.lanes import Commit, Lane, RecordBatch
from streams.states import Stage, stages_of
from streams.succession import Succession
from streams.topics import check_sizes, make_entry
from streams.wire.facts import decode_row
from streams.wire.pseudonyms import Pseudonyms
from tests.streams.worker_parts import (
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    MemoryBus,
    blocked,
    call,
    epoch_for_tests,
    heartbeat,
    rows_of,
    rules_for_tests,
    rules_with_campaigns,
    settings_for_tests,
    transfer,
)

RULES = rules_with_campaigns()
EPOCH = epoch_for_tests(1, campaigns=True)
STAGES = stages_of(EPOCH, RULES)
SETTINGS = settings_for_tests()
CALLS = ("calls", 0)
TRANSACTIONS = ("transactions", 0)
FIRST = ("facts.0123abcd", 0)
SECOND = ("facts2.0123abcd", 0)


class Desk:
    """The stations of both stages over one bus."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        channel: asyncio.Queue[Any] = asyncio.Queue()
        self.ingest = IngestStation(
            channel,
            settings=SETTINGS,
            stages=STAGES,
            starts={},
            ingest=Ingest(RULES, SETTINGS.timing, Pseudonyms(SECRET.encode(), frozenset())),
            sender=self.bus,
            offsets=self.bus,
        )
        self.correlate = {
            stage.log.name: CorrelateStation(
                channel,
                settings=SETTINGS,
                stage=stage,
                alerts_topic="ringfence.alerts",
                sender=self.bus,
                facts_log=self.bus,
            )
            for stage in STAGES
        }

    async def take_in(self, feed: tuple[str, int], *values: bytes) -> None:
        """Put records through the ingest agent."""
        opening = await self.ingest.open(feed, None, None)
        lane: Lane[Any] = Lane(feed, contiguous=False, room=99)
        lane.open(opening)
        lane.hold(rows_of(*values))
        batch: RecordBatch[Any] | None = lane.take(99, 0.0)
        assert batch is not None
        await self.ingest.take(batch)

    async def work_off(
        self, partition: tuple[str, int], committed: Commit | None = None
    ) -> Commit | None:
        """Put a facts log through its correlate agent, and return what can be committed."""
        station = self.correlate[partition[0]]
        opening = await station.open(partition, committed, None)
        lane: Lane[Any] = Lane(partition, contiguous=True, room=999)
        lane.open(opening)
        lane.hold(self.bus.logs[partition][opening.offset :])
        batch: RecordBatch[Any] | None = lane.take(999, 0.0)
        assert batch is not None
        await station.take(batch)
        return lane.to_commit()

    def rows(self, partition: tuple[str, int]) -> list[Fact | Mark]:
        """Return the rows of a facts log, decoded."""
        found = []
        for row in self.bus.logs[partition]:
            assert row.value is not None
            found.append(decode_row(row.key, row.value, SETTINGS.timing))
        return found

    def rules_raised(self) -> list[str]:
        """Return the rules of all alert records, in order."""
        return [alert["data"]["rule"]["id"] for alert in self.bus.values("ringfence.alerts")]


async def test_events_go_to_the_stage_that_names_them() -> None:
    desk = Desk()
    await desk.take_in(CALLS, call(1, TEN_O_CLOCK), blocked(1, TEN_O_CLOCK))
    kinds = {
        p: [r.event.identity.type for r in desk.rows(p) if isinstance(r, Fact)]
        for p in (FIRST, SECOND)
    }
    assert kinds == {FIRST: ["call_invitation"], SECOND: ["contact_blocked"]}
    # Outside marks are for the first stage only: the second goes by what the first has done.
    assert not [row for row in desk.rows(SECOND) if isinstance(row, Mark)]


async def test_alerts_become_facts_under_each_key_and_a_campaign_is_raised_of_them() -> None:
    desk = Desk()
    await desk.take_in(CALLS, call(1, TEN_O_CLOCK), call(2, TEN_O_CLOCK))
    pay_at_us = TEN_O_CLOCK + MINUTE_US
    await desk.take_in(
        TRANSACTIONS,
        transfer(1, pay_at_us, payee="mule"),
        transfer(2, pay_at_us + SECOND_US, payee="mule"),
    )
    await desk.work_off(FIRST)
    facts = [row for row in desk.rows(SECOND) if isinstance(row, Fact)]
    assert sorted(fact.key.partition(":")[0] for fact in facts) == 2 * ["payee"] + 2 * ["person"]
    await desk.work_off(SECOND)
    assert desk.rules_raised() == 2 * ["video_call_then_new_payee"] + ["many_victims"]


async def test_how_far_the_first_stage_has_come_is_passed_on_less_what_its_alerts_wait_for() -> (
    None
):
    desk = Desk()
    await desk.take_in(CALLS, heartbeat(TEN_O_CLOCK))
    await desk.work_off(FIRST)
    assert desk.rows(SECOND) == []
    await desk.take_in(TRANSACTIONS, heartbeat(TEN_O_CLOCK + HOUR_US))
    await desk.work_off(FIRST)
    (rule,) = RULES.first_stage.rules
    waits_us = rule.span.forward_us + rule.span.settle_us
    assert desk.rows(SECOND) == [Mark("alerts", 0, TEN_O_CLOCK - waits_us)]


async def test_facts_of_the_second_stage_are_acknowledged_before_the_mark_and_the_commit() -> None:
    desk = Desk()
    await desk.take_in(CALLS, call(1, TEN_O_CLOCK), heartbeat(TEN_O_CLOCK))
    await desk.take_in(TRANSACTIONS, transfer(1, TEN_O_CLOCK + SECOND_US), heartbeat(TEN_O_CLOCK))
    before = len(desk.bus.batches)
    commit = await desk.work_off(FIRST)
    implied, mark = desk.bus.batches[before:]
    assert {message.topic for message in implied} == {"ringfence.alerts", SECOND[0]}
    assert [message.topic for message in mark] == [SECOND[0]]
    assert commit is not None
    desk.bus.refuses = SECOND[0]
    with pytest.raises(OutsideFailure):
        await desk.work_off(FIRST)


async def test_what_a_rebuilt_first_stage_takes_back_it_knows_from_its_own_log() -> None:
    desk = Desk()
    await desk.take_in(CALLS, call(1, TEN_O_CLOCK))
    await desk.take_in(TRANSACTIONS, transfer(1, TEN_O_CLOCK + SECOND_US))
    commit = await desk.work_off(FIRST)
    await desk.take_in(TRANSACTIONS, transfer(1, TEN_O_CLOCK + SECOND_US, "rejected", 1))
    await desk.work_off(FIRST, commit)
    gone = [r.event.gone for r in desk.rows(SECOND) if isinstance(r, Fact)]
    # One record under each of the two keys, and then each is taken back.
    assert gone == [False, False, True, True]


async def test_a_lane_of_the_first_stage_begins_by_telling_what_it_has_passed_on() -> None:
    desk = Desk()
    for feed in (CALLS, TRANSACTIONS):
        await desk.take_in(feed, heartbeat(TEN_O_CLOCK))
    commit = await desk.work_off(FIRST)
    told = desk.rows(SECOND)
    await desk.correlate[FIRST[0]].open(FIRST, commit, None)
    assert desk.rows(SECOND) == 2 * told
    desk.correlate[FIRST[0]].close(FIRST)


async def test_a_mark_that_was_held_back_follows_with_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    station = desk.correlate[FIRST[0]]
    opening = await station.open(FIRST, None, None)
    opening.state.told.acknowledge(5)
    await station.tick()
    opening.state.told.acknowledge(6)
    await station.tick()
    assert desk.rows(SECOND) == [Mark("alerts", 0, 5)]
    monkeypatch.setattr("streams.states.MARK_EVERY_S", 0.0)
    await station.tick()
    assert desk.rows(SECOND) == [Mark("alerts", 0, 5), Mark("alerts", 0, 6)]


def test_without_rules_on_alerts_there_is_no_second_log_and_the_last_stage_has_no_reader() -> None:
    epoch = epoch_for_tests()
    (only,) = stages_of(epoch, rules_for_tests())
    assert epoch.second is None
    assert only.reader is None
    assert only.passes_on(7) == 7
    assert Stage(STAGES[0].log, STAGES[0].rules, STAGES[1]).passes_on(NEVER_US) == NEVER_US


def test_the_second_facts_log_carries_the_digest_and_is_as_large_as_the_first() -> None:
    entry = make_entry(SETTINGS, RULES, {"calls": 1}, Succession())
    assert entry.facts2_topic == f"ringfence.facts2.{entry.digest}"
    epoch = entry.epoch({entry.facts_topic: 3})
    assert epoch.second is not None
    assert epoch.second.feed_partitions == (("alerts", 0), ("alerts", 1), ("alerts", 2))
    sizes = {entry.facts_topic: 3, entry.facts2_topic: 3}
    check_sizes(epoch, sizes)
    with pytest.raises(OutsideFailure, match=r"has 2 partitions and .* 3, wanted as many"):
        check_sizes(epoch, {**sizes, entry.facts2_topic: 2})


def test_rules_on_alerts_begin_a_reach_after_those_on_events() -> None:
    since_us = TEN_O_CLOCK
    first, second = stages_of(replace(EPOCH, since_us=since_us), RULES)
    assert first.since_us == since_us
    assert second.since_us == since_us + RULES.first_stage.reach_us
    assert {stage.since_us for stage in STAGES} == {NEVER_US}
