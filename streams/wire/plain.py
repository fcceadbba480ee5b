"""Records that are plainly in order, read whole at once.

Nearly every record that a rule could use keeps the contract, and to show it with the models and
their reasons takes several times as long. So it is read here first, by Structs made from the
models; whatever is not plainly in order is left to `streams.wire.records`, which alone refuses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Union

import msgspec

from rules.events import EVENTS, EventSpec, FieldSpec, Kind, Scalar, own_fields
from rules.moment import parse_moment
from rules.money import CURRENCIES, format_amount, parse_amount
from streams.wire.forms import NOT_FROM_OUTSIDE, data_struct, record_struct
from streams.wire.json_text import is_plainly_within_limits
from streams.wire.records import AHEAD_LIMIT_US, FUTURE_LIMIT_US, Record

_READ: Final[Mapping[Kind, Callable[[Any], Scalar]]] = {
    Kind.MOMENT: parse_moment,
    Kind.MONEY: lambda amount: format_amount(parse_amount(amount)),
}
_ALWAYS: Final = len(("specversion", "id", "source", "type", "time", "data"))


def plain_record(
    raw: bytes, *, settle_us: Callable[[str], int], now_us: int, trust_recorded: bool
) -> Record | None:
    """Return the record in the bytes if it is plainly in order, else None.

    What it returns is what `streams.wire.records.decode_record` gives for the same arguments.
    """
    # Without escapes and without space before a colon, quote and colon stand at the end of a name
    # and nowhere else: if there are as many as are read, no name is there twice.
    if not is_plainly_within_limits(raw) or _is_odd(raw):
        return None
    try:
        told = _decode(raw)
        form = _FORMS[type(told)]
        data = form.normal(told.data)
        time_us = parse_moment(told.time)
        recorded = told.recordedtime
        recorded_us = None if recorded is None else parse_moment(recorded)
    # The errors of msgspec, of moments and of amounts are all ValueErrors.
    except ValueError:
        return None
    clock_us = now_us if recorded_us is None or not trust_recorded else recorded_us
    names = len(data) + _ALWAYS + (form.id_field is None and told.data.event_id is not None)
    names += (told.sequence is not None) + (told.feed is not None)
    names += (told.partition is not None) + (recorded is not None)
    if time_us > clock_us + FUTURE_LIMIT_US or raw.count(b'":') != names:
        return None
    spec = form.spec
    start_us = time_us if spec.start_field is None else int(data[spec.start_field])
    if not (
        -form.ahead_us <= time_us - start_us <= settle_us(spec.name) and form.is_in_order(data)
    ):
        return None
    own_id = told.data.event_id or told.id if form.id_field is None else data[form.id_field]
    return Record(
        source=told.source,
        type=spec.name,
        id=str(own_id),
        record_id=told.id,
        sequence=told.sequence or 0,
        time_us=time_us,
        start_us=start_us,
        data=data,
        feed=told.feed,
        partition=told.partition,
        recordedtime_us=recorded_us,
    )


def _is_odd(raw: bytes) -> bool:
    # A search for each takes a quarter of the time of a loop over them, or of an expression.
    return b"\\" in raw or b" :" in raw or b"\t:" in raw or b"\r:" in raw or b"\n:" in raw


class _Form:
    """How the records of one event type are read."""

    def __init__(self, spec: EventSpec) -> None:
        self.spec = spec
        self.id_field = spec.id_field
        self.ahead_us = AHEAD_LIMIT_US.get(spec.name, FUTURE_LIMIT_US)
        fields = own_fields(spec)
        self._amounts = tuple(f.name for f in fields if f.kind is Kind.MONEY)
        self._start, self._end = spec.start_field or "", spec.end_field or ""
        self.normal = _normal(fields)
        event_id = () if spec.id_field else ("event_id",)
        self.record = record_struct(spec, data_struct(spec, fields, str, event_id), str)

    def is_in_order(self, data: Mapping[str, Any]) -> bool:
        """Tell whether moments follow each other and amounts have their currency."""
        if self._end:
            start_us = data[self._start]
            answered_us = data.get("answered_at", start_us)
            if not start_us <= answered_us <= data.get(self._end, answered_us):
                return False
        if not self._amounts:
            return True
        currency = data.get("currency")
        if currency is None:
            return not any(name in data for name in self._amounts)
        return currency in CURRENCIES and any(name in data for name in self._amounts)


def _normal(fields: Sequence[FieldSpec]) -> Callable[[Any], dict[str, Scalar]]:
    """Compile what puts the known fields in normal form, in the page's order."""
    namespace: dict[str, Any] = {}
    lines = ["def normal(d):", "data = {}"]
    for n, field in enumerate(fields):
        value = "v"
        if field.kind in _READ:
            namespace[f"read_{n}"] = _READ[field.kind]
            value = f"read_{n}(v)"
        lines.append(f"v = d.{field.name}")
        lines.append(f"if v is not None: data[{field.name!r}] = {value}")
    # All names in it are those of our own models.
    exec("\n ".join([*lines, "return data"]), namespace)  # noqa: S102 - see above
    normal: Callable[[Any], dict[str, Scalar]] = namespace["normal"]
    return normal


_made = [_Form(spec) for spec in EVENTS.values() if spec.name not in NOT_FROM_OUTSIDE]
_FORMS: Final = {form.record: form for form in _made}
_decode: Final = msgspec.json.Decoder(Union[tuple(_FORMS)]).decode  # noqa: UP007 - made here
