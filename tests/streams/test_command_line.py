"""The command line in a process of its own: what it prints, and the code that it ends with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = '{"specversion":"1.0","id":"r1","source'
CALL = (
    '{"specversion":"1.0","id":"c1-1","source":"//telecom.example/ott",'
    '"type":"ringfence.call_invitation.v1","time":"2023-07-08T10:01:00Z","data":'
    '{"call_id":"c1","person":"customer-1","caller":"service@mail.example","service":"facetime",'
    '"media":"video","direction":"incoming","relationship":"stranger",'
    '"invited_at":"2023-07-08T10:00:00Z","answered_at":"2023-07-08T10:01:00Z"}}'
)
PAY = (
    '{"specversion":"1.0","id":"p1-1","source":"//bank.example/core",'
    '"type":"ringfence.transfer.v1","time":"2023-07-08T10:42:00Z","data":'
    '{"transfer_id":"p1","person":"customer-1","payee_account":"acc-new","amount":"20000",'
    '"currency":"CNY","direction":"out","payee_kind":"personal","payee_times_paid":0,'
    '"status":"attempted","initiated_at":"2023-07-08T10:42:00Z"}}'
)
KEY = "RINGFENCE_PSEUDONYM_KEY"


def ringfence(
    *arguments: str | Path, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")} | environ,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give a log with one case and one broken line."""
    path = tmp_path / "log.jsonl"
    path.write_text(f"{CALL}\n{BROKEN}\n{PAY}\n", encoding="utf-8")
    return path


def test_replay_writes_alerts_to_stdout_and_the_summary_to_stderr(log: Path) -> None:
    done = ringfence("replay", log, **{KEY: "a secret of sixteen letters"})
    assert done.returncode == 0
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["data"]["state"], a["data"]["final"]) for a in alerts] == [
        ("raised", False),
        ("raised", True),
    ]
    assert "3 records in" in done.stderr
    assert "refused 1: not_json 1" in done.stderr
    assert "video_call_then_new_payee: 1 raised" in done.stderr
    assert "customer-1" not in done.stdout + done.stderr


def test_replay_warns_that_pseudonyms_are_made_with_a_published_key(log: Path) -> None:
    assert "published key" in ringfence("replay", log).stderr
    other = ringfence("replay", log, **{KEY: "a secret of sixteen letters"})
    assert "published key" not in other.stderr
    assert other.stdout != ringfence("replay", log).stdout


def test_an_alert_whose_call_goes_beyond_the_flood_limit_keeps_what_it_says(log: Path) -> None:
    later = CALL.replace('"c1', '"c2').replace("T10:0", "T10:5")
    log.write_text(f"{CALL}\n{PAY}\n{later}\n", encoding="utf-8")
    for limit, is_truncated in (("2", None), ("1", True)):
        done = ringfence("replay", log, "--final-only", RINGFENCE_MAX_HISTORY=limit)
        (alert,) = [json.loads(line)["data"] for line in done.stdout.splitlines()]
        assert alert["evidence"][0]["id"] == "c1"
        assert alert.get("truncated") is is_truncated


def test_replay_reads_standard_input(log: Path) -> None:
    piped = ringfence("replay", "-", stdin=log.read_text(encoding="utf-8"))
    assert piped.returncode == 0
    assert piped.stdout == ringfence("replay", log).stdout


def test_replay_puts_files_where_it_is_told(log: Path, tmp_path: Path) -> None:
    out, letters = tmp_path / "alerts.jsonl", tmp_path / "refused.jsonl"
    done = ringfence("replay", log, "--out", out, "--dead-letters", letters, "--final-only")
    assert (done.returncode, done.stdout) == (0, "")
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["data"]["final"] for line in lines] == [True]
    assert json.loads(letters.read_text(encoding="utf-8"))["offset"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "alerts.jsonl",
        "log.jsonl",
        "refused.jsonl",
    ]


def test_replay_says_its_summary_as_json_if_asked(log: Path) -> None:
    done = ringfence("replay", log, "--summary", "json", **{KEY: "a secret of sixteen letters"})
    summary = json.loads(done.stderr)
    assert summary["records"] == 3
    assert summary["refused"] == {"not_json": 1}
    assert summary["alerts"] == {"video_call_then_new_payee": {"raised": 1}}


