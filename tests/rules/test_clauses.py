"""What differs between two rule files, and the rules in between."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.authoring.clauses import Change, Clause, NoRuleError, compare, documents, renamed
from rules.language import load_rules, read_overrides
from rules.timing import Timing

TIMING = Timing()
HEAD = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
"""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "amount": ("[3000 CNY, 400 EUR]", "[1000 CNY, 400 EUR]"),
    "after": ("2h", "6h"),
    "media": ('media == "video"', 'media in ("video", "audio")'),
    "answered": ("answered", "talk_time >= 60s"),
    "relation": ("after: call\n    within: after_call", "around: call\n    within: after_call"),
    "unless": ("", "unless:\n  - {event: official_call, around: call, within: 10m}\n"),
    "weight": ("40", "30"),
    "where": ("", ", where: [first]"),
    "base": ("40", "45"),
    "band": ("70", "65"),
    "raise": ("at_once", "when_final"),
    "by": ("person", "area"),
}


def text(**chosen: str) -> str:
    """A rule file with the first of each choice, or what is said."""
    c = {name: values[0] for name, values in CHOICES.items()} | chosen
    condition = c["answered"].replace("60s", '"60s"')
    return f"""{HEAD}params:
  min_amount: {c["amount"]}
  after_call: {c["after"]}
by: {c["by"]}
steps:
  - as: call
    event: call_invitation
    where:
      - {c["media"]}
      - {condition}
  - as: pay
    event: transfer
    {c["relation"]}
    where: [payee_is_new, amount >= min_amount]
{c["unless"]}evidence:
  - {{as: shared, event: screen_share, during: call, weight: {c["weight"]}{c["where"]}}}
score:
  base: {c["base"]}
  bands:
    - {{from: 40, severity: low, action: warn}}
    - {{from: {c["band"]}, severity: high, action: hold}}
raise: {c["raise"]}
"""


def change(old: str, new: str) -> Change:
    """The one rule that differs."""
    sides = [documents({f"{side}/tried.yaml": t}, None) for side, t in (("a", old), ("b", new))]
    (found,) = compare(*sides)
    return found


def says(clause: Clause) -> str:
    return f"{clause.place} {clause.says}"


def digest(rule_text: str) -> str:
    (rule,) = load_rules({"tried.yaml": rule_text}, TIMING).rules
    return rule.digest


ONE_BY_ONE = {
    "amount": "b/tried.yaml:8:15 params.min_amount: [3000 CNY, 400 EUR] → [1000 CNY, 400 EUR]",
    "after": "b/tried.yaml:9:15 params.after_call: 2h → 6h",
    "media": 'b/tried.yaml:15:9 steps.call.where: media == "video" → media in ("video", "audio")',
    "answered": 'b/tried.yaml:16:9 steps.call.where: answered → talk_time >= "60s"',
    "relation": (
        "b/tried.yaml:19:5 steps.pay.after/within/around: {after: call}, {within: after_call}"
        " → {around: call}, {within: after_call}"
    ),
    "unless": (
        "b/tried.yaml:23:5 unless.official_call added:"
        " {event: official_call, around: call, within: 10m}"
    ),
    "weight": "b/tried.yaml:23:61 evidence.shared.weight: 40 → 30",
    "where": "b/tried.yaml:23:73 evidence.shared.where added: first",
    "base": "b/tried.yaml:25:9 score.base: 40 → 45",
    "band": (
        "b/tried.yaml:28:7 score.bands.from 65: {from: 70, severity: high, action: hold}"
        " → {from: 65, severity: high, action: hold}"
    ),
    "raise": "b/tried.yaml:29:8 raise: at_once → when_final",
    "by": "b/tried.yaml:10:5 by: person → area",
}


@pytest.mark.parametrize("name", CHOICES)
def test_each_thing_that_a_file_says_is_a_clause(name: str) -> None:
    (clause,) = change(text(), text(**{name: CHOICES[name][1]})).clauses
    assert says(clause) == ONE_BY_ONE[name]


def test_what_is_gone_stands_in_the_old_file() -> None:
    (clause,) = change(text(unless=CHOICES["unless"][1]), text()).clauses
    assert says(clause).startswith("a/tried.yaml:23:5 unless.official_call removed: {event: ")


@settings(max_examples=40)
@given(st.sets(st.sampled_from(sorted(CHOICES))), st.sets(st.sampled_from(sorted(CHOICES))))
def test_with_no_clause_it_is_the_old_rule_and_with_all_the_new(
    first: set[str], second: set[str]
) -> None:
    old, new = (text(**{name: CHOICES[name][1] for name in names}) for names in (first, second))
    sides = [documents({"tried.yaml": side}, None) for side in (old, new)]
    changes = compare(*sides)
    assert sum(len(each.clauses) for each in changes) == len(first ^ second)
    for each in changes:
        for taken, whole in ((frozenset[Clause](), old), (frozenset(each.clauses), new)):
            rule = each.rule(taken, TIMING)
            assert rule is not None
            assert rule.digest == digest(whole)


def test_what_only_people_read_and_the_order_of_conditions_are_no_difference() -> None:
    new = text().replace("title: A rule", "title: Another rule").replace("1.0.0", "2.0.0")
    new = new.replace(
        "[payee_is_new, amount >= min_amount]", "[amount >= min_amount, payee_is_new]"
    )
    sides = [documents({"tried.yaml": side}, None) for side in (text(), new)]
    assert compare(*sides) == []


