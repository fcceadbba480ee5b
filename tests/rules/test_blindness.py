"""Which rules could not match, going by what was never known in any record."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.authoring.blindness import Sightings
from rules.events import Scalar, Value
from rules.fact import Mark
from rules.language import load_rules
from rules.money import Money, parse_money
from rules.rule import RuleSet
from rules.screen import Screen
from rules.stages import Engine
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US
from tests.rules import build
from tests.rules.oracle import Record
from tests.rules.worlds import World, draw_world, keys_of

HEAD = """\
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
params:
  least: [3000 CNY, 400 EUR]
"""
CALL_AND_PAY = """\
steps:
  - as: call
    event: call_invitation
    where: [answered]
  - as: pay
    event: transfer
    after: call
    within: 2h
    where: [payee_is_new, amount >= least]
"""
CALL: tuple[str, Mapping[str, Value]] = ("call_invitation", {"answered": False})
KNOWN: Mapping[str, Value] = {"payee_is_new": False, "amount": parse_money("1 CNY")}


def rules_of(**steps: str) -> RuleSet:
    """Rules by name, each of these steps."""
    files = {f"{name}.yaml": f"id: {name}\n{HEAD}{text}" for name, text in steps.items()}
    return load_rules(files, Timing())


def said(rule_set: RuleSet, noted: Iterable[tuple[str, Mapping[str, Value]]]) -> list[str]:
    """What is said after these records."""
    sightings, seen = Sightings(rule_set), Counter[str]()
    for event, values in noted:
        sightings.note(event, values)
        seen[event] += 1
    return sightings.sentences(seen, Engine(rule_set, {}, timing=Timing()).lost())


def replayed(
    rule_set: RuleSet, records: Iterable[Record], screened: Screen | None = None
) -> list[str]:
    """What is said after a replay of these records, of which the screen may drop some."""
    sightings, seen = Sightings(rule_set), Counter[str]()
    engine = Engine(rule_set, {("bank", 0): NEVER_US}, timing=Timing())
    for number, record in enumerate(records):
        event = build.event_of(record, Timing())
        seen[record.type] += 1
        if screened is None or screened.keys(record.type, event.fields):
            sightings.note(record.type, event.fields)
            engine.observe(build.facts_of(event, ("person",)), number)
    return sightings.sentences(seen, engine.lost())


def pays(**values: Value) -> tuple[str, Mapping[str, Value]]:
    """A transfer of which this is known beside what is not asked for."""
    return "transfer", {**KNOWN, **values}


def test_nothing_is_said_while_everything_was_known_once() -> None:
    # False is known, and so is what only one record says.
    unknown = ("transfer", {"channel": "web"})
    assert said(rules_of(one=CALL_AND_PAY), [CALL, pays(), unknown]) == []


def test_a_field_that_no_record_has_blinds_the_rules_that_need_it() -> None:
    rule_set = rules_of(one=CALL_AND_PAY, other=CALL_AND_PAY)
    amount: Mapping[str, Value] = {"amount": parse_money("1 CNY")}
    assert said(rule_set, [CALL, *[("transfer", amount)] * 1200]) == [
        "payee_is_new unknown in 1,200 of 1,200 transfer records: 2 rules blind (one, other)"
    ]


def test_an_event_that_never_came_blinds_the_rules_that_need_it() -> None:
    assert said(rules_of(one=CALL_AND_PAY), [pays()]) == [
        "no call_invitation among 1 records: 1 rule blind (one)"
    ]


def test_amounts_in_currencies_that_no_threshold_is_for_blind_a_rule() -> None:
    noted = [CALL, pays(amount=parse_money("9 JPY")), pays(amount=parse_money("9 USD"))]
    assert said(rules_of(one=CALL_AND_PAY), noted) == [
        "amount in none of CNY, EUR in 2 of 2 transfer records: 1 rule blind (one)"
    ]
    assert said(rules_of(one=CALL_AND_PAY), [*noted, pays(amount=parse_money("9 EUR"))]) == []


def test_of_many_rules_a_sentence_names_the_first_five() -> None:
    rule_set = rules_of(**{f"rule_{n}": CALL_AND_PAY for n in range(7)})
    (sentence,) = said(rule_set, [pays()])
    assert sentence.endswith("7 rules blind (rule_0, rule_1, rule_2, rule_3, rule_4, and 2 more)")


@pytest.mark.parametrize(
    ("condition", "is_blind"),
    [
        # Of `area` and `first` nothing is ever known, of `channel` it is.
        ("area is None", False),
        ("area is not None", True),
        ('area == "a"', True),
        ('area == "a" or channel == "web"', False),
        ('area == "a" or first', True),
        ('area == "a" and channel == "web"', True),
        ('not (area == "a" and channel == "web")', False),
        ('not (area == "a" or channel == "web")', True),
        ("not first", True),
        ('(area == "a") is None', False),
        ("(area is None) == first", True),
        ('(area is None) == (channel == "web")', False),
        ('(area == "a" or first) is not None', True),
        ("sum(others.limit) >= least", True),
        ("count(others) == 0", False),
        ("count(others.limit) <= 5", True),
        ('amount >= "5 JPY"', True),
        ('amount >= "5 CNY"', False),
        ('startswith(area, "a")', True),
        ("area in ('a', 'b')", True),
        ("area not in ('a', 'b')", True),
        ("initiated_at - payee_added_at <= '2h'", True),
        ("hour(initiated_at) >= 22", True),
    ],
)
def test_a_condition_blinds_if_no_known_values_could_make_it_true(
    condition: str,
    is_blind: bool,  # noqa: FBT001 - the outcome of a row
) -> None:
    condition = condition.replace("'", '"')
    own = "" if "others" in condition else f"    where: ['{condition}']\n"
    steps = f"steps:\n  - as: pay\n    event: transfer\n{own}"
    if not own:
        steps += "  - as: others\n    each: payee_added\n    before: pay\n    within: 1h\n"
        steps += f"    having: ['{condition}']\n"
    noted: list[tuple[str, Mapping[str, Value]]] = [pays(channel="web"), ("payee_added", {})]
    assert bool(said(rules_of(one=steps), noted)) is is_blind


def test_a_step_of_several_types_is_blind_only_if_none_of_them_can_be_bound() -> None:
    steps = """\
