"""A recorded log through the engine: order, feeds, clocks, and what is counted."""

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rules.alert import Alert
from rules.moment import MINUTE_US, parse_moment
from rules.rule import RuleSet
from rules.timing import Timing
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.logs import Log, open_log
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.summary import Summary
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms

TIMING = Timing()
RULES = read_rules(None, TIMING)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}
BOTH = (("//bank.example/core in log 1", 0), ("//telecom.example/ott in log 1", 0))
AS_OF_US = parse_moment("2026-01-01T00:00:00Z")


def call(**envelope: object) -> dict[str, Any]:
    """Return a stranger's video call, answered 10:01 and going on."""
    return {
        "specversion": "1.0",
        "id": "c1-1",
        "source": "//telecom.example/ott",
        "type": "ringfence.call_invitation.v1",
        "time": "2023-07-08T10:01:00Z",
        "data": {
            "call_id": "c1",
            "person": "customer-1",
            "caller": "service@mail.example",
            "service": "facetime",
            "media": "video",
            "direction": "incoming",
            "relationship": "stranger",
            "invited_at": "2023-07-08T10:00:00Z",
            "answered_at": "2023-07-08T10:01:00Z",
        },
        **envelope,
    }


def pay(**envelope: object) -> dict[str, Any]:
    """Return a transfer to a new payee at 10:42."""
    return {
        "specversion": "1.0",
        "id": "p1-1",
        "source": "//bank.example/core",
        "type": "ringfence.transfer.v1",
        "time": "2023-07-08T10:42:00Z",
        "data": {
            "transfer_id": "p1",
            "person": "customer-1",
            "payee_account": "acc-new",
            "amount": 20000,
            "currency": "CNY",
            "direction": "out",
            "payee_kind": "personal",
            "payee_times_paid": 0,
            "status": "attempted",
            "initiated_at": "2023-07-08T10:42:00Z",
        },
        **envelope,
    }


def heartbeat(watermark: str, feed: str, partition: int = 0) -> dict[str, Any]:
    """Return a heartbeat of one feed partition."""
    return {
        "specversion": "1.0",
        "id": f"h-{feed}-{partition}-{watermark}",
        "source": "//bus.example",
        "type": "ringfence.heartbeat.v1",
        "time": watermark,
        "data": {"watermark": watermark},
        "feed": feed,
        "partition": partition,
    }


def log(*records: dict[str, Any] | bytes, name: str = "test.jsonl") -> Log:
    """Return a log of these records or raw lines."""
    lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
    stream = io.BytesIO(b"\n".join(lines) + b"\n")
    return Log(name, stream, len(stream.getvalue()), stream.tell)


def replay(
    *logs: Log,
    feeds: tuple[tuple[str, int], ...] = (),
    as_of_us: int = AS_OF_US,
    rules: RuleSet = RULES,
) -> tuple[list[Alert], list[dict[str, Any]], Summary]:
    """Return the alert records, the dead letters and the summary of a replay."""
    alerts: list[Alert] = []
    letters: list[bytes] = []
    ingest = Ingest(rules, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset()))
    run = Replay(rules, ingest, lambda _feed: 15 * MINUTE_US, as_of_us=as_of_us, feeds=feeds)
    summary = run.run(logs, alerts.append, letters.append)
    return alerts, [json.loads(letter) for letter in letters], summary


def last(alerts: list[Alert]) -> dict[str, tuple[str, bool]]:
    """Return the anchor, state and finality of the last record of each alert."""
    return {a.content["anchor"]["id"]: (a.state, a.final) for a in alerts}


def test_a_call_then_a_transfer_is_raised_and_in_the_end_final() -> None:
    alerts, letters, summary = replay(log(call(), pay()))
    assert [(a.state, a.final, a.revision) for a in alerts] == [
        ("raised", False, 2),
        ("raised", True, 3),
    ]
    assert alerts[0].undecided == (
        "call has no end yet",
        "unless official_call comes",
        "feed //bank.example/core in log 1 is behind",
        "feed //telecom.example/ott in log 1 is behind",
    )
    assert alerts[1].undecided == ()
    assert letters == []
    assert summary.alerts == {("video_call_then_new_payee", "raised"): 1}


def test_the_call_record_may_come_after_its_transfer() -> None:
    in_order, _, _ = replay(log(call(), pay()), feeds=BOTH)
    reversed_, _, _ = replay(log(pay(), call()), feeds=BOTH)
    assert in_order[-1].content == reversed_[-1].content
    assert in_order[-1].final
    assert reversed_[-1].final


