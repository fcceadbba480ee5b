"""The image: built by dev.py's own steps from files that exist, run by nobody special."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A step that goes on over several lines is one step.
STEPS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]
FROM = [number for number, step in enumerate(STEPS) if step[0] == "FROM"]


def steps(word: str, *, since: int = 0) -> list[str]:
    """Return what follows a word, from a numbered step on."""
    return [rest for found, rest in STEPS[since:] if found == word]


def copied() -> set[str]:
    """Return every file and folder that the build takes from the tree."""
    local = [rest for rest in steps("COPY") if not rest.startswith("--from")]
    return {name for rest in local for name in rest.split()[:-1]}


def test_the_environment_is_made_by_dev_py() -> None:
    made, *others = steps("RUN", since=FROM[0])
    assert re.sub(r"^--mount=\S+ ", "", made).startswith("python3 dev.py install --runtime && ")
    assert "install" not in " ".join(others)


def test_what_the_build_takes_is_there_and_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied()
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_both_stages_rest_on_one_exact_release() -> None:
    names = {rest.split()[0] for rest in steps("FROM")}
    assert len(names) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", names.pop())


def test_the_last_stage_brings_no_build_and_runs_as_nobody_special() -> None:
    last = FROM[-1]
    assert steps("COPY", since=last) == [
        "--from=builder /opt/ringfence/.venv /opt/ringfence/.venv"
    ]
    (user,) = steps("USER", since=last)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert steps("ENTRYPOINT") == ['["ringfence"]']
