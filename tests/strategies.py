"""Hypothesis strategies for records that keep the event contract."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from rules.events import EVENTS, INTEGER_LIMIT, EventSpec, FieldSpec, Kind
from rules.moment import DAY_US, HOUR_US, MINUTE_US, parse_moment
from rules.money import CURRENCIES

FROM_OUTSIDE = sorted(EVENTS.keys() - {"alert"})
SETTLE_US = 6 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSETS = [timezone(timedelta(minutes=minutes)) for minutes in (0, 480, -210, 330)]
_EARLIEST_US = parse_moment("1975-01-01T00:00:00Z")
_LATEST_US = parse_moment("2250-01-01T00:00:00Z")


@st.composite
def moment_texts(draw: st.DrawFn, us: int) -> str:
    """Writings of one moment: any offset, `t` and `z` as well, finer fractions than are read."""
    moment = _EPOCH + timedelta(microseconds=us)
    text = moment.astimezone(draw(st.sampled_from(_OFFSETS))).isoformat()
    if draw(st.booleans()):
        text = text.replace("T", "t").replace("+00:00", "z")
    if "." in text and draw(st.booleans()):
        fraction = text[text.index(".") :][:7]
        text = text.replace(fraction, f"{fraction}987")
    return text


def amounts() -> st.SearchStrategy[Any]:
    """Amounts as records write them: texts, integers, numbers with a point."""
    return st.one_of(
        st.integers(0, 10**15 - 1),
        st.integers(0, 10**15 - 1).map(str),
        st.from_regex(r"[0-9]{1,15}\.[0-9]{1,6}", fullmatch=True),
        # Quarters survive their way through a float, and a JSON text, without loss.
        st.integers(0, 10**9).map(lambda quarters: quarters / 4),
    )


def _values(field: FieldSpec) -> st.SearchStrategy[Any]:
    if field.classes:
        return st.sampled_from(field.classes)
    if field.name == "currency":
        return st.sampled_from(sorted(CURRENCIES))
    return {
        Kind.TEXT: st.text(min_size=1, max_size=12),
        Kind.PSEUDONYM: st.text(min_size=1, max_size=12),
        Kind.BOOL: st.booleans(),
        Kind.INTEGER: st.integers(0, INTEGER_LIMIT),
        Kind.MONEY: amounts(),
        Kind.MOMENT: st.integers(_EARLIEST_US, _LATEST_US).flatmap(moment_texts),
    }[field.kind]


@st.composite
def record_objects(draw: st.DrawFn, event: str | None = None) -> dict[str, Any]:
    """Records of one event type, or of any, as JSON objects."""
    spec = EVENTS[event or draw(st.sampled_from(FROM_OUTSIDE))]
    time_us = draw(st.integers(_EARLIEST_US, _LATEST_US))
    data: dict[str, Any] = {}
    for field in spec.fields.values():
        if field.derived:
            continue
        if field.required or draw(st.booleans()):
            data[field.name] = draw(_values(field))
        elif draw(st.booleans()):
            data[field.name] = None
    _draw_times(draw, spec, time_us, data)
    _pair_money(spec, data)
    if spec.id_field is None and spec.name != "heartbeat" and draw(st.booleans()):
        data["event_id"] = draw(st.text(min_size=1, max_size=12))
    record = {
        "specversion": "1.0",
        "id": draw(st.text(min_size=1, max_size=12)),
        "source": draw(st.sampled_from(["//telecom.example/ott", "//bank.example/core"])),
        "type": spec.wire_type,
        "time": draw(moment_texts(time_us)),
        "data": data,
    }
    sequence = draw(st.one_of(st.none(), st.integers(0, INTEGER_LIMIT)))
    if sequence is not None:
        record["sequence"] = draw(st.sampled_from([sequence, str(sequence), f"000{sequence}"]))
    return record


def records(event: str | None = None) -> st.SearchStrategy[bytes]:
    """Records of one event type, or of any, as they stand on a topic."""
    return st.builds(
        lambda record, ascii_only: json.dumps(record, ensure_ascii=ascii_only).encode(),
        record_objects(event),
        st.booleans(),
    )


def _draw_times(draw: st.DrawFn, spec: EventSpec, time_us: int, data: dict[str, Any]) -> None:
    """Put start, answer and end in an order that the contract allows."""
    if spec.start_field is None:
        return
    ahead_us = DAY_US if spec.name == "official_call" else 5 * MINUTE_US
    start_us = time_us + draw(st.integers(-SETTLE_US, ahead_us))
    data[spec.start_field] = draw(moment_texts(start_us))
    answered_us = start_us + draw(st.integers(0, HOUR_US))
    if data.get("answered_at") is not None:
        data["answered_at"] = draw(moment_texts(answered_us))
    if spec.end_field is not None and data.get(spec.end_field) is not None:
        data[spec.end_field] = draw(moment_texts(answered_us + draw(st.integers(0, DAY_US))))


def _pair_money(spec: EventSpec, data: dict[str, Any]) -> None:
    names = [name for name, field in spec.fields.items() if field.kind is Kind.MONEY]
    if any(data.get(name) is not None for name in names):
        data["currency"] = data.get("currency") or "CNY"
    else:
        data.pop("currency", None)