def test_a_transfer_that_the_bank_rejects_afterwards_is_withdrawn() -> None:
    rejected = pay(id="p1-2", sequence=1)
    rejected["data"]["status"] = "rejected"
    alerts, _, summary = replay(log(call(), pay(), rejected))
    assert [(a.state, a.final) for a in alerts] == [
        ("raised", False),
        ("withdrawn", False),
        ("withdrawn", True),
    ]
    assert summary.alerts == {("video_call_then_new_payee", "withdrawn"): 1}


def test_lines_that_are_no_records_are_refused_with_reason_and_place_and_the_rest_goes_on() -> (
    None
):
    alerts, letters, summary = replay(
        log(b"\xef\xbb\xbf" + json.dumps(call()).encode(), b"", b'{"specversion":"1.0"', pay())
    )
    assert last(alerts) == {"p1": ("raised", True)}
    assert [(le["reason"], le["feed"], le["offset"]) for le in letters] == [
        ("not_json", "test.jsonl", 2)
    ]
    assert (summary.lines, summary.empty, summary.records) == (4, 1, 3)
    assert summary.refused == {"not_json": 1}
    # Revisions count all lines, empty and refused ones too.
    assert [a.revision for a in alerts] == [4, 5]


def test_no_dead_letter_holds_what_the_record_holds() -> None:
    broken = call()
    broken["data"]["media"] = "customer-1 said so"
    _, letters, _ = replay(log(broken))
    assert letters[0]["reason"] == "bad_value"
    assert letters[0]["field"] == "data.media"
    assert "customer-1" not in json.dumps(letters)
    assert "service@mail.example" not in json.dumps(letters)


def test_alerts_hold_pseudonyms_only() -> None:
    alerts, _, _ = replay(log(call(), pay()))
    text = json.dumps([a.to_cloudevent() for a in alerts])
    for raw in ("customer-1", "service@mail.example", "acc-new"):
        assert raw not in text


def test_several_logs_are_read_from_the_one_that_is_furthest_behind() -> None:
    #   log 1:  10:42 pay .............. 12:00 another
    #   log 2:  10:01 call
    later = pay(id="p2-1", time="2023-07-08T12:00:00Z")
    later["data"] |= {"transfer_id": "p2", "initiated_at": "2023-07-08T12:00:00Z"}
    later["data"] |= {"payee_times_paid": 3}
    one, _, summary = replay(log(pay(), later), log(call(), name="calls.jsonl"))
    assert last(one) == {"p1": ("raised", True)}
    assert summary.late == 0
    # The same records in one log, in that order, from one feed: the call is met after 11:45.
    other, _, summary = replay(log(pay(), later, call(source="//bank.example/core")))
    assert summary.late == 1
    assert other[-1].content["late"] is True


def test_a_log_whose_head_names_its_partitions_waits_for_all_of_them() -> None:
    #   calls stand still for hours while transactions go on: nothing is final, nothing late
    far = pay(id="p2-1", time="2023-07-09T18:00:00Z", feed="transactions", partition=0)
    far["data"] |= {"transfer_id": "p2", "initiated_at": "2023-07-09T18:00:00Z"}
    alerts, _, summary = replay(
        log(
            heartbeat("2023-07-08T00:00:00Z", "calls"),
            heartbeat("2023-07-08T00:00:00Z", "transactions"),
            pay(feed="transactions", partition=0),
            far,
            call(feed="calls", partition=0),
        )
    )
    assert last(alerts) == {"p1": ("raised", True)}
    assert (summary.late, summary.joined_late, summary.partitions) == (0, 0, 2)
    assert "late" not in alerts[-1].content


def test_a_partition_met_later_starts_where_the_others_have_come_and_the_summary_says_so() -> None:
    far = pay(id="p2-1", time="2023-07-09T18:00:00Z", feed="transactions", partition=0)
    far["data"] |= {"transfer_id": "p2", "initiated_at": "2023-07-09T18:00:00Z"}
    records = (
        pay(feed="transactions", partition=0),
        far,
        call(feed="calls", partition=0),
    )
    alerts, _, summary = replay(log(*records))
    assert last(alerts) == {}
    assert (summary.late, summary.joined_late) == (1, 1)
    assert any("first met after others" in line for line in summary.as_lines(1.0))
    # Named beforehand, the partition is waited for.
    alerts, _, summary = replay(log(*records), feeds=(("calls", 0), ("transactions", 0)))
    assert last(alerts) == {"p1": ("raised", True)}
    assert (summary.late, summary.joined_late) == (0, 0)


def test_a_record_of_the_future_is_refused_and_moves_no_watermark() -> None:
    future = pay(id="p9-1", time="2099-01-01T00:00:00Z", source="//telecom.example/ott")
    future["data"] |= {"transfer_id": "p9", "initiated_at": "2099-01-01T00:00:00Z"}
    alerts, letters, summary = replay(log(future, pay(), call()), feeds=BOTH)
    assert last(alerts) == {"p1": ("raised", True)}
    assert [le["reason"] for le in letters] == ["future"]
    assert summary.late == 0


