"""The true matches of a log, by brute force: plain dictionaries, nothing shared with the rules.

It holds every call and every transfer of a person against each other, so it is slow and easy to
believe. It knows what workload A can hold and no more: one record per event, calls that have
ended, amounts in one currency, no registered calls.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class Limits:
    """What one variant of the rule asks for; its id, and its three parameters."""

    rule: str
    min_amount: int
    after_call_s: int
    min_talk_s: int


@dataclass
class _Person:
    """A person's calls (start, end, talk) and transfers (start, amount, id), in seconds."""

    calls: list[tuple[float, float, float]] = field(default_factory=list)
    transfers: list[tuple[float, Decimal, str]] = field(default_factory=list)


def true_matches(lines: Iterable[bytes], variants: Sequence[Limits]) -> Mapping[str, list[str]]:
    """Return for each variant's rule the ids of the transfers that it has to alert on, sorted."""
    people = _people(lines)
    return {
        limits.rule: sorted(
            transfer[2]
            for person in people
            for transfer in person.transfers
            if any(_matches(call, transfer, limits) for call in person.calls)
        )
        for limits in variants
    }


def _people(lines: Iterable[bytes]) -> list[_Person]:
    people: defaultdict[str, _Person] = defaultdict(_Person)
    for line in lines:
        record = json.loads(line)
        data = record["data"]
        if record["type"] == "ringfence.call_invitation.v1":
            if _is_answered_video_by_a_stranger(data):
                call = (_seconds(data["invited_at"]), _seconds(data["ended_at"]), _talk(data))
                people[data["person"]].calls.append(call)
        elif _is_to_a_new_payee(data):
            transfer = (_seconds(data["initiated_at"]), Decimal(data["amount"]))
            people[data["person"]].transfers.append((*transfer, data["transfer_id"]))
    return [person for person in people.values() if person.calls and person.transfers]


def _is_answered_video_by_a_stranger(data: Mapping[str, str]) -> bool:
    return (
        data["media"] == "video"
        and data["direction"] == "incoming"
        and data["relationship"] in ("stranger", "one_way_prior")
        and "answered_at" in data
    )


def _is_to_a_new_payee(data: Mapping[str, object]) -> bool:
    return (
        data["direction"] == "out"
        and data["status"] not in ("rejected", "recalled")
        and data["payee_times_paid"] == 0
        and data["payee_kind"] in ("personal", "unknown")
    )


def _talk(data: Mapping[str, str]) -> float:
    return _seconds(data["ended_at"]) - _seconds(data["answered_at"])


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _matches(
    call: tuple[float, float, float], transfer: tuple[float, Decimal, str], limits: Limits
) -> bool:
    begins, ends, talk = call
    at, amount, _ = transfer
    return (
        begins <= at <= ends + limits.after_call_s
        and talk >= limits.min_talk_s
        and amount >= limits.min_amount
    )
