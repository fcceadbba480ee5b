"""Rule sets side by side in one pass, and each in a pass of its own."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.language import load_rules
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.timing import Timing
from streams.settings import load_settings
from streams.variants import Replays
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms
from tests.streams.diff_parts import CAMPAIGN, call, pay, share, write
from tests.streams.test_diff_command import CHANGES, LOG, changed

CALLERS = CAMPAIGN.replace("id: campaign", "id: callers").replace("by: payee", "by: caller")
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
"""
LINES = [
    *LOG[:-2],
    share("bob", "11:02"),
    pay("ann", time="11:05", transfer_id="p-again", amount="4000"),
    pay("bob", time="11:06", transfer_id="p-bob", amount="1500", status="rejected"),
    *LOG[-2:],
    call("ann", start="13:00", end="14:00", call_id="c-again"),
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


OTHERS = st.sets(st.sampled_from([CAMPAIGN, CALLERS, READS_EVENTS])).map(sorted)
SETS = st.builds(rule_set, st.sets(st.sampled_from(sorted(CHANGES))), OTHERS)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SETS, min_size=1, max_size=4))
def test_side_by_side_each_rule_set_does_what_it_does_alone(
    tmp_path: Path, rule_sets: list[RuleSet]
) -> None:
    together, _ = replays(tmp_path).run(rule_sets)
    alone = [replays(tmp_path).run([each])[0][0] for each in rule_sets]
    assert together == alone


def test_the_alerts_of_these_rules_are_many_kinds(tmp_path: Path) -> None:
    every = rule_set({"least", "after_call"}, [CAMPAIGN, CALLERS, READS_EVENTS])
    ((found,), _) = replays(tmp_path).run([every])
    assert {s.rule for s in found.values()} == {rule.id for rule in every.rules}
    assert {s.state for s in found.values()} == {"raised", "withdrawn"}
