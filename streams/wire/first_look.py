"""A first look at records: only what the loaded rules look at, to drop what no rule needs.

Most records of a bus are of no use to any rule. Of those it is enough to know that they are JSON
within the limits, with an envelope, a person and the looked-at fields in order. Whatever is not
plainly so (a mistake, a spelling that is odd but allowed, a record that some step could use) is
left to `streams.wire.records`, which reads it whole and alone refuses.

For each event type one function is compiled: it looks over the fields in order and asks the
screen. `docs/checks.md` lists what is not checked of a record that is dropped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Annotated, Any, Final, Union

import msgspec

from rules.authoring.people import Side
from rules.condition import Field
from rules.events import (
    EVENTS,
    EventSpec,
    FieldSpec,
    Kind,
    own_fields,
)
from rules.moment import LATEST_US
from rules.money import CURRENCIES, Money, is_amount
from rules.rule import RuleSet
from rules.screen import Screen, ScreenEmitter, looked_at
from rules.timing import Timing
from streams.wire.forms import NOT_FROM_OUTSIDE, data_struct, record_struct
from streams.wire.json_text import SIZE_LIMIT, is_plainly_within_limits
from streams.wire.records import FUTURE_LIMIT_US

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
LATEST: Final = EPOCH + LATEST_US * MICROSECOND

Looks = Callable[[Any, datetime, datetime], bool]
"""Tells of a record's data, its time and the earliest start in order whether to read it whole."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record in order that no step of any rule can use; its time moves its watermark on."""

    source: str
    type: str
    time_us: int
    feed: str | None
    partition: int | None


def to_us(moment: datetime) -> int:
    """Return microseconds since the epoch."""
    return (moment - EPOCH) // MICROSECOND


def to_moment(us: int) -> datetime:
    """Return the moment in UTC of microseconds since the epoch."""
    return EPOCH + us * MICROSECOND


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_CLOSE: Final = ord("}")


class FirstLook:
    """Compiled from a rule set: what to decode of each event type, and the screen behind it.

    `looks` gives for the class of a decoded record the function that says whether to read it
    whole. `settle` is the shortest time after its start that an event's records count: a start
    that lies further back than that is left to be read whole.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        timing: Timing,
        sides: Mapping[str, Side] | None = None,
        *,
        reads_all: bool = False,
    ) -> None:
        """Compile the looks.

        Args:
            rule_set: the rules.
            timing: how long records count.
            sides: those that take note of the persons of their records.
            reads_all: whether every record is to be read whole, needed or not.
        """
        screen = Screen(rule_set)
        fields = looked_at(rule_set)
        outside = [spec for spec in EVENTS.values() if spec.name not in NOT_FROM_OUTSIDE]
        self.settle = min(timing.settle(spec.name) for spec in outside) * MICROSECOND
        self.looks: dict[type, Looks] = {}
        self._names: dict[type, str] = {}
        self._counts: dict[str, _Count] = {}
        for spec in outside:
            names = fields.get(spec.name, frozenset())
            data = data_struct(spec, own_fields(spec, names), _Moment)
            record = record_struct(spec, data, _Moment)
            self._names[record] = spec.name
            side = (sides or {}).get(spec.side)
            count = self._counts[spec.name] = _Count()
            look = _compile(spec, names, screen, side, count)
            self.looks[record] = _read_whole if reads_all else look
        for name in sorted(NOT_FROM_OUTSIDE):
            self.looks[record_struct(EVENTS[name], msgspec.Raw, _Moment)] = _read_whole
        decoder = msgspec.json.Decoder(Union[tuple(self.looks)])  # noqa: UP007 - made here
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def batch(self, chunk: bytes) -> "Batch":
        """Return the lines of a chunk, each decoded or, where it is not plainly in order, None.

        A chunk holds whole lines, each with its end.
        """
        # Plain lines have their objects' two ends at the very end and no list: so they are not
        # deep, each holds one record, and the decoder can have them all at once.
        if chunk.isascii() and b"[" not in chunk and b"\\" not in chunk:
            try:
                records = self._decode_lines(chunk)
            # What is too deep is no ValueError to msgspec.
            except (ValueError, RecursionError):
                pass
            else:
                ends = _plain_ends(chunk, len(records))
                if ends is not None:
                    return Batch(records, chunk, ends)
        lines = chunk.removesuffix(b"\n").split(b"\n")
        ends = [end - 1 for end in accumulate(len(line) + 1 for line in lines)]
        return Batch([self.decode(line.removesuffix(b"\r")) for line in lines], chunk, ends)

    def decode_all(self, raws: Sequence[bytes]) -> Sequence[Any]:
        """Return records decoded, each or, where it is not plainly in order, None."""
        chunk = b"\n".join(raws) + b"\n"
        # A record may be written over several lines, or hold several of what is no record then.
        if chunk.count(b"\n") == len(raws):
            return self.batch(chunk).records
        return [self.decode(raw) for raw in raws]

    def dropped_so_far(self) -> list[int]:
        """Return how many records of each type the looks have let go so far."""
        return [count.dropped for count in self._counts.values()]

    def add_dropped(self, counts: Iterable[int]) -> None:
        """Count what another first look of the same rules has let go."""
        for count, more in zip(self._counts.values(), counts, strict=True):
            count.dropped += more

    def dropped_by_type(self) -> Mapping[str, int]:
        """Return how many records of each type the looks have let go so far."""
        return {name: count.dropped for name, count in self._counts.items()}

    def decode(self, raw: bytes) -> Any | None:  # noqa: ANN401 - a Struct made for these rules
        """Return what is looked at of a record; None to have it read whole."""
        if not is_plainly_within_limits(raw):
            return None
        try:
            return self._decode(raw)
        # msgspec's errors are all ValueErrors.
        except ValueError:
            return None

    def judge(self, record: Any, *, now_us: int, trust_recorded: bool) -> Dropped | None:  # noqa: ANN401 - a Struct made for these rules
        """Return a record if it is in order and no rule needs it; None to have it read whole."""
        time, now = record.time, record.recordedtime if trust_recorded else None
        latest_us = (now_us if now is None else to_us(now)) + FUTURE_LIMIT_US
        time_us = to_us(time)
        if not 0 <= time_us <= min(latest_us, LATEST_US):
            return None
        if self.looks[type(record)](record.data, time, time - self.settle):
            return None
        name = self._names[type(record)]
        return Dropped(record.source, name, time_us, record.feed, record.partition)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines of a log: each decoded or None, the bytes, and where each line ends."""

    records: Sequence[Any]
    chunk: bytes = b""
    ends: Sequence[int] = ()

    def begin(self, at: int) -> int:
        """Return where a line begins; of the number of lines, where the last one ends."""
        return self.ends[at - 1] + 1 if at else 0

    def line(self, at: int) -> bytes:
        """Return a line as it came, without its end."""
        return self.chunk[self.begin(at) : self.ends[at]].removesuffix(b"\r")


