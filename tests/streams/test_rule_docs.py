"""What is printed of rules is current."""

from pathlib import Path

import pytest

from streams.rule_docs import main


def test_what_is_printed_of_rules_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_writing_makes_it_current_and_checking_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "rule.json: not current, run python -m streams.rule_docs" in capsys.readouterr().err
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
