"""What is printed of rules is current."""

import re
from pathlib import Path

import pytest

from streams.rule_docs import COMMAND, main, render, render_catalogue
from streams.rule_files import read_texts
from streams.wire.contract_docs import DOCS, write


def test_what_is_printed_of_rules_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert write(render(), DOCS, COMMAND, check=True) == 0, capsys.readouterr().err


def test_the_catalogue_in_print_names_every_rule_and_no_other() -> None:
    page = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    rules = {Path(name).stem for name in read_texts(None)}
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == rules
    assert {path.stem for path in (DOCS / "catalogue").iterdir()} == rules


@pytest.mark.slow
def test_the_catalogue_in_print_is_current_and_its_stories_notice_95_of_100_mutants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = render_catalogue()
    assert write(page, DOCS, COMMAND, check=True) == 0, capsys.readouterr().err
    scores = re.findall(r"\((\d+\.\d) %\)", page["catalogue.md"])
    assert len(scores) > 1
    assert min(map(float, scores)) >= 95


@pytest.mark.slow
def test_writing_makes_it_current_and_checking_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "rule.json: not current, run python -m streams.rule_docs" in capsys.readouterr().err
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
