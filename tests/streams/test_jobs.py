"""A replay in several processes, as a user runs it."""

import gzip
from pathlib import Path

import pytest

from streams.jobs import can_split
from tests.streams.test_command_line import ringfence

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "streams" / "demo" / "demo.jsonl.gz"
RULE = ROOT / "rules" / "catalog" / "video_call_then_new_payee.yaml"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Give the demo's log, not compressed."""
    path = tmp_path / "demo.jsonl"
    path.write_bytes(gzip.decompress(DEMO.read_bytes()) + b'{"specversion":\n')
    return path


def test_two_jobs_give_the_bytes_of_one(demo: Path, tmp_path: Path) -> None:
    given = []
    for jobs in ("1", "2"):
        letters = tmp_path / f"letters-{jobs}.jsonl"
        done = ringfence("replay", demo, "--jobs", jobs, "--dead-letters", letters)
        assert done.returncode == 0
        said = [line for line in done.stderr.splitlines() if " records in " not in line]
        given.append((done.stdout, letters.read_bytes(), said))
    assert given[0] == given[1]
    assert given[0][0].count('"state":"raised"') > 1
    assert given[0][1].count(b"not_json") == 1


def test_a_log_that_cannot_be_split_runs_as_one_job_and_says_so() -> None:
    done = ringfence("replay", DEMO, "--jobs", "2")
    assert done.returncode == 0
    assert "this runs as one job" in done.stderr
    assert can_split(["a.jsonl"])
    assert not can_split(["a.jsonl", "b.jsonl"])
    assert not can_split(["-"])


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = ringfence("replay", tmp_path / "none.jsonl", "--jobs", "2")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].endswith("cannot be read: no such file or directory")


def test_every_record_is_checked_whole_only_when_asked(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(
        b'{"specversion":"1.0","id":"r","source":"//bank.example","type":"ringfence.transfer.v1",'
        b'"time":"2023-07-08T10:00:00Z","data":{"transfer_id":"p","person":"customer-1",'
        b'"initiated_at":"2023-07-08T10:00:00Z","amount":"1","currency":"CNY","direction":"in",'
        b'"payee_account":"acc-1","channel":"pigeon"}}\n'
    )
    replay = ("replay", log, "--rules", RULE)
    assert "refused 0" in ringfence(*replay).stderr
    for asked in (["--validate", "all"], ["--validate", "all", "--jobs", "2"]):
        assert "refused 1: bad_value 1" in ringfence(*replay, *asked).stderr
    refused = ringfence(*replay, RINGFENCE_VALIDATE="all")
    assert "refused 1: bad_value 1" in refused.stderr
    wrong = ringfence("replay", log, RINGFENCE_VALIDATE="some")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "RINGFENCE_VALIDATE" in wrong.stderr
