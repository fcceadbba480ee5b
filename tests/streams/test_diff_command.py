"""`ringfence diff`: what a change of rules does to a log, and which clause does it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from rules.alert import NAMESPACE
from streams.cli.diff import diff
from streams.failures import Failure
from tests.streams.diff_parts import CAMPAIGN, RULE, call, pay, rules, share, write

GOLDEN = Path(__file__).parent / "golden"
SECRET = {"RINGFENCE_PSEUDONYM_KEY": "a secret of sixteen letters"}
LOG = [
    share("ann"),
    *(call(person) for person in ("ann", "bob", "cat", "dan", "fay")),
    call("eve", media="audio"),
    pay("ann"),
    pay("bob", amount="1500"),
    pay("eve"),
    pay("fay", time="11:00"),
    pay("cat", time="13:30"),
    pay("dan", time="13:40", amount="1200"),
]
CHANGES = {
    "least": ("3000 CNY", "1000 CNY"),
    "after_call": ("after_call: 2h", "after_call: 4h"),
    "media": ('media == "video"', 'media in ("video", "audio")'),
    "weight": ("weight: 40", "weight: 10"),
    "band": ("from: 70", "from: 65"),
    "new": ("      - payee_is_new\n", ""),
    "unless": ("evidence:\n", "unless:\n  - {event: screen_share, during: call}\nevidence:\n"),
    "final": ("score:\n", "raise: when_final\nscore:\n"),
}

app = typer.Typer()
app.command()(diff)


def changed(*names: str) -> str:
    text = RULE
    for name in names:
        text = text.replace(*CHANGES[name])
    return text


def asked(
    folder: Path,
    old: Sequence[str],
    new: Sequence[str],
    *arguments: str,
    lines: Sequence[str] = LOG,
) -> Result:
    log = write(folder / "log.jsonl", lines)
    sides = [str(rules(folder / name, *texts)) for name, texts in (("old", old), ("new", new))]
    given_ = [str(log)] if "-" not in arguments else []
    return CliRunner().invoke(
        app, [*sides, *given_, *arguments], env=SECRET, input=log.read_text(encoding="utf-8")
    )


def told(folder: Path, old: str, new: str, lines: Sequence[str] = LOG) -> dict[str, Any]:
    result = asked(folder, [old], [new], "--format", "json", lines=lines)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def brief(said: dict[str, Any]) -> list[tuple[str, str, list[tuple[list[str], list[list[str]]]]]]:
    """Kind, anchor and causes of each alert that differs."""
    names = {each["clause"]: each["what"].rpartition(".")[2] for each in said["clauses"]}
    return [
        (
            each["kind"],
            each["anchor"]["id"],
            [
                (cause["of"], [[names[n] for n in clauses] for clauses in cause["sets"]])
                for cause in each["causes"]
            ],
        )
        for each in said["alerts"]
    ]


def test_each_alert_that_differs_is_put_down_to_the_clause_that_did_it(tmp_path: Path) -> None:
    new = changed("least", "after_call", "weight", "media")
    said = told(tmp_path, RULE, new)
    assert brief(said) == [
        ("changed", "p-ann", [(["severity", "action", "score"], [["weight"]])]),
        ("added", "p-bob", [(["alert"], [["least"]])]),
        ("added", "p-eve", [(["alert"], [["where"]])]),
        ("added", "p-cat", [(["alert"], [["after_call"]])]),
        ("added", "p-dan", [(["alert"], [["least", "after_call"]])]),
    ]
    assert said["totals"]["added"] == {"alerts": 4, "people": 4, "amounts": {"CNY": "42700"}}
    assert said["alike"] == 1
    by_clause = {each["clause"]: each["added"]["alerts"] for each in said["by_clause"]}
    assert by_clause == {1: 2, 2: 2, 3: 1, 4: 0}


def test_the_report_in_words(tmp_path: Path) -> None:
    new = changed("least", "after_call", "weight", "media", "new", "band")
    result = asked(tmp_path, [RULE], [new], lines=[*LOG, "{", pay("ann", time="01:00")])
    said = result.stdout.replace(str(tmp_path), "")
    assert said == (GOLDEN / "diff.txt").read_text(encoding="utf-8")


def test_the_same_rules_are_not_replayed(tmp_path: Path) -> None:
    result = asked(tmp_path, [RULE], [RULE.replace("A stranger calls", "Somebody calls")])
    assert result.stdout.splitlines()[2:] == [
        "no rule judges differently, so nothing was replayed"
    ]


def test_what_is_raised_later_is_a_change(tmp_path: Path) -> None:
    said = told(tmp_path, RULE, changed("final"), lines=[call("ann"), pay("ann")])
    assert brief(said) == [("changed", "p-ann", [(["raised"], [["raise"]])])]
    sides = [said["alerts"][0][side]["raised_at"] for side in ("old", "new")]
    assert sides == ["2023-07-08T10:55:00Z", said["alerts"][0]["new"]["settles_at"]]


def test_an_alert_that_is_taken_back_has_changed_its_state(tmp_path: Path) -> None:
    lines = [call("ann"), pay("ann"), share("ann"), pay("ann", status="settled")]
    said = told(tmp_path, RULE, changed("unless"), lines=lines)
    (alert,) = said["alerts"]
    assert (alert["kind"], alert["old"]["state"], alert["new"]["state"]) == (
        "changed",
        "raised",
        "withdrawn",
    )
    assert said["alerts"][0]["causes"][0]["sets"] == [[1]]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(CHANGES))), st.sets(st.sampled_from(sorted(CHANGES))))
def test_added_and_lost_swap_when_the_sides_swap_and_all_have_a_cause(
    tmp_path: Path, first: set[str], second: set[str]
) -> None:
    sides = changed(*sorted(first)), changed(*sorted(second))
    there, back = told(tmp_path, *sides), told(tmp_path, *sides[::-1])
    swapped = {"added": "lost", "lost": "added", "changed": "changed"}
    assert {(a["alert_id"], a["kind"]) for a in there["alerts"]} == {
        (a["alert_id"], swapped[a["kind"]]) for a in back["alerts"]
    }
    for kind, other in swapped.items():
        assert there["totals"][kind] == back["totals"][other]
    for alert in (*there["alerts"], *back["alerts"]):
        assert alert["causes"]
        for cause in alert["causes"]:
            assert cause["sets"]
            assert all(clauses for clauses in cause["sets"])
    if first == second:
        assert there["clauses"] == there["alerts"] == []


def test_rules_on_one_side_only_and_renamed_ones_are_said(tmp_path: Path) -> None:
    renamed = RULE.replace("id: stranger_then_payee", "id: somebody_then_payee")
    said = asked(tmp_path, [RULE], [renamed]).stdout.splitlines()
    assert "added: 2 alerts of 2 people, 40000 CNY" in said
    assert "lost: 2 alerts of 2 people, 40000 CNY" in said
    assert said[-1].startswith(
        "note: rule stranger_then_payee is gone and rule somebody_then_payee says the same"
    )


def test_a_parameter_from_outside_is_a_clause_of_its_file(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("stranger_then_payee:\n  least: [1000 CNY]\n", encoding="utf-8")
    result = asked(tmp_path, [RULE], [RULE], "--new-params", str(params))
    assert f"  {params}:2:10: stranger_then_payee params.least:" in result.stdout
    assert "added: 1 alert of 1 person, 1500 CNY" in result.stdout
    back = asked(tmp_path, [RULE], [RULE], "--old-params", str(params))
    assert "lost: 1 alert of 1 person, 1500 CNY" in back.stdout


def test_the_page_holds_everything_and_escapes_it(tmp_path: Path) -> None:
    page = tmp_path / "diff.html"
    lines = [call("ann"), pay("ann", amount="1500", transfer_id="<script>p</script>"), "{"]
    new = changed("least", "unless").replace('"recalled"', '"recalled", "held"')
    params = tmp_path / "<u>.yaml"
    params.write_text("stranger_then_payee:\n  after_call: 3h\n", encoding="utf-8")
    arguments = ["--html", str(page), "--new-params", str(params)]
    result = asked(tmp_path, [RULE], [new], *arguments, lines=lines)
    assert result.exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<u>" not in text
    assert "&lt;u&gt;" in text
    assert "<script" not in text
    assert "&lt;script&gt;p&lt;/script&gt;" in text
    assert "1 record breaks the event contract" in text
    assert not re.search(r"(src|href)=", text)
    assert text.count("<tr>") == text.count("</tr>") == 4 + 5 + 2


def test_long_lists_are_cut_in_words_only(tmp_path: Path) -> None:
    people = [f"p{n}" for n in range(25)]
    lines = [line(person) for line in (call, pay) for person in people]
    old = RULE.replace("3000 CNY", "30000 CNY")
    result = asked(tmp_path, [old], [RULE], lines=lines)
    assert result.stdout.count("\nadded stranger_then_payee ") == 20
    assert "… and 5 more added; --format json and --html have all" in result.stdout


def test_campaigns_change_by_the_clauses_of_the_rules_whose_alerts_they_read(
    tmp_path: Path,
) -> None:
    two = CAMPAIGN.replace(">= 2", ">= 3")
    result = asked(
        tmp_path, [RULE, CAMPAIGN], [changed("least"), two], "--format", "json", lines=LOG[:9]
    )
    assert brief(json.loads(result.stdout)) == [("added", "p-bob", [(["alert"], [["least"]])])]
    result = asked(
        tmp_path, [RULE, CAMPAIGN], [changed("least"), CAMPAIGN], "--format", "json", lines=LOG[:9]
    )
    said = json.loads(result.stdout)
    assert {(a["rule"], a["kind"]) for a in said["alerts"]} == {
        ("stranger_then_payee", "added"),
        ("campaign", "added"),
    }
    assert all(a["causes"][0]["sets"] == [[1]] for a in said["alerts"])
    assert str(NAMESPACE) not in result.stdout


def test_campaigns_that_are_alike_are_no_difference(tmp_path: Path) -> None:
    result = asked(tmp_path, [RULE, CAMPAIGN], [changed("weight"), CAMPAIGN], "--format", "json")
    said = json.loads(result.stdout)
    assert brief(said) == [("changed", "p-ann", [(["severity", "action", "score"], [["weight"]])])]


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    said = asked(tmp_path, [RULE], [changed("least", "after_call", "weight")], "-").stdout
    assert "added: 3 alerts" in said
    assert "standard input" not in said
    new = [changed("least", "after_call", "media", "weight"), CAMPAIGN]
    lines = [*LOG, call("gil", media="audio"), pay("gil", time="13:45", amount="1500")]
    said = asked(tmp_path, [RULE, CAMPAIGN], new, "-", lines=lines).stdout
    assert "together; whether fewer would do was not tried out" in said
    assert "note: standard input was read once, so not all sets of clauses were tried" in said
    log = str(tmp_path / "log.jsonl")
    again = CliRunner().invoke(app, [str(tmp_path / "old"), str(tmp_path / "new"), log])
    assert "not tried out" not in again.stdout


def test_signals_are_compared_on_request(tmp_path: Path) -> None:
    signal = re.sub(r"severity: \w+, action: \w+", "severity: info, action: none", RULE)
    new = signal.replace(*CHANGES["least"])
    assert "added: 0 alerts" in asked(tmp_path, [signal], [new]).stdout
    assert "added: 1 alert " in asked(tmp_path, [signal], [new], "--signals").stdout


@pytest.mark.parametrize("lines", [[], [""]])
def test_an_empty_log_is_said(tmp_path: Path, lines: list[str]) -> None:
    result = asked(tmp_path, [RULE], [changed("least")], lines=lines)
    assert result.stdout.splitlines()[-1] == "note: the logs hold no records"


def test_a_log_that_is_not_there_is_named_even_if_nothing_differs(tmp_path: Path) -> None:
    side = str(rules(tmp_path / "old", RULE))
    result = CliRunner().invoke(app, [side, side, str(tmp_path / "no.jsonl")], env=SECRET)
    assert isinstance(result.exception, Failure)
    assert str(result.exception).endswith('no.jsonl" cannot be read: no such file or directory')


def test_a_folder_that_is_not_there_and_mistakes_in_rules_are_named(tmp_path: Path) -> None:
    log, side = str(write(tmp_path / "log.jsonl", LOG)), str(rules(tmp_path / "old", RULE))
    result = CliRunner().invoke(app, [side, str(tmp_path / "nowhere"), log], env=SECRET)
    assert isinstance(result.exception, Failure)
    assert str(result.exception).endswith('nowhere" cannot be read: no such file or directory')
    result = asked(tmp_path, [RULE], [RULE.replace("media ==", "medai ==")])
    assert isinstance(result.exception, Failure)
    assert "did you mean 'media'?" in str(result.exception)


def test_a_clause_that_cannot_stand_alone_is_tried_with_what_it_needs(tmp_path: Path) -> None:
    new = RULE.replace("params:\n", "params:\n  small: [1000 CNY]\n")
    said = told(tmp_path, RULE, new.replace("amount >= least", "amount >= small"))
    assert brief(said) == [
        ("added", "p-bob", [(["alert"], [["small", "where"]])]),
    ]
    assert said["alerts"][0]["causes"][0]["undone_by"] == [2]
