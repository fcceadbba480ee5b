"""What the rest of the system knows of each event type, read off the models once."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from sys import intern
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from rules.events import bank, calls, everyone
from rules.events.base import OPEN, Event
from rules.events.kinds import Kind, Marker
from rules.money import Money, format_amount

# In normal form, as it stands in facts: moments are microseconds, amounts canonical text.
Scalar = str | int | bool
# As conditions see it.
Value = str | int | bool | Decimal | Money
Side = Literal["calls", "bank", "everyone"]

_UNMARKED: Final = {bool: Kind.BOOL}


@dataclass(frozen=True)
class FieldSpec:
    """One field of an event, as conditions may use it.

    Attributes:
        name: Its name in records and conditions.
        kind: What a condition may do with it.
        open: Whether it may differ between records of one event.
        required: Whether every record has it. (A withheld caller is unknown all the same.)
        classes: The closed list of its values, in the page's order; empty unless a class.
        pseudonym: Of an identifier: the kind of its pseudonym.
        needs: The own fields that a derived field is computed from.
        derived: Whether it is computed, and stands in no record.
        compute: Of a derived field: its value from those of `needs`, any of which may be None.
        currency: Of money: the field that says the currency.
        description: One or two sentences for readers of the contract.
    """

    name: str
    kind: Kind
    open: bool
    required: bool
    classes: tuple[str, ...]
    pseudonym: str | None
    needs: tuple[str, ...]
    derived: bool
    currency: str | None
    description: str
    compute: Callable[..., Value | None] | None = None


@dataclass(frozen=True)
class EventSpec:
    """One event type.

    Attributes:
        name: The short name: `call_invitation`.
        wire_type: The CloudEvents type: `ringfence.call_invitation.v1`.
        model: The pydantic model of a record's `data`.
        side: Which side of the customer sends it.
        id_field: The field with the own id; None where that is `event_id`, else the record's id.
        start_field: The field with the start; None where the event starts at `time`.
        end_field: The field with the end, if the event has one.
        interval: Whether the event lasts.
        fields: Every field that conditions may use: the own ones in the page's order, then the
            derived ones.
        numbers: The fields whose normal form is not what conditions see, with the currency field.
        repeated: The fields that have one of few values.
        derived: The derived fields.
    """

    name: str
    wire_type: str
    model: type[Event]
    side: Side
    id_field: str | None
    start_field: str | None
    end_field: str | None
    interval: bool
    fields: Mapping[str, FieldSpec]
    numbers: tuple[tuple[str, str | None], ...]
    repeated: tuple[str, ...]
    derived: tuple[FieldSpec, ...]


def normalise(event: Event) -> dict[str, Scalar]:
    """The known fields of a record in the form that goes into facts; JSON can hold all of it.

    Moments are microseconds since the epoch, amounts canonical text, everything else as sent.
    The own id that stands in `event_id` is no field and is left out.
    """
    data: dict[str, Scalar] = {}
    for name, value in vars(event).items():
        if value is None or name == "event_id":
            continue
        data[name] = format_amount(value) if isinstance(value, Decimal) else value
    return data


def own_fields(spec: EventSpec, looked_at: Collection[str] | None = None) -> list[FieldSpec]:
    """Return the fields that a sender fills.

    Args:
        spec: the event type.
        looked_at: those that rules look at, for a record that no rule needs: only they and what
            tells its person and its times are then returned.
    """
    fields = [field for field in spec.fields.values() if not field.derived]
    if looked_at is None:
        return fields
    always = {"person", spec.start_field, spec.end_field, "answered_at"}
    return [field for field in fields if field.name in always or field.name in looked_at]


def values_of(spec: EventSpec, data: Mapping[str, Scalar]) -> dict[str, Value]:
    """What conditions see of a record's normal form; unknown fields are absent.

    Money is an amount with its currency; derived fields are there where they are known.
    """
    values: dict[str, Value] = dict(data)
    for name in spec.repeated:
        if name in values:
            # One text for all events, where each record would bring its own.
            values[name] = intern(cast("str", values[name]))
    for name, currency in spec.numbers:
        text = data.get(name)
        if text is None:
            continue
        amount = Decimal(text)
        values[name] = amount if currency is None else Money(amount, cast("str", data[currency]))
    for field in spec.derived:
        assert field.compute is not None, "a derived field is computed"
        value = field.compute(*map(data.get, field.needs))
        if value is not None:
            values[field.name] = value
    return values


def numbers_of(spec: EventSpec, data: Mapping[str, Scalar]) -> tuple[Scalar | None, ...]:
    """Return what `values_of` does not keep of a record's normal form; often nothing."""
    kept = tuple(data.get(name) for name, _ in spec.numbers)
    return kept if any(number is not None for number in kept) else ()


def data_of(
    spec: EventSpec, values: Mapping[str, Value], numbers: Iterable[Scalar | None]
) -> dict[str, Scalar]:
    """Return the normal form of which `values_of` and `numbers_of` have made these."""
    data = dict(cast("Mapping[str, Scalar]", values))
    for field in spec.derived:
        data.pop(field.name, None)
    for (name, _), number in zip(spec.numbers, numbers, strict=False):
        if number is not None:
            data[name] = number
    return data


def _answered(answered_at: int | None) -> bool:
    # A sender that knows of no answer says that nobody has answered yet: never unknown.
    return answered_at is not None


def _talk_time(answered_at: int | None, ended_at: int | None) -> int | None:
    return None if answered_at is None or ended_at is None else ended_at - answered_at


