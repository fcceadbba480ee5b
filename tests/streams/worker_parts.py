"""Records, a rule and an in-memory bus for tests of the worker."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError

from rules.language import load_rules
from rules.moment import format_moment, parse_moment
from rules.rule import RuleSet
from rules.watermark import Partition
from streams.epoch import Epoch
from streams.failures import OutsideFailure
from streams.lanes import Commit, Row
from streams.outbox import Message
from streams.settings import Settings, load_settings

SECRET = "a secret for tests only"
TEN_O_CLOCK = parse_moment("2023-07-08T10:00:00Z")
SECOND_US = 1_000_000

RULE = """
id: video_call_then_new_payee
version: 1.0.0
title: A stranger's video call, then a transfer to a payee never paid before
status: test
typology: video_call_led_transfer
stage: exfiltration
by: person
steps:
  - as: call
    event: call_invitation
    where:
      - media == "video" and direction == "incoming"
      - relationship == "stranger" and answered
  - as: pay
    event: transfer
    after: call
    within: 2h
    where:
      - direction == "out" and status != "rejected"
      - payee_is_new and amount >= "3000 CNY"
severity: medium
action: warn
message: "{pay.amount} {pay.currency} to a new payee"
"""


# It names an outside event that no rule of the first stage does.
CAMPAIGNS = {
    "many_victims.yaml": """
id: many_victims
version: 1.0.0
title: Alerts about several people and one account
status: test
typology: mule_account
stage: campaign
by: payee
steps:
  - as: hits
    each: alert
    where: [stage == "exfiltration"]
    within: 72h
    having: [count(hits.person) >= 2]
anchor: hits
severity: critical
action: block
message: "{count(hits.person)} people are about to pay one account"
""",
    "alert_then_block.yaml": """
id: alert_then_block
version: 1.0.0
title: An alert, and the caller cuts the victim off
status: test
typology: cut_off
stage: cut_off
by: person
steps:
  - as: hit
    event: alert
  - as: cut
    event: contact_blocked
    after: hit
    within: 2h
severity: high
action: hold
message: "cut off after an alert"
""",
}


def rules_for_tests() -> RuleSet:
    """Return the one rule above."""
    return load_rules({"video_call_then_new_payee.yaml": RULE}, settings_for_tests().timing)


def rules_with_campaigns() -> RuleSet:
    """Return all rules above, of both stages."""
    files = {"video_call_then_new_payee.yaml": RULE, **CAMPAIGNS}
    return load_rules(files, settings_for_tests().timing)


def settings_for_tests(**more: str) -> Settings:
    """Return the defaults with a secret."""
    return load_settings({"RINGFENCE_PSEUDONYM_KEY": SECRET, **more})


def epoch_for_tests(facts_partitions: int = 2, *, campaigns: bool = False) -> Epoch:
    """Return an epoch over one partition of each outside topic."""
    return Epoch(
        "0123abcd",
        {"calls": 1, "transactions": 1},
        "facts.0123abcd",
        facts_partitions,
        "ringfence.0123abcd",
        "ringfence.alerts",
        "facts2.0123abcd" if campaigns else None,
    )


def record(kind: str, number: int, at_us: int, **data: object) -> bytes:
    """Return one record of the contract."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{number}-{at_us}",
            "source": "//sender.example/test",
            "type": f"ringfence.{kind}.v1",
            "time": format_moment(at_us),
            "data": data,
        }
    ).encode()


def call(
    number: int, at_us: int, relationship: str = "stranger", person: str | None = None
) -> bytes:
    """Return the record of a video call of ten minutes."""
    return record(
        "call_invitation",
        number,
        at_us,
        call_id=f"c-{number}",
        person=person or f"cust-{number}",
        caller="desk@calls.example",
        direction="incoming",
        service="facetime",
        media="video",
        relationship=relationship,
        invited_at=format_moment(at_us),
        answered_at=format_moment(at_us),
        ended_at=format_moment(at_us + 600 * SECOND_US),
    )


def blocked(number: int, at_us: int, person: str | None = None) -> bytes:
    """Return the record of a caller who cuts a person off."""
    return record(
        "contact_blocked", number, at_us, person=person or f"cust-{number}", by="counterparty"
    )


def transfer(
    number: int,
    at_us: int,
    status: str = "attempted",
    sequence: int = 0,
    *,
    payee: str | None = None,
    person: str | None = None,
    told_at_us: int | None = None,
) -> bytes:
    """Return the record of a transfer to a payee never paid before, told at once or later."""
    plain = json.loads(
        record(
            "transfer",
            number,
            at_us,
            transfer_id=f"p-{number}",
            person=person or f"cust-{number}",
            initiated_at=format_moment(at_us),
            amount="20000",
            currency="CNY",
            payee_account=payee or f"acc-{number}",
            direction="out",
            payee_kind="personal",
            payee_times_paid=0,
            status=status,
        )
    )
    time = plain["time"] if told_at_us is None else format_moment(told_at_us)
    name = f"{plain['id']}.{sequence}"
    return json.dumps({**plain, "id": name, "sequence": sequence, "time": time}).encode()


def heartbeat(watermark_us: int) -> bytes:
    """Return a record that raises its partition's watermark."""
    return record("heartbeat", 0, watermark_us, watermark=format_moment(watermark_us))


