"""A count of what has been read: on a terminal, and only of much."""

import sys

import pytest

from streams.counting import show_count


class Terminal:
    """A terminal that keeps what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.said = ""

    def isatty(self) -> bool:
        """Say that somebody watches."""
        return True

    def write(self, text: str) -> int:
        """Keep it."""
        self.said += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.mark.parametrize(("total", "is_shown"), [(9_999, False), (10_000, True)])
def test_much_is_counted_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, total: int, *, is_shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with show_count(total, "records read") as advance:
        for _ in range(1_234):
            advance()
    assert ("1,234 records read" in terminal.said) == is_shown


def test_nothing_is_counted_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with show_count(20_000, "records read") as advance:
        advance()
    assert capsys.readouterr().err == ""
