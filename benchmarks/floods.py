"""Floods of one key: what an event costs where thousands of others are remembered with it.

The alert of each flood is open from the start where there is one, so that every event is judged.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.engine_alone import cpu_us_per_fact
from benchmarks.field import RINGFENCE
from benchmarks.measure import measure
from benchmarks.page import table

_TEN: Final = datetime(2023, 7, 8, 10, tzinfo=UTC)
_HOUR_MS: Final = 3_600_000
_COLUMNS: Final = (
    "what",
    "engine, CPU µs per fact",
    "times workload A's",
    "all, CPU µs per line",
    "times workload A's",
    "peak MB",
    "alert records",
)

_HEAD: Final = """\
id: flooded
version: 1.0.0
title: A rule that is flooded
status: test
typology: trial
stage: exfiltration
severity: low
action: review
"""
_CALL: Final = "  - {as: call, event: call_invitation, where: [answered]}\n"
_PAY: Final = "  - {as: pay, event: transfer, after: call, within: 2h}\n"
_PAIR: Final = f"{_HEAD}steps:\n{_CALL}{_PAY}"
_SET: Final = f"""{_HEAD}steps:
  - {{as: pay, event: transfer}}
  - as: calls
    each: call_invitation
    before: pay
    within: 2h
    having: [count(calls) >= 3, count(calls.caller) <= 5]
anchor: pay
"""
_EVIDENCE: Final = f"""{_PAIR}evidence:
  - as: added
    event: payee_added
    before: pay
    within: 6h
    where: [payee_account == pay.payee_account]
    weight: 10
"""
_FAN_OUT: Final = f"""{_HEAD}by: caller
steps:
  - as: calls
    each: call_invitation
    within: 2h
    having: [count(calls.person) >= 1000000]
anchor: calls
"""

Json = dict[str, Any]


def _at(ms: int) -> str:
    return (_TEN + timedelta(milliseconds=ms)).isoformat()


def _record(kind: str, source: str, ms: int, record_id: str, data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": record_id,
        "source": source,
        "type": f"ringfence.{kind}.v1",
        "time": _at(ms),
        "data": data,
    }


def _call(n: int, ms: int, *, ends_ms: int, sequence: int = 0, **data: object) -> Json:
    told = {
        "call_id": f"c-{n}",
        "person": "+8613800000001",
        "caller": "+8613800000002",
        "direction": "incoming",
        "service": "facetime",
        "media": "video",
        "relationship": "stranger",
        "invited_at": _at(ms),
        "answered_at": _at(ms),
        "ended_at": _at(ends_ms),
        **data,
    }
    source = "//telecom.example/ott"
    record = _record("call_invitation", source, ends_ms, f"c-{n}.{sequence}", told)
    return {**record, "sequence": sequence}


def _pay(ms: int) -> Json:
    data = {
        "transfer_id": "p-1",
        "person": "+8613800000001",
        "initiated_at": _at(ms),
        "amount": "20000",
        "currency": "CNY",
        "payee_account": "acc-1",
        "direction": "out",
    }
    return _record("transfer", "//bank.example/core", ms, "p-1", data)


def _moments(count: int) -> Iterator[tuple[int, int]]:
    return ((n, n * _HOUR_MS // count) for n in range(count))


def _calls(count: int) -> Iterator[Json]:
    for n, ms in _moments(count):
        yield _call(n, ms, ends_ms=ms + 1)


def _calls_before_a_transfer(count: int) -> Iterator[Json]:
    yield _call(count, -60_000, ends_ms=-1)
    yield _pay(_HOUR_MS + 60_000)
    yield from _calls(count - 2)


def _payees_added(count: int) -> Iterator[Json]:
    yield _call(0, -60_000, ends_ms=-1)
    yield _pay(_HOUR_MS + 60_000)
    for n, ms in _moments(count - 2):
        data = {"person": "+8613800000001", "payee_account": f"acc-of-{n}"}
        yield _record("payee_added", "//bank.example/core", ms, f"a-{n}", data)


def _one_call(count: int) -> Iterator[Json]:
    for _ in range(count):
        yield _call(0, 0, ends_ms=_HOUR_MS)


def _one_call_that_goes_on(count: int) -> Iterator[Json]:
    yield _pay(_HOUR_MS + 60_000)
    for n, ms in _moments(count - 1):
        yield _call(0, 0, ends_ms=ms, sequence=n)


def _callees(count: int) -> Iterator[Json]:
    for n, ms in _moments(count):
        yield _call(n, ms, ends_ms=ms + 1, person=f"+8613800{n:07}")


FLOODS: Final[Sequence[tuple[str, str, Callable[[int], Iterator[Json]]]]] = (
    ("one person is called again and again", _PAIR, _calls),
    ("the same, and each call changes an open alert", _PAIR, _calls_before_a_transfer),
    ("the same, and each call is one more of a set", _SET, _calls_before_a_transfer),
    ("each event is evidence that does not fit", _EVIDENCE, _payees_added),
    ("one call, told of again and again", _PAIR, _one_call),
    ("one call, of which each record says more", _PAIR, _one_call_that_goes_on),
    ("one caller calls somebody else each time", _FAN_OUT, _callees),
)


@dataclass(frozen=True)
class Flood:
    """What one flood took: the engine alone, and a whole process, start-up included.

    `times` says how often the engine's time for a fact is that on workload A, measured beside it.
    """

    title: str
    engine_us: float
    times: float
    cpu_us: float
    peak_bytes: int
    alerts: int


def run(events: int, log: Path, rules: Path, say: Callable[[str], None]) -> str:
    """Return a table: each flood beside the mean of a log that is none, in the same run.

    Args:
        events: how many each has.
        log: workload A with as many, and `rules` its one rule.
        rules: see `log`.
        say: tells how far it is.
    """
    with TemporaryDirectory() as told:
        folder = Path(told)
        mean = _measured("workload A, the mean", events, (log, rules), (log, rules), folder)
        found = [mean]
        for title, rule, records in FLOODS:
            say(title)
            flooded = folder / "flood.jsonl"
            with flooded.open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(record) + "\n" for record in records(events))
            path = folder / "flooded.yaml"
            path.write_text(rule, encoding="utf-8")
            found.append(_measured(title, events, (flooded, path), (log, rules), folder))
    return table(_COLUMNS, [_row(flood, mean) for flood in found])


def _measured(
    title: str, events: int, flooded: tuple[Path, Path], mean: tuple[Path, Path], folder: Path
) -> Flood:
    log, rules = flooded
    out = folder / "alerts.jsonl"
    command = [RINGFENCE, "replay", str(log), "--rules", str(rules), "--out", str(out)]
    took = measure([*command, "--signals"])
    with out.open("rb") as stream:
        alerts = sum(1 for _ in stream)
    mean_us = cpu_us_per_fact(*mean)
    engine_us = mean_us if flooded == mean else cpu_us_per_fact(log, rules)
    cpu_us = took.cpu_seconds / events * 1e6
    return Flood(title, engine_us, engine_us / mean_us, cpu_us, took.peak_bytes, alerts)


def _row(flood: Flood, mean: Flood) -> Sequence[str]:
    return (
        flood.title,
        f"{flood.engine_us:.1f}",
        f"{flood.times:.1f}",
        f"{flood.cpu_us:.1f}",
        f"{flood.cpu_us / mean.cpu_us:.1f}",
        f"{flood.peak_bytes / 1e6:.0f}",
        f"{flood.alerts:,}",
    )
