"""A Parquet log, row by row, is the log of JSON lines that it was made of."""

import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams.failures import OutsideFailure
from streams.logs import open_log
from streams.parquet.log import ParquetLog
from tests.streams.columns import write_parquet

CALL: Mapping[str, Any] = {
    "id": "c1-1",
    "source": "//telecom.example/ott",
    "type": "ringfence.call_invitation.v1",
    "time": "2023-07-08T18:01:00.25+08:00",
    "sequence": 3,
    "data": {"call_id": "c1", "person": "p", "camera_on": False},
}
PAY: Mapping[str, Any] = {
    "id": "p1-1",
    "source": "//bank.example/core",
    "type": "ringfence.transfer.v1",
    "time": "2023-07-08T10:42:00Z",
    "data": {"transfer_id": "p1", "person": "p", "amount": "20000.5", "payee_times_paid": 0},
}


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(record) for record in ParquetLog(path).records()]


def test_each_row_is_a_record_with_what_it_knows_and_no_more(tmp_path: Path) -> None:
    assert records(write_parquet(tmp_path / "log.parquet", [CALL, PAY])) == [
        {
            "specversion": "1.0",
            "id": "c1-1",
            "source": "//telecom.example/ott",
            "type": "ringfence.call_invitation.v1",
            "time": "2023-07-08T10:01:00.250000Z",
            "sequence": 3,
            "data": {"call_id": "c1", "person": "p", "camera_on": False},
        },
        {
            "specversion": "1.0",
            "id": "p1-1",
            "source": "//bank.example/core",
            "type": "ringfence.transfer.v1",
            "time": "2023-07-08T10:42:00.000000Z",
            "data": {
                "transfer_id": "p1",
                "person": "p",
                "amount": "20000.500000",
                "payee_times_paid": 0,
            },
        },
    ]


def test_amounts_stay_exact_to_the_last_digit(tmp_path: Path) -> None:
    amount = "999999999999999.999999"
    pay = {**PAY, "data": {**PAY["data"], "amount": Decimal(amount)}}
    (record,) = records(write_parquet(tmp_path / "log.parquet", [pay]))
    assert record["data"]["amount"] == amount


@pytest.mark.parametrize("kind", ["VARCHAR", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_NS"])
def test_moments_are_text_or_timestamps(tmp_path: Path, kind: str) -> None:
    written = "2023-07-08T10:42:00.000001Z"
    path = write_parquet(tmp_path / "log.parquet", [{**PAY, "time": written}], {"time": kind})
    (record,) = records(path)
    assert record["time"] == written


def test_columns_that_the_contract_does_not_know_are_ignored(tmp_path: Path) -> None:
    pay = {**PAY, "data": {**PAY["data"], "risk": 0.5}}
    (record,) = records(write_parquet(tmp_path / "log.parquet", [pay], {"risk": "DOUBLE"}))
    assert "risk" not in record["data"]


def test_a_column_of_a_type_that_loses_something_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [PAY], {"amount": "DOUBLE"})
    with pytest.raises(OutsideFailure, match='"amount" of type DOUBLE, wanted DECIMAL or text'):
        ParquetLog(path)


def test_a_column_without_which_there_are_no_records_is_named(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [{"id": "1", "source": "s", "type": "t"}])
    with pytest.raises(OutsideFailure, match='has no column "time"; a Parquet log has one row'):
        ParquetLog(path)


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_text("no parquet at all\n")
    with pytest.raises(OutsideFailure, match="cannot be read: "), open_log(str(path)):
        pytest.fail("it was opened")


def test_a_path_with_a_quote_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "the bank's"
    folder.mkdir()
    plain = write_parquet(tmp_path / "log.parquet", [PAY])
    moved = plain.rename(folder / "log.parquet")
    assert len(records(moved)) == 1


def test_a_log_without_rows_has_no_lines(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [], like=[PAY])
    assert records(path) == []


def test_lines_are_counted_as_they_are_read(tmp_path: Path) -> None:
    many = [{**PAY, "id": str(n)} for n in range(5000)]
    path = write_parquet(tmp_path / "log.parquet", many)
    with open_log(str(path)) as log:
        lines = list(log.lines())
        assert [json.loads(line)["id"] for line in lines] == [str(n) for n in range(5000)]
        assert log.position() == log.size == path.stat().st_size


def test_without_duckdb_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [PAY])
    told = "import sys; sys.modules['duckdb'] = None; from streams.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", told, "replay", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"RINGFENCE_PSEUDONYM_KEY": "a secret of sixteen letters"},
    )
    assert done.returncode == 3
    assert done.stderr == (
        f'ringfence: log "{path}" cannot be read without DuckDB: pip install'
        ' "ringfence[columnar]"\n'
    )
