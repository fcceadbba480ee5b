"""A parameter at several values: what is asked, and how it is shown."""

from dataclasses import replace
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from rules.authoring.backtest import Result
from rules.authoring.standings import Total
from rules.authoring.sweep import Sweep, SweepError, read_sweep, sweep_chart, sweep_lines
from rules.language import check_files, load_rules, read_overrides
from rules.timing import Timing

TIMING = Timing()
TEXT = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
params:
  min_amount: [3000 CNY, 400 EUR]
  other_amount: 10 CNY
  after_call: 2h
  most: 3
  share: 0.5
  used: web
steps:
  - {as: call, event: call_invitation}
  - as: pay
    event: transfer
    after: call
    within: after_call
    where: [amount >= min_amount, amount >= other_amount, payee_times_paid < most]
"""
FILES = {"tried.yaml": TEXT, "again.yaml": TEXT.replace("id: tried", "id: again")}
RULES = check_files(FILES, TIMING)


def asked(text: str) -> Sweep:
    return read_sweep(text, RULES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tried.min_amount.CNY=1000..3000:1000", ["1000 CNY", "2000 CNY", "3000 CNY"]),
        ("tried.min_amount.EUR=1 EUR..2 EUR:0.5 EUR", ["1 EUR", "1.5 EUR", "2 EUR"]),
        ("tried.other_amount=5..12:5", ["5 CNY", "10 CNY"]),
        ("tried.after_call=1h..2h:30m", ["1h", "1h30m", "2h"]),
        ("tried.most=1..3:1", ["1", "2", "3"]),
        ("tried.share=0.5..0.7:0.1", ["0.5", "0.6", "0.7"]),
    ],
)
def test_a_sweep_says_its_values_and_each_makes_a_rule(text: str, told: list[str]) -> None:
    sweep = asked(text)
    assert [sweep.told(value) for value in sweep.values] == told
    digests = set()
    for value in sweep.values:
        rules = load_rules(FILES, TIMING, sweep.overrides(value, None)).rules
        digests.add(next(rule.digest for rule in rules if rule.id == "tried"))
    assert len(digests) == len(told)


def test_other_currencies_and_what_is_set_from_outside_stay_as_they_are() -> None:
    params = "tried:\n  after_call: 5h\nagain:\n  most: 7\n"
    given = read_overrides("p.yaml", params)
    overrides = asked("tried.min_amount.CNY=1..2:1").overrides(Decimal(2), given)
    by_id = {rule.id: rule for rule in check_files(FILES, TIMING, overrides)}
    values = {name: param.value for name, param in by_id["tried"].parameters.items()}
    assert values["min_amount"] == {"CNY": Decimal(2), "EUR": Decimal(400)}
    assert values["after_call"] == 5 * 3600 * 1_000_000
    assert by_id["again"].parameters["most"].value == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("most", "found 'most', wanted a form like min_amount=1000..10000:1000 or"),
        ("most=1..2:1", "several rules have a parameter 'most', wanted one of again.most, tried"),
        ("tired.most=1..2:1", "there is no rule 'tired'; did you mean 'tried'?"),
        ("tried.mist=1..2:1", "there is no parameter 'mist'; did you mean 'most'?"),
        ("tried.min_amount=1..2:1", "which currency of 'min_amount' is to vary? wanted one of"),
        ("tried.min_amount.JPY=1..2:1", "which currency of 'min_amount' is to vary? wanted one"),
        ("tried.most.CNY=1..2:1", "parameter 'most' is no money, so it has no CNY"),
        ("tried.after_call=1..2:1", "parameter 'after_call' is a duration: \"1\" is not a dura"),
        ("tried.used=a..b:c", "parameter 'used' is a text, and has no values in between"),
        ("tried.most=1..2:0.5", "'0.5' is no value of parameter 'most'"),
        ("tried.min_amount.CNY=x..y:z", "'x' is no value of parameter 'min_amount'"),
        ("tried.most=2..1:1", "the first value is above the last, or the step is none"),
        ("tried.most=1..2:0", "the first value is above the last, or the step is none"),
        ("tried.most=1..101:1", "these are 101 values, wanted at most 100"),
    ],
)
def test_a_sweep_that_cannot_be_made_gets_one_sentence(text: str, said: str) -> None:
    with pytest.raises(SweepError) as error:
        asked(text)
    assert str(error.value).startswith(said)


NOTHING = Result("tried", Total(0, 0, {}), Total(0, 0, {}), {"unknown": 0, "none": 0}, 0, 0, (), 0)
SOME = replace(
    NOTHING,
    total=Total(3, 2, {"CNY": Decimal(30)}),
    confirmed=Total(1, 1, {}),
    verdicts={"unknown": 0, "none": 1},
    missed=1,
)


def test_a_sweep_is_a_chart_of_text() -> None:
    lines = list(sweep_lines(asked("tried.most=9..10:1"), [SOME, NOTHING]))
    assert lines == [
        "tried.most",
        f"   9  {'█' * 30}  3 alerts of 2 people, 30 CNY, precision 0.5, recall 0.5",
        f"  10  {' ' * 30}  0 alerts, precision unknown, recall unknown",
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [("tried.most=1..2:1", "most"), ("tried.after_call=1h..2h:1h", "after_call in minutes")],
)
def test_a_sweep_is_a_picture(text: str, label: str) -> None:
    root = ET.fromstring(sweep_chart(asked(text), [SOME, NOTHING]))  # noqa: S314 - made here
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {label, "precision", "recall", "alerts (of 3)", "per cent", "0", "100"} <= set(texts)
    root = ET.fromstring(sweep_chart(asked(text), [NOTHING, NOTHING]))  # noqa: S314 - made here
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "precision" not in texts
