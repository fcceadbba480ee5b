"""Rule sets side by side in one pass, and each in a pass of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.alert import Alert
from rules.authoring.standings import Standing, Standings, standing_of
from rules.language import load_rules
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.timing import Timing
from streams.ingest import Ingest
from streams.logs import open_log
from streams.replay import Replay
from streams.settings import load_settings
from streams.variants import Replays
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms
from tests.streams.diff_parts import CAMPAIGN, call, pay, share, write
from tests.streams.test_diff_command import CHANGES, LOG, changed

CALLERS = CAMPAIGN.replace("id: campaign", "id: callers").replace("by: payee", "by: caller")
CALLERS += "raise: when_final\n"
READS_EVENTS = """\
id: after_alert
version: 1.0.0
title: Another transfer after an alert
status: test
typology: trial
stage: campaign
severity: high
action: block
steps:
  - {as: hit, event: alert, where: [rule == "stranger_then_payee", score >= 50]}
  - {as: more, event: transfer, after: hit, within: 3h}
raise: when_final
"""


def quiet(minute: int) -> str:
    """A record of either side that no rule needs, so many minutes after ten in the evening."""
    day, rest = divmod(22 * 60 + minute, 24 * 60)
    told = pay("gus", payee_times_paid=7) if minute % 4 else call("gus", media="audio")
    at = f"2023-07-{8 + day:02}T{rest // 60:02}:{rest % 60:02}"
    told = told.replace("2023-07-08T10:00", at).replace("2023-07-08T10:50", at)
    return told.replace("2023-07-08T10:55", at).replace("-gus", f"-gus-{minute}")


LINES = [
    *LOG[:-2],
    share("bob", "11:02"),
    pay("ann", time="11:05", transfer_id="p-again", amount="4000"),
    pay("bob", time="11:06", transfer_id="p-bob", amount="1500", status="rejected"),
    *LOG[-2:],
    call("ann", start="13:00", end="14:00", call_id="c-again"),
    # Time passes with nothing that a rule needs, so it alone makes alerts final.
    *(quiet(minute) for minute in range(400, 480, 2)),
]


def replays(folder: Path) -> Replays:
    log = write(folder / "log.jsonl", LINES)
    pseudonyms = Pseudonyms(PUBLISHED_KEY, frozenset())
    as_of_us = parse_moment("2024-01-01T00:00:00Z")
    return Replays([str(log)], load_settings({}), pseudonyms, as_of_us, signals=True)


def rule_set(changes: set[str], others: Sequence[str]) -> RuleSet:
    texts = [changed(*sorted(changes)), *others]
    files = {f"{text.partition(chr(10))[0].removeprefix('id: ')}.yaml": text for text in texts}
    return load_rules(files, Timing())


def alone(folder: Path, rules: RuleSet) -> Standings:
    """How alerts stand after a plain replay of these rules."""
    ran = replays(folder)
    ingest = Ingest(rules, ran.settings.timing, ran.pseudonyms)
    replay = Replay(rules, ingest, ran.settings.lateness_us, as_of_us=ran.as_of_us)
    found: dict[str, Standing] = {}

    def note(alert: Alert) -> None:
        last = standing_of(alert, replay.now_us)
        if alert.revision > len(LINES):
            last = replace(last, raised_at_us=max(last.raised_at_us, last.settles_at_us))
        first = found.get(alert.alert_id, last)
        found[alert.alert_id] = replace(last, raised_at_us=first.raised_at_us, record=first.record)

    with open_log(ran.logs[0]) as log:
        replay.run([log], note, lambda _letter: None)
    return found


OTHERS = st.sets(st.sampled_from([CAMPAIGN, CALLERS, READS_EVENTS])).map(sorted)
SETS = st.builds(rule_set, st.sets(st.sampled_from(sorted(CHANGES))), OTHERS)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SETS, min_size=1, max_size=4))
def test_side_by_side_each_rule_set_does_what_it_does_alone(
    tmp_path: Path, rule_sets: list[RuleSet]
) -> None:
    together, _ = replays(tmp_path).run(rule_sets)
    assert together == [alone(tmp_path, each) for each in rule_sets]


def test_the_alerts_of_these_rules_are_many_kinds(tmp_path: Path) -> None:
    every = rule_set({"least", "after_call"}, [CAMPAIGN, CALLERS, READS_EVENTS])
    ((found,), _) = replays(tmp_path).run([every])
    assert {s.rule for s in found.values()} == {rule.id for rule in every.rules}
    assert {s.state for s in found.values()} == {"raised", "withdrawn"}
