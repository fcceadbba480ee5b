"""Parameters set from outside: what takes the place of what, and what is no parameter at all."""

from pathlib import Path

import pytest

from rules.language import RuleFileError, load_rules, read_overrides
from rules.rule import Rule
from tests.rules.language.texts import RULE, TIMING, with_condition

GOLDEN = Path(__file__).parents[1] / "golden"
FULL = with_condition(
    "amount >= floor and gap(call, pay) < while_on and payee_times_paid < few"
    " and call.relationship == wanted and ratio(amount, balance_before) > some"
)


def overridden(text: str, rule: str = FULL) -> Rule:
    """Return a rule with the parameters of a file."""
    files = {"rules/tried.yaml": rule}
    return load_rules(files, TIMING, read_overrides("params.yaml", text)).rules[0]


def refusals(text: str, rule: str = FULL) -> list[str]:
    """Return what is wrong with a file of parameters, each mistake as it is shown."""
    with pytest.raises(ExceptionGroup) as raised:
        overridden(text, rule)
    return [str(error) for error in raised.value.exceptions if isinstance(error, RuleFileError)]


def test_what_is_set_from_outside_is_what_the_rule_goes_by() -> None:
    one = overridden(
        "tried: {floor: [1 CNY], few: 2.5, while_on: 10m, some: 1, wanted: one_way_prior}\n"
    )
    same = FULL.replace("[3000 CNY, 400 EUR]", "[1 CNY]").replace("few: 3", "few: 2.5")
    same = same.replace("while_on: 2h", "while_on: 10m").replace("some: 0.25", "some: 1")
    same = same.replace("wanted: stranger", "wanted: one_way_prior")

    assert one == load_rules({"tried.yaml": same}, TIMING).rules[0]
    assert one.digest != load_rules({"tried.yaml": FULL}, TIMING).rules[0].digest


def test_a_bound_follows_its_parameter() -> None:
    text = RULE.replace("within: 2h", "within: while_on")

    assert overridden("tried:\n  while_on: PT3H\n", text).steps[1].relations[0].text == (
        "within 3h after call"
    )


def test_what_is_not_set_stays() -> None:
    assert (
        overridden("tried: {one: 5 USD}\n") == load_rules({"t/tried.yaml": FULL}, TIMING).rules[0]
    )


def test_a_text_stays_a_text_whatever_it_looks_like() -> None:
    text = RULE + "    where: [session == wanted]\n"

    assert overridden("tried: {wanted: 2h}\n", text).digest
    assert "found '2', wanted text" in refusals("tried: {wanted: 2}\n", text)[0]


def test_whoever_switches_a_condition_off_from_outside_may_do_so() -> None:
    text = with_condition("payee_times_paid >= few")

    assert overridden("tried: {few: 0}\n", text).id == "tried"
    (mistake,) = refusals("tried: {one: 1 USD}\n", text.replace("few: 3", "few: 0"))
    assert "this is true of every known payee_times_paid" in mistake


def test_whoever_makes_a_condition_impossible_from_outside_is_told() -> None:
    (mistake,) = refusals("tried: {few: 0}\n", with_condition("payee_times_paid < few"))

    assert mistake.startswith("rules/tried.yaml:24:13: this can never be true")


def test_what_is_wrong_with_parameters_is_named_at_its_place() -> None:
    name = "params_of_rules"
    text = (GOLDEN / f"{name}.yml").read_text()

    found = "\n".join(refusals(text)) + "\n"

    assert found == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "params.yaml:1:1: the file is empty, wanted a mapping of rules to their parameters"),
        (
            "- tried",
            "params.yaml:1:1: found a list, wanted a mapping of rules to their parameters",
        ),
        ("tried: 3", "params.yaml:1:8: found '3', wanted a mapping of parameters"),
        ("tried: {a: 1, a: 2}", "params.yaml:1:15: key 'a' stands here twice, first on line 1"),
        ("tried: [", "params.yaml:1:9: this is no YAML: "),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_rule(text: str, message: str) -> None:
    with pytest.raises(ExceptionGroup, match="1 mistake in parameters") as raised:
        read_overrides("params.yaml", text)

    assert str(raised.value.exceptions[0]).startswith(message)


def test_mistakes_in_rules_and_in_parameters_come_together() -> None:
    found = refusals("tired: {few: 1}\n", FULL.replace("status: test", "status: tset"))

    assert [mistake.split(": ")[0] for mistake in found] == [
        "rules/tried.yaml:4:9",
        "params.yaml:1:1",
    ]
