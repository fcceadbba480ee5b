"""Workload A: a day of calls and transfers in the event contract, made from a seed.

Half of the records are call invitations, written when the call ends, half are transfers, written
when they are ordered. Among the calls are a fixed number of answered incoming video calls by
strangers, among the transfers a fixed number to payees never paid before, and a few of both are
planted: one person, the transfer during the call or within two hours after it. Everything else is
ordinary. Whether more of them meet by chance is for `benchmarks.truth` to find out.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final, TypeVar

_DAY: Final = 86_400
_BEGINS_AT: Final = datetime(2023, 7, 8, tzinfo=UTC)
# Local midnight, eight hours ahead; calls that end then began the day before.
_DAYS_BEFORE: Final = 1

_ORDINARY_CALL, _STRANGER_CALL, _ORDINARY_TRANSFER, _SMALL_TO_NEW, _LARGE_TO_NEW = range(5)

THRESHOLD_CNY: Final = 3000
_LONGEST_DELAY_MS: Final = 10 * 60 * 1000
_SHARE_DELAYED: Final = 0.1
_CHUNK: Final = 10_000
_DRAWN: Final = 4096

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Size:
    """How large a workload is; what is not given is in proportion to the events.

    Of 2,000,000 events 30,000 are answered video calls by strangers, 100,000 are transfers to new
    payees, 15,000 of which reach the threshold, and 500 of each are planted as pairs.
    """

    events: int = 2_000_000
    people: int = 0
    hours: int = 24
    seed: int = 1
    pairs: int = 0

    @property
    def persons(self) -> int:
        """How many people there are."""
        return self.people or max(10, self.events // 10)

    @property
    def calls(self) -> int:
        """How many of the events are call invitations."""
        return self.events // 2

    @property
    def stranger_calls(self) -> int:
        """How many calls are answered incoming video calls by strangers."""
        return self.events * 3 // 200

    @property
    def to_new_payees(self) -> int:
        """How many transfers go to a payee never paid before."""
        return self.events // 20

    @property
    def large_to_new_payees(self) -> int:
        """How many of those reach the threshold."""
        return self.to_new_payees * 15 // 100

    @property
    def planted(self) -> int:
        """How many pairs of a call and a transfer are one person's, and close to each other."""
        return self.pairs or self.events // 4000

    @property
    def name(self) -> str:
        """The first part of the names of the files that hold it."""
        pairs = f"-{self.pairs}" if self.pairs else ""
        return f"a-{self.events}-{self.persons}-{self.hours}h-{self.seed}{pairs}"


@dataclass(frozen=True, slots=True)
class _Planted:
    """What a planted call or transfer has to be; the call lasts at least so many seconds."""

    serial: int
    lasts_s: int = 0


@dataclass(frozen=True)
class _Plan:
    """When each record is dated (milliseconds from the start), what it is, in order of time."""

    times_ms: list[int]
    kinds: bytearray
    planted: Mapping[int, _Planted]


def lines(size: Size) -> Iterator[bytes]:
    """Yield the records as lines without their ends, in the order in which a bus has them."""
    rng = random.Random(size.seed)
    plan = _plan(size, rng)
    order = _arrival(plan, rng)
    weights = list(accumulate(rng.lognormvariate(0.0, 1.0) for _ in range(size.persons)))
    serials = range(1, size.persons + 1)
    writer = _Writer(size, rng)
    for begin in range(0, size.events, _CHUNK):
        chunk = order[begin : begin + _CHUNK]
        drawn = rng.choices(serials, cum_weights=weights, k=len(chunk))
        for index, serial in zip(chunk, drawn, strict=True):
            planted = plan.planted.get(index) or _Planted(serial)
            yield writer.line(index, plan.kinds[index], plan.times_ms[index], planted)


def flood(size: Size) -> Iterator[bytes]:
    """Yield records that are all of one person, and nearly all of use to the rule.

    They are answered video calls by strangers, and one in a thousand a transfer that can match.
    """
    rng = random.Random(size.seed)
    writer = _Writer(size, rng)
    step_ms = size.hours * 3_600_000 / size.events
    for index in range(size.events):
        kind = _LARGE_TO_NEW if index % 1000 == 999 else _STRANGER_CALL  # noqa: PLR2004
        yield writer.line(index, kind, int(index * step_ms), _Planted(1))


def _plan(size: Size, rng: random.Random) -> _Plan:
    span_ms = size.hours * 3_600_000
    times_ms = sorted(int(rng.random() * span_ms) for _ in range(size.events))
    planted = _plant(size, times_ms, rng)
    counts = {
        _STRANGER_CALL: size.stranger_calls - size.planted,
        _ORDINARY_CALL: size.calls - size.stranger_calls,
        _LARGE_TO_NEW: size.large_to_new_payees - size.planted,
        _SMALL_TO_NEW: size.to_new_payees - size.large_to_new_payees,
    }
    counts[_ORDINARY_TRANSFER] = size.events - 2 * size.planted - sum(counts.values())
    rest = bytearray().join(bytes([kind]) * n for kind, n in counts.items())
    rng.shuffle(rest)
    unplanted = iter(rest)
    kinds = bytearray(
        (_STRANGER_CALL if planted[n].lasts_s else _LARGE_TO_NEW)
        if n in planted
        else next(unplanted)
        for n in range(size.events)
    )
    return _Plan(times_ms, kinds, planted)


