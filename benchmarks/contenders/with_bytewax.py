"""Bytewax: a stream of one worker that keeps each person's calls and transfers by hand.

It decodes as the floor does, drops by hand what the rule cannot use, and holds what is left per
person without ever forgetting: a day's log fits. So it does less than the product on each record
(no contract checked, no lateness, no revisions), and gives the same matches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import bytewax.operators as op
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from benchmarks.contenders.common import arguments, write_matches
from benchmarks.contenders.needed import Call, CallData, TransferData, decode
from benchmarks.truth import Limits

_Kept = CallData | TransferData
_Match = tuple[str, str]


@dataclass
class _Person:
    """What is held of one person: calls (start, end, talk) and transfers (start, amount, id)."""

    calls: list[tuple[float, float, float]] = field(default_factory=list)
    transfers: list[tuple[float, Decimal, str]] = field(default_factory=list)


def _kept(line: str) -> tuple[str, _Kept] | None:
    record = decode(line)
    keep = _is_call(record.data) if isinstance(record, Call) else _is_transfer(record.data)
    return (record.data.person, record.data) if keep else None


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


def _matcher(
    variants: list[Limits],
) -> Callable[[_Person | None, _Kept], tuple[_Person, list[_Match]]]:
    def observe(held: _Person | None, kept: _Kept) -> tuple[_Person, list[_Match]]:
        person = held or _Person()
        if isinstance(kept, CallData):
            call = _call(kept)
            person.calls.append(call)
            return person, [m for pay in person.transfers for m in _matches(call, pay, variants)]
        pay = (_seconds(kept.initiated_at), Decimal(kept.amount), kept.transfer_id)
        person.transfers.append(pay)
        return person, [m for call in person.calls for m in _matches(call, pay, variants)]

    return observe


def _call(kept: CallData) -> tuple[float, float, float]:
    assert kept.answered_at is not None, "only answered calls are kept"
    assert kept.ended_at is not None, "calls of workload A have ended"
    ends = _seconds(kept.ended_at)
    return _seconds(kept.invited_at), ends, ends - _seconds(kept.answered_at)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _matches(
    call: tuple[float, float, float], pay: tuple[float, Decimal, str], variants: list[Limits]
) -> Iterator[_Match]:
    begins, ends, talk = call
    at, amount, transfer = pay
    for limits in variants:
        if (
            begins <= at <= ends + limits.after_call_s
            and talk >= limits.min_talk_s
            and amount >= limits.min_amount
        ):
            yield limits.rule, transfer


def main() -> None:
    """Run the flow in this process."""
    log, variants, out = arguments()
    found: list[tuple[str, _Match]] = []
    flow = Dataflow("workload_a")
    lines = op.input("lines", flow, FileSource(log))
    kept = op.filter_map("kept", lines, _kept)
    matched = op.stateful_flat_map("matched", kept, _matcher(variants))
    op.output("out", matched, TestingSink(found))
    run_main(flow)  # type: ignore[no-untyped-call]  # it comes without
    write_matches(out, {match for _, match in found})


if __name__ == "__main__":
    main()
