"""`ringfence new`: a file to start from, and never over one that is there."""

import subprocess
import sys
from pathlib import Path


def new(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streams.cli", "new", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_new_rule_is_written_and_what_comes_next_is_said(tmp_path: Path) -> None:
    done = new("rent_scam", "--folder", str(tmp_path))
    file = tmp_path / "rent_scam.yaml"
    assert done.returncode == 0, done.stderr
    assert file.read_text(encoding="utf-8").startswith("id: rent_scam ")
    assert f"ringfence check {file} and ringfence test {file}" in done.stdout


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "rent_scam.yaml"
    file.write_text("mine", encoding="utf-8")
    done = new("rent_scam", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == f'ringfence: "{file}" is there already, choose another id\n'
    assert file.read_text(encoding="utf-8") == "mine"


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    done = new("Rent scam", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert 'ringfence: "Rent scam" is no id of a rule, wanted 3 to 64 small letters' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = new("rent_scam", "--folder", str(tmp_path / "gone"))
    assert done.returncode == 3
    assert "cannot be written: no such file or directory" in done.stderr
