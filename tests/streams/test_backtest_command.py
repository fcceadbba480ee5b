"""`ringfence backtest`: logs and outcomes in, what each rule was worth out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner, Result

from rules.alert import alert_id
from rules.fact import Identity
from rules.timing import Timing
from streams.cli.backtest import backtest
from streams.failures import Failure
from streams.rule_files import read_rules
from tests.streams.diff_parts import CAMPAIGN, RULE, call, outcome, pay, record, rules, write

GOLDEN = Path(__file__).parent / "golden"
SECRET = {"RINGFENCE_PSEUDONYM_KEY": "a secret of sixteen letters"}
LOG = [
    record("heartbeat", "h1", "09:00:00", "//bus.example", watermark="2023-07-08T09:00:00Z"),
    *(call(person) for person in ("ann", "bob", "cat", "dan")),
    pay("ann", irrevocable_at="2023-07-08T11:55:00Z"),
    pay("bob", irrevocable_at="2023-07-08T10:55:00Z"),
    pay("cat"),
    pay("dan", amount="1500"),
    pay("eve", time="12:00"),
]

app = typer.Typer()
app.command()(backtest)


def ids(folder: Path) -> dict[str, str]:
    """The id of each person's alert, whether it is raised or not."""
    (rule,) = read_rules(rules(folder / "ids", RULE), Timing()).rules
    return {
        person: alert_id(rule, Identity("//bank.example/core", "transfer", f"p-{person}"), "")
        for person in ("ann", "bob", "cat", "dan", "eve")
    }


def found_out(folder: Path) -> list[str]:
    named = ids(folder)
    verdicts = {"ann": "confirmed_fraud", "bob": "false_positive", "dan": "confirmed_fraud"}
    return [outcome(f"o-{who}", named[who], verdict) for who, verdict in verdicts.items()]


def asked(
    folder: Path,
    *arguments: str,
    lines: Sequence[str] = LOG,
    outcomes: Sequence[str] | None = None,
    texts: Sequence[str] = (RULE,),
) -> Result:
    log = write(folder / "log.jsonl", lines)
    given = [] if "-" in arguments else [str(log)]
    given += ["--rules", str(rules(folder / "rules", *texts))]
    if outcomes is not None:
        given += ["--outcomes", str(write(folder / "outcomes.jsonl", outcomes))]
    stdin = log.read_text(encoding="utf-8")
    return CliRunner().invoke(app, [*given, *arguments], env=SECRET, input=stdin)


