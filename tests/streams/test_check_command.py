"""`ringfence check`: what rules keep in words, or every mistake in them."""

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from streams.cli.check import check
from streams.failures import UsageFailure

app = typer.Typer()
app.command()(check)

RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
steps:
  - as: pay
    event: transfer
    where: [channel == "web"]
"""


def run(folder: Path, text: str) -> Result:
    (folder / "tried.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, [str(folder)])


def test_what_a_rule_keeps_is_said_in_words(tmp_path: Path) -> None:
    result = run(tmp_path, RULE)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "tried 1.0.0, by person",
        "  raises at once; final at the latest 6h after pay",
        "  keeps for 6h: transfer (pay)",
        "in all, kept under person: transfer for 6h",
    ]


def test_every_mistake_is_said_with_its_place(tmp_path: Path) -> None:
    text = RULE.replace('channel == "web"', 'chanel == "web"').replace("status: test", "status: x")
    result = run(tmp_path, text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count(f"{tmp_path / 'tried.yaml'}:") == 2
    assert "did you mean 'channel'?" in result.stderr


def test_a_stable_rule_without_stories_is_told_which_are_missing(tmp_path: Path) -> None:
    result = run(tmp_path, RULE.replace("status: test", "status: stable"))
    assert result.exit_code == 1
    assert result.stdout.startswith("tried 1.0.0, by person\n")
    assert f"{tmp_path / 'tried.yaml'}:" in result.stderr
    assert "story" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_catalogue_has_no_mistake() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "video_call_then_new_payee" in result.stdout


def test_the_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert "Example: ringfence check rules/catalog" in result.stdout


def test_what_is_found_is_written_for_other_tools_on_request(tmp_path: Path) -> None:
    (tmp_path / "tried.yaml").write_text(RULE.replace("low", "lwo"), encoding="utf-8")
    for name, start in (("json", "["), ("github", "::error file="), ("sarif", "{")):
        result = CliRunner().invoke(app, [str(tmp_path), "--format", name])
        assert (result.exit_code, result.stderr) == (1, "")
        assert result.stdout.startswith(start)
        assert "lwo" in result.stdout


def test_a_warning_alone_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "untried.yaml").write_text(
        RULE.replace("id: tried", "id: untried").replace('"web"', '"branch"'), encoding="utf-8"
    )
    result = run(tmp_path, RULE)
    assert result.exit_code == 0
    assert "untried.yaml:1:1: warning: the steps are those of 'tried'" in result.stderr
    assert result.stdout.startswith("tried 1.0.0, by person\n")


def test_values_from_outside_are_checked_with_the_rules(tmp_path: Path) -> None:
    params = tmp_path / "params.yml"
    params.write_text("tried: {floor: 1}\n", encoding="utf-8")
    (tmp_path / "tried.yaml").write_text(RULE, encoding="utf-8")
    result = CliRunner().invoke(app, [str(tmp_path), "--params", str(params)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{params}:1:9: there is no parameter 'floor'" in result.stderr


WRONG = RULE.replace("title:", "titel:").replace('"web"]', '"wab"]   # a comment')


def mended(path: Path) -> Result:
    return CliRunner().invoke(app, [str(path), "--fix"])


def test_what_has_one_right_answer_is_mended_in_place(tmp_path: Path) -> None:
    path = tmp_path / "tried.yaml"
    path.write_text(WRONG.replace("wab", "moblie"), encoding="utf-8")
    path.chmod(0o640)
    result = mended(tmp_path)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        f"mended {path}:3:1: 'titel' is now 'title'",
        f"mended {path}:12:24: 'moblie' is now 'mobile'",
    ]
    assert result.stdout.startswith("tried 1.0.0, by person\n")
    assert path.read_text(encoding="utf-8") == RULE.replace('"web"]', '"mobile"]   # a comment')
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["tried.yaml"]


def test_what_is_left_is_told_and_counts(tmp_path: Path) -> None:
    (tmp_path / "tried.yaml").write_text(WRONG, encoding="utf-8")
    result = mended(tmp_path)
    assert result.exit_code == 1
    assert "mended" in result.stderr
    assert "'wab' is never a value of channel" in result.stderr


def test_of_a_clean_folder_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "tried.yaml"
    path.write_bytes(RULE.replace("\n", "\r\n").encode())
    before = path.stat()
    result = mended(tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.read_bytes().count(b"\r\n") == RULE.count("\n")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "tried.yaml").write_text(WRONG.replace("wab", "moblie"), encoding="utf-8")
    link = tmp_path / "tried.yaml"
    link.symlink_to(tmp_path / "real" / "tried.yaml")
    assert mended(link).exit_code == 0
    assert link.is_symlink()
    assert "title:" in link.read_text(encoding="utf-8")


def test_the_catalogue_as_it_is_installed_is_not_mended() -> None:
    result = CliRunner().invoke(app, ["--fix"])
    assert isinstance(result.exception, UsageFailure)
    assert str(result.exception) == "--fix: say which folder or file is to be mended"