def _payee_is_new(
    payee_times_paid: int | None, payee_first_paid_at: int | None, initiated_at: int
) -> bool | None:
    if payee_times_paid is not None:
        return payee_times_paid == 0
    return None if payee_first_paid_at is None else payee_first_paid_at >= initiated_at


def _kind(info: FieldInfo) -> tuple[Kind, tuple[str, ...], str | None]:
    """The kind of a model's field, the values of a class, and the pseudonym of an identifier."""
    core: Any = info.annotation
    if NoneType in get_args(core):
        core = next(part for part in get_args(core) if part is not NoneType)
    marks = (*info.metadata, *getattr(core, "__metadata__", ()))
    marker = next((mark for mark in marks if isinstance(mark, Marker)), None)
    if marker is not None:
        return marker.kind, (), marker.pseudonym
    if get_origin(core) is Literal:
        return Kind.CLASS, get_args(core), None
    return _UNMARKED[core], (), None


def _own(name: str, info: FieldInfo) -> FieldSpec:
    kind, classes, pseudonym = _kind(info)
    return FieldSpec(
        name=name,
        kind=kind,
        open=info.json_schema_extra == OPEN,
        required=info.is_required(),
        classes=classes,
        pseudonym=pseudonym,
        needs=(),
        derived=False,
        currency="currency" if kind is Kind.MONEY else None,
        description=info.description or "",
    )


@dataclass(frozen=True)
class _Derived:
    name: str
    kind: Kind
    needs: tuple[str, ...]
    description: str
    compute: Callable[..., Value | None]

    def among(self, own: Mapping[str, FieldSpec]) -> FieldSpec:
        return FieldSpec(
            name=self.name,
            kind=self.kind,
            open=any(own[need].open for need in self.needs),
            required=False,
            classes=(),
            pseudonym=None,
            needs=self.needs,
            derived=True,
            currency=None,
            description=self.description,
            compute=self.compute,
        )


def _spec(
    model: type[Event],
    side: Side,
    *,
    id_field: str | None = None,
    start_field: str | None = None,
    end_field: str | None = None,
    derived: tuple[_Derived, ...] = (),
) -> EventSpec:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()
    own = {
        field: _own(field, info)
        for field, info in model.model_fields.items()
        if field != "event_id"
    }
    computed = tuple(field.among(own) for field in derived)
    return EventSpec(
        name=name,
        wire_type=f"ringfence.{name}.v1",
        model=model,
        side=side,
        id_field=id_field,
        start_field=start_field,
        end_field=end_field,
        interval=end_field is not None,
        fields=MappingProxyType(own | {field.name: field for field in computed}),
        numbers=tuple(
            (field.name, field.currency)
            for field in own.values()
            if field.kind in (Kind.MONEY, Kind.NUMBER)
        ),
        repeated=tuple(
            field.name
            for field in own.values()
            if field.kind is Kind.CLASS or field.name == "currency"
        ),
        derived=computed,
    )


_ANSWERED = _Derived(
    "answered", Kind.BOOL, ("answered_at",), "Whether it was answered.", _answered
)
_TALK_TIME = _Derived(
    "talk_time",
    Kind.DURATION,
    ("answered_at", "ended_at"),
    "`ended_at` less `answered_at`.",
    _talk_time,
)
_PAYEE_IS_NEW = _Derived(
    "payee_is_new",
    Kind.BOOL,
    ("payee_times_paid", "payee_first_paid_at", "initiated_at"),
    "Whether the person had never paid it: `payee_times_paid` is 0 if that is known, else "
    "`payee_first_paid_at` is not before the start.",
    _payee_is_new,
)

EVENTS: Final[Mapping[str, EventSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _spec(
                calls.CallInvitation,
                "calls",
                id_field="call_id",
                start_field="invited_at",
                end_field="ended_at",
                derived=(_ANSWERED, _TALK_TIME),
            ),
            _spec(
                calls.ScreenShare,
                "calls",
                id_field="share_id",
                start_field="started_at",
                end_field="ended_at",
            ),
            _spec(calls.AppInstall, "calls"),
            _spec(calls.WebVisit, "calls"),
            _spec(calls.ContactBlocked, "calls"),
            _spec(calls.CallForwarding, "calls"),
            _spec(calls.SimSwap, "calls"),
            _spec(
                calls.OfficialCall,
                "calls",
                id_field="call_id",
                start_field="valid_from",
                end_field="valid_to",
            ),
            _spec(
                bank.Transfer,
                "bank",
                id_field="transfer_id",
                start_field="initiated_at",
                derived=(_PAYEE_IS_NEW,),
            ),
            _spec(bank.PayeeAdded, "bank"),
            _spec(bank.LoanDrawdown, "bank", id_field="loan_id", start_field="drawn_at"),
            _spec(bank.FundsMoved, "bank", id_field="move_id", start_field="moved_at"),
            _spec(bank.SessionOpened, "bank"),
            _spec(everyone.Heartbeat, "everyone"),
            _spec(everyone.Outcome, "everyone"),
            _spec(everyone.Alert, "everyone", id_field="alert_id"),
        )
    }
)
"""Every event type by its short name, in the page's order."""

BY_WIRE_TYPE: Final[Mapping[str, EventSpec]] = MappingProxyType(
    {spec.wire_type: spec for spec in EVENTS.values()}
)
"""Every event type by its CloudEvents type."""

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "person": "person",
        "payee": "payee_account",
        "caller": "caller",
        "meeting": "meeting",
        "area": "area",
    }
)
"""What rules correlate by, and the field that each key is read from."""
