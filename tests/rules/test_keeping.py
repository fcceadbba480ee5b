"""What rules keep, and when their alerts are final, in words."""

from pathlib import Path

from rules.authoring.keeping import in_words
from rules.language import load_rules
from rules.timing import Timing

GOLDEN = Path(__file__).parent / "golden"
HEAD = """\
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: exfiltration
"""
RULES = {
    "at_once.yaml": f"""\
id: at_once
{HEAD}
severity: high
action: hold
steps:
  - {{as: call, event: call_invitation}}
  - {{as: pay, event: transfer, after: call, within: 2h}}
  - {{as: again, event: transfer, after: pay, within: 30m}}
anchor: pay
unless:
  - {{event: official_call, around: call, within: 10m}}
""",
    "campaign.yaml": f"""\
id: campaign
{HEAD}
severity: high
action: hold
by: payee
steps:
  - {{as: hits, each: alert, within: 72h, having: [count(hits.person) >= 3]}}
anchor: hits
""",
    "certain.yaml": f"""\
id: certain
{HEAD}
raise: when_final
score: {{base: 0, bands: [{{from: 0, severity: info, action: none}}]}}
steps:
  - as: pay
    either:
      - {{event: transfer}}
      - {{event: loan_drawdown}}
evidence:
  - {{as: share, event: screen_share, before: pay, within: 1h, weight: 5}}
""",
    "single.yaml": f"""\
id: single
{HEAD}
severity: low
action: warn
steps:
  - {{as: swap, event: sim_swap}}
""",
}


def test_what_rules_keep_reads_as_it_always_did() -> None:
    lines = list(in_words(load_rules(RULES, Timing())))
    assert "\n".join(lines) + "\n" == (GOLDEN / "keeping.txt").read_text()
