"""Rule files put together from pieces, what is wrong with them, and what they mean."""

from collections.abc import Mapping
from types import SimpleNamespace

from rules.condition import Condition, compile_expression
from rules.language import RuleFileError, load_rules
from rules.rule import Rule
from rules.timing import Timing

TIMING = Timing()

Fields = Mapping[str, object]

_RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
"""
_PARAMS = """\
params:
  floor: [3000 CNY, 400 EUR]
  one: 5 USD
  while_on: 2h
  few: 3
  some: 0.25
  wanted: stranger
  opened: 2023-07-08T00:00:00Z
"""
_STEPS = """\
steps:
  - as: call
    event: call_invitation
  - as: pay
    event: transfer
    after: call
    within: 2h
"""
RULE = _RULE + _PARAMS + _STEPS


def load(text: str, timing: Timing = TIMING) -> Rule:
    """Return the rule of a file called `tried.yaml`."""
    return load_rules({"tried.yaml": text}, timing).rules[0]


def mistakes(text: str, file: str = "tried.yaml") -> list[str]:
    """Return what is wrong with a file, each mistake as it is shown."""
    try:
        load_rules({file: text}, TIMING)
    except ExceptionGroup as group:
        others = group.split(RuleFileError)[1]
        if others is not None:
            raise others from group
        return [str(error) for error in group.exceptions]
    return []


def quoted(text: str) -> str:
    """Return text as a single-quoted YAML scalar."""
    return "'" + text.replace("'", "''") + "'"


def with_condition(text: str) -> str:
    """Return a file with a condition on its second step, `pay`, a transfer."""
    return f"{RULE}    where: [{quoted(text)}]\n"


def condition(text: str, timing: Timing = TIMING) -> Condition:
    """Return a condition on the step `pay`, a transfer after the step `call`."""
    return load(with_condition(text), timing).steps[1].where[0]


def refusals(text: str) -> list[str]:
    """Return what is wrong with a condition, without file and line."""
    return [mistake.partition(": ")[2] for mistake in mistakes(with_condition(text))]


def evaluate(
    judged: Condition, pay: Fields, call: Fields | None = None, gap_us: int = 0
) -> object:
    """Evaluate a condition over what is known of two events and their gap."""
    function = compile_expression(
        judged.expression,
        lambda field: f"b[{field.step!r}].get({field.name!r})",
        lambda step: f"b['at {step}']",
    )
    ends = {
        "at call": SimpleNamespace(start_us=0, end_us=10),
        "at pay": SimpleNamespace(start_us=10 + gap_us, end_us=10 + gap_us),
    }
    return function({"pay": pay, "call": call or {}, **ends})
