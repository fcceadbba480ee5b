"""`ringfence explain`: from logs to reasons, and what it says of a wrong request."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli.explain import explain
from streams.failures import Failure

GOLDEN = Path(__file__).parent / "golden"
SECRET = {"RINGFENCE_PSEUDONYM_KEY": "a secret of sixteen letters"}
RULE = "stranger_then_payee"
RULE_TEXT = """\
id: stranger_then_payee
version: 1.0.0
title: A stranger calls, then a new payee is paid
status: test
typology: trial
stage: exfiltration
severity: medium
action: warn
params:
  least: [3000 CNY, 400 EUR]
steps:
  - as: call
    event: call_invitation
    where: [media == "video", 'relationship in ("stranger", "one_way_prior")', answered]
  - as: pay
    event: transfer
    after: call
    within: 2h
    where: ['status not in ("rejected", "recalled")', payee_is_new, amount >= least]
unless:
  - {event: official_call, around: call, within: 10m}
"""
PERSON = "+8613800000001"

app = typer.Typer()
app.command()(explain)


def record(event: str, own_id: str, time: str, **data: Any) -> str:  # noqa: ANN401 - JSON
    """One line of a log."""
    source = "//bank.example/core" if event == "transfer" else "//telecom.example/ott"
    extra = {name: data.pop(name) for name in ("feed", "watermark_at") if name in data}
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{own_id}-{time}",
            "source": source,
            "type": f"ringfence.{event}.v1",
            "time": f"2023-07-08T{time}Z",
            **extra,
            "data": {"person": PERSON, **data},
        }
    )


def call(own_id: str = "c1", time: str = "10:00:00", **data: Any) -> str:  # noqa: ANN401 - JSON
    told = {
        "call_id": own_id,
        "caller": "service@mail.example",
        "service": "facetime",
        "media": "video",
        "direction": "incoming",
        "relationship": "stranger",
        "invited_at": f"2023-07-08T{time}Z",
        "answered_at": f"2023-07-08T{time}Z",
        "ended_at": f"2023-07-08T{time[:2]}:50:00Z",
    }
    return record("call_invitation", own_id, f"{time[:2]}:50:00", **told | data)


def pay(own_id: str = "p1", time: str = "10:42:00", **data: Any) -> str:  # noqa: ANN401 - JSON
    told = {
        "transfer_id": own_id,
        "payee_account": "acc-new",
        "amount": "20000",
        "currency": "CNY",
        "direction": "out",
        "payee_kind": "personal",
        "payee_times_paid": 0,
        "status": "attempted",
        "initiated_at": f"2023-07-08T{time}Z",
    }
    return record("transfer", own_id, time, **told | data)


def asked(
    folder: Path,
    lines: Sequence[str],
    *arguments: str,
    key: str = f"person:{PERSON}",
    stdin: str = "",
    env: dict[str, str] | None = None,
) -> Result:
    """Ask for the rule and key, or for what the arguments say, over a log of these lines."""
    log = folder / "log.jsonl"
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rule = folder / f"{RULE}.yaml"
    rule.write_text(RULE_TEXT, encoding="utf-8")
    options = [] if "--rule" in arguments else ["--rule", RULE]
    options += [] if "--rules" in arguments else ["--rules", str(rule)]
    names = [a.format(folder=folder) for a in arguments]
    given = [str(log), *options, "--key", key, *names]
    return CliRunner().invoke(app, given, input=stdin, env=SECRET if env is None else env)


def sentence(result: Result) -> str:
    """The one sentence that a failed command says."""
    assert isinstance(result.exception, Failure), result.exception
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_the_nearest_miss_is_explained_though_the_screen_drops_its_records(tmp_path: Path) -> None:
    lines = [call(relationship="contact"), pay(time="12:53:12", amount="2900")]
    result = asked(tmp_path, lines)
    assert result.exit_code == 0
    assert result.stdout == (GOLDEN / "explain_nearest_miss.txt").read_text(encoding="utf-8")


def test_a_match_is_explained_as_json(tmp_path: Path) -> None:
    said = json.loads(asked(tmp_path, [call(), pay()], "--format", "json").stdout)
    assert (said["by"], said["matched"], said["anchor"]["id"]) == ("person", True, "p1")
    assert said["notes"] == []
    assert PERSON not in json.dumps(said)


@pytest.mark.parametrize(
    "key", ["person:+86 138-0000.0001", "person:3c61ba1f4b7fb06bfc3d6bd9e63a5dc3", "person:-"]
)
def test_a_key_may_be_written_in_several_ways(tmp_path: Path, key: str) -> None:
    lines = [call(), pay()]
    plain = asked(tmp_path, lines).stdout
    pseudonym = plain.split(":", 1)[0].removeprefix("person ")
    key = f"person:{pseudonym}" if len(key) > 32 else key
    assert asked(tmp_path, lines, key=key, stdin=f"{PERSON}\n").stdout == plain
    assert PERSON not in plain


def test_an_area_is_its_own_key(tmp_path: Path) -> None:
    rule = tmp_path / "anywhere.yaml"
    rule.write_text(
        "id: anywhere\nversion: 1.0.0\ntitle: Anything\nstatus: test\ntypology: trial\n"
        "stage: control\nseverity: low\naction: warn\nby: area\n"
        "steps:\n  - {as: pay, event: transfer}\n",
        encoding="utf-8",
    )
    arguments = ["--rule", "anywhere", "--rules", str(rule)]
    result = asked(tmp_path, [pay(area="pudong")], *arguments, key="area:pudong")
    assert result.stdout.startswith("area pudong: 1 event\nanywhere 1.0.0 matches at pay p1")


def test_records_of_others_are_left_out_and_of_one_event_the_greatest_counts(
    tmp_path: Path,
) -> None:
    lines = [
        call(),
        "",
        pay(person="somebody else"),
        pay(status="attempted"),
        pay(status="rejected").replace("p1-10:42:00", "p1-later"),
    ]
    for several in (lines, lines[::-1]):
        result = asked(tmp_path, several)
        assert result.stdout.splitlines()[0].endswith(": 2 events")
        assert "  pay: status is rejected, wanted none of rejected, recalled" in result.stdout


def test_an_anchor_can_be_asked_for(tmp_path: Path) -> None:
    lines = [call(), pay(), pay("p2", "10:45:00")]
    assert "matches at pay p2" in asked(tmp_path, lines).stdout
    assert "matches at pay p1" in asked(tmp_path, lines, "--anchor", "p1").stdout
    assert sentence(asked(tmp_path, lines, "--anchor", "p3")) == (
        "--anchor: no transfer under this key has the id 'p3'; there are p2, p1"
    )


def test_what_came_late_or_broke_the_contract_is_noted(tmp_path: Path) -> None:
    lines = [
        call(),
        call("c2", "12:00:00", person="somebody else"),
        pay(),
        pay("p9", "11:00:00", person=None),
        pay(amount="-1"),
        "{",
    ]
    lines[2:2] = [pay("p8", "12:10:00", person="somebody else")]
    result = asked(tmp_path, lines)
    assert result.stdout.splitlines()[-2:] == [
        "note: p1 came late, so the engine may have closed an alert before",
        "note: 2 records break the event contract and counted for nothing",
    ]
    one = asked(tmp_path, [*lines[:3], pay("p3"), "{"], "--lateness", "3h")
    assert one.stdout.splitlines()[-1].startswith("note: 1 record breaks the event contract")
    assert "came late" not in one.stdout


def test_many_late_events_are_counted_not_listed(tmp_path: Path) -> None:
    others = [pay("p0", "13:00:00", person="somebody else")]
    late = [pay(f"p{n}", "10:10:00") for n in range(1, 8)]
    result = asked(tmp_path, [call(), *others, *late])
    assert "note: p1, p2, p3, p4, p5, … came late" in result.stdout


@pytest.mark.parametrize("data", [{"area": "a" * 70_000}, {f"field_{n}": 0 for n in range(300)}])
def test_a_record_beyond_the_limits_is_no_record(tmp_path: Path, data: dict[str, Any]) -> None:
    result = asked(tmp_path, [call(), pay(), pay("p2", "10:50:00", **data)])
    assert "matches at pay p1" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("note: 1 record breaks the event contract")


def test_a_withheld_caller_is_nobodys_key(tmp_path: Path) -> None:
    rule = tmp_path / "calling.yaml"
    text = RULE_TEXT.split("params:", maxsplit=1)[0].replace(RULE, "calling")
    steps = "by: caller\nsteps:\n  - {as: call, event: call_invitation}\n"
    rule.write_text(text + steps, encoding="utf-8")
    arguments = ["--rule", "calling", "--rules", str(rule)]
    result = asked(tmp_path, [call(caller="Anonymous")], *arguments, key="caller:Anonymous")
    assert sentence(result).startswith("no event in these logs has this caller as its key")


def test_a_record_of_the_future_makes_nothing_late(tmp_path: Path) -> None:
    future = pay("p0", "13:00:00", person="somebody else").replace("2023-", "2199-")
    result = asked(tmp_path, [call(), future, pay()])
    assert result.stdout.splitlines()[-1] == (
        "note: 1 record breaks the event contract and counted for nothing"
    )


def test_a_heartbeat_makes_what_comes_below_it_late(tmp_path: Path) -> None:
    beat = record("heartbeat", "h1", "12:00:00", watermark="2023-07-08T12:00:00Z", feed="bank")
    feed = pay().replace('"specversion"', '"feed": "bank", "specversion"')
    assert "note: p1 came late" in asked(tmp_path, [call(), beat, feed]).stdout


@pytest.mark.parametrize(
    ("arguments", "key", "said"),
    [
        (
            ["--rule", "stranger_then_paye"],
            "person:-",
            "--rule: there is no rule 'stranger_then_paye'; did you mean 'stranger_then_payee'?",
        ),
        ([], PERSON, "--key: wanted its kind and its value, such as person:-"),
        ([], "persona:x", "--key: 'persona' is no kind of key; did you mean 'person'?"),
        (
            [],
            "caller:x",
            "--key: rule stranger_then_payee correlates by person, not by caller",
        ),
        ([], "person:", "--key: there is nothing behind person:"),
        (["-"], "person:-", "--key: standard input cannot be both a log and the key"),
        (
            [],
            "person:nobody",
            "no event in these logs has this person as its key (2 records read); is it spelled",
        ),
    ],
)
def test_a_wrong_request_gets_one_sentence(
    tmp_path: Path, arguments: list[str], key: str, said: str
) -> None:
    result = asked(tmp_path, [call(), pay()], *arguments, key=key)
    assert sentence(result).startswith(said)
    assert PERSON not in sentence(result)
    assert result.stdout == ""


CAMPAIGN = """\
id: campaign
version: 1.0.0
title: Several victims, one payee
status: test
typology: trial
stage: campaign
severity: high
action: block
by: payee
steps:
  - {as: hits, each: alert, within: 72h, having: [count(hits.person) >= 2]}