def _plant(size: Size, times_ms: list[int], rng: random.Random) -> dict[int, _Planted]:
    """Choose places for the planted pairs: from 110 minutes after the call to 25 within it."""
    planted: dict[int, _Planted] = {}
    while len(planted) < 2 * size.planted:
        pay = rng.randrange(size.events)
        ahead_s = rng.randint(-110 * 60, 25 * 60)
        call = bisect_left(times_ms, times_ms[pay] + ahead_s * 1000)
        if call == pay or call >= size.events or {call, pay} & planted.keys():
            continue
        apart_s = (times_ms[call] - times_ms[pay]) // 1000
        if abs(apart_s - ahead_s) > 60:  # noqa: PLR2004 - near an edge there is none close by
            continue
        serial = rng.randint(1, size.persons)
        planted[call] = _Planted(serial, max(apart_s, 0) + rng.randint(120, 1200))
        planted[pay] = _Planted(serial)
    return planted


def _arrival(plan: _Plan, rng: random.Random) -> list[int]:
    """Return the order of arrival: by time, some up to ten minutes after their time."""
    arrives_ms = [
        ms + int(rng.random() * _LONGEST_DELAY_MS) if rng.random() < _SHARE_DELAYED else ms
        for ms in plan.times_ms
    ]
    return sorted(range(len(arrives_ms)), key=arrives_ms.__getitem__)


# Weight, direction, service, media, relationship, class of the name shown, share answered. The
# incoming video calls by strangers among them are those that nobody answered.
_CALLS: Final = (
    (22, ("incoming", "cs_voice", "audio", "contact", "none", 0.7)),
    (12, ("incoming", "volte", "audio", "prior_mutual", "none", 0.7)),
    (12, ("incoming", "cs_voice", "audio", "stranger", "none", 0.4)),
    (20, ("outgoing", "volte", "audio", "contact", "none", 0.8)),
    (8, ("outgoing", "cs_voice", "audio", "stranger", "none", 0.8)),
    (8, ("incoming", "wechat", "video", "contact", "personal", 0.8)),
    (6, ("outgoing", "wechat", "video", "contact", "personal", 0.8)),
    (4, ("incoming", "whatsapp", "audio", "prior_mutual", "personal", 0.7)),
    (3, ("incoming", "facetime", "video", "prior_mutual", "personal", 0.8)),
    (2, ("incoming", "meeting", "screen", "contact", "personal", 0.9)),
    (0.5, ("incoming", "wechat", "video", "one_way_prior", "personal", 0.6)),
    (1.0, ("incoming", "facetime", "video", "stranger", "institution_like", 0.0)),
    (0.5, ("incoming", "telegram", "video", "stranger", "none", 0.0)),
    (1.0, ("incoming", "ims_video", "video", "unknown", "none", 0.5)),
)
_BY_STRANGERS: Final = (
    (5, ("incoming", "facetime", "video", "stranger", "institution_like", 1.0)),
    (3, ("incoming", "wechat", "video", "stranger", "personal", 1.0)),
    (2, ("incoming", "whatsapp", "video", "stranger", "none", 1.0)),
    (1, ("incoming", "meeting", "video", "stranger", "official_verified", 1.0)),
)
# Weight, direction, whose account the other one is, channel, what it is for.
_TRANSFERS: Final = (
    (40, ("out", "merchant", "mobile", "other")),
    (25, ("out", "personal", "mobile", "other")),
    (10, ("in", "personal", "mobile", "other")),
    (8, ("out", "own", "web", "other")),
    (7, ("in", "merchant", "other", "refund")),
    (6, ("out", "government", "web", "fee")),
    (4, ("out", "unknown", "branch", "deposit")),
)
_TO_NEW_PAYEES: Final = (
    (7, ("out", "personal", "mobile", "other")),
    (2, ("out", "unknown", "mobile", "deposit")),
    (1, ("out", "personal", "web", "verification")),
)
_STATUSES: Final = (
    (60, "accepted"),
    (20, "settled"),
    (10, "submitted"),
    (7, "attempted"),
    (3, "rejected"),
)

