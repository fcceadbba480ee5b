"""Tests of which epochs there are, of where they begin, and of workers that watch theirs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import load_rules
from rules.moment import DAY_US, MINUTE_US
from rules.timing import Timing
from streams.beginnings import begin_at_end, begin_since
from streams.epoch import Epoch
from streams.epoch_watch import EpochWatch
from streams.epochs_topic import OvertakenError, epochs_topic
from streams.failures import OutsideFailure, UsageFailure
from streams.joining import join
from streams.lanes import Row
from streams.rule_files import read_rules, read_texts
from streams.succession import (
    Entry,
    State,
    Succession,
    encode_succession,
    fold,
    refusal,
    write_rules,
)
from streams.switch_command import seconds_of, wish_of
from streams.topics import make_entry
from tests.streams.epochs_desk import MemoryBroker
from tests.streams.worker_parts import (
    RULE,
    TEN_O_CLOCK,
    MemoryRow,
    call,
    rules_for_tests,
    rules_with_campaigns,
    settings_for_tests,
)

RULES = rules_for_tests()
CALLS = ("calls", 0)


def entry(number: int, state: State, digest: str = "") -> Entry:
    """Return an epoch of a number and a state."""
    digest = digest or f"digest{number}"
    made = make_entry(settings_for_tests(), RULES, {"calls": 1}, Succession())
    shadow_topic = "beside" if state == "shadow" else None
    return msgspec.structs.replace(
        made, number=number, state=state, digest=digest, shadow_topic=shadow_topic
    )


def states(succession: Succession) -> list[State]:
    """Return what each epoch is."""
    return [e.state for e in succession.epochs]


def test_an_epoch_that_follows_leaves_the_one_before_open() -> None:
    first = Succession().add(entry(1, "current"))
    after = first.follow(entry(2, "current"))
    assert states(after) == ["leaving", "current"]
    assert after.epochs[0].rules is not None
    assert states(after.retire()) == ["retired", "current"]
    assert after.retire().epochs[0].rules is None


def test_a_shadow_takes_the_place_of_the_current_one_in_two_steps() -> None:
    beside = Succession().add(entry(1, "current")).add(entry(2, "shadow"))
    assert beside.beside is not None
    assert beside.beside.epoch({}).alerts_topic == "beside"
    between = beside.promote()
    assert states(between) == ["current", "promoting"]
    assert between.running("digest2") is None
    after = between.enthrone()
    assert states(after) == ["leaving", "current"]
    assert after.epochs[1].epoch({}).alerts_topic == "ringfence.alerts"
    assert states(beside.drop()) == ["current", "retired"]


def test_workers_of_a_digest_work_for_its_last_epoch_only() -> None:
    both = Succession().add(entry(1, "retired", "same")).add(entry(2, "current", "same"))
    running = both.running("same")
    assert running is not None
    assert running.number == 2
    assert both.running("another") is None


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ("retired", "epoch 2 (digest2) is over and epoch 1 (digest1) runs; start an epoch with"),
        (
            "promoting",
            'epoch 2 (digest2) is being promoted and epoch 1 (digest1) runs; run "ringf',
        ),
    ],
)
def test_who_is_refused_hears_what_runs_and_what_to_do(state: State, what: str) -> None:
    succession = Succession().add(entry(1, "current")).add(entry(2, state))
    assert what in str(refusal(succession, "digest2"))
    assert "switch" in str(refusal(succession, "digest2"))
    assert "make another one (digest3); start" in str(refusal(succession, "digest3"))
    assert "no epoch runs, and these" in str(refusal(Succession(), "digest3"))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=20))
def test_of_records_with_one_version_the_first_counts(told: list[tuple[int, bool]]) -> None:
    succession, expected = Succession(), Succession()
    for version, is_one in told:
        record = Succession(version, (ONE,) if is_one else (ANOTHER,))
        if version == expected.version + 1:
            expected = record
        succession = fold(succession, encode_succession(record))
        assert succession == expected


ONE, ANOTHER = entry(1, "current", "one"), entry(1, "current", "another")


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"version": "one"}'])
def test_a_record_that_is_none_of_ours_is_refused(value: bytes | None) -> None:
    with pytest.raises(OutsideFailure, match="no ringfence of this release wrote"):
        fold(Succession(), value)


def test_rules_come_back_as_they_were_without_their_stories() -> None:
    texts = read_texts(None)
    written = write_rules(texts, ("params.yaml", "{}\n"), Timing(settle_us=DAY_US))
    expected = read_rules(None, Timing(settle_us=DAY_US))
    assert [r.digest for r in written.load().rules] == [r.digest for r in expected.rules]
    assert not any("\nstories:" in text for text in written.files.values())


# Workers that watch.


class Follower:
    """The epochs topic as it grows."""

    def __init__(self, *versions: Succession) -> None:
        self._rows: asyncio.Queue[Sequence[Row]] = asyncio.Queue()
        self.add(*versions)

    def add(self, *versions: Succession) -> None:
        """Append versions, to be read together."""
        self._rows.put_nowait([MemoryRow(0, None, encode_succession(v)) for v in versions])

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """Yield what comes."""
        while True:
            yield await self._rows.get()


def numbered(*steps: Succession) -> list[Succession]:
    """Return the steps as versions that follow each other."""
    return [msgspec.structs.replace(step, version=n) for n, step in enumerate(steps, 1)]


async def left(epoch: Epoch, first: Sequence[Succession], then: Sequence[Succession]) -> list[int]:
    """Return after which of two parts of the topic a worker of an epoch has left."""
    found: list[int] = []
    at = 1
    follower = Follower(*first)
    watch = EpochWatch(follower.rows(), epoch, leave=lambda: found.append(at))
    await watch.start()
    await asyncio.sleep(0.01)
    at = 2
    follower.add(*then)
    await asyncio.sleep(0.01)
    await watch.stop()
    return found


async def test_a_worker_leaves_when_its_epoch_is_followed_and_not_before() -> None:
    begun = Succession().add(entry(1, "current"))
    beside = begun.add(entry(2, "shadow"))
    promoting = beside.promote()
    over = promoting.enthrone()
    steps = numbered(begun, beside, promoting, over, over.retire())
    current, shadow = beside.epochs[0].epoch({}), beside.epochs[1].epoch({})
    promoted = over.epochs[1].epoch({})
    assert await left(current, steps[:3], steps[3:]) == [2]
    # Before it began there was a time when it was not there yet.
    assert await left(shadow, steps[:2], steps[2:]) == [2]
    assert await left(promoted, steps[:4], steps[4:]) == []
    # What happened while it started counts as well.
    assert await left(current, steps, []) == [1]


# Where an epoch begins to read.


@dataclass
class Outside(MemoryBroker):
    """One outside partition with its records' times, and when each was sent."""

    told: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Append the records: minutes after ten at which each is dated, and sent."""
        super().__post_init__()
        for n, (dated, sent) in enumerate(self.told):
            record = call(n, TEN_O_CLOCK + dated * MINUTE_US)
            self.append(CALLS, [record], TEN_O_CLOCK + sent * MINUTE_US)


async def begun(outside: Outside, since: int, begin: int = 0) -> tuple[int, int]:
    """Return where to begin for a minute after ten, and from which minute on all is there."""
    outside.begins = {CALLS: begin}
    settings = settings_for_tests()
    found = await begin_since(outside, settings, RULES, [CALLS], TEN_O_CLOCK + since * MINUTE_US)
    return found.offsets[CALLS], (found.since_us - TEN_O_CLOCK) // MINUTE_US


IN_TIME = [(n, n) for n in range(100)]


async def test_reading_begins_a_lateness_before_the_first_record_that_counts() -> None:
    # An event may be told of five minutes ahead, lateness is fifteen, and the sender's clock may
    # be five minutes behind.
    assert await begun(Outside(told=IN_TIME), 60) == (60 - 5 - 15 - 5, 60)


async def test_where_clocks_of_senders_are_wrong_reading_begins_earlier() -> None:
    # Sent by a clock that is an hour behind, so that Kafka finds records an hour too late.
    behind = [(n, n - 60) for n in range(100)]
    offset, since = await begun(Outside(told=behind), 60)
    assert since == 60
    assert offset <= 60 - 5 - 15


async def test_a_log_of_years_ago_that_was_sent_today_is_read_from_its_beginning() -> None:
    today = [(n, 1_000_000 + n) for n in range(100)]
    assert await begun(Outside(told=today), 60) == (0, 60)


async def test_what_retention_has_taken_moves_the_moment_from_which_all_is_there() -> None:
    # Of records that are gone none was dated later than a lateness after those that are left.
    assert await begun(Outside(told=IN_TIME), 60, begin=50) == (50, 99 + 15 + 5)
    assert await begun(Outside(told=IN_TIME), 60, begin=20) == (35, 60)
    # A quiet partition that ends before is no reason.
    assert await begun(Outside(told=IN_TIME[:30]), 60, begin=10) == (30, 60)


async def test_records_without_a_time_say_nothing() -> None:
    outside = Outside(told=[(0, 0)])
    outside.append(CALLS, [None, b"{", b'{"time": 5}', b'{"time": "noon"}'], TEN_O_CLOCK)
    assert (await begun(outside, 60))[0] == 5


async def test_a_start_at_the_end_covers_what_nobody_can_have_told_yet() -> None:
    outside = Outside(told=IN_TIME)
    found = await begin_at_end(outside, RULES, [CALLS], TEN_O_CLOCK)
    assert found.offsets == {CALLS: 100}
    assert found.since_us == TEN_O_CLOCK + 10 * MINUTE_US
    reading = load_rules({"video_call_then_new_payee.yaml": RULE + OFFICIAL}, Timing())
    found = await begin_at_end(outside, reading, [CALLS], TEN_O_CLOCK)
    assert found.since_us == TEN_O_CLOCK + DAY_US + 5 * MINUTE_US


OFFICIAL = """
unless:
  - as: official
    event: official_call
    around: call
    within: 10m
