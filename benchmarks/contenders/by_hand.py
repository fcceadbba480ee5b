"""The rule of the benchmark written by hand, for contenders that have no words for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from benchmarks.contenders.needed import Call, CallData, Transfer, TransferData
from benchmarks.truth import Limits

Kept = CallData | TransferData
Match = tuple[str, str]


@dataclass
class Person:
    """What is held of one person: calls (start, end, talk) and transfers (start, amount, id)."""

    calls: list[tuple[float, float, float]] = field(default_factory=list)
    transfers: list[tuple[float, Decimal, str]] = field(default_factory=list)


def least_amount(variants: Sequence[Limits]) -> int:
    """Return the least amount that any variant asks for."""
    return min(limits.min_amount for limits in variants)


def is_kept(record: Call | Transfer, least: int) -> bool:
    """Tell whether the rule could use a record, by what it says of one event alone."""
    if isinstance(record, Call):
        return _is_call(record.data)
    return _is_transfer(record.data) and Decimal(record.data.amount) >= least


def _is_call(call: CallData) -> bool:
    return (
        call.media == "video"
        and call.direction == "incoming"
        and call.relationship in ("stranger", "one_way_prior")
        and call.answered_at is not None
    )


def _is_transfer(pay: TransferData) -> bool:
    return (
        pay.direction == "out"
        and pay.payee_times_paid == 0
        and pay.status not in ("rejected", "recalled")
        and pay.payee_kind in ("personal", "unknown")
    )


def observe(person: Person, kept: Kept, variants: Sequence[Limits]) -> list[Match]:
    """Hold what was kept of a person, and return what it matches with."""
    if isinstance(kept, CallData):
        call = _call(kept)
        person.calls.append(call)
        return [m for pay in person.transfers for m in _matches(call, pay, variants)]
    pay = (_seconds(kept.initiated_at), Decimal(kept.amount), kept.transfer_id)
    person.transfers.append(pay)
    return [m for call in person.calls for m in _matches(call, pay, variants)]


def _call(kept: CallData) -> tuple[float, float, float]:
    assert kept.answered_at is not None, "only answered calls are kept"
    assert kept.ended_at is not None, "calls of workload A have ended"
    ends = _seconds(kept.ended_at)
    return _seconds(kept.invited_at), ends, ends - _seconds(kept.answered_at)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _matches(
    call: tuple[float, float, float], pay: tuple[float, Decimal, str], variants: Sequence[Limits]
) -> Iterator[Match]:
    begins, ends, talk = call
    at, amount, transfer = pay
    for limits in variants:
        if (
            begins <= at <= ends + limits.after_call_s
            and talk >= limits.min_talk_s
            and amount >= limits.min_amount
        ):
            yield limits.rule, transfer
