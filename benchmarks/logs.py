"""The files of a workload: made once, with the true matches beside them, and then kept."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import duckdb
import zstandard

from benchmarks.truth import Limits, true_matches
from benchmarks.workload import Size, flood, lines

# Every field of `data` that workload A can hold, in the contract's types.
_DATA: Final = {
    "call_id": "VARCHAR",
    "transfer_id": "VARCHAR",
    "person": "VARCHAR",
    "caller": "VARCHAR",
    "direction": "VARCHAR",
    "service": "VARCHAR",
    "media": "VARCHAR",
    "relationship": "VARCHAR",
    "display_name_class": "VARCHAR",
    "invited_at": "VARCHAR",
    "answered_at": "VARCHAR",
    "ended_at": "VARCHAR",
    "camera_on": "BOOLEAN",
    "initiated_at": "VARCHAR",
    "amount": "VARCHAR",
    "currency": "VARCHAR",
    "payee_account": "VARCHAR",
    "payee_kind": "VARCHAR",
    "payee_times_paid": "BIGINT",
    "status": "VARCHAR",
    "balance_before": "VARCHAR",
    "channel": "VARCHAR",
    "purpose_class": "VARCHAR",
}
_MOMENTS: Final = {"invited_at", "answered_at", "ended_at", "initiated_at"}
_AMOUNTS: Final = {"amount", "balance_before"}


@dataclass(frozen=True)
class Workload:
    """A workload on disk: its size and the folder in which its files stand."""

    size: Size
    folder: Path

    def jsonl(self) -> Path:
        """Return the log as JSON lines."""
        return self._made(".jsonl", lambda path: _write(path, lines(self.size)))

    def flood(self) -> Path:
        """Return a log as long that is all about one person."""
        return self._made(".flood.jsonl", lambda path: _write(path, flood(self.size)))

    def zstd(self) -> Path:
        """Return the log as JSON lines, packed with zstd."""
        return self._made(".jsonl.zst", lambda path: _pack(self.jsonl(), path))

    def parquet(self) -> Path:
        """Return the log as Parquet, one row per record and a column for every field."""
        return self._made(".parquet", lambda path: as_columns(self.jsonl(), path))

    def first(self, count: int) -> Path:
        """Return a log of the first lines only."""
        return self._made(f".first-{count}.jsonl", lambda path: _cut(self.jsonl(), path, count))

    def truth(self, log: Path, chosen: Sequence[Limits]) -> Mapping[str, list[str]]:
        """Return the true matches of each variant in one of these logs, one of JSON lines.

        They are kept as JSON beside it.
        """
        asked = sha256(repr(chosen).encode()).hexdigest()[:8]
        suffix = f"{log.name.removeprefix(self.size.name)}.truth-{asked}.json"
        path = self._made(suffix, lambda to: _judge(log, to, chosen))
        found: Mapping[str, list[str]] = json.loads(path.read_text())
        return found

    def _made(self, suffix: str, make: Callable[[Path], None]) -> Path:
        path = self.folder / (self.size.name + suffix)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{os.getpid()}-{path.name}")
            make(aside)
            aside.replace(path)
        return path


def _write(path: Path, records: Iterable[bytes]) -> None:
    with path.open("wb", buffering=1 << 20) as stream:
        stream.writelines(record + b"\n" for record in records)


def _pack(plain: Path, path: Path) -> None:
    with plain.open("rb") as source, path.open("wb") as target:
        zstandard.ZstdCompressor(level=3).copy_stream(source, target)


def _cut(plain: Path, path: Path, count: int) -> None:
    with plain.open("rb") as source, path.open("wb") as target:
        target.writelines(line for line, _ in zip(source, range(count), strict=False))


def _judge(plain: Path, path: Path, chosen: Sequence[Limits]) -> None:
    with plain.open("rb") as source:
        path.write_text(json.dumps(true_matches(source, chosen)))


def as_columns(plain: Path, path: Path) -> None:
    """Write a log of JSON lines as Parquet, one row per record."""
    told = ", ".join(f"{name} {kind}" for name, kind in _DATA.items())
    columns = ", ".join(f"{_cast(name)} AS {name}" for name in _DATA)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"""COPY (
                SELECT id, source, type, {_moment("time")} AS time, 0::BIGINT AS sequence,
                    {columns}
                FROM read_json($plain, format = 'newline_delimited', columns = {{
                    id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', time: 'VARCHAR',
                    data: 'STRUCT({told})'
                }})
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)""",  # noqa: S608 - our own names
            {"plain": str(plain)},
        )


def _cast(name: str) -> str:
    if name in _MOMENTS:
        return _moment(f"data.{name}")
    return f"data.{name}::DECIMAL(18, 2)" if name in _AMOUNTS else f"data.{name}"


def _moment(text: str) -> str:
    return f"({text}::TIMESTAMPTZ)"
