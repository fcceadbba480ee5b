"""`ringfence mutate`: what stories are worth, said at the command line."""

import re
import subprocess
import sys
from pathlib import Path

from rules.authoring.starting import new_rule


def mutate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streams.cli", "mutate", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_no_story_notices_is_said_with_the_story_that_would(tmp_path: Path) -> None:
    file = write(tmp_path, "rent_scam", new_rule("rent_scam"))
    done = mutate(str(file))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"rent_scam: \d+ of \d+ mutants noticed \(\d+\.\d %\)", lines[0])
    place = next(n for n, line in enumerate(lines) if "without 'call.answered'" in line)
    assert lines[place].startswith(f"  {file}:")
    assert lines[place].endswith(": no story notices")
    assert lines[place + 1] == (
        "    it would take one with all as it should be but 'call.answered', and no alert"
    )
    assert "noticed by" not in done.stdout


def test_a_score_that_is_too_low_fails(tmp_path: Path) -> None:
    file = write(tmp_path, "rent_scam", new_rule("rent_scam"))
    assert mutate(str(file), "--min-score", "99").returncode == 1
    assert mutate(str(file), "--min-score", "5").returncode == 0


def test_those_that_are_noticed_are_shown_on_request_and_rules_are_added_up(
    tmp_path: Path,
) -> None:
    for name in ("rent_scam", "rant_scam"):
        write(tmp_path, name, new_rule(name))
    done = mutate(str(tmp_path), "--noticed")
    assert "noticed by 'a transfer during the call'" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(", in 2 rules")


def test_rules_with_mistakes_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "rent_scam", new_rule("rent_scam").replace("answered\n", "answred\n"))
    done = mutate(str(file))
    assert done.returncode == 2
    assert "did you mean 'answered'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_that_no_sender_may_send_is_named(tmp_path: Path) -> None:
    late = new_rule("rent_scam").replace('{at: "10:42", ', '{at: "10:42", time: "23:00", ')
    done = mutate(str(write(tmp_path, "rent_scam", late)))
    assert done.returncode == 2
    assert "its time is more than settle after its start" in done.stderr