steps:
  - as: pay
    either:
      - {event: transfer, where: [payee_is_new]}
      - {event: loan_drawdown, where: [first]}
"""
    rule_set = rules_of(one=steps)
    no_transfer = [("transfer", {"amount": parse_money("1 CNY")})]
    assert said(rule_set, [*no_transfer, ("loan_drawdown", {"first": True})]) == []
    (sentence,) = said(rule_set, no_transfer)
    assert sentence == (
        "payee_is_new unknown in 1 of 1 transfer records and no loan_drawdown among 1 records:"
        " 1 rule blind (one)"
    )


def paid(own_id: str, sequence: int = 0, **data: Scalar) -> Record:
    """A transfer in which these fields are as given; those that are empty are left out."""
    record = build.transfer_record(own_id, build.ORIGIN_US, sequence=sequence)
    known = {name: value for name, value in {**record.data, **data}.items() if value != ""}
    return record._replace(data=known)


PHONED = build.call_record("c-1", build.ORIGIN_US)


def test_a_step_that_loses_events_now_and_then_says_how_many_and_for_what() -> None:
    rule_set = rules_of(one=CALL_AND_PAY, other=CALL_AND_PAY)
    unsaid = [paid(f"p-{n}", payee_times_paid="") for n in range(1_000)]
    yen = paid("y-1", currency="JPY")
    neither = paid("n-1", payee_times_paid="", currency="JPY")
    # One that is too small, or paid before, has failed on what is known.
    small = paid("s-1", payee_times_paid="", amount="1")
    again = paid("a-1", payee_times_paid=3, currency="JPY")
    told = [PHONED, paid("p"), *unsaid, *unsaid, yen, neither, small, again]
    assert replayed(rule_set, told) == [
        f"step pay: {count} of 2,005 transfer records failed because {fields} unknown,"
        f" in 2 rules (one, other)"
        for count, fields in (
            ("1,000", "payee_is_new is"),
            ("1", "amount is"),
            ("1", "amount and payee_is_new are"),
        )
    ]


def test_counting_many_alike_is_as_if_each_had_been_observed() -> None:
    rule_set = rules_of(one=CALL_AND_PAY)
    told = [paid(f"p-{n}", payee_times_paid="") for n in range(40)]
    events = [build.event_of(record, Timing()) for record in told]
    observed, counted = (
        Engine(rule_set, {("bank", 0): NEVER_US}, timing=Timing()) for _ in range(2)
    )
    for number, event in enumerate(events):
        observed.observe(build.facts_of(event, ("person",)), number)
    for fact in build.facts_of(events[0], ("person", "payee")):
        counted.count(fact, len(events))
    assert counted.lost() == observed.lost()
    assert "40" in str(counted.lost())


def test_an_event_of_which_more_becomes_known_is_lost_no_more() -> None:
    told = [PHONED, paid("p"), paid("q", payee_times_paid=""), paid("q", sequence=1)]
    assert replayed(rules_of(one=CALL_AND_PAY), told) == []


def test_a_step_that_is_blind_is_not_said_to_lose_events_too() -> None:
    (sentence,) = replayed(rules_of(one=CALL_AND_PAY), [PHONED, paid("q", payee_times_paid="")])
    assert sentence == "payee_is_new unknown in 1 of 1 transfer records: 1 rule blind (one)"


def test_what_the_screen_drops_blinds_nobody_and_is_counted_in_the_whole() -> None:
    rule_set = rules_of(one=CALL_AND_PAY)
    small = [paid(f"s-{n}", payee_times_paid="", amount="1") for n in range(9)]
    screen = Screen(rule_set)
    assert replayed(rule_set, [PHONED, *small], screen) == []
    (sentence,) = replayed(rule_set, [PHONED, *small, paid("q", payee_times_paid="")], screen)
    assert sentence == (
        "payee_is_new unknown in 1 of 1 transfer records kept, of 10: 1 rule blind (one)"
    )


def test_exceptions_and_evidence_say_what_they_lose() -> None:
    called = build.record_of("loan_drawdown", "l-1", build.ORIGIN_US)
    first = build.record_of("loan_drawdown", "l-2", build.ORIGIN_US, first=False)
    official = build.record_of("official_call", "o-1", build.ORIGIN_US)
    told = [PHONED, paid("p"), called, first, official]
    (sentence,) = replayed(rules_of(one=CALL_AND_PAY + PARTS), told)
    assert sentence == (
        "evidence fresh_loan: 1 of 2 loan_drawdown records failed because first is unknown,"
        " in 1 rule (one)"
    )


PARTS = """\
unless:
  - {event: official_call, around: call, within: 10m}
