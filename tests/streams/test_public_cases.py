"""The six public cases as recorded logs: what the whole catalogue says of each, and how soon.

A log is what `ringfence simulate --events 0 --cases NAME` writes. Beside it stands what a replay
says and when, one line for each alert that is raised, changed in its action or withdrawn:
when the record came that caused it, and the alert's stage, rule, anchor and action.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rules.alert import Alert
from rules.moment import HOUR_US, format_moment, parse_moment
from streams.ingest import Ingest
from streams.logs import open_log
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.simulation.log import Scenario, write_log
from streams.simulation.public_cases import CASE_NAMES, CaseName
from streams.wire.pseudonyms import Pseudonyms

FOLDER = Path(__file__).parent / "public_cases"
SETTINGS = load_settings({"RINGFENCE_PSEUDONYM_KEY": "a key for tests only"})
RULES = read_rules(None, SETTINGS.timing)


class Said(NamedTuple):
    """What was said of an anchor when a record of the log came."""

    line: int
    state: str
    stage: str
    rule: str
    anchor: str
    action: str


def records(case: CaseName) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{case}.jsonl").read_bytes().splitlines()]


def said(case: CaseName) -> list[Said]:
    """Return what a replay of a case's log says, signals included, in the order of saying."""
    alerts: list[Alert] = []
    ingest = Ingest(RULES, SETTINGS.timing, Pseudonyms(SETTINGS.secret(), frozenset()))
    replay = Replay(RULES, ingest, SETTINGS.lateness_us, as_of_us=0)
    with open_log(str(FOLDER / f"{case}.jsonl")) as log:
        summary = replay.run([log], alerts.append, lambda _letter: None)
    assert (summary.refused.total(), summary.late) == (0, 0)
    return list(_changes(alerts))


def _changes(alerts: list[Alert]) -> Iterator[Said]:
    known: dict[str, tuple[str, str]] = {}
    for alert in alerts:
        content = alert.content
        news = (alert.state, content["action"])
        if known.get(alert.alert_id) != news:
            known[alert.alert_id] = news
            rule, anchor = content["rule"]["id"], content["anchor"]["id"]
            yield Said(
                alert.revision, alert.state, content["stage"], rule, anchor, content["action"]
            )


def as_text(case: CaseName) -> str:
    """Return what is said of a case as lines for a reader."""
    told = records(case)
    lines = []
    for each in said(case):
        came = "at the end"
        if each.line <= len(told):
            recorded_us = parse_moment(told[each.line - 1]["recordedtime"])
            came = format_moment(recorded_us + 8 * HOUR_US)[5:19].replace("T", " ")
        lines.append(
            f"{came}  {each.state:9}  {each.stage:12}  {each.rule:26}  {each.anchor:25}"
            f"  {each.action}\n"
        )
    return "".join(lines)


@pytest.mark.parametrize("case", CASE_NAMES)
def test_the_log_of_a_case_is_what_the_simulator_makes(case: CaseName) -> None:
    made = b"".join(line.raw + b"\n" for line in write_log(Scenario(events=0, cases=case)))
    command = f"run: ringfence simulate --events 0 --cases {case}"
    assert (FOLDER / f"{case}.jsonl").read_bytes() == made, command


@pytest.mark.parametrize("case", CASE_NAMES)
def test_the_catalogue_says_of_a_case_what_stands_beside_it(case: CaseName) -> None:
    assert as_text(case) == (FOLDER / f"{case}.txt").read_text(encoding="utf-8")


# Where the first warning that asks for something stands, and what it asks for.
FIRST_WARNINGS = {
    "zhou": ("zhou-share", "warn"),
    "zhao": ("zhao-pay-1424", "hold"),
    "chen": ("chen-share", "warn"),
    "zhang": ("zhang-share", "warn"),
    "xu": ("xu-pay-1648", "hold"),
    "fuding": ("fuding-pay-1541", "warn"),
}


@pytest.mark.parametrize("case", CASE_NAMES)
def test_the_first_warning_comes_before_the_loss_unless_the_call_is_told_late(
    case: CaseName,
) -> None:
    first = next(each for each in said(case) if each.action != "none")
    assert first.state == "raised"
    paid = [
        number
        for number, record in enumerate(records(case), 1)
        if record["data"].get("status") in ("accepted", "settled")
    ]
    # Fuding's call is told four hours after the money has gone; nobody could have known before.
    assert all(first.line < number for number in paid) is (case != "fuding")
    assert (first.anchor, first.action) == FIRST_WARNINGS[case]