def test_strict_replay_fails_when_something_was_refused(log: Path, tmp_path: Path) -> None:
    assert ringfence("replay", log, "--strict").returncode == 1
    clean = tmp_path / "clean.jsonl"
    clean.write_text(CALL + "\n", encoding="utf-8")
    assert ringfence("replay", clean, "--strict").returncode == 0


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence that a failed command said, without the program's name."""
    lines = [line for line in done.stderr.splitlines() if "published key" not in line]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return lines[0].removeprefix("ringfence: ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing.jsonl"], 3, 'log "nothing.jsonl" cannot be read: no such file or directory'),
        (["{folder}"], 3, 'log "{folder}" cannot be read: is a directory'),
        (["{log}", "--out", "no/where.jsonl"], 3, '"no/where.jsonl" cannot be written: no such'),
        (["{log}", "--rules", "no.yaml"], 2, 'rules "no.yaml" cannot be read: no such file'),
        (["{log}", "--params", "no.yaml"], 2, 'parameters "no.yaml" cannot be read: no such file'),
        (["{log}", "--rules", "{folder}"], 2, 'rules "{folder}" holds no *.yaml file'),
        (["{log}", "--lateness", "soon"], 2, '--lateness: "soon" is not a duration'),
        (["{log}", "--as-of", "today"], 2, '--as-of: "today" is not a moment with an offset'),
        (["{log}", "--feeds", "calls"], 2, '--feeds: "calls" is no partition like calls/0'),
    ],
)
def test_a_mistake_of_usage_gets_one_sentence(
    log: Path, arguments: list[str], code: int, said: str
) -> None:
    names = {"log": str(log), "folder": str(log.parent)}
    done = ringfence("replay", *(a.format(**names) for a in arguments))
    assert sentence(done).startswith(said.format(**names))
    assert done.returncode == code


def test_a_wrong_setting_in_the_environment_names_its_variable(log: Path) -> None:
    done = ringfence("replay", log, RINGFENCE_LATENESS="soon")
    assert sentence(done).startswith('RINGFENCE_LATENESS: "soon" is not a duration')
    assert done.returncode == 2
    done = ringfence("replay", log, **{KEY: "short"})
    assert sentence(done).startswith("RINGFENCE_PSEUDONYM_KEY: ")
    assert done.returncode == 2
    assert "short" not in done.stderr


def test_what_stood_in_the_output_file_stays_when_a_replay_fails(tmp_path: Path) -> None:
    out, packed = tmp_path / "alerts.jsonl", tmp_path / "log.jsonl.gz"
    out.write_text("before", encoding="utf-8")
    packed.write_bytes(b"this is not compressed")
    done = ringfence("replay", packed, "--out", out)
    assert done.returncode == 3
    assert "cannot be read to its end" in sentence(done)
    assert out.read_text(encoding="utf-8") == "before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_reader_who_goes_away_ends_the_replay_quietly(log: Path) -> None:
    with log.open("a", encoding="utf-8") as stream:
        for n in range(2000):
            stream.write(PAY.replace("p1", f"p{n}") + "\n")
    command = f'"{sys.executable}" -m streams.cli replay "{log}" | head -n 1'
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_check_names_every_mistake_with_its_place(tmp_path: Path) -> None:
    text = Path("rules/catalog/video_call_then_new_payee.yaml").read_text(encoding="utf-8")
    rule = tmp_path / "video_call_then_new_payee.yaml"
    wrong = text.replace('media == "video"', 'medai == "video"').replace(
        '"stranger"', '"strangre"'
    )
    rule.write_text(wrong, encoding="utf-8")
    done = ringfence("check", rule)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{rule}:" in done.stderr
    assert "did you mean 'media'?" in done.stderr
    assert "did you mean 'stranger'?" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "replay",
        "explain",
        "test",
        "worker",
        "check",
        "demo",
        "simulate",
        "topics create",
        "record",
        "pseudonym",
        "dead-letters list",
        "dead-letters show",
        "dead-letters redrive",
    ],
)
def test_the_help_of_every_command_has_an_example(command: str) -> None:
    done = ringfence(*command.split(), "--help", COLUMNS="200", TERM="dumb")
    assert done.returncode == 0
    assert f"ringfence {command}" in done.stdout.split("Usage:")[1].split("\n", 1)[1]


def test_an_unknown_command_or_option_is_wrong_usage(log: Path) -> None:
    assert ringfence("reply", log).returncode == 2
    assert ringfence("replay", log, "--nosuch").returncode == 2


def test_parameters_can_be_given_from_outside_and_change_the_digest(
    log: Path, tmp_path: Path
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("video_call_then_new_payee:\n  min_amount: [30000 CNY]\n", encoding="utf-8")
    assert json.loads(ringfence("replay", log, "--final-only").stdout)["data"]["final"]
    assert ringfence("replay", log, "--params", params).stdout == ""
    assert ringfence("replay", log, RINGFENCE_PARAMS=str(params)).stdout == ""
    params.write_text("video_call_then_new_payee:\n  min_amount: [20000 CNY]\n", encoding="utf-8")
    own = json.loads(ringfence("replay", log, "--final-only").stdout)["data"]
    given = json.loads(ringfence("replay", log, "--final-only", "--params", params).stdout)["data"]
    assert own["rule"]["digest"] != given["rule"]["digest"]


def test_a_mistake_in_the_parameters_is_named_with_its_place(log: Path, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("video_call_then_new_payee:\n  min_amuont: [1 CNY]\n", encoding="utf-8")
    done = ringfence("replay", log, "--params", params)
    assert done.returncode == 2
    assert f"{params}:2:3: " in done.stderr
    assert "did you mean 'min_amount'?" in done.stderr
    assert ringfence("replay", log, "--params", tmp_path / "none.yaml").returncode == 2
