"""Tests of the demo without a broker of others: its log, its run in process, what it shows."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rules.language import load_rules
from rules.timing import Timing
from streams.demo.found import Found, Json, differences, replayed
from streams.demo.recorded import demo_bytes, demo_log, sent_records
from streams.demo.shown import explanation, show_alerts
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.simulation.log import Scenario, write_log

RULE = Path("rules/catalog/video_call_then_new_payee.yaml")
EXPECTED = [
    "zhou-pay-1052",
    "zhao-pay-1424",
    "zhao-pay-1439",
    "zhang-pay-1203",
    "fuding-pay-1541",
    "xu-pay-1648",
]


def demo(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streams.cli", "demo", *arguments]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def found() -> Found:
    """Give what the one rule finds in the packaged log."""
    rule_set = load_rules({str(RULE): RULE.read_text(encoding="utf-8")}, Timing())
    with demo_log() as log:
        found, _ = replayed(log, load_settings({"RINGFENCE_PSEUDONYM_KEY": "k" * 16}), rule_set)
    return found


def test_the_packaged_log_is_what_the_simulator_makes() -> None:
    made = b"".join(line.raw + b"\n" for line in write_log(Scenario(cases="public")))
    # Asked so, and not compared by pytest, which would take minutes to show the difference.
    assert (demo_bytes() == made) is True, "run: ringfence simulate --cases public | gzip -9n"


def test_the_packaged_log_stays_small() -> None:
    assert Path("streams/demo/demo.jsonl.gz").stat().st_size < 200_000


def test_the_rule_of_the_first_case_finds_each_transfer_that_it_is_about(found: Found) -> None:
    assert [alert["anchor"]["id"] for alert in found.raised()] == EXPECTED
    assert found.is_final
    assert not any(alert.get("late") for alert in found.raised())


def test_what_is_sent_is_what_was_sent_and_not_what_a_recorder_added() -> None:
    sent = sent_records()
    assert not [r for r in sent if b'"recordedtime"' in r.value or b'"feed"' in r.value]
    assert {(r.feed, r.partition) for r in sent} == {
        (feed, partition) for feed in ("calls", "transactions") for partition in range(3)
    }
    assert sum(r.is_heartbeat for r in sent) == 12
    assert len(sent) == len(demo_bytes().splitlines())


def record(alert_id: str, revision: int, *, final: bool = True, state: str = "raised") -> bytes:
    return (
        f'{{"sequence":{revision},"data":{{"alert_id":"{alert_id}","revision":{revision},'
        f'"state":"{state}","final":{str(final).lower()},"anchor":{{"at":"2023"}}}}}}'
    ).encode()


def test_the_greatest_revision_counts_and_not_the_last() -> None:
    found = Found()
    for revision, final in ((2, False), (5, True), (3, False)):
        found.add(record("a", revision, final=final))
    assert found.is_final
    assert found.raised()[0]["revision"] == 5


def test_a_signal_is_not_among_what_a_replay_finds() -> None:
    effective = load_settings({"RINGFENCE_PSEUDONYM_KEY": "k" * 16})
    rule_set = read_rules(None, effective.timing)
    with demo_log() as log:
        found, summary = replayed(log, effective, rule_set)
    assert summary.alerts[("institution_named_caller", "raised")] == 6
    rules = {alert["rule"]["id"] for alert in found.raised()}
    assert "institution_named_caller" not in rules
    assert "screen_share_over_bank_app" in rules


def test_one_alert_that_is_not_final_leaves_the_whole_open() -> None:
    found = Found()
    found.add(record("a", 1))
    found.add(record("b", 1, final=False))
    assert not found.is_final


def test_a_withdrawn_alert_does_not_stand() -> None:
    found = Found()
    found.add(record("a", 1, state="withdrawn"))
    assert not found.raised()
    assert found.is_final


def changed(found: Found, change: Json) -> Found:
    other = copy.deepcopy(found)
    next(iter(other.last.values()))["data"].update(change)
    return other


def test_runs_that_differ_only_in_revisions_are_the_same(found: Found) -> None:
    assert differences(found, changed(found, {"revision": 1})) == []


@pytest.mark.parametrize(
    "change", [{"severity": "info"}, {"final": False}, {"state": "withdrawn"}, {"because": []}]
)
def test_runs_that_differ_in_anything_else_differ(found: Found, change: Json) -> None:
    first = next(iter(found.last))
    assert differences(found, changed(found, change)) == [first]
    assert differences(changed(found, change), found) == [first]


def test_an_alert_that_only_one_run_has_is_a_difference(found: Found) -> None:
    fewer = copy.deepcopy(found)
    alert_id, _ = fewer.last.popitem()
    assert differences(found, fewer) == [alert_id] == differences(fewer, found)


def test_an_explanation_tells_why_with_what_and_what_to_do(found: Found) -> None:
    lines = list(explanation(found.raised()[0]))
    assert lines[0].startswith("\nWhy zhou-pay-1052? A stranger's video call, then a transfer")
    assert "  pay within 2h after call  (during it)" in lines
    assert "  pay: transfer zhou-pay-1052, 2023-07-08T02:52:38Z" in lines
    assert any("Call back on the number of record" in line for line in lines)


def test_an_explanation_of_a_set_tells_how_many() -> None:
    alert: Json = {
        "anchor": {"id": "a"},
        "rule": {"id": "fan_in", "version": "1", "title": "Many pay one"},
        "because": [],
        "evidence": [{"step": "hits", "count": 3}],
        "alert_id": "x",
        "score": 1,
        "settles_at": "2023",
    }
    assert "  hits: 3 events" in list(explanation(alert))


def test_without_alerts_there_is_a_table_and_nothing_to_explain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_alerts([])
    assert "0 alerts" in capsys.readouterr().out


def test_in_process_it_shows_every_alert_and_explains_the_first() -> None:
    done = demo("--in-process")
    assert done.returncode == 0
    assert all(anchor in done.stdout for anchor in EXPECTED)
    # The warning before the loss.
    assert "Why zhou-share?" in done.stdout
    assert "replayed in this process in " in done.stderr


def test_what_is_set_for_another_worker_is_not_for_the_demo() -> None:
    done = demo(
        "--in-process",
        RINGFENCE_RULES="/nowhere",
        RINGFENCE_PSEUDONYM_KEY="short",
        RINGFENCE_LATENESS="nonsense",
    )
    assert done.returncode == 0
    assert "zhou-pay-1052" in done.stdout


def test_a_broker_that_is_named_and_not_there_is_not_replaced() -> None:
    done = demo("--broker", "127.0.0.1:1")
    assert done.returncode == 3
    assert done.stderr == (
        "ringfence: 127.0.0.1:1 cannot be reached, see RINGFENCE_KAFKA_BOOTSTRAP_SERVERS\n"
    )
    assert done.stdout == ""


def test_without_any_broker_it_runs_in_process_and_says_why(tmp_path: Path) -> None:
    # A wheel without its binary, and no command at all: nothing can be started.
    (tmp_path / "noida_db").mkdir()
    (tmp_path / "noida_db" / "__init__.py").touch()
    done = demo(PYTHONPATH=f"{tmp_path}{os.pathsep}{Path.cwd()}", PATH=str(tmp_path))
    assert done.returncode == 0
    assert all(anchor in done.stdout for anchor in EXPECTED)
    assert done.stderr.startswith("no broker can be started here: the embedded broker of noida-db")
    assert "; so it runs in this process\n" in done.stderr
    assert 'there is no command "java"' in done.stderr
    assert 'there is no command "docker"' in done.stderr


def test_on_the_embedded_broker_a_worker_finds_what_a_replay_finds() -> None:
    pytest.importorskip("noida_db")
    done = demo()
    assert done.returncode == 0, done.stderr
    assert "broker: the embedded broker of noida-db; topics and group" in done.stderr
    assert "alerts as a replay of the log" in done.stderr
    assert all(anchor in done.stdout for anchor in EXPECTED)
