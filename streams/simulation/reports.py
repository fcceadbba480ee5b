"""What the two sides report: one snapshot of an event for each thing that happens to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.events import EVENTS
from rules.moment import HOUR_US, SECOND_US, format_moment

Data = dict[str, str | int | bool]

CALLS = "calls"
TRANSACTIONS = "transactions"
SOURCES = {CALLS: "//telecom.example/ott", TRANSACTIONS: "//bank.example/core"}

# Shanghai is so far ahead of UTC, all year round.
HOURS_AHEAD = 8

# So many people live in one residential area.
_NEIGHBOURS = 400
# Open calls and shares are reported again before anybody takes them for over.
_REPEAT_US = HOUR_US
# A shorter call is reported once, when it is over.
_REPORTED_AT_ONCE_S = 60


class Report(NamedTuple):
    """One record before it is put in a log; `time_us` is when what it reports happened."""

    type: str
    id: str
    sequence: int
    time_us: int
    data: Mapping[str, Any]
    said_by: str | None = None

    @property
    def feed(self) -> str:
        """The feed of the side that reports it."""
        return feed_of(self.type)

    @property
    def source(self) -> str:
        """Who reports it: the one system of its side, unless it is another."""
        return self.said_by or SOURCES[self.feed]


def feed_of(event: str) -> str:
    """Return the feed of the side that reports such events."""
    return TRANSACTIONS if EVENTS[event].side == "bank" else CALLS


@dataclass(frozen=True)
class Person:
    """Somebody of the town: what both sides call them, their device, and where they live."""

    serial: int
    number: str
    device: str
    area: str

    @property
    def data(self) -> Data:
        """The fields that every event of theirs has."""
        return {"person": self.number, "area": self.area}


def person(serial: int, area: str) -> Person:
    """Return a person with a number of their own that nobody can have.

    China's numbering plan has no number like these: 10 after +86 is Beijing, where no local
    number begins with 0, and no mobile number begins with 10.
    """
    return Person(serial, f"+8610000{serial:06}", f"device-{serial:06}", area)


def townsperson(serial: int) -> Person:
    """Return one of the people of a town; some hundreds of them share a residential area."""
    return person(serial, f"area-{serial // _NEIGHBOURS + 1:04}")


def moment(us: int) -> str:
    """Return a moment as the town's systems write it: local time, eight hours ahead of UTC."""
    return format_moment(us + HOURS_AHEAD * HOUR_US).replace("Z", "+08:00")


def call(
    own_id: str, who: Person, at_us: int, talk_s: int | None, fields: Data, *, rings_s: int = 12
) -> Iterator[Report]:
    """Yield what is reported of an incoming call.

    It begins to ring at `at_us`; `talk_s` is how long they talk, None if nobody answers.
    """
    data: Data = {"call_id": own_id, **who.data, "device": who.device, "direction": "incoming"}
    data |= {**fields, "invited_at": moment(at_us)}
    answered_us = at_us + rings_s * SECOND_US
    if talk_s is not None:
        data["answered_at"] = moment(answered_us)
    if talk_s is not None and talk_s >= _REPORTED_AT_ONCE_S:
        yield from _interval("call_invitation", own_id, answered_us, talk_s, data)
        return
    ended_us = answered_us + (talk_s or 0) * SECOND_US
    yield _report("call_invitation", own_id, 0, ended_us, {**data, "ended_at": moment(ended_us)})


def screen_share(
    own_id: str, who: Person, at_us: int, lasts_s: int, fields: Data
) -> Iterator[Report]:
    """Yield what is reported of a screen that is shown to somebody."""
    data: Data = {"share_id": own_id, **who.data, "device": who.device, **fields}
    data["started_at"] = moment(at_us)
    yield from _interval("screen_share", own_id, at_us, lasts_s, data)


def transfer(
    own_id: str, who: Person, at_us: int, amount: str, fields: Data, *, ends: str = "accepted"
) -> Iterator[Report]:
    """Yield what is reported of a transfer: the attempt, and some seconds later how it ends."""
    data: Data = {"transfer_id": own_id, **who.data, "direction": "out", "amount": amount}
    data |= {"currency": "CNY", "channel": "mobile", "device": who.device, **fields}
    data["initiated_at"] = moment(at_us)
    yield _report("transfer", own_id, 0, at_us, {**data, "status": "attempted"})
    yield _report("transfer", own_id, 1, at_us + 4 * SECOND_US, {**data, "status": ends})


def instant(event: str, own_id: str, who: Person, at_us: int, fields: Data) -> Iterator[Report]:
    """Yield the one report of an event that does not last."""
    spec = EVENTS[event]
    data: Data = {**who.data, **fields}
    if spec.id_field is not None:
        data[spec.id_field] = own_id
    if spec.start_field is not None:
        data.setdefault(spec.start_field, moment(at_us))
    yield _report(event, own_id, 0, at_us, data)


def _interval(event: str, own_id: str, at_us: int, lasts_s: int, data: Data) -> Iterator[Report]:
    """Yield the report of its beginning, one for each hour that it lasts, and that of its end."""
    ended_us = at_us + lasts_s * SECOND_US
    open_us = range(at_us, ended_us, _REPEAT_US)
    for sequence, time_us in enumerate(open_us):
        yield _report(event, own_id, sequence, time_us, data)
    yield _report(event, own_id, len(open_us), ended_us, {**data, "ended_at": moment(ended_us)})


def _report(event: str, own_id: str, sequence: int, time_us: int, data: Data) -> Report:
    return Report(event, f"{own_id}.{sequence}", sequence, time_us, data)
