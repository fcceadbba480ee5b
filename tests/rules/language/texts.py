"""Rule files put together from pieces, what is wrong with them, and what they mean."""

from collections.abc import Mapping
from types import SimpleNamespace

from rules.condition import Condition, compile_expression
from rules.language import RuleFileError, load_rules
from rules.language.conditions import read_condition
from rules.language.kinds_of_event import EVENT_TYPES
from rules.language.mistakes import Mistakes, Place
from rules.language.names import Scope
from rules.language.parameters import Given, read_parameters
from rules.language.read import Leaf, read
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
EVERYTHING = (
    _RULE.replace("severity: low\naction: warn\n", "")
    + _PARAMS
    + _STEPS
    + """\
    where: [payee_is_new, amount >= floor]
  - as: moves
    each: funds_moved
    before: pay
    within: 1h
    where: [kind == "own_sweep"]
    having: [count(moves) >= few, sum(moves.amount) >= floor]
  - as: other
    either: [{event: web_visit, where: [form_posted]}, {event: app_install}]
    relations: [{around: [call, pay], within: while_on}]
anchor: pay
raise: when_final
unless:
  - {event: official_call, around: call, within: 10m, where: [caller == call.caller]}
evidence:
  - {as: loan, event: loan_drawdown, before: pay, within: 6h, weight: 30}
score: {base: 40, bands: [{from: 40, severity: low, action: warn}]}
message: "{pay.amount} {gap(call, pay)} {count(moves)}"
stories:
  - title: one
    events:
      - {at: "10:00", call_invitation: c1, answered_at: "10:01"}
      - {at: "10:05", transfer: p1, amount: 20000 CNY, payee_times_paid: 0}
      - {at: "10:06", update: p1, status: held}
    alerts: []
    misses: {step: moves, on: count}
"""
)


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
    """Return a condition on the step `pay`, a transfer after the step `call`.

    Whether anything can fulfil it is not asked.
    """
    mistakes = Mistakes("tried.yaml")
    params = read(_PARAMS, mistakes)
    assert params is not None
    scope = Scope(
        place="a condition on transfer",
        step="pay",
        own=EVENT_TYPES["transfer"],
        steps={"call": EVENT_TYPES["call_invitation"]},
        sets={},
        single=frozenset({"call", "pay"}),
        barred={},
        adds_up=False,
        parameters=read_parameters(params.entries["params"][1], Given({}, mistakes), mistakes),
        timezone=timing.timezone,
    )
    judged = read_condition(Leaf(Place(1, 1), text, "text", text, in_flow=False), scope, mistakes)
    assert judged is not None, mistakes.errors
    return judged


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