def test_a_record_refused_for_its_data_still_moves_its_watermark() -> None:
    broken = pay(id="p9-1", time="2023-07-08T18:00:00Z", source="//telecom.example/ott")
    broken["data"] |= {"currency": "YUAN", "initiated_at": "2023-07-08T18:00:00Z"}
    _, _, summary = replay(log(broken, call()))
    assert summary.late == 1


def test_an_empty_log_has_no_alerts_and_says_so() -> None:
    alerts, letters, summary = replay(log(b""))
    assert (alerts, letters) == ([], [])
    assert summary.as_lines(0.0)[-1] == "no alerts"
    assert summary.as_json(0.0)["events_per_second"] == 0


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_compressed_logs_are_read_through(tmp_path: Path, suffix: str) -> None:
    text = b"".join(json.dumps(r).encode() + b"\r\n" for r in (call(), pay()))
    path = tmp_path / f"log.jsonl{suffix}"
    path.write_bytes(PACK[suffix](text))
    with open_log(str(path)) as opened:
        alerts, _, _ = replay(opened)
    assert last(alerts) == {"p1": ("raised", True)}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_log_that_breaks_off_is_named(tmp_path: Path, suffix: str) -> None:
    text = b"".join(json.dumps(call(id=str(n))).encode() + b"\n" for n in range(500))
    path = tmp_path / f"log.jsonl{suffix}"
    path.write_bytes(PACK[suffix](text)[:-20])
    with (
        open_log(str(path)) as opened,
        pytest.raises(OutsideFailure, match="cannot be read to its end"),
    ):
        replay(opened)
    path.write_bytes(b"not compressed at all")
    with open_log(str(path)) as opened, pytest.raises(OutsideFailure, match=path.name):
        replay(opened)


def test_a_log_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(OutsideFailure, match=str(path)), open_log(str(path)):
            pass


CAMPAIGN = """
id: one_account_for_two
version: 1.0.0
title: Two people pay one account after a stranger's call
status: test
typology: test
stage: campaign
by: payee
steps:
  - as: hits
    each: alert
    where: [stage == "exfiltration"]
    within: 72h
    having: [count(hits.person) >= 2]
anchor: hits
severity: critical
action: block
"""


def of_person(record: dict[str, Any], person: str, number: int) -> dict[str, Any]:
    """Return the same, of somebody else."""
    named = {
        name: f"{record['data'][name]}-{number}"
        for name in ("call_id", "transfer_id")
        if name in record["data"]
    }
    return record | {
        "id": f"{record['id']}-{number}",
        "data": record["data"] | {"person": person} | named,
    }


def test_rules_that_read_alerts_see_those_of_the_other_rules(tmp_path: Path) -> None:
    shutil.copy("rules/catalog/video_call_then_new_payee.yaml", tmp_path)
    (tmp_path / "one_account_for_two.yaml").write_text(CAMPAIGN, encoding="utf-8")
    rules = read_rules(tmp_path, TIMING)
    records = [
        of_person(record, f"customer-{n}", n) for n in (1, 2, 3) for record in (call(), pay())
    ]
    alerts, _, summary = replay(log(*records), feeds=BOTH, rules=rules)
    assert summary.alerts[("video_call_then_new_payee", "raised")] == 3
    # Of three at one moment each is an anchor, and sees the others.
    assert summary.alerts[("one_account_for_two", "raised")] == 3
    campaigns = [a for a in alerts if a.content["rule"]["id"] == "one_account_for_two"]
    assert campaigns[-1].final
    sample = campaigns[-1].content["evidence"][0]["sample"]
    assert {entry["type"] for entry in sample} == {"transfer"}
    one, _, _ = replay(log(*records[:2]), feeds=BOTH, rules=rules)
    assert {a.content["rule"]["id"] for a in one} == {"video_call_then_new_payee"}


def test_the_summary_names_rules_that_could_not_match_and_people_on_both_sides() -> None:
    blind = pay()
    del blind["data"]["payee_times_paid"]
    rules = read_rules(Path("rules/catalog/video_call_then_new_payee.yaml"), TIMING)
    _, _, summary = replay(log(call(), blind), feeds=BOTH, rules=rules)
    assert summary.people == (1, 1, 1)
    assert (
        "payee_is_new unknown in 1 of 1 transfer records: 1 rule blind (video_call_then_new_payee)"
        in summary.as_lines(1.0)
    )
    _, _, summary = replay(log(call(), pay()), feeds=BOTH, rules=rules)
    assert not any("blind (" in line for line in summary.as_lines(1.0))