@dataclass(frozen=True)
class MemoryRow:
    """A record of a topic in memory."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


def rows_of(*values: bytes | None, first: int = 0) -> list[MemoryRow]:
    """Return records without key, one after the other."""
    return [MemoryRow(first + n, None, value) for n, value in enumerate(values)]


@dataclass
class MemoryBus:
    """Topics in memory: keeps what is sent, and gives back what it keeps.

    `refuses` names a topic that takes nothing any more.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    logs: dict[Partition, list[MemoryRow]] = field(default_factory=lambda: defaultdict(list))
    batches: list[list[Message]] = field(default_factory=list)
    refuses: str | None = None

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Append each message to its partition, as a `Sender` does."""
        await asyncio.sleep(0)
        if any(message.topic == self.refuses for message in messages):
            raise OutsideFailure(f"a record for {self.refuses} was not taken: for this test")
        self.batches.append(list(messages))
        for message in messages:
            number = message.partition
            if number is None:
                number = sum(message.key or b"") % self.sizes.get(message.topic, 1)
            log = self.logs[message.topic, number]
            log.append(MemoryRow(len(log), message.key, message.value, message.headers))

    async def begin_of(self, partition: Partition) -> int:
        """Return the first offset, as `Offsets` and a `FactsLog` do."""
        log = self.logs.get(partition)
        return log[0].offset if log else 0

    async def rows(
        self, partition: Partition, start: int, end: int
    ) -> AsyncIterator[Sequence[Row]]:
        """Yield rows three by three, as a `FactsLog` does."""
        log = self.logs[partition]
        while start < end:
            await asyncio.sleep(0)
            rows = [row for row in log if start <= row.offset < min(start + 3, end)]
            start = rows[-1].offset + 1
            yield rows

    def values(self, topic: str) -> list[Any]:
        """Return the decoded values of a topic, partition by partition."""
        logs = [log for (name, _), log in sorted(self.logs.items()) if name == topic]
        return [json.loads(row.value) for log in logs for row in log if row.value is not None]


@dataclass
class MemoryMember:
    """The only member of a group: it is given and loses partitions when the test says so.

    `commits` outlives a member, as at a broker. `failure` is what the next read raises,
    `commit_failure` what every commit does.
    """

    bus: MemoryBus
    commits: dict[Partition, Commit]
    assigned: set[TopicPartition] = field(default_factory=set)
    paused: set[TopicPartition] = field(default_factory=set)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    listener: ConsumerRebalanceListener | None = None
    failure: Exception | None = None
    commit_failure: Exception | None = None
    stray: dict[TopicPartition, Sequence[MemoryRow]] = field(default_factory=dict)
    behind: bool = False
    unassigned: bool = False
    polled_ms: dict[TopicPartition, int] = field(default_factory=dict)
    stopped: bool = False
    changed: str | None = None

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Leave, without a call of the listener."""
        self.stopped = True

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        """Take note of the listener."""
        assert topics
        self.listener = listener

    async def give(self, *partitions: Partition) -> None:
        """Rebalance: everything is taken, then these partitions are given."""
        assert self.listener is not None
        await self.listener.on_partitions_revoked(self.assigned)
        self.assigned = {TopicPartition(*p) for p in partitions}
        self.paused, self.positions = set(), {}
        await self.listener.on_partitions_assigned(self.assigned)

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, Sequence[Row]]:
        """Return what lies at the positions of what is not paused, and what the test strews in."""
        del timeout_ms
        await asyncio.sleep(0.001)
        if self.failure is not None:
            raise self.failure
        fetched: dict[TopicPartition, Sequence[Row]] = dict(self.stray)
        self.stray = {}
        for place in self.assigned - self.paused:
            log = self.bus.logs[place.topic, place.partition]
            rows = [row for row in log if row.offset >= self.positions[place]]
            if rows:
                self.positions[place] = rows[-1].offset + 1
                fetched.setdefault(place, rows)
        return fetched

    def pause(self, *places: TopicPartition) -> None:
        """Bring no more of these."""
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        """Bring them again."""
        self.paused -= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from there."""
        self.positions[place] = offset

    def assignment(self) -> set[TopicPartition]:
        """Return what the test has given."""
        return self.assigned

    async def position(self, place: TopicPartition) -> int:
        """Return the offset of the row to come next."""
        if self.unassigned:
            raise IllegalStateError("not assigned")
        return self.positions[place]

    def highwater(self, place: TopicPartition) -> int | None:
        """Return where the partition ends."""
        log = self.bus.logs[place.topic, place.partition]
        return (log[-1].offset + 1 if log else 0) + self.behind

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        """Return the test's clock, for every read looks at everything."""
        return self.polled_ms.get(place)

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Keep the commits."""
        await asyncio.sleep(0)
        if self.commit_failure is not None:
            raise self.commit_failure
        for place, commit in offsets.items():
            self.commits[place.topic, place.partition] = Commit(commit.offset, commit.metadata)

    async def committed(self, partition: Partition) -> Commit | None:
        """Return a commit, as `Commits` do."""
        await asyncio.sleep(0)
        return self.commits.get(partition)

    async def topics_changed(self, sizes: Mapping[str, int]) -> str | None:
        """Return what the test says, as `Commits` do."""
        assert sizes
        return self.changed


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so, for five seconds at most."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
