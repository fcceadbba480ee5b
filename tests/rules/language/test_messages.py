"""What an author reads: every mistake of a file at once, at its line and column."""

from pathlib import Path

import pytest

from tests.rules.language.texts import mistakes

GOLDEN = Path(__file__).parents[1] / "golden"
# `ruff` and editors would change what these files are about, so they lie beside their messages.
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_a_bad_rule_file_gives_the_messages_of_its_golden_file(name: str) -> None:
    text = (GOLDEN / f"{name}.yaml").read_text()

    found = "\n".join(mistakes(text, f"rules/catalog/{name}.yaml")) + "\n"

    assert found == (GOLDEN / f"{name}.txt").read_text()