def _plain_ends(chunk: bytes, count: int) -> list[int] | None:
    """Return where each line ends, or None if some line is not one plain record.

    Each of the `count` records has two objects and so two closing brackets at least. If the
    first that is met in each line is the last but one of its bytes, and the last is one too, each
    line has just two, which are those of one record; and each record has just two objects.
    """
    ends: list[int] = []
    find, add, start = chunk.find, ends.append, 0
    for _ in range(count):
        end = find(b"\n", start)
        if find(b"}", start) != end - 2 or chunk[end - 1] != _CLOSE or end - start > SIZE_LIMIT:
            return None
        add(end)
        start = end + 1
    return ends if start == len(chunk) else None


class _Count:
    """How many records of one type have been let go."""

    __slots__ = ("dropped",)

    def __init__(self) -> None:
        self.dropped = 0


def _read_whole(_data: object, _time: datetime, _earliest: datetime) -> bool:
    return True


# -- what is made for each event type ------------------------------------------------------------


def _compile(
    spec: EventSpec, names: frozenset[str], screen: Screen, side: Side | None, count: "_Count"
) -> Looks:
    """Compile the look at one type: `d` is its data, `t` its time, `e` the earliest start."""
    emitter = ScreenEmitter(
        lambda field: _access(spec, field), [f.name for f in spec.fields.values() if f.required]
    )
    lines = [
        *_out_of_time(spec),
        *_out_of_money(spec, own_fields(spec, names)),
        f"if {screen.source(spec.name, emitter)}: return True",
        "count.dropped += 1",
        *([] if side is None else ["if d.person < side.below: side.add(d.person)"]),
    ]
    source = "\n ".join(["def look(d, t, e):", *lines])
    made = {
        "side": side,
        "count": count,
        "is_money": _is_money,
        "currencies": CURRENCIES,
        "to_us": to_us,
        "str": str,
        "len": len,
    }
    names_of = {f"compute_{f.name}": f.compute for f in spec.derived}
    namespace = emitter.namespace | made | names_of | {"money": _money}
    # Names and values of rules reach the code through the namespace alone.
    exec(source, namespace)  # noqa: S102 - see above
    look: Looks = namespace["look"]
    return look


def _access(spec: EventSpec, field: Field) -> str:
    own = spec.fields[field.name]
    if own.derived:
        # Those that are fixed compare moments and do no sums with them.
        needs = ", ".join(f"d.{name}" for name in own.needs)
        return f"compute_{field.name}({needs})"
    if own.kind is Kind.MONEY:
        return f"money(d.{field.name}, d.{own.currency})"
    if own.kind is Kind.MOMENT:
        return f"(None if d.{field.name} is None else to_us(d.{field.name}))"
    return f"d.{field.name}"


def _money(amount: str | int | None, currency: str) -> Money | None:
    return None if amount is None else Money(Decimal(amount), currency)


def _is_money(amount: str | int | None) -> bool:
    return amount is None or is_amount(amount)


def _out_of_time(spec: EventSpec) -> list[str]:
    """Return the test for a record whose start, answer and end are not plainly in order."""
    if spec.start_field is None:
        return []
    answered = "d.answered_at" if "answered_at" in spec.fields else "None"
    end = "None" if spec.end_field is None else f"d.{spec.end_field}"
    not_in_turn = "(x is not None and x < s) if w is None else (w < s or x is not None and x < w)"
    return [
        f"s, w, x = d.{spec.start_field}, {answered}, {end}",
        "if not e <= s <= t: return True",
        f"if {not_in_turn}: return True",
    ][: 3 if spec.interval else 2]


def _out_of_money(spec: EventSpec, fields: Sequence[FieldSpec]) -> list[str]:
    """Return the tests for a record whose looked-at amounts are not plainly in order."""
    amounts = [f for f in fields if f.kind is Kind.MONEY]
    if not amounts:
        return []
    # Most amounts have two digits behind the point, and digits are quickly told.
    lines = [
        f"a = d.{f.name}\n"
        " if not (a.__class__ is str and 3 < len(a) < 16 and a[-3] == '.'"
        " and a.replace('.', '0', 1).isdigit() and a.isascii() or is_money(a)): return True"
        for f in amounts
    ]
    if spec.fields["currency"].required:
        return [*lines, "if d.currency not in currencies: return True"]
    known = " or ".join(f"d.{f.name} is not None" for f in amounts)
    return [*lines, f"if d.currency not in currencies if d.currency else ({known}): return True"]