anchor: hits
"""


def test_a_rule_that_reads_alerts_is_explained_by_the_alerts_of_the_log(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "campaign.yaml").write_text(CAMPAIGN, encoding="utf-8")
    (rules / f"{RULE}.yaml").write_text(RULE_TEXT, encoding="utf-8")
    others = [call("c2", person="wei"), pay("p2", "10:43:00", person="wei")]
    elsewhere = [call("c3", person="han"), pay("p3", person="han", payee_account="other")]
    arguments = ["--rule", "campaign", "--rules", str(rules)]
    lines = [call(), pay(), *others, *elsewhere]
    result = asked(tmp_path, lines, *arguments, key="payee:acc-new")
    assert "campaign 1.0.0 matches at hits" in result.stdout
    assert "yes      count(hits.person) >= 2  (2)" in result.stdout
    # A transfer that is rejected in the end takes its alert back.
    gone = pay("p2", "10:43:00", person="wei", status="rejected").replace("p2-10", "p2-later")
    result = asked(tmp_path, [*lines, gone], *arguments, key="payee:acc-new")
    assert "  hits: count(hits.person) 1, wanted ≥ 2" in result.stdout
    piped = asked(tmp_path, lines, "-", *arguments, key="payee:acc-new")
    assert sentence(piped) == (
        "rule campaign reads alerts, so logs are read twice, and standard input cannot be"
    )


def test_an_alert_that_names_a_key_no_longer_is_none_of_its_events(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    by_caller = CAMPAIGN.replace("by: payee", "by: caller")
    by_caller = by_caller.replace(", having: [count(hits.person) >= 2]", "")
    (rules / "campaign.yaml").write_text(by_caller, encoding="utf-8")
    (rules / f"{RULE}.yaml").write_text(RULE_TEXT, encoding="utf-8")
    arguments = ["--rule", "campaign", "--rules", str(rules)]
    # The second call is the greater, so the alert is about its caller from then on.
    lines = [call(), pay()]
    first = asked(tmp_path, lines, *arguments, key="caller:service@mail.example")
    assert "campaign 1.0.0 matches at hits" in first.stdout
    lines.append(call("c2", "10:30:00", caller="other@mail.example"))
    again = asked(tmp_path, lines, *arguments, key="caller:service@mail.example")
    assert "  hits: there is no alert" in again.stdout
    other = asked(tmp_path, lines, *arguments, key="caller:other@mail.example")
    assert "campaign 1.0.0 matches at hits" in other.stdout


def test_without_a_key_of_its_own_it_warns_that_pseudonyms_are_public(tmp_path: Path) -> None:
    result = asked(tmp_path, [call(), pay()], env={})
    assert "published key" in result.stderr


def test_the_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert "Example: ringfence explain june.jsonl" in result.stdout