def test_a_clause_that_cannot_stand_alone_makes_no_rule() -> None:
    new = text().replace("amount >= min_amount", "amount >= least").replace("min_amount", "least")
    found = change(text(), new)
    assert [clause.what for clause in found.clauses] == [
        "params.min_amount",
        "params.least",
        "steps.pay.where",
    ]
    condition = found.clauses[2]
    with pytest.raises(NoRuleError, match="unknown name 'least'"):
        found.rule({condition}, TIMING)
    assert found.rule({condition, found.clauses[1]}, TIMING) is not None


def test_conditions_are_paired_by_what_they_have_in_common() -> None:
    lists = (
        '[payee_is_new, amount >= min_amount, payee_kind == "personal"]',
        '[payee_times_paid == 0, channel == "web", amount > min_amount, direction == "out"]',
    )
    old, new = (text().replace("[payee_is_new, amount >= min_amount]", each) for each in lists)
    assert sorted(clause.says for clause in change(old, new).clauses) == [
        'steps.pay.where added: channel == "web"',
        'steps.pay.where added: direction == "out"',
        'steps.pay.where removed: payee_kind == "personal"',
        "steps.pay.where: amount >= min_amount → amount > min_amount",
        "steps.pay.where: payee_is_new → payee_times_paid == 0",
    ]


def test_steps_bands_and_entries_of_either_are_told_apart_by_name() -> None:
    old = text().replace(
        "event: transfer\n", "either: [{event: transfer}, {event: payee_added}]\n"
    )
    old = old.replace("amount >= min_amount", "payee_account is not None")
    old = old.replace("[payee_is_new, ", "[")
    new = old.replace("{event: payee_added}", "{event: contact_blocked}")
    new = new.replace("    - {from: 70, severity: high, action: hold}\n", "")
    more = "evidence:\n  - {as: site, event: web_visit, during: call, weight: 1}\n"
    new = new.replace("evidence:\n", more)
    assert sorted(clause.says.partition(":")[0] for clause in change(old, new).clauses) == [
        "evidence.site added",
        "score.bands.from 70 removed",
        "steps.pay.either.contact_blocked added",
        "steps.pay.either.payee_added removed",
    ]


def test_entries_without_a_name_are_counted() -> None:
    entry = "  - {event: official_call, around: call, within: 10m}\n"
    old = text(unless=f"unless:\n{entry}{entry}")
    new = text(unless=f"unless:\n{entry}{entry.replace('10m', '20m')}")
    (clause,) = change(old, new).clauses
    assert clause.says == "unless.official_call 2.within: 10m → 20m"


def test_relations_are_told_apart_by_the_step_that_they_name() -> None:
    several = "relations: [{after: call, within: 2h}, {before: call, within: 3h}]"
    old = text(relation=several)
    new = text(relation=several.replace("3h", "4h"))
    (clause,) = change(old, new).clauses
    assert clause.says.endswith("within: 3h → 4h")


def test_one_outcome_for_bands_is_one_clause() -> None:
    start, end = text().index("score:"), text().index("raise:")
    new = text()[:start] + "severity: low\naction: warn\n" + text()[end:]
    (clause,) = change(text(), new).clauses
    assert clause.what == "score/severity/action"


def test_a_rule_on_one_side_only_is_one_clause() -> None:
    side = documents({"tried.yaml": text()}, None)
    for sides, word in (((side, {}), "removed"), (({}, side), "added")):
        (found,) = compare(*sides)
        (clause,) = found.clauses
        assert clause.says == f"the rule {word}: A rule that tries things"
        rules = [found.rule(taken, TIMING) for taken in (frozenset[Clause](), {clause})]
        assert [rule is None for rule in rules] == (
            [False, True] if word == "removed" else [True, False]
        )


def test_a_rule_under_another_id_is_recognised() -> None:
    old = documents({"tried.yaml": text()}, None)
    new = documents({"tested.yaml": text().replace("id: tried", "id: tested")}, None)
    other = documents({"tested.yaml": text(base="45").replace("id: tried", "id: tested")}, None)
    assert list(renamed(old, new)) == [("tried", "tested")]
    assert list(renamed(old, other)) == []


def test_parameters_from_outside_stand_in_their_own_file() -> None:
    given_params = "tried:\n  min_amount: [1 CNY]\n"
    old = documents({"tried.yaml": text()}, None)
    new = documents({"tried.yaml": text()}, read_overrides("p.yaml", given_params))
    (found,) = compare(old, new)
    (clause,) = found.clauses
    assert says(clause) == "p.yaml:2:15 params.min_amount: [3000 CNY, 400 EUR] → [1 CNY]"
    overrides = read_overrides("p.yaml", given_params)
    (whole,) = load_rules({"tried.yaml": text()}, TIMING, overrides).rules
    rule = found.rule({clause}, TIMING)
    assert rule is not None
    assert rule.digest == whole.digest
    back = compare(new, old)[0].rule(frozenset(), TIMING)
    assert back is not None
    assert back.digest == whole.digest


def test_a_text_from_outside_stays_a_text() -> None:
    old_text = text().replace("params:\n", "params:\n  sort: none\n")
    old_text = old_text.replace("payee_is_new,", "session == sort,")
    sides = [
        documents({"tried.yaml": old_text}, read_overrides("p.yaml", f"tried:\n  sort: {sort}\n"))
        for sort in ("web", "2h")
    ]
    (found,) = compare(*sides)
    assert found.rule(frozenset(found.clauses), TIMING) is not None


def test_overrides_of_a_rule_without_parameters_change_nothing() -> None:
    old = documents({"tried.yaml": text()}, read_overrides("p.yaml", "other:\n  x: 1\n"))
    assert compare(old, documents({"tried.yaml": text()}, None)) == []