"""


# A worker's way into its epoch.


@pytest.mark.parametrize(
    ("start", "offset"),
    [("earliest", None), ("latest", 1), ("2023-07-08T10:00:00Z", 0), ("2023-07-09T10:00:00Z", 1)],
)
async def test_the_first_epoch_begins_where_it_is_told(start: str, offset: int | None) -> None:
    broker = MemoryBroker()
    settings = settings_for_tests(RINGFENCE_START=start, RINGFENCE_BROKER_WAIT="0s")
    made = make_entry(settings, RULES, {"calls": 1, "transactions": 1}, Succession())
    broker.made[made.facts_topic] = 2
    broker.append(CALLS, [call(1, TEN_O_CLOCK)], TEN_O_CLOCK)
    epoch = await join(settings, RULES, broker)
    assert epoch.starts.get(CALLS) == offset
    (recorded,) = broker.versions[-1].epochs
    assert (recorded.since_us is None) is (start == "earliest")
    # Whoever comes next is told the same.
    assert await join(settings, RULES, broker) == epoch
    assert len(broker.versions) == 2


async def test_a_first_worker_that_is_overtaken_joins_whoever_was_first() -> None:
    class Overtaken(MemoryBroker):
        async def write_succession(self, succession: Succession) -> Succession:
            await super().write_succession(succession)
            raise OvertakenError

    broker = Overtaken()
    settings = settings_for_tests(RINGFENCE_BROKER_WAIT="0s")
    made = make_entry(settings, RULES, {"calls": 1, "transactions": 1}, Succession())
    broker.made[made.facts_topic] = 2
    assert (await join(settings, RULES, broker)).number == 1


async def test_a_worker_waits_a_little_for_its_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.joining._LOOK_EVERY_S", 0.01)
    broker = MemoryBroker()
    settings = settings_for_tests(RINGFENCE_BROKER_WAIT="5s")
    made = make_entry(settings, RULES, {"calls": 1, "transactions": 1}, Succession())
    broker.made[made.facts_topic] = 2
    before = Succession().add(entry(1, "current"))
    await broker.write_succession(before)
    joining = asyncio.create_task(join(settings, RULES, broker))
    await asyncio.sleep(0.05)
    assert not joining.done()
    after = broker.versions[-1].follow(msgspec.structs.replace(made, number=2))
    await broker.write_succession(after)
    assert (await joining).number == 2


async def test_a_worker_makes_no_topics_and_no_epoch_without_them() -> None:
    broker = MemoryBroker()
    settings = settings_for_tests(RINGFENCE_BROKER_WAIT="0s")
    with pytest.raises(OutsideFailure, match=r'"ringfence.facts.[0-9a-f]+" is not there, .*; run'):
        await join(settings, RULES, broker)
    assert broker.versions == [Succession()]
    del broker.made[epochs_topic(settings)]
    with pytest.raises(
        OutsideFailure, match=r'"ringfence\.epochs" is not there, .*; run "ringfence'
    ):
        await join(settings, RULES, broker)


# What the command is asked for.


def test_one_thing_is_asked_for_at_a_time() -> None:
    none = dict.fromkeys(("shadow", "compare", "promote", "drop", "status"), False)
    assert wish_of(**none) == "switch"
    assert wish_of(**{**none, "promote": True}) == "promote"
    with pytest.raises(UsageFailure, match="--shadow and --drop together, wanted one of them"):
        wish_of(**{**none, "drop": True, "shadow": True})


def test_how_long_to_wait_is_a_duration() -> None:
    assert seconds_of("10m") == 600
    with pytest.raises(UsageFailure, match='--wait: "long"'):
        seconds_of("long")


def test_reach_and_settling_count_both_stages() -> None:
    rules = rules_with_campaigns()
    first, second = rules.first_stage, rules.second_stage
    assert rules.reach_us == max(r.span.reach_us for r in first.rules) + max(
        r.span.reach_us for r in second.rules
    )
    assert rules.settled_us == max(r.settles_at(0) for r in second.rules)
    assert first.reach_us + first.settled_us == max(r.keep_us for r in first.rules)


def test_where_facts_logs_end_is_told_by_topic_and_number() -> None:
    ended = Succession().add(entry(1, "leaving")).end(1, {("facts", 1): 5, ("facts", 0): 3})
    assert ended.epochs[0].end_of == {("facts", 0): 3, ("facts", 1): 5}