_CALL: Final = (
    '{"specversion":"1.0","id":"%08x","source":"//telecom.example/ott",'
    '"type":"ringfence.call_invitation.v1","time":"%s.%03d+08:00","data":{'
    '"call_id":"c-%d","person":"+8610000%06d","caller":"%s","direction":"%s","service":"%s",'
    '"media":"%s","relationship":"%s",%s"invited_at":"%s+08:00",'
)
_ANSWERED: Final = '"answered_at":"%s+08:00","ended_at":"%s+08:00"}}'
_UNANSWERED: Final = '"ended_at":"%s+08:00","camera_on":false}}'
_TRANSFER: Final = (
    '{"specversion":"1.0","id":"%08x","source":"//bank.example/core",'
    '"type":"ringfence.transfer.v1","time":"%s.%03d+08:00","data":{'
    '"transfer_id":"t-%d","person":"+8610000%06d","initiated_at":"%s+08:00","amount":"%.2f",'
    '"currency":"CNY","payee_account":"acc-%010d","direction":"%s","payee_kind":"%s",'
    '"payee_times_paid":%d,"status":"%s","balance_before":"%.2f","channel":"%s"%s}}'
)


class _Writer:
    """Writes records by templates: a second of the days concerned is formatted once."""

    def __init__(self, size: Size, rng: random.Random) -> None:
        days = size.hours // 24 + 1 + _DAYS_BEFORE
        first = _BEGINS_AT - timedelta(days=_DAYS_BEFORE)
        seconds = [f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}" for n in range(_DAY)]
        self._seconds = [
            f"{(first + timedelta(days=day)).date()}T{text}"
            for day in range(days)
            for text in seconds
        ]
        self._rng = rng
        self._calls = _drawn(_CALLS), _drawn(_BY_STRANGERS)
        self._transfers = _drawn(_TRANSFERS), _drawn(_TO_NEW_PAYEES)
        self._statuses = _drawn(_STATUSES)

    def line(self, index: int, kind: int, time_ms: int, planted: _Planted) -> bytes:
        """Return the record of one event."""
        if kind in (_ORDINARY_CALL, _STRANGER_CALL):
            return self._call(index, kind, time_ms, planted)
        return self._transfer(index, kind, time_ms, planted.serial)

    def _call(self, index: int, kind: int, time_ms: int, planted: _Planted) -> bytes:
        rng = self._rng
        table = self._calls[kind == _STRANGER_CALL]
        direction, service, media, relationship, shown, answered = table[
            int(rng.random() * _DRAWN)
        ]
        ends = time_ms // 1000 + _DAYS_BEFORE * _DAY
        is_answered = rng.random() < answered
        talk = planted.lasts_s or min(5400, 5 + int(rng.lognormvariate(5.0, 1.1)))
        rings = 3 + int(rng.random() * 27)
        begins = ends - rings - (talk if is_answered else 0)
        text = _CALL % (
            index * 2_654_435_761 % 4_294_967_296,
            self._seconds[ends],
            time_ms % 1000,
            index,
            planted.serial,
            self._caller(relationship, service),
            direction,
            service,
            media,
            relationship,
            f'"display_name_class":"{shown}",' if shown != "none" else "",
            self._seconds[begins],
        )
        rest = (
            _ANSWERED % (self._seconds[begins + rings], self._seconds[ends])
            if is_answered
            else _UNANSWERED % self._seconds[ends]
        )
        return (text + rest).encode()

    def _caller(self, relationship: str, service: str) -> str:
        serial = int(self._rng.random() * 1_000_000)
        if service in ("facetime", "meeting") and relationship == "stranger":
            return f"s{serial:06}@im.example"
        return f"+8610000{serial:06}"

    def _transfer(self, index: int, kind: int, time_ms: int, serial: int) -> bytes:
        rng = self._rng
        is_new = kind != _ORDINARY_TRANSFER
        direction, payee_kind, channel, purpose = self._transfers[is_new][
            int(rng.random() * _DRAWN)
        ]
        second = self._seconds[time_ms // 1000 + _DAYS_BEFORE * _DAY]
        amount = self._amount(kind)
        return (
            _TRANSFER
            % (
                index * 2_654_435_761 % 4_294_967_296,
                second,
                time_ms % 1000,
                index,
                serial,
                second,
                amount,
                int(rng.random() * 10_000_000_000),
                direction,
                payee_kind,
                0 if is_new else 1 + int(rng.expovariate(0.1)),
                self._statuses[int(rng.random() * _DRAWN)],
                amount * (1.0 + 20.0 * rng.random()),
                channel,
                f',"purpose_class":"{purpose}"' if purpose != "other" else "",
            )
        ).encode()

    def _amount(self, kind: int) -> float:
        rng = self._rng
        if kind == _LARGE_TO_NEW:
            return THRESHOLD_CNY + rng.lognormvariate(8.5, 1.0)
        if kind == _SMALL_TO_NEW:
            return 1.0 + (THRESHOLD_CNY - 2) * rng.random() ** 3
        return 1.0 + rng.lognormvariate(5.7, 1.4)


def _drawn(table: Sequence[tuple[float, _Row]]) -> Sequence[_Row]:
    """Return rows in the proportion of their weights, to draw from by one number."""
    total = sum(weight for weight, _ in table)
    rows = [row for weight, row in table for _ in range(max(1, round(_DRAWN * weight / total)))]
    return (rows + [table[0][1]] * _DRAWN)[:_DRAWN]
