"""The tutorial in docs/rules.md, done as a newcomer does it: files written, commands run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
ELLIPSIS = "…"


class Block(NamedTuple):
    """One block of code: what it is, and what is in it."""

    info: str
    text: str


def blocks() -> list[Block]:
    text = PAGE.read_text(encoding="utf-8")
    text = text[text.index("## A rule in ten minutes") : text.index("## How rules read")]
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


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    tried = 0
    for block in blocks():
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
    assert tried == 10


def test_lines_that_differ_do_not_fit() -> None:
    assert fits(["a", ELLIPSIS, "c"], ["a", "b", "b", "c"])
    assert fits(["a", ELLIPSIS], ["a"])
    assert not fits(["a", ELLIPSIS, "c"], ["a", "b"])
    assert not fits(["a"], ["a", "b"])
