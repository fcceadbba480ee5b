"""Tests of what a worker shows of itself, over a group and a bus in memory."""

import asyncio
import re
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client.parser import text_string_to_metric_families

from rules.timing import MAX_HISTORY
from rules.watermark import NEVER_US
from streams import closing as closing_module
from streams import intake as intake_module
from streams import metrics
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.app import build_app
from streams.clock import now_us
from streams.closing import close
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.intake import Intake
from streams.lanes import Commit, Lane, Opening
from streams.metrics import METRICS, Spread
from streams.outbox import appended_at, appended_ms
from streams.settings import Settings
from streams.states import stages_of
from streams.watch.health import stalled, why_unhealthy, why_unready
from streams.watch.readings import Watched, exposition, fetch_ages_s
from streams.wire.pseudonyms import Pseudonyms
from tests.streams.worker_parts import (
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    MemoryBus,
    MemoryMember,
    MemoryRow,
    call,
    epoch_for_tests,
    heartbeat,
    rows_of,
    rules_with_campaigns,
    settings_for_tests,
    transfer,
    until,
)

CALLS = ("calls", 0)
BANK = ("transactions", 0)
RULES = rules_with_campaigns()
EPOCH = epoch_for_tests(1, campaigns=True)
FACTS = (EPOCH.first.name, 0)
Samples = Mapping[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_COMMIT_EVERY_S", 0.01)


def samples(body: bytes) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and the values of its labels, in the order of the list."""
    labels = {metric.name: metric.labels for metric in METRICS}
    return {
        (sample.name, *(sample.labels[n] for n in labels.get(sample.name, sample.labels))): (
            sample.value
        )
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


@dataclass
class SlowMember(MemoryMember):
    """A member whose group tells its commits only when the test says so."""

    may_tell: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Let it tell until the test says otherwise."""
        self.may_tell.set()

    async def committed(self, partition: tuple[str, int]) -> Commit | None:
        """Return a commit, once it may be told."""
        await self.may_tell.wait()
        return await super().committed(partition)


@dataclass
class Desk:
    """The real intake and stations over a bus in memory, with hands that take batches."""

    settings: Settings = field(default_factory=settings_for_tests)
    bus: MemoryBus = field(default_factory=MemoryBus)
    hands: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put them together."""
        self.member = SlowMember(self.bus, {})
        stages = stages_of(EPOCH, RULES)
        ingest = Ingest(RULES, self.settings.timing, Pseudonyms(SECRET.encode(), frozenset()))
        self.taking_in = IngestStation(
            asyncio.Queue(),
            settings=self.settings,
            stages=stages,
            starts={},
            ingest=ingest,
            sender=self.bus,
            offsets=self.bus,
        )
        self.correlating = [
            CorrelateStation(
                asyncio.Queue(),
                settings=self.settings,
                stage=stage,
                alerts_topic=EPOCH.alerts_topic,
                sender=self.bus,
                facts_log=self.bus,
            )
            for stage in stages
        ]
        self.stations: dict[str, Any] = dict.fromkeys(EPOCH.roster, self.taking_in)
        self.stations |= {station.topic: station for station in self.correlating}
        self.intake = Intake(
            self.settings,
            EPOCH,
            make_member=lambda: self.member,
            commits=self.member,
            stations=self.stations,
        )
        self.watched = Watched(
            EPOCH, RULES, ingest, self.taking_in, self.correlating, self.intake, 1.0
        )

    async def _work(self, station: Any) -> None:  # noqa: ANN401 - either station
        while True:
            await station.take(await station.channel.get())

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Run the intake and as many hands as there are stations."""
        stations = {id(station): station for station in self.stations.values()}.values()
        self.hands = [asyncio.create_task(self._work(station)) for station in stations]
        await self.intake.start()
        try:
            yield
        finally:
            await self.intake.stop()
            for hand in self.hands:
                hand.cancel()
            await asyncio.gather(*self.hands, return_exceptions=True)

    async def give_all(self) -> None:
        """Give every partition, and wait until all lanes are open."""
        logs = [(log.name, 0) for log in EPOCH.facts_logs]
        await self.member.give(CALLS, BANK, *logs)
        await until(lambda: self.intake.is_ready)

    async def until_done(self) -> None:
        """Wait until everything that lies in the logs is done and committed."""
        await until(
            lambda: all(
                lane.is_quiet and self.ends(partition) == lane.undone_from
                for partition, lane in self.intake.lanes.items()
            )
        )

    def ends(self, partition: tuple[str, int]) -> int:
        """Return how many rows a partition has."""
        return len(self.bus.logs[partition])

    async def read(self) -> dict[tuple[str, ...], float]:
        """Return what `/metrics` says."""
        return samples(await exposition(self.watched, asyncio.get_running_loop().time()))


def put(bus: MemoryBus, partition: tuple[str, int], *values: bytes, appended_ms: int = 0) -> None:
    """Append records, as their sender would."""
    log = bus.logs[partition]
    log += [MemoryRow(len(log) + n, None, v, (), appended_ms) for n, v in enumerate(values)]


async def test_what_is_counted_is_told_with_its_labels() -> None:
    desk = Desk()
    appended = now_us() // 1_000 - 2_000
    late = call(9, TEN_O_CLOCK - 90_000 * SECOND_US)
    put(desk.bus, CALLS, call(1, TEN_O_CLOCK), b"{", late, appended_ms=appended)
    put(desk.bus, BANK, transfer(1, TEN_O_CLOCK + 60 * SECOND_US), appended_ms=appended)
    async with desk.at_work():
        await desk.give_all()
        await desk.until_done()
        found = await desk.read()
    assert found["ringfence_records_total", "calls"] == 3
    assert found["ringfence_late_records_total", "calls"] == 1
    assert found["ringfence_late_records_total", "transactions"] == 0
    assert found["ringfence_dead_letters_total", "not_json"] == 1
    rule = "video_call_then_new_payee"
    assert found["ringfence_alert_records_total", rule, "raised", "false"] >= 1
    assert found["ringfence_alert_records_total", rule, "raised", "true"] == 0
    assert found["ringfence_decision_seconds_count", FACTS[0]] >= 1
    seconds = found["ringfence_decision_seconds_sum", FACTS[0]]
    assert 2 <= seconds / found["ringfence_decision_seconds_count", FACTS[0]] < 60
    assert found["ringfence_people", "both"] == 1
    assert found["ringfence_lanes", "open"] == 4
    assert found["ringfence_kept_events", FACTS[0]] >= 2
    assert found["ringfence_histories", FACTS[0]] >= 1
    assert found["ringfence_commits_total",] >= 1
    assert found["ringfence_rule_blind", rule] == 0
    assert found["ringfence_rule_blind", "alert_then_block"] == 1
    assert {found["ringfence_lag_records", *p[:1], "0"] for p in (CALLS, BANK, FACTS)} == {0}


async def test_the_list_is_what_is_told_and_no_more() -> None:
    desk = Desk()
    body = (await exposition(desk.watched, 0.0)).decode()
    told = re.findall(r"^# TYPE (ringfence_\S+) (\S+)$", body, re.MULTILINE)
    ours = [m for m in METRICS if m.name.startswith("ringfence_")]
    assert told == [(m.name, m.kind) for m in ours]


async def test_a_rebuild_counts_itself_and_not_what_it_counts_again() -> None:
    desk = Desk()
    put(desk.bus, CALLS, *(call(n, TEN_O_CLOCK + n * SECOND_US) for n in range(5)))
    put(desk.bus, BANK, *(transfer(n, TEN_O_CLOCK + (n + 60) * SECOND_US) for n in range(5)))
    unknown = transfer(7, TEN_O_CLOCK + 99 * SECOND_US).replace(b'"payee_times_paid": 0, ', b"")
    put(desk.bus, BANK, unknown)
    async with desk.at_work():
        await desk.give_all()
        await desk.until_done()
        before = await desk.read()
        # Somebody else had the partitions in between.
        await desk.member.give()
        desk.intake._kept.clear()  # noqa: SLF001 - as if this worker had never had them
        await desk.give_all()
        await desk.until_done()
        after = await desk.read()
    lost = {key: n for key, n in before.items() if key[0] == "ringfence_events_unknown_total"}
    fields = ("video_call_then_new_payee", "pay", "transfer", "payee_is_new")
    assert lost == {("ringfence_events_unknown_total", *fields): 1}
    assert {key: after[key] for key in lost} == lost
    assert before["ringfence_rebuilds_total", FACTS[0]] == 0
    assert after["ringfence_rebuilds_total", FACTS[0]] == 1
    assert after["ringfence_rebuilt_rows_total", FACTS[0]] > 10
    assert after["ringfence_rebuild_seconds_total", FACTS[0]] > 0


async def test_a_flood_limit_that_was_reached_is_counted() -> None:
    desk = Desk()
    flood = range(MAX_HISTORY + 2)
    later_us = TEN_O_CLOCK + 3_600 * SECOND_US
    put(desk.bus, CALLS, call(99_999, TEN_O_CLOCK, person="cust-1"))
    put(desk.bus, BANK, transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    put(desk.bus, CALLS, *(call(n, later_us + n, person="cust-1") for n in flood))
    end = heartbeat(TEN_O_CLOCK + 2 * 86_400 * SECOND_US)
    async with desk.at_work():
        await desk.give_all()
        async with asyncio.timeout(120):
            while not all(lane.is_quiet for lane in desk.intake.lanes.values()):  # noqa: ASYNC110 - as `until`
                await asyncio.sleep(0.05)
        put(desk.bus, CALLS, end)
        put(desk.bus, BANK, end)
        # Marks go out once a second.
        await asyncio.sleep(2.5)
        await desk.until_done()
        found = await desk.read()
    assert found["ringfence_dropped_events_total", FACTS[0]] >= 2
    assert found["ringfence_truncated_alerts_total", "video_call_then_new_payee"] == 1


async def test_a_watermark_not_heard_yet_is_infinitely_behind() -> None:
    desk = Desk()
    put(desk.bus, CALLS, heartbeat(TEN_O_CLOCK))
    async with desk.at_work():
        await desk.give_all()
        await desk.until_done()
        found = await desk.read()
        assert desk.taking_in.watermarks() == {CALLS: TEN_O_CLOCK, BANK: NEVER_US}
    assert found["ringfence_watermark_age_seconds", "transactions", "0"] == float("inf")
    assert 0 < found["ringfence_watermark_age_seconds", "calls", "0"] < float("inf")


async def test_a_worker_that_reads_one_side_only_does_not_judge_which_rules_are_blind() -> None:
    desk = Desk()
    async with desk.at_work():
        await desk.member.give(CALLS)
        await until(lambda: desk.intake.is_ready)
        found = await desk.read()
    assert not [key for key in found if key[0] == "ringfence_rule_blind"]


async def test_lag_is_what_lies_beyond_what_is_done() -> None:
    desk = Desk()
    put(desk.bus, CALLS, call(1, TEN_O_CLOCK))
    async with desk.at_work():
        await desk.give_all()
        await desk.until_done()
        desk.member.pause(TopicPartition(*CALLS))
        put(desk.bus, CALLS, call(2, TEN_O_CLOCK), call(3, TEN_O_CLOCK))
        assert (await desk.read())["ringfence_lag_records", "calls", "0"] == 2
        desk.member.unassigned = True
        assert ("ringfence_lag_records", "calls", "0") not in await desk.read()


async def test_how_long_ago_the_broker_answered_is_told_of_what_is_asked_for() -> None:
    desk = Desk()
    async with desk.at_work():
        assert fetch_ages_s(desk.intake) == {}
        await desk.give_all()
        assert fetch_ages_s(desk.intake) == {}
        desk.member.polled_ms[TopicPartition(*CALLS)] = now_us() // 1_000 - 90_000
        assert 89 < fetch_ages_s(desk.intake)[CALLS] < 120
        ages = fetch_ages_s(desk.intake).values()
        said = why_unready(desk.intake, ages, 60)
        assert said is not None
        assert re.fullmatch(r"the broker has not answered for 9\d s", said)
        assert why_unready(desk.intake, ages, 600) is None
        desk.member.assigned = set()
        assert fetch_ages_s(desk.intake) == {}


async def test_a_worker_is_ready_once_every_lane_is_open_and_no_longer_when_it_stops() -> None:
    desk = Desk()
    async with desk.at_work():
        assert why_unready(desk.intake, (), 1) == "the group has given no partitions yet"
        desk.member.may_tell.clear()
        await desk.member.give(CALLS, BANK)
        assert why_unready(desk.intake, (), 1) == "2 of 2 partitions are not open yet"
        desk.member.may_tell.set()
        await until(lambda: desk.intake.is_ready)
        assert why_unready(desk.intake, (), 1) is None
        await desk.member.give()
        assert why_unready(desk.intake, (), 1) is None
    assert why_unready(desk.intake, (), 1) == "the worker is stopping"


async def test_work_in_hand_that_does_not_move_is_unhealthy_and_nothing_in_hand_is_not() -> None:
    desk = Desk()
    loop = asyncio.get_running_loop()
    async with desk.at_work():
        await desk.member.give(CALLS)
        await asyncio.sleep(0.1)
        assert why_unhealthy(desk.intake, loop.time(), 60) is None
        desk.hands[0].cancel()
        put(desk.bus, CALLS, call(1, TEN_O_CLOCK))
        lane = desk.intake.lanes[CALLS]
        await until(lambda: lane.out is not None)
        await until(lambda: stalled([lane], loop.time(), 0.2))
        assert lane.moved_at_s is not None
        said = why_unhealthy(desk.intake, lane.moved_at_s + 75, 74)
        assert said == 'topic "calls" partition 0 has had work in hand for 75 s and has not moved'
        found = samples(await exposition(desk.watched, loop.time() + 75))
        assert found["ringfence_stalled_lanes",] == 1
        await desk.intake.crash(KeyError("cust-7"))
        said = why_unhealthy(desk.intake, loop.time(), 1)
        assert said == "the worker has crashed and is about to end"


def test_a_lane_moves_as_long_as_its_rebuild_does() -> None:
    lane: Lane[object] = Lane(FACTS, contiguous=True, room=9)
    lane.look(10.0, 0)
    lane.look(11.0, 1)
    lane.look(12.0, 1)
    assert lane.moved_at_s == 11.0
    lane.open(Opening(object(), 5))
    lane.look(13.0, 1)
    lane.look(14.0, 1)
    # Open and with nothing to do, it has nothing to move for.
    assert lane.moved_at_s == 14.0
    lane.hold(rows_of(b"a", first=5))
    lane.look(15.0, 1)
    assert lane.moved_at_s == 14.0


async def test_two_workers_of_one_name_do_not_put_each_other_out_for_ever() -> None:
    desk = Desk(settings_for_tests(RINGFENCE_GROUP_INSTANCE_ID="one"))
    async with desk.at_work():
        for _ in range(10):
            assert not desk.intake.crashed
            await desk.member.give(CALLS)
        await until(lambda: desk.intake.crashed)
        reason = desk.intake.crash_reason
    assert isinstance(reason, OutsideFailure)
    assert 'another worker is "one" too' in str(reason)


async def test_a_worker_without_a_name_bears_any_number_of_rebalances() -> None:
    desk = Desk()
    async with desk.at_work():
        for _ in range(12):
            await desk.member.give(CALLS)
        assert not desk.intake.crashed


def test_a_spread_counts_up_to_each_bound_inclusively() -> None:
    spread = Spread((1, 2))
    for seconds in (-5, 1, 1.5, 2, 99):
        spread.observe(seconds)
    assert list(spread.buckets()) == [("1.0", 2), ("2.0", 4), ("+Inf", 5)]
    assert spread.sum == 103.5


def test_the_header_of_a_fact_says_when_its_record_was_appended() -> None:
    assert appended_ms(appended_at(1_700_000_000_123)) == 1_700_000_000_123
    assert appended_ms([("traceparent", b"x")]) is None


async def test_a_connection_that_does_not_close_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing_module, "_PATIENCE_S", 0.05)

    async def never() -> None:
        await asyncio.sleep(3_600)

    async def refused() -> None:
        raise KafkaConnectionError

    async with asyncio.timeout(5):
        await close("group", never())
        with pytest.raises(KafkaConnectionError):
            await close("group", refused())


@pytest.fixture
def _loops_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the loop that Faust opens for its own consumer, which never runs."""
    loops: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def make_and_note() -> asyncio.AbstractEventLoop:
        loops.append(make())
        return loops[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", make_and_note)
    yield
    for loop in loops:
        loop.close()


def page(port: int, path: str) -> tuple[int, str]:
    """Return the status and the text of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


@pytest.mark.usefixtures("_loops_closed")
async def test_the_pages_are_served_and_faust_shows_none_of_its_own() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = build_app(
        settings_for_tests(RINGFENCE_WEB_PORT=str(port)), RULES, EPOCH, leave=lambda: None
    )
    app.feeding = ()
    await app.start()
    try:
        assert await asyncio.to_thread(page, port, "/healthz") == (200, "ok\n")
        unready = "the group has given no partitions yet\n"
        assert await asyncio.to_thread(page, port, "/readyz") == (503, unready)
        status, text = await asyncio.to_thread(page, port, "/metrics")
        assert (status, "ringfence_worker_info" in text) == (200, True)
        for path in ("/", "/table/", "/router/", "/graph/", "/assignment/", "/performance/"):
            assert (await asyncio.to_thread(page, port, path))[0] == 404, path
    finally:
        await app.stop()


@pytest.mark.usefixtures("_loops_closed")
async def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = build_app(
            settings_for_tests(RINGFENCE_WEB_PORT=str(port)), RULES, EPOCH, leave=lambda: None
        )
        app.feeding = ()
        with pytest.raises(OutsideFailure, match=f"^port {port} on 127.0.0.1 cannot be opened"):
            await app.start()
        await app.stop()


def test_no_label_can_hold_something_about_a_person() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {
        *("topic", "partition", "reason", "rule", "state", "final", "part", "event", "fields"),
        *("side", "stage", "version", "digest"),
    }
    assert metrics.PEOPLE.labels == ("side",)
