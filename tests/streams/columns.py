"""Parquet logs for tests, made of the same records as logs of JSON lines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

ENVELOPE: Final = ("id", "source", "type", "time", "sequence", "recordedtime", "feed", "partition")
TYPES: Final = {
    "sequence": "BIGINT",
    "partition": "INTEGER",
    "payee_times_paid": "BIGINT",
    "domain_age_days": "BIGINT",
    "amount": "DECIMAL(21, 6)",
    "balance_before": "DECIMAL(21, 6)",
    "limit": "DECIMAL(21, 6)",
    "loss": "DECIMAL(21, 6)",
    "prevented": "DECIMAL(21, 6)",
    **dict.fromkeys(("answered", "camera_on", "first", "remote_input"), "BOOLEAN"),
    **dict.fromkeys(("bank_app_foreground", "publisher_known", "form_posted"), "BOOLEAN"),
    "at_maturity": "BOOLEAN",
}
"""Types of columns that are not text."""

MOMENTS: Final = (
    "time",
    "recordedtime",
    "invited_at",
    "answered_at",
    "ended_at",
    "started_at",
    "valid_from",
    "valid_to",
    "initiated_at",
    "payee_first_paid_at",
    "payee_added_at",
    "irrevocable_at",
    "drawn_at",
    "applied_at",
    "moved_at",
    "watermark",
)


def write_parquet(
    path: Path,
    records: Iterable[Mapping[str, Any]],
    types: Mapping[str, str] | None = None,
    *,
    like: Iterable[Mapping[str, Any]] = (),
    rows_per_group: int = 2048,
) -> Path:
    """Write records as rows.

    `types` are those of columns that are not as in `TYPES`; there are columns for all that stands
    in the records and in those of `like`.
    """
    rows = [_row(record) for record in records]
    names = list(dict.fromkeys(name for row in (*rows, *map(_row, like)) for name in row))
    kinds = dict.fromkeys(MOMENTS, "TIMESTAMPTZ") | TYPES | dict(types or {})
    columns = ", ".join(f'"{name}" {kinds.get(name, "VARCHAR")}' for name in names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE log ({columns})")
        marks = ", ".join("?" for _ in names)
        if rows:
            connection.executemany(
                f"INSERT INTO log VALUES ({marks})",  # noqa: S608 - marks alone
                [[row.get(name) for name in names] for row in rows],
            )
        connection.execute(
            f"COPY log TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE {rows_per_group})"
        )
    return path


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    envelope = {name: record[name] for name in ENVELOPE if name in record}
    return envelope | dict(record.get("data") or {})


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write records as JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
