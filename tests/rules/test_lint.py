"""What is found in rule files without a log, and how it is written for others."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rules.authoring.finding_formats import as_github, as_json, as_sarif
from rules.authoring.lint import KINDS, Finding, lint
from rules.authoring.tags import TAGS
from rules.language import RuleFileError
from rules.timing import Timing

GOLDEN = Path(__file__).parent / "golden"
CATALOG = Path(__file__).parents[2] / "rules" / "catalog"
TIMING = Timing()
RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
tags: [f3.monetization]
severity: low
action: warn
params:
  floor: 3000 CNY
  soon: 2h
  share: 0.5
steps:
  - as: call
    event: call_invitation
    where: [media == "video", answered]
  - as: pay
    event: transfer
    after: call
    within: soon
    where:
      - amount >= floor
      - ratio(amount, balance_before) >= share
"""


def found(**files: str) -> list[Finding]:
    return lint({f"{name}.yaml": text for name, text in files.items()}, TIMING)


def said(**files: str) -> list[str]:
    return [str(finding) for finding in found(**files)]


def test_nothing_is_found_in_the_catalogue() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in CATALOG.glob("*.yaml")}
    assert lint(texts, TIMING) == []


def test_nothing_is_found_in_a_rule_with_nothing_wrong() -> None:
    assert said(tried=RULE) == []


def test_mistakes_are_all_that_is_told_while_there_are_any() -> None:
    broken = RULE.replace("media ==", "medai ==").replace("f3.monetization", "nonsense")
    (only,) = found(tried=broken)
    assert (only.kind, only.level) == ("mistake", "error")
    assert "did you mean 'media'?" in str(only)


def test_a_mistake_in_values_from_outside_is_one() -> None:
    (only,) = lint({"tried.yaml": RULE}, TIMING, ("params.yaml", "tried: {flor: 1 CNY}"))
    assert str(only).startswith("params.yaml:1:9: there is no parameter 'flor'")
    assert lint({"tried.yaml": RULE}, TIMING, ("params.yaml", "tried: {floor: 1 CNY}")) == []


def test_a_parameter_that_nothing_names_is_told() -> None:
    unused = RULE.replace("within: soon", "within: 2h")
    (only,) = said(tried=unused)
    assert only == (
        "tried.yaml:12:3: parameter 'soon' is never used, take it away or write it into a"
        " condition"
    )


def test_a_message_uses_a_parameter_too() -> None:
    used = RULE.replace("within: soon", "within: 2h") + 'message: "within {soon}"\n'
    assert said(tried=used) == []


def test_a_bound_in_a_list_of_relations_uses_a_parameter() -> None:
    listed = RULE.replace(
        "    after: call\n    within: soon\n", "    relations: [{after: call, within: soon}]\n"
    )
    assert said(tried=listed) == []


def test_a_tag_that_is_none_is_told_with_the_nearest() -> None:
    (only,) = said(tried=RULE.replace("f3.monetization", "f3.monetisation"))
    assert only == (
        "tried.yaml:7:8: 'f3.monetisation' is none of the tags\n"
        "    did you mean 'f3.monetization'? tags: campaign.account, campaign.area, "
        "campaign.caller, contact.burst, contact.cut_off, contact.false_name, …; your own begin "
        "with 'own.'"
    )


def test_a_tag_of_ones_own_is_none_of_our_business() -> None:
    assert said(tried=RULE.replace("f3.monetization", "own.branch_7")) == []


def test_a_rule_without_tags_is_no_worse() -> None:
    assert said(tried=RULE.replace("tags: [f3.monetization]\n", "")) == []


def test_a_stable_rule_is_told_its_missing_stories() -> None:
    kinds = {
        finding.kind for finding in found(tried=RULE.replace("status: test", "status: stable"))
    }
    assert kinds == {"missing-story"}


def test_a_rule_that_differs_in_values_only_is_warned_of() -> None:
    # Other names, other values, another order of conditions.
    other = (
        RULE.replace("id: tried", "id: untried")
        .replace("floor", "least")
        .replace("3000 CNY", "1 EUR")
        .replace("as: call", "as: ring")
        .replace("after: call", "after: ring")
        .replace('[media == "video", answered]', '[answered, media == "audio"]')
    )
    (only,) = found(tried=RULE, untried=other)
    assert only.level == "warning"
    assert str(only) == (
        "untried.yaml:1:1: warning: the steps are those of 'tried' but for their values\n"
        "    join them, or say in both what tells the occasions apart"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("answered]", "camera_on]"),
        ("after: call", "before: call"),
        ("amount >= floor", "amount <= floor"),
        ("amount >= floor", "amount >= floor\n      - area == call.area"),
        ("status: test", "status: test\nby: area"),
        ("status: test", "status: test\nanchor: call"),
        ("event: call_invitation", "event: screen_share"),
    ],
)
def test_a_rule_that_differs_in_anything_else_is_another(old: str, new: str) -> None:
    other = RULE.replace("id: tried", "id: untried").replace(old, new)
    if "screen_share" in new:
        other = other.replace('[media == "video", answered]', "[first]")
    assert said(tried=RULE, untried=other) == []


def test_sets_and_gaps_and_lists_are_compared_too() -> None:
    many = RULE.replace("stage: control", "stage: control\nanchor: pay").replace(
        "      - amount >= floor\n",
        '      - amount >= floor\n      - gap(call, pay) < soon\n      - status in ("held",)\n',
    ) + (
        "  - as: sweeps\n    each: funds_moved\n    before: pay\n    within: soon\n"
        "    having: [count(sweeps) >= 2, sum(sweeps.amount) >= floor]\n"
    )
    same = many.replace("id: tried", "id: untried").replace('("held",)', '("held", "released")')
    assert [f.kind for f in found(tried=many, untried=same)] == ["near-duplicate"]
    other = same.replace("count(sweeps) >= 2", "count(sweeps.kind) >= 2")
    assert found(tried=many, untried=other) == []


def test_what_is_found_stands_in_the_order_of_places() -> None:
    text = RULE.replace("f3.monetization", "nonsense").replace("within: soon", "within: 2h")
    assert [finding.kind for finding in found(tried=text)] == ["unknown-tag", "unused-parameter"]


def test_every_tag_says_what_it_stands_for() -> None:
    assert all(TAGS.values())


TOLD = [
    Finding(
        "mistake",
        RuleFileError("rules/a,b.yaml", 3, 7, "100 % wrong:\nreally", "did you mean 'this'?"),
    ),
    Finding("near-duplicate", RuleFileError("rules/c.yaml", 1, 1, "as that one")),
]


@pytest.mark.parametrize(
    ("written", "name"),
    [(as_json, "findings.json"), (as_github, "findings.github"), (as_sarif, "findings.sarif")],
)
def test_findings_are_written_as_others_read_them(
    written: Callable[[Sequence[Finding]], str], name: str
) -> None:
    assert written(TOLD) + "\n" == (GOLDEN / name).read_text(encoding="utf-8")


def test_nothing_found_is_written_as_such() -> None:
    assert json.loads(as_json([])) == []
    assert as_github([]) == ""
    assert json.loads(as_sarif([]))["runs"][0]["results"] == []


def test_a_sarif_log_names_every_kind_of_finding() -> None:
    (run,) = json.loads(as_sarif(TOLD))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(KINDS)
