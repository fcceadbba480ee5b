"""Passing over what no rule needs must change nothing that a replay gives."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.alert import encode_alert
from rules.moment import MINUTE_US, parse_moment
from rules.timing import Timing
from streams.ingest import Ingest
from streams.logs import BOM, Log
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.skim import Part, skim
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms

TIMING = Timing()
RULES = read_rules(None, TIMING)
AS_OF_US = parse_moment("2023-07-09T00:00:00Z")
BEGINS_AT = datetime(2023, 7, 8, 10, tzinfo=UTC)
TIMEZONES = [UTC, timezone(timedelta(hours=8))]

Given = tuple[list[bytes], list[bytes], dict[str, object]]


class Trickle:
    """A log's bytes, a few at a time."""

    def __init__(self, raw: bytes, at_once: int) -> None:
        self._raw = raw
        self._at_once = at_once

    def read1(self, size: int, /) -> bytes:
        """Return the next few bytes."""
        taken = min(size, self._at_once)
        piece, self._raw = self._raw[:taken], self._raw[taken:]
        return piece


class Pen:
    """Writes the lines of a log by chance, from a seed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.zone = chance.choice(TIMEZONES)
        self.separators = chance.choice([(",", ":"), (", ", ": ")])
        self.names_feeds = chance.random() < 0.4
        self.records_time = chance.random() < 0.3
        self.made = 0

    def line(self, minutes: float) -> bytes:
        """Return one line at about so many minutes after the beginning."""
        kind = self.chance.random()
        at = BEGINS_AT + timedelta(minutes=round(minutes + self.chance.uniform(-25, 25), 3))
        if kind < 0.05:
            return self.chance.choice([b"", b"  ", b"{", b'{"a":[1]}', b"[]", b"\xff", b"\r"])
        if kind < 0.1:
            return self._heartbeat(at - timedelta(minutes=self.chance.randint(0, 60)))
        return self._record(at, self._call(at) if kind < 0.55 else self._transfer(at))

    def _heartbeat(self, at: datetime) -> bytes:
        return self._record(at, ("heartbeat", {"watermark": self._moment(at)}))

    def _call(self, at: datetime) -> tuple[str, dict[str, Any]]:
        begun = at - timedelta(minutes=self.chance.choice([0, 1, 30, 361]))
        data = {
            "call_id": f"c-{self.chance.randint(0, 30)}",
            "person": self._person(),
            "caller": self.chance.choice(["a@mail.example", "unknown"]),
            "service": "facetime",
            "media": self.chance.choice(["video", "audio", "video", "smell"]),
            "direction": "incoming",
            "relationship": self.chance.choice(["stranger", "contact"]),
            "invited_at": self._moment(begun),
            "answered_at": self.chance.choice([None, self._moment(begun), self._moment(at)]),
            "ended_at": self.chance.choice([None, self._moment(at)]),
        }
        return "call_invitation", data

    def _transfer(self, at: datetime) -> tuple[str, dict[str, Any]]:
        data = {
            "transfer_id": f"p-{self.chance.randint(0, 30)}",
            "person": self._person(),
            "initiated_at": self._moment(at),
            "amount": self.chance.choice(["20000", "20000.50", 9, "9.5", "-1"]),
            "currency": self.chance.choice(["CNY", "CNY", "XAU", "YUAN"]),
            "payee_account": "acc-1",
            "direction": "out",
            "payee_kind": "personal",
            "payee_times_paid": self.chance.choice([0, 0, 1, None]),
            "status": self.chance.choice(["attempted", "rejected"]),
        }
        return "transfer", data

    def _person(self) -> str:
        return self.chance.choice(["customer-1", "customer-2", "Jos\u00e9", ""])

    def _moment(self, at: datetime) -> str:
        return at.astimezone(self.zone).isoformat()

    def _record(self, at: datetime, told: tuple[str, dict[str, Any]]) -> bytes:
        event, data = told
        self.made += 1
        record: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"r-{self.made}",
            "source": "//telecom.example" if event == "call_invitation" else "//bank.example",
            "type": f"ringfence.{event}.v1",
            "time": self._moment(at),
        }
        if self.names_feeds:
            record |= {"feed": event[:1], "partition": self.chance.choice([0, 1, None])}
        if self.records_time and self.chance.random() < 0.9:
            late = timedelta(minutes=self.chance.choice([0, 1, -4, -6]))
            record["recordedtime"] = self._moment(at + late)
        record["data"] = {k: v for k, v in data.items() if v is not None}
        text = json.dumps(record, separators=self.separators, ensure_ascii=False)
        return text.encode()


def replay(
    logs: Sequence[tuple[bytes, int]],
    *,
    reads_all: bool,
    name: str = "log",
    part_bytes: int | None = None,
) -> Given:
    """Return the alert records, dead letters and counts of a replay; skimmed if in parts."""
    ingest = Ingest(RULES, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset({"unknown"})))
    if reads_all:
        looks = ingest.first_look.looks
        ingest.first_look.looks = dict.fromkeys(looks, lambda _data, _time, _earliest: True)
    run = Replay(RULES, ingest, lambda _feed: 15 * MINUTE_US, as_of_us=AS_OF_US)
    alerts: list[bytes] = []
    letters: list[bytes] = []
    opened = [Log(name, Trickle(raw, size), None, int) for raw, size in logs]
    parts = None if part_bytes is None else skimmed(Path(name), part_bytes)
    summary = run.run(
        opened, lambda alert: alerts.append(encode_alert(alert)), letters.append, parts
    )
    return alerts, letters, summary.as_json(0)


def skimmed(path: Path, part_bytes: int) -> Iterator[Part]:
    """Yield what the parts of a file come to, of so many bytes each."""
    ingest = Ingest(RULES, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset({"unknown"})))
    size = path.stat().st_size
    for begin in range(0, size, part_bytes):
        ingest.people.clear()
        yield skim(path, (begin, min(begin + part_bytes, size)), ingest, AS_OF_US)


@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([7, 300, 5000]))
def test_whatever_the_log_nothing_changes(seed: int, count: int, size: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    pen = Pen(chance)
    logs: list[list[bytes]] = [[] for _ in range(count)]
    for minute in range(chance.randint(1, 120)):
        chance.choice(logs).append(pen.line(minute * 6))
    raw = [(b"\n".join(lines) + chance.choice([b"", b"\n"]), size) for lines in logs]
    assert replay(raw, reads_all=False) == replay(raw, reads_all=True)


@given(st.integers(0, 2**32), st.sampled_from([50, 1000, 5000]))
def test_skimming_parts_elsewhere_changes_nothing(seed: int, size: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    pen = Pen(chance)
    lines = [pen.line(minute * 6) for minute in range(chance.randint(1, 120))]
    raw = chance.choice([b"", BOM]) + b"\n".join(lines) + chance.choice([b"", b"\n"])
    with NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(raw)
        file.flush()
        whole = replay([(raw, 5000)], reads_all=False, name=file.name)
        assert replay([(raw, 5000)], reads_all=False, name=file.name, part_bytes=size) == whole


def test_most_of_an_ordinary_log_is_passed_over() -> None:
    pen = Pen(random.Random(1))  # noqa: S311 - no secret
    at = BEGINS_AT + timedelta(minutes=5)
    _, data = pen._call(at)  # noqa: SLF001 - the same writer
    begun = pen._moment(BEGINS_AT)  # noqa: SLF001 - the same writer
    data |= {"media": "audio", "person": "customer-1", "invited_at": begun, "answered_at": begun}
    calm = ("call_invitation", data)
    lines = [pen._record(at, calm) for _ in range(50)]  # noqa: SLF001 - the same writer
    ingest = Ingest(RULES, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset()))
    run = Replay(RULES, ingest, lambda _feed: 15 * MINUTE_US, as_of_us=AS_OF_US)
    run.run([Log("log", Trickle(b"\n".join(lines), 5000), None, int)], print, print)
    assert ingest.first_look.dropped_by_type()["call_invitation"] >= len(lines) - 1
