"""Tests of the town: its log keeps the contract, and what is planted in it is found."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.events import BY_WIRE_TYPE, EVENTS
from rules.language import load_rules
from rules.moment import DAY_US, HOUR_US, MINUTE_US, parse_moment
from rules.rule import RuleSet
from rules.timing import Timing
from streams.demo.found import Found, replayed
from streams.logs import Log
from streams.settings import load_settings
from streams.simulation.log import FEEDS, Scenario, partition_of, write_log
from streams.summary import Summary

Json = dict[str, Any]

RULE = Path("rules/catalog/video_call_then_new_payee.yaml")
TEXT = RULE.read_text(encoding="utf-8")

SCENARIOS = st.builds(
    Scenario,
    seed=st.integers(0, 2**64),
    people=st.integers(10, 60),
    events=st.integers(0, 300),
    start_us=st.integers(365, 100_000).map(lambda days: days * DAY_US),
    days=st.integers(1, 3),
    cases=st.sampled_from(("none", "public")),
)


# What an event of ordinary life is called; of those that happen at once there may be several.
ORDINARY = re.compile(r"[a-z]-\d+[.-]?")


def rule_set(text: str = TEXT) -> RuleSet:
    """Return the one rule, without its stories."""
    return load_rules({str(RULE): text.partition("stories:")[0]}, Timing())


def raw_lines(scenario: Scenario) -> list[bytes]:
    return [line.raw for line in write_log(scenario)]


def records(scenario: Scenario) -> list[Json]:
    return [json.loads(line) for line in raw_lines(scenario)]


def found_in(scenario: Scenario, rules: RuleSet) -> tuple[Found, Summary]:
    """Return the alerts of a scenario, and what was counted on the way."""
    effective = load_settings({"RINGFENCE_PSEUDONYM_KEY": "a key for tests only"})
    stream = io.BytesIO(b"\n".join(raw_lines(scenario)))
    return replayed(Log("town", stream, None, stream.tell), effective, rules)


def anchors(found: Found) -> list[str]:
    return [alert["anchor"]["id"] for alert in found.raised()]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "streams.cli", "simulate", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, env={**os.environ, **environment}
    )


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    first = run("--seed", "3", "--events", "400", "--cases", "public", PYTHONHASHSEED="1")
    second = run("--seed", "3", "--events", "400", "--cases", "public", PYTHONHASHSEED="2")
    assert first.stdout == second.stdout != b""


def test_another_seed_gives_another_log() -> None:
    assert raw_lines(Scenario(seed=1)) != raw_lines(Scenario(seed=2))


def test_cases_change_nothing_of_ordinary_life() -> None:
    def ordinary(scenario: Scenario) -> set[str]:
        told = records(scenario)
        return {json.dumps(r) for r in told if ORDINARY.match(r["id"])}

    assert ordinary(Scenario(cases="zhou")) == ordinary(Scenario()) != set()


@given(SCENARIOS)
@settings(max_examples=30)
def test_a_log_is_in_the_order_of_its_recording(scenario: Scenario) -> None:
    recorded = [parse_moment(r["recordedtime"]) for r in records(scenario)]
    assert all(one <= other for one, other in pairwise(recorded))


@given(SCENARIOS)
@settings(max_examples=30)
def test_a_log_begins_and_ends_with_one_heartbeat_of_each_partition(scenario: Scenario) -> None:
    told = records(scenario)
    head, middle, tail = told[:6], told[6:-6], told[-6:]
    for ends in (head, tail):
        assert [(r["feed"], r["partition"]) for r in ends] == list(FEEDS)
        assert {r["type"] for r in ends} == {EVENTS["heartbeat"].wire_type}
    assert EVENTS["heartbeat"].wire_type not in {r["type"] for r in middle}
    assert all(parse_moment(r["data"]["watermark"]) == scenario.start_us for r in head)
    last_us = max((parse_moment(r["time"]) for r in middle), default=scenario.start_us)
    assert all(parse_moment(r["data"]["watermark"]) > last_us + 6 * HOUR_US for r in tail)


@given(SCENARIOS)
@settings(max_examples=30)
def test_every_record_keeps_the_whole_contract(scenario: Scenario) -> None:
    for record in records(scenario):
        BY_WIRE_TYPE[record["type"]].model.model_validate(record["data"])


@given(SCENARIOS)
@settings(max_examples=30)
def test_fixed_fields_are_the_same_in_all_records_of_an_event(scenario: Scenario) -> None:
    seen: dict[tuple[str, str], Json] = {}
    for record in records(scenario):
        spec = BY_WIRE_TYPE[record["type"]]
        own_id = record["data"].get(spec.id_field, record["id"])
        closed = {name: value for name, value in record["data"].items() if not is_open(spec, name)}
        assert seen.setdefault((record["type"], own_id), closed) == closed


def is_open(spec: Any, name: str) -> bool:  # noqa: ANN401 - an event's specification
    return name in spec.fields and bool(spec.fields[name].open)


@given(SCENARIOS)
@settings(max_examples=30)
def test_nothing_is_refused_or_late_and_what_was_published_is_found(scenario: Scenario) -> None:
    found, counted = found_in(scenario, rule_set())
    assert (counted.refused.total(), counted.late, counted.joined_late) == (0, 0, 0)
    expected = EXPECTED if scenario.cases == "public" else []
    assert [anchor for anchor in anchors(found) if not ORDINARY.match(anchor)] == expected


@given(SCENARIOS)
@settings(max_examples=30)
def test_there_are_as_many_events_as_asked_for_or_two_more(scenario: Scenario) -> None:
    told = [r for r in records(scenario) if ORDINARY.match(r["id"])]
    events = {(r["type"], r["id"].rpartition(".")[0]) for r in told}
    assert scenario.events <= len(events) <= scenario.events + 2


CITY = Scenario(people=2_000, events=12_000)


@pytest.mark.parametrize(
    ("written", "instead", "confuser"),
    [
        ('in ("stranger", "one_way_prior")', '== "contact"', "a relative who needs money"),
        ('in ("personal", "unknown")', '== "merchant"', "a flat viewed by video"),
        ("3000 CNY", "100 CNY", "a seller who shows goods"),
        ('media == "video"', 'media == "audio"', "a landlord on the phone"),
        ("talk_time is None or talk_time >= min_talk", "talk_time < min_talk", "a wrong number"),
        ("- answered", "- not answered", "nobody answers"),
        ("- payee_is_new", "- not payee_is_new", "a relative's new number"),
    ],
)
def test_a_rule_that_leaves_out_one_condition_meets_what_only_looks_like_the_crime(
    written: str, instead: str, confuser: str
) -> None:
    assert written in TEXT
    text = TEXT.replace(written, instead)
    if instead == "- not answered":
        text = text.replace("      - talk_time is None or talk_time >= min_talk\n", "")
        text = text.replace("  min_talk: 60s\n", "")
    troubled = anchors(found_in(CITY, rule_set())[0])
    assert {*anchors(found_in(CITY, rule_set(text))[0])} - {*troubled}, confuser


def test_numbers_and_addresses_are_nobodys() -> None:
    for record in records(Scenario(cases="public")):
        data = record["data"]
        number = re.compile(r"\+8610000\d{6}")
        assert number.fullmatch(data.get("person", "+8610000000000"))
        assert data.get("domain", ".example").endswith(".example")
        caller = data.get("caller", ".example")
        assert caller.endswith(".example") or number.fullmatch(caller)


def test_the_town_is_busier_in_the_evening_than_at_night() -> None:
    hours = [int(r["time"][11:13]) for r in records(Scenario())[6:-6]]
    assert sum(18 <= hour < 21 for hour in hours) > 5 * sum(1 <= hour < 4 for hour in hours)


def test_all_records_of_a_person_are_in_one_partition_of_each_feed() -> None:
    for record in records(Scenario())[6:-6]:
        assert record["partition"] == partition_of(record["data"]["person"])


EXPECTED = [
    "zhou-pay-1052",
    "zhao-pay-1424",
    "zhao-pay-1439",
    "zhang-pay-1203",
    "fuding-pay-1541",
    "xu-pay-1648",
]


def case(name: str) -> list[Json]:
    return [r for r in records(Scenario(events=0, cases="public")) if r["id"].startswith(name)]


def reported(told: Sequence[Json], event: str) -> list[Json]:
    return [r["data"] for r in told if r["type"] == EVENTS[event].wire_type]


def test_the_call_of_fuding_is_recorded_four_hours_after_its_transfer() -> None:
    #  15:00    15:20       15:41                                   19:45
    #  |--------calls-------pays----------------------------------->| all of the partition comes
    told = case("fuding")
    calls = [r for r in told if r["feed"] == "calls"]
    paid_us = parse_moment(reported(told, "transfer")[0]["initiated_at"])
    for record in calls:
        behind_us = parse_moment(record["recordedtime"]) - paid_us
        assert 4 * HOUR_US < behind_us < 4 * HOUR_US + 10 * MINUTE_US


def test_while_the_partition_of_that_call_is_held_back_nothing_of_it_comes() -> None:
    told = [
        (record["feed"], record["partition"], parse_moment(record["recordedtime"]))
        for record in records(Scenario(cases="public"))
    ]
    held = ("calls", case("fuding-call")[0]["partition"])
    silent_us = (parse_moment(f"2023-07-09T{at}+08:00") for at in ("15:00:02", "19:45:00"))
    from_us, until_us = silent_us
    assert not [r for r in told if r[:2] == held and from_us < r[2] < until_us]


def test_the_case_of_ms_zhou_is_told_as_published() -> None:
    told = case("zhou")
    assert reported(told, "call_invitation")[0]["service"] == "facetime"
    assert reported(told, "call_invitation")[0]["relationship"] == "stranger"
    assert [i["category"] for i in reported(told, "app_install")] == ["meeting"]
    assert reported(told, "screen_share")[0]["meeting"] == "meeting-zhou"
    assert [loan["amount"] for loan in reported(told, "loan_drawdown")] == ["50000"]
    assert [v["form_posted"] for v in reported(told, "web_visit")] == [True]
    assert {pay["amount"] for pay in reported(told, "transfer")} == {"20000"}
    assert [b["by"] for b in reported(told, "contact_blocked")] == ["counterparty"]


def test_ms_chen_moves_money_to_her_own_deposit_and_pays_nobody() -> None:
    told = case("chen")
    assert [m["kind"] for m in reported(told, "funds_moved")] == ["current_to_term"]
    assert not reported(told, "transfer")


def test_ms_zhang_types_a_six_digit_code_as_the_amount() -> None:
    amount = reported(case("zhang"), "transfer")[0]["amount"]
    assert re.fullmatch(r"\d{6}", amount)
    assert int(amount) % 100


def test_two_of_the_cases_share_a_residential_area() -> None:
    zhou, zhao = (case(name)[0]["data"]["area"] for name in ("zhou", "zhao"))
    assert zhou == zhao


def test_the_command_writes_a_file_and_says_what_it_is(tmp_path: Path) -> None:
    done = run("--events", "10", "--people", "10", "--out", str(tmp_path / "town.jsonl"))
    assert done.returncode == 0
    assert (tmp_path / "town.jsonl").read_bytes().splitlines() == raw_lines(
        Scenario(events=10, people=10)
    )
    assert done.stdout == b""
    assert re.fullmatch(
        r"\d+ records of 10 people and 10 events in 3 days from 2023-07-07T16:00:00Z, seed 7,"
        r" cases: none\n",
        done.stderr.decode(),
    )


def test_a_start_that_is_no_moment_is_refused() -> None:
    done = run("--start", "yesterday")
    assert done.returncode == 2
    assert done.stderr.decode() == (
        'ringfence: --start: "yesterday" is not a moment with an offset like'
        " 2023-07-08T10:42:00+08:00\n"
    )


@pytest.mark.parametrize("start", ["1970-12-31T23:59:59Z", "2260-12-31T00:00:00Z"])
def test_a_start_at_the_edge_of_time_is_refused(start: str) -> None:
    # Something applied for two days earlier, or told four days later, would lie outside.
    done = run("--start", start)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f'ringfence: --start: 3 days from "{start}" do not lie in the years 1971 to 2260\n'
    )


@pytest.mark.parametrize("start", ["1971-01-01T00:00:00Z", "2260-12-29T00:00:00Z"])
def test_a_start_well_within_time_is_taken(start: str) -> None:
    scenario = Scenario(start_us=parse_moment(start), events=2_000)
    for record in records(scenario):
        BY_WIRE_TYPE[record["type"]].model.model_validate(record["data"])


def test_a_terminal_sees_how_far_it_is() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "streams.cli", "simulate", "--events", "3000"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(
        command, check=False, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = os.read(ours, 100_000)
    os.close(ours)
    assert done.returncode == 0
    assert b"simulating" in seen
