"""`ringfence test`: stories run in several orders, and the reports on them."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner, Result

from rules.language import Story, load_stories
from rules.timing import Timing
from streams.cli.run_stories import run_stories
from streams.failures import Failure
from streams.story_command import orders_of

GOLDEN = Path(__file__).parent / "golden"
app = typer.Typer()
app.command(name="test")(run_stories)

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
  - as: call
    event: call_invitation
    where: [media == "video"]
  - as: pay
    event: transfer
    after: call
    within: 2h
"""
STORIES = """\
stories:
  - title: it holds
    events:
      - {at: "10:00", call_invitation: c1}
      - {at: "10:05", transfer: p1}
    alerts: [{anchor: p1, with: [c1]}]
"""
WRONG = """\
  - title: an audio call <b>& "more"</b>
    like: it holds
    change: {c1: {media: audio}}
    alerts: [{anchor: p1, action: warn, with: [c1]}]
  - title: it misses something else
    like: it holds
    change: {p1: {at: "12:00:01"}}
    alerts: []
    misses: {step: call, on: media}
"""


def run(folder: Path, text: str, *arguments: str) -> Result:
    """Run the stories of one file, or of what the arguments say."""
    (folder / "tried.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, [str(folder / "tried.yaml"), *arguments])


def test_stories_that_hold_are_counted(tmp_path: Path) -> None:
    result = run(tmp_path, RULE + STORIES)
    assert result.exit_code == 0
    assert result.stdout == "tried: 1 story, all right\n1 story of 1 rule, all right\n"


def test_a_rule_without_stories_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, RULE)
    assert result.exit_code == 0
    assert result.stdout == "tried: 0 stories, nothing to try\n0 stories of 1 rule, all right\n"


def test_stories_that_do_not_hold_are_shown_with_their_reasons(tmp_path: Path) -> None:
    result = run(tmp_path, RULE + STORIES + WRONG)
    assert result.exit_code == 1
    said = result.stdout.replace(str(tmp_path), "rules")
    assert said == (GOLDEN / "stories_that_do_not_hold.txt").read_text(encoding="utf-8")


def test_the_stories_of_the_catalogue_hold() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0, result.stdout
    assert result.stdout.splitlines()[-1].endswith(", all right")


def test_the_report_as_xml_counts_and_quotes_the_same(tmp_path: Path) -> None:
    report = tmp_path / "stories.xml"
    result = run(tmp_path, RULE + STORIES + WRONG, "--junit", str(report))
    assert result.exit_code == 1
    root = ET.parse(report).getroot()  # noqa: S314 - written by the command under test
    assert (root.tag, root.attrib["tests"], root.attrib["failures"]) == ("testsuites", "3", "2")
    (suite,) = root
    assert (suite.attrib["name"], suite.attrib["tests"]) == ("tried", "3")
    cases = list(suite)
    assert [case.attrib["name"] for case in cases] == [
        "it holds",
        'an audio call <b>& "more"</b>',
        "it misses something else",
    ]
    assert cases[0].attrib["line"] == "18"
    assert [len(case) for case in cases] == [0, 1, 1]
    failure = cases[1][0]
    assert failure.attrib["message"] == "no alert about p1 (in file order)"
    assert failure.text is not None
    assert failure.text.splitlines()[0] == f"{tmp_path / 'tried.yaml'}:23"


def test_what_xml_cannot_write_is_replaced(tmp_path: Path) -> None:
    report = tmp_path / "stories.xml"
    odd = STORIES.replace("title: it holds", 'title: "it \\x01 holds \\u2014 \\U0001F600"')
    assert run(tmp_path, RULE + odd, "--junit", str(report)).exit_code == 0
    (case,) = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - written by the command
    assert case.attrib["name"] == "it \ufffd holds \u2014 \U0001f600"


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, RULE + STORIES, "--junit", str(tmp_path / "no" / "where.xml"))
    assert isinstance(result.exception, Failure)
    assert "cannot be written: no such file or directory" in str(result.exception)


def test_mistakes_in_files_are_all_said(tmp_path: Path) -> None:
    text = RULE.replace('media == "video"', 'medai == "video"').replace("within: 2h", "within: 2x")
    result = run(tmp_path, text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count(f"{tmp_path / 'tried.yaml'}:") == 2
    assert "did you mean 'media'?" in result.stderr


def test_a_record_that_comes_too_late_to_count_is_a_mistake(tmp_path: Path) -> None:
    text = RULE + STORIES.replace("call_invitation: c1", 'call_invitation: c1, time: "17:00"')
    result = run(tmp_path, text)
    assert result.exit_code == 1
    assert f"{tmp_path / 'tried.yaml'}:20: c1: its time is more than settle" in result.stderr


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ("arrival: [p1, c1]", ["in its own order of arrival"]),
        ("lateness: 15m", ["in file order"]),
    ],
)
def test_a_story_may_fix_the_order(more: str, names: list[str]) -> None:
    assert [order.name for order in orders_of(_story(f"    {more}\n"))] == names


def test_any_other_story_comes_in_file_order_in_reverse_and_shuffled_with_repeats() -> None:
    orders = orders_of(_story(""))
    assert [order.places for order in orders[:2]] == [(0, 1), (1, 0)]
    assert all(sorted(order.places) == [0, 0, 1, 1] for order in orders[2:])
    assert len({order.places for order in orders}) == len(orders) > 4
    assert orders == orders_of(_story(""))


def _story(more: str) -> Story:
    text = f"{RULE}{STORIES}{more}"
    return load_stories({"tried.yaml": text}, Timing())["tried"][0]


def test_the_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert "Example: ringfence test rules/catalog" in result.stdout
