"""What is printed of rules is current."""

import re
from pathlib import Path

import pytest

from streams.rule_docs import COMMAND, main, render
from streams.rule_files import read_texts
from streams.wire.contract_docs import DOCS, write


def test_what_is_printed_of_rules_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert write(render(), DOCS, COMMAND, check=True) == 0, capsys.readouterr().err


def test_the_catalogue_in_print_names_every_rule_and_no_other() -> None:
    page = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    rules = {Path(name).stem for name in read_texts(None)}
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == rules
    assert {path.stem for path in (DOCS / "catalogue").iterdir()} == rules


def test_writing_makes_it_current_and_checking_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(render(), tmp_path, COMMAND, check=True) == 1
    assert "rule.json: not current, run python -m streams.rule_docs" in capsys.readouterr().err
    assert write(render(), tmp_path, COMMAND, check=False) == 0
    assert write(render(), tmp_path, COMMAND, check=True) == 0


def test_every_rule_of_the_catalogue_in_print_notices_95_of_100_mutants() -> None:
    page = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    scores = [float(score) for score in re.findall(r"\((\d+\.\d) %\)", page)]
    assert len(scores) == len(read_texts(None)) + 1
    assert min(scores) >= 95


@pytest.mark.slow
def test_the_catalogue_in_print_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err
