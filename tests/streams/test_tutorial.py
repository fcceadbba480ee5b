"""The pages that show how it is done, done as a newcomer does it: files written, commands run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ELLIPSIS = "…"


class Block(NamedTuple):
    """One block of code: what it is, and what is in it."""

    info: str
    text: str


def blocks(page: str, begin: str, end: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    text = text[text.index(begin) : text.index(end)]
    return [
        Block(*found) for found in re.findall(r"^```(.+)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    ]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console block with the lines that it must print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, lines


def fits(wanted: list[str], printed: list[str]) -> bool:
    """Tell whether lines were printed as wanted; an ellipsis stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if w == ELLIPSIS else re.escape(f"{w}\n") for w in wanted)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def run(command: str, folder: Path) -> list[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} 2>&1"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("page", "begin", "end", "number"),
    [
        ("rules.md", "## A rule in ten minutes", "## How rules read", 10),
        ("changes.md", "## What does it do", "| figure | is |", 4),
    ],
)
def test_the_page_does_what_it_says(
    tmp_path: Path, page: str, begin: str, end: str, number: int
) -> None:
    tried = 0
    for block in blocks(page, begin, end):
        kind, _, file = block.info.partition(" ")
        if kind == "console":
            for command, wanted in commands(block.text):
                printed = run(command, tmp_path)
                assert fits(wanted, printed), f"$ {command}\n" + "\n".join(printed)
                tried += 1
        elif file.startswith(">> "):
            with (tmp_path / file.removeprefix(">> ")).open("a", encoding="utf-8") as stream:
                stream.write(block.text)
        else:
            (tmp_path / file).write_text(block.text, encoding="utf-8")
    assert tried == number


def test_lines_that_differ_do_not_fit() -> None:
    assert fits(["a", ELLIPSIS, "c"], ["a", "b", "b", "c"])
    assert fits(["a", ELLIPSIS], ["a"])
    assert not fits(["a", ELLIPSIS, "c"], ["a", "b"])
    assert not fits(["a"], ["a", "b"])
