"""The laws of explanations, on drawn rules and records: what agrees with the engine is true."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.authoring.explain import Explanation, Part, explain, nearest_misses
from rules.authoring.failures import MISSING, distance_of
from rules.authoring.fitting import Choice, Events
from rules.authoring.nearest import nearest
from rules.condition import Expression, Junction, Negation
from rules.fact import Event, Mark
from rules.rule import Rule
from rules.stages import Engine, event_of
from rules.watermark import END_US, NEVER_US
from tests.rules import build
from tests.rules.worlds import World, draw_world, keys_of

LAW = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
WORLDS = st.randoms(use_true_random=False).map(draw_world)


@dataclass(frozen=True)
class Case:
    """A rule, all events of one key, and the anchors at which the engine ends with an alert."""

    rule: Rule
    events: tuple[Event, ...]
    raised: frozenset[tuple[str, str, str]]

    def explanations(self) -> Iterator[tuple[Event, Explanation]]:
        """Every anchor that no other one shares its own id with, and what is said of it."""
        anchors = Events(self.rule, self.events).anchors
        ids = [event.identity.id for event in anchors]
        for anchor in anchors:
            if ids.count(anchor.identity.id) == 1:
                yield anchor, explain(self.rule, self.events, anchor.identity.id)


def cases(world: World) -> Iterator[Case]:
    """Every rule of a world with every key."""
    events = [build.event_of(record, world.timing) for record in world.records]
    engine = Engine(world.rule_set, {("bank", 0): NEVER_US}, timing=world.timing)
    written = []
    for number, event in enumerate(events):
        written += engine.observe(build.facts_of(event, keys_of(world.rule_set)), number)
    written += engine.observe([Mark("bank", 0, END_US)], len(events))
    last = {alert.alert_id: alert for alert in written}
    raised = [alert.content for alert in last.values() if alert.state == "raised"]
    first = {rule.id for rule in world.rule_set.first_stage.rules}
    alerts = [event_of(a) for a in last.values() if a.content["rule"]["id"] in first]
    for rule in world.rule_set.rules:
        known = (*events, *(alerts if rule.reads_alerts else ()))
        for key in sorted({event.keys().get(rule.by, "") for event in known} - {""}):
            yield Case(
                rule,
                tuple(event for event in known if event.keys().get(rule.by) == key),
                frozenset(
                    (said["anchor"]["source"], said["anchor"]["type"], said["anchor"]["id"])
                    for said in raised
                    if said["rule"]["id"] == rule.id and said["key"] == key
                ),
            )


@given(WORLDS)
@LAW
def test_what_is_said_to_match_is_what_the_engine_ends_with(world: World) -> None:
    for case in cases(world):
        for anchor, explanation in case.explanations():
            assert explanation.matched is (tuple(anchor.identity) in case.raised)
            assert explanation.matched is not bool(explanation.misses)
        whole = explain(case.rule, case.events)
        assert whole.matched is bool(case.raised)
        if whole.matched:
            assert len(whole.others) + 1 == len(case.raised)


@given(WORLDS, st.randoms(use_true_random=False))
@LAW
def test_an_explanation_does_not_depend_on_order_or_repeats(world: World, random: Random) -> None:
    for case in cases(world):
        shuffled = [*case.events, *case.events]
        random.shuffle(shuffled)
        said = explain(case.rule, case.events)
        assert explain(case.rule, shuffled).as_lines() == said.as_lines()
        assert explain(case.rule, shuffled).as_json() == said.as_json()
        assert nearest_misses(case.rule, shuffled) == nearest_misses(case.rule, case.events)


@given(WORLDS)
@LAW
def test_what_a_step_fails_on_is_what_is_not_true_of_it(world: World) -> None:
    for case in cases(world):
        for _, explanation in case.explanations():
            for part in explanation.parts:
                _check_part(explanation, part)


def _check_part(explanation: Explanation, part: Part) -> None:
    verdict = part.verdict
    if verdict.is_there is None or verdict.bound is None:
        assert part.checks == ()
        return
    assert verdict.is_there is not bool(verdict.failures)
    assert verdict.is_there is all(check.outcome is True for check in part.checks)
    if verdict.role == "step":
        named = [miss for miss in explanation.misses if miss.step == verdict.step.name]
        assert tuple(named) == verdict.failures


@given(WORLDS)
@LAW
def test_a_condition_would_hold_if_what_it_fails_on_were_otherwise(world: World) -> None:
    for case in cases(world):
        known = Events(case.rule, case.events)
        for part, step in enumerate(case.rule.parts):
            for event in known.of_part(part):
                alone: list[Any] = [None] * (len(case.rule.parts) + 1)
                alone[part] = event
                for condition in step.own[event.identity.type]:
                    value = known.failures.value(condition.expression, alone)
                    found = known.failures.of_condition(step.name, condition, alone)
                    assert (value is True) is not bool(found)
                    causes = [f.cause for f in found if f.cause is not None]
                    for node, want in causes:
                        assert known.failures.value(node, alone) is not want
                    mended = {id(node): want for node, want in causes}
                    assert _truth(condition.expression, known, alone, mended) is True


def _truth(
    node: Expression, known: Events, chosen: Sequence[Any], mended: Mapping[int, bool]
) -> bool | None:
    """What a condition comes to if some of its parts have the truth that they are given."""
    if id(node) in mended:
        return mended[id(node)]
    match node:
        case Negation():
            value = _truth(node.part, known, chosen, mended)
            return None if value is None else not value
        case Junction():
            values = {_truth(part, known, chosen, mended) for part in node.parts}
            settled = node.op == "or"
            return settled if settled in values else None if None in values else not settled
    found: bool | None = known.failures.value(node, chosen)
    return found


@given(WORLDS)
@LAW
def test_no_choice_is_nearer_than_the_one_that_is_reported(world: World) -> None:
    for case in cases(world):
        known = Events(case.rule, case.events)
        for anchor in known.anchors:
            if known.match(anchor) is not None:
                continue
            found = nearest(known, [anchor])
            free = [part for part in known.plan.single if part != known.plan.anchor]
            bound = [found.choice.bound[part] for part in free]
            rivals = list(_choices(known, anchor, free))
            # Where no choice fills every step, something has to be left empty.
            if not rivals or None in bound:
                continue
            assert found.cost == _cost(case.rule, found.choice)
            places = [event.place for event in bound if isinstance(event, Event)]
            assert (-found.cost, places) == max(rivals)


def _choices(known: Events, anchor: Event, free: Sequence[int]) -> Iterator[tuple[int, list[Any]]]:
    for events in product(*(known.of_part(part) for part in free)):
        if len({id(event) for event in (anchor, *events)}) <= len(events):
            continue
        chosen: list[Any] = [None] * len(known.rule.parts) + [anchor]
        for part, event in ((known.plan.anchor, anchor), *zip(free, events, strict=True)):
            chosen[part] = event
        yield -_cost(known.rule, known.judged(chosen)), [event.place for event in events]


def _cost(rule: Rule, choice: Choice) -> int:
    """What the definition says, in one number: parts not fulfilled first, then the distance."""
    cost = 0
    for verdict in choice.verdicts:
        if verdict.misses:
            # A set without members counts as missing, but the anchor of a set is there.
            is_set = verdict.role == "step" and verdict.step.each
            is_empty = is_set and isinstance(verdict.bound, Event | None)
            is_empty = is_empty and (verdict.step.name != rule.anchor or choice.anchor is None)
            cost += 10**12 + (MISSING if is_empty else distance_of(verdict.misses))
    return cost
