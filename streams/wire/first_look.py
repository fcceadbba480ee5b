"""A first look at a record: only what the loaded rules look at, to drop what no rule needs.

Most records of a bus are of no use to any rule. Of those it is enough to know that they are JSON
within the limits, with an envelope, a person and the looked-at fields in order. Whatever is not
plainly so (a mistake, a spelling that is odd but allowed, a record that some step could use) is
left to `streams.wire.records`, which reads it whole and alone refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Union

import msgspec

from rules.events import (
    EVENTS,
    IDENTIFIER_LIMIT,
    INTEGER_LIMIT,
    EventSpec,
    Kind,
    Scalar,
    Value,
    values_of,
)
from rules.moment import parse_moment
from rules.money import CURRENCIES, format_amount, parse_amount
from rules.rule import RuleSet
from rules.screen import Screen, looked_at
from rules.timing import Timing
from streams.wire.json_text import is_plainly_within_limits
from streams.wire.records import AHEAD_LIMIT_US, FUTURE_LIMIT_US


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record in order that no step of any rule can use; its time moves its watermark on.

    `values` is what conditions see of the looked-at fields; identifiers stand there as sent.
    """

    source: str
    type: str
    time_us: int
    feed: str | None
    partition: int | None
    # Raw identifiers: they must not get into a log line with the record's repr.
    values: Mapping[str, Value] = field(default_factory=dict, repr=False, compare=False)


_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Integer = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_LIMIT)]
_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: str,
    Kind.BOOL: bool,
    Kind.INTEGER: _Integer,
    Kind.MONEY: str | int,
    Kind.MOMENT: str,
    Kind.PSEUDONYM: Annotated[str, msgspec.Meta(min_length=1, max_length=IDENTIFIER_LIMIT)],
}
_NORMAL: Final[Mapping[Kind, Callable[[Any], Scalar]]] = {
    Kind.MOMENT: parse_moment,
    Kind.MONEY: lambda amount: format_amount(parse_amount(amount)),
}
_NOT_FROM_OUTSIDE: Final = frozenset({"heartbeat", "outcome", "alert"})


class FirstLook:
    """Compiled from a rule set: what to decode of each event type, and the screen behind it."""

    def __init__(self, rule_set: RuleSet, timing: Timing) -> None:
        self._screen = Screen(rule_set)
        fields = looked_at(rule_set)
        self._looks = {
            spec.wire_type: _Look(spec, fields.get(name, frozenset()), timing)
            for name, spec in EVENTS.items()
            if name not in _NOT_FROM_OUTSIDE
        }
        envelopes = tuple(look.envelope for look in self._looks.values())
        self._decode = msgspec.json.Decoder(Union[envelopes]).decode  # noqa: UP007 - made here

    def dropped(self, raw: bytes, *, now_us: int, trust_recorded: bool) -> Dropped | None:
        """Return the record if it is in order and no rule needs it; None to have it read whole."""
        if not is_plainly_within_limits(raw):
            return None
        try:
            record = self._decode(raw)
            look = self._looks[record.__struct_config__.tag]
            return self._judge(look, record, now_us, trust_recorded=trust_recorded)
        # msgspec's errors and those of `rules.moment` and `rules.money` are all ValueErrors.
        except ValueError:
            return None

    def _judge(
        self,
        look: "_Look",
        record: Any,  # noqa: ANN401 - a Struct made for this rule set
        now_us: int,
        *,
        trust_recorded: bool,
    ) -> Dropped | None:
        time_us = parse_moment(record.time)
        if trust_recorded and record.recordedtime is not None:
            now_us = parse_moment(record.recordedtime)
        data = look.normal(record.data, time_us)
        if data is None or time_us > now_us + FUTURE_LIMIT_US:
            return None
        name = look.spec.name
        values = values_of(look.spec, data)
        if self._screen.keys(name, values):
            return None
        return Dropped(record.source, name, time_us, record.feed, record.partition, values)


class _Look:
    """What is looked at of one event type."""

    def __init__(self, spec: EventSpec, names: frozenset[str], timing: Timing) -> None:
        self.spec = spec
        self._settle_us = timing.settle(spec.name)
        self._ahead_us = AHEAD_LIMIT_US.get(spec.name, FUTURE_LIMIT_US)
        always = {"person", spec.start_field, spec.end_field, "answered_at"}
        fields = [f for f in spec.fields.values() if not f.derived and f.name in names | always]
        self._names = tuple(f.name for f in fields)
        self._normal = tuple((f.name, _NORMAL[f.kind]) for f in fields if f.kind in _NORMAL)
        self._amounts = tuple(f.name for f in fields if f.kind is Kind.MONEY)
        data = msgspec.defstruct(
            f"{spec.model.__name__}Look",
            [
                (f.name, _type_of(f.classes, f.kind, required=f.required))
                for f in fields
                if f.required
            ]
            + [
                (f.name, _type_of(f.classes, f.kind, required=False), None)
                for f in fields
                if not f.required
            ],
        )
        self.envelope = msgspec.defstruct(
            f"{spec.model.__name__}Record",
            [
                ("specversion", Literal["1.0"]),
                ("id", _Name),
                ("source", _Name),
                ("time", str),
                ("data", data),
                ("sequence", _Integer | None, None),
                ("feed", str | None, None),
                ("partition", _Integer | None, None),
                ("recordedtime", str | None, None),
            ],
            tag_field="type",
            tag=spec.wire_type,
        )

    def normal(self, told: object, time_us: int) -> dict[str, Scalar] | None:
        """Return the looked-at fields in normal form, or None if they are not plainly in order.

        Raises:
            ValueError: a moment or an amount is none of the contract.
        """
        data: dict[str, Any] = {
            name: value for name in self._names if (value := getattr(told, name)) is not None
        }
        for name, read in self._normal:
            if name in data:
                data[name] = read(data[name])
        return data if self._is_timely(data, time_us) and self._is_paired(data) else None

    def _is_timely(self, data: Mapping[str, Any], time_us: int) -> bool:
        if self.spec.start_field is None:
            return True
        start_us = data[self.spec.start_field]
        answered_us = data.get("answered_at", start_us)
        end_us = data.get(self.spec.end_field or "", answered_us)
        in_order = bool(start_us <= answered_us <= end_us)
        return in_order and -self._ahead_us <= time_us - start_us <= self._settle_us

    def _is_paired(self, data: Mapping[str, Any]) -> bool:
        if not self._amounts:
            return True
        known = [name for name in self._amounts if name in data]
        return data["currency"] in CURRENCIES if "currency" in data else not known


def _type_of(classes: tuple[str, ...], kind: Kind, *, required: bool) -> Any:  # noqa: ANN401 - a type
    wanted = Literal[classes] if classes else _TYPES[kind]
    return wanted if required else wanted | None