def figures(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    return dict(json.loads(result.stdout))


def sentence(result: Result) -> str:
    assert isinstance(result.exception, Failure), result.output
    return str(result.exception)


def test_the_report_in_words(tmp_path: Path) -> None:
    named = ids(tmp_path)
    outcomes = [
        *found_out(tmp_path),
        "",
        outcome("o-cat", named["cat"], "benign"),
        outcome("o-cat-2", named["cat"], "unknown", sequence=1),
        outcome("o-stranger", "335e4d06-965f-5ca2-aded-c989d3a2ccc8", "confirmed_fraud"),
        outcome("o-nothing", None, "benign"),
        outcome("o-wrong", "x", "fraud"),
        "{",
    ]
    arguments = ["--sweep", "least.CNY=1000..4000:1000"]
    result = asked(tmp_path, *arguments, outcomes=outcomes)
    said = result.stdout.replace(str(tmp_path), "")
    assert said == (GOLDEN / "backtest.txt").read_text(encoding="utf-8")


def test_a_fraud_whose_alert_was_not_raised_is_missed_and_a_lower_threshold_finds_it(
    tmp_path: Path,
) -> None:
    arguments = ["--format", "json", "--sweep", "stranger_then_payee.least.CNY=1000..2000:1000"]
    said = figures(asked(tmp_path, *arguments, outcomes=found_out(tmp_path)))
    (rule,) = said["rules"]
    assert (rule["alerts"], rule["missed"], rule["recall"], rule["precision"]) == (3, 1, 0.5, 0.5)
    assert rule["lead"] == {
        "measured": 2,
        "in_time": 1,
        "median_seconds": 1800,
        "least_seconds": 0,
    }
    found = [(v["value"], v["alerts"], v["recall"]) for v in said["sweep"]["values"]]
    assert found == [("1000 CNY", 4, 1), ("2000 CNY", 3, 0.5)]
    assert said["people"] == 5


def test_days_are_those_of_records_about_people(tmp_path: Path) -> None:
    late = pay("eve").replace("2023-07-08", "2023-07-09").replace("p-eve", "p-late")
    beat = LOG[0].replace("2023-07-08", "2023-07-12")
    lines = ["{", LOG[0], *LOG[1:], late, *found_out(tmp_path), beat]
    said = figures(asked(tmp_path, "--format", "json", lines=lines))
    # From 10:50, when the first call has been told, to 10:55 on the day after.
    assert said["days"] == pytest.approx(1 + 5 / 1440, abs=1e-6)


def test_the_lead_follows_the_greatest_record_of_a_transfer(tmp_path: Path) -> None:
    first = pay("ann", irrevocable_at="2023-07-08T11:00:00Z")
    later = pay("ann", irrevocable_at="2023-07-08T12:00:00Z", status="held")
    later = later.replace('"id": "p-ann-', '"sequence": 1, "id": "later-')
    for lines in ([call("ann"), first, later], [call("ann"), later, first]):
        (rule,) = figures(asked(tmp_path, "--format", "json", lines=lines))["rules"]
        assert rule["lead"]["median_seconds"] == 65 * 60


def test_outcomes_inside_the_logs_count_too(tmp_path: Path) -> None:
    result = asked(tmp_path, "--format", "json", lines=[*LOG, *found_out(tmp_path)])
    (rule,) = figures(result)["rules"]
    assert rule["verdicts"] == {
        "confirmed_fraud": 1,
        "false_positive": 1,
        "benign": 0,
        "unknown": 0,
        "none": 1,
    }


def test_an_event_may_be_told_by_its_record_alone(tmp_path: Path) -> None:
    text = RULE.replace("event: transfer", "event: payee_added").replace("id: s", "id: s")
    text = text.replace('      - status not in ("rejected", "recalled")\n', "")
    text = text.replace(
        "      - payee_is_new\n      - amount >= least\n", '      - channel == "web"\n'
    )
    (rule,) = read_rules(rules(tmp_path / "ids", text), Timing()).rules
    source = "//bank.example/core"
    wanted = [Identity(source, "payee_added", own_id) for own_id in ("r-10:55:00", "own")]
    added = {"person": "ann", "payee_account": "x", "channel": "branch"}
    lines = [
        call("ann"),
        record("payee_added", "r", "10:55:00", source, **added),
        record("payee_added", "s", "10:56:00", source, **added, event_id="own"),
        record("payee_added", "t", "10:57:00", source, **added, event_id=1),
    ]
    outcomes = [
        outcome(f"o{n}", alert_id(rule, identity, ""), "confirmed_fraud")
        for n, identity in enumerate(wanted)
    ]
    said = figures(
        asked(tmp_path, "--format", "json", lines=lines, outcomes=outcomes, texts=[text])
    )
    assert said["rules"][0]["missed"] == 2


def test_thresholds_are_exit_codes(tmp_path: Path) -> None:
    outcomes = found_out(tmp_path)
    kept = asked(
        tmp_path, "--min-precision", "0.5", "--max-alerts-per-1000", "600", outcomes=outcomes
    )
    assert (kept.exit_code, "wanted" in kept.stderr) == (0, False)
    broken = asked(
        tmp_path, "--min-precision", "0.6", "--max-alerts-per-1000", "599", outcomes=outcomes
    )
    assert broken.exit_code == 1
    assert broken.stderr.splitlines() == [
        "ringfence: rule stranger_then_payee has a precision of 0.5, wanted 0.6 or more",
        (
            "ringfence: rule stranger_then_payee raises 600 alerts per 1,000 people and day,"
            " wanted 599 or fewer"
        ),
    ]


def test_a_sweep_is_drawn(tmp_path: Path) -> None:
    chart = tmp_path / "sweep.svg"
    arguments = ["--sweep", "after_call=1h..3h:30m", "--chart", str(chart)]
    assert asked(tmp_path, *arguments, outcomes=found_out(tmp_path)).exit_code == 0
    assert ET.parse(chart).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours


def test_rules_that_read_alerts_are_measured_and_varied(tmp_path: Path) -> None:
    text = CAMPAIGN.replace("steps:", "params:\n  most: 2\nsteps:").replace(">= 2", ">= most")
    arguments = ["--format", "json", "--sweep", "most=2..4:1"]
    params = tmp_path / "params.yaml"
    params.write_text("campaign:\n  most: 3\n", encoding="utf-8")
    arguments += ["--params", str(params)]
    outcomes = found_out(tmp_path)
    said = figures(asked(tmp_path, *arguments, texts=[RULE, text], outcomes=outcomes))
    assert {rule["rule"]: rule["alerts"] for rule in said["rules"]} == {
        "campaign": 3,
        "stranger_then_payee": 3,
    }
    assert [value["alerts"] for value in said["sweep"]["values"]] == [3, 3, 0]
    piped = figures(asked(tmp_path, "-", *arguments, texts=[RULE, text]))
    assert [value["alerts"] for value in piped["sweep"]["values"]] == [3, 3, 0]


def test_standard_input_cannot_be_searched_for_alerts_that_were_not_raised(
    tmp_path: Path,
) -> None:
    result = asked(tmp_path, "-", outcomes=found_out(tmp_path))
    assert "(standard input cannot be searched for their events)" in result.stdout
    assert "recall 1 (1 of 1 known frauds)" in result.stdout


def test_without_outcomes_nothing_is_guessed(tmp_path: Path) -> None:
    for arguments in ([], ["--outcomes", str(write(tmp_path / "none.jsonl", []))]):
        result = asked(tmp_path, *arguments)
        assert result.stdout.splitlines()[-1] == (
            "note: there are no outcomes, so precision and recall are unknown"
        )
    assert asked(tmp_path, "--min-precision", "0").exit_code == 1


def test_many_contradictions_are_counted(tmp_path: Path) -> None:
    outcomes = [
        outcome(f"o{n}-{verdict}", f"a{n}", verdict)
        for n in range(7)
        for verdict in ("benign", "unknown")
    ]
    result = asked(tmp_path, outcomes=outcomes)
    assert result.stdout.count("contradict each other: unknown counts") == 5
    assert "note: so do those of 2 alerts more" in result.stdout


def test_an_empty_log_is_said(tmp_path: Path) -> None:
    result = asked(tmp_path, lines=["not JSON"])
    assert "note: 1 record breaks the event contract" in result.stdout
    result = asked(tmp_path, lines=[])
    assert "note: the logs hold no records" in result.stdout
    assert result.stdout.startswith("0 records of 0 people in 1.0 days; outcomes of 0 alerts\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep", "least=1..2:1"], "--sweep: which currency of 'least' is to vary?"),
        (["--sweep", "nonsense"], "--sweep: found 'nonsense', wanted a form like min_amount="),
        (["--chart", "x.svg"], "--chart: there is nothing to draw without --sweep"),
        (["--outcomes", "{log}"], '--outcomes: "{log}" holds no outcome in 10 lines, though it'),
        (["--outcomes", "{broken}"], '--outcomes: "{broken}" holds no outcome in 1 lines; line 1'),
    ],
)
def test_a_wrong_request_gets_one_sentence(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    names = {"log": tmp_path / "log.jsonl", "broken": write(tmp_path / "broken", ["{"])}
    result = asked(tmp_path, *(argument.format(**names) for argument in arguments))
    assert sentence(result).startswith(said.format(**names))


def test_a_value_that_makes_no_rule_is_named(tmp_path: Path) -> None:
    text = RULE.replace("params:\n", "params:\n  often: 3\n")
    text = text.replace("      - payee_is_new\n", "      - payee_times_paid < often\n")
    result = asked(tmp_path, "--sweep", "often=0..2:1", texts=[text])
    assert sentence(result).startswith("--sweep: at 0 this is no rule: ")
    assert "this can never be true" in sentence(result)


@pytest.mark.parametrize("value", ["2", "x", "-1", "1.2.3", "²"])
def test_a_threshold_that_is_no_share_is_wrong_usage(tmp_path: Path, value: str) -> None:
    result = asked(tmp_path, "--min-precision", value)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