evidence:
  - {as: fresh_loan, event: loan_drawdown, before: pay, within: 6h, where: [first], weight: 30}
"""


def test_exceptions_and_evidence_that_can_never_be_there_are_named() -> None:
    rule_set = rules_of(one=CALL_AND_PAY + PARTS)
    noted = [CALL, pays(), ("loan_drawdown", {"amount": parse_money("1 CNY")})]
    evidence, unless = said(rule_set, noted)
    first = "first unknown in 1 of 1 loan_drawdown records"
    assert evidence == f"{first}: evidence fresh_loan is never there, in one"
    assert unless == (
        "no official_call among 3 records: unless official_call is never there, in one"
    )
    # A rule that is blind as a whole is named once.
    assert said(rule_set, [pays()]) == ["no call_invitation among 1 records: 1 rule blind (one)"]


def test_of_alerts_nothing_is_said_since_ingest_sees_none() -> None:
    text = """\
by: payee
steps:
  - as: hits
    each: alert
    where: [score >= 40]
    within: 72h
    having: [count(hits.person) >= 3]
anchor: hits
"""
    single = "steps:\n  - {as: hit, event: alert, where: [score >= 40]}\n"
    rule_set = rules_of(one=text, other=single)
    assert said(rule_set, []) == []
    assert replayed(rule_set, [paid("p")]) == [], "nor of what alerts do not say"


@given(st.randoms(use_true_random=False).map(draw_world))
def test_a_rule_that_is_called_blind_has_raised_nothing(world: World) -> None:
    events = [build.event_of(record, world.timing) for record in world.records]
    engine = Engine(world.rule_set, {("bank", 0): NEVER_US}, timing=world.timing)
    sightings = Sightings(world.rule_set)
    alerts = []
    for number, event in enumerate(events):
        sightings.note(event.identity.type, event.fields)
        alerts += engine.observe(build.facts_of(event, keys_of(world.rule_set)), number)
    alerts += engine.observe([Mark("bank", 0, END_US)], len(events))
    seen = Counter(event.identity.type for event in events)
    blind = " ".join(s for s in sightings.sentences(seen, engine.lost()) if "blind" in s)
    assert not any(alert.content["rule"]["id"] in blind for alert in alerts)


def test_money_of_an_unasked_currency_is_known_all_the_same() -> None:
    steps = "steps:\n  - {as: pay, event: transfer, where: [amount is not None]}\n"
    assert isinstance(KNOWN["amount"], Money)
    assert said(rules_of(one=steps), [pays(amount=parse_money("1 JPY"))]) == []


def test_the_blind_rules_are_those_of_which_some_step_can_never_be_fulfilled() -> None:
    rule_set = rules_of(both=CALL_AND_PAY)
    sightings, seen = Sightings(rule_set), {"call_invitation": 1}
    assert sightings.blind_rules(seen) == {"both"}
    sightings.note(*CALL)
    sightings.note("transfer", {})
    seen["transfer"] = 1
    # A transfer of which nothing is said is as good as none.
    assert sightings.blind_rules(seen) == {"both"}
    sightings.note("transfer", KNOWN)
    assert sightings.blind_rules(seen) == frozenset()
