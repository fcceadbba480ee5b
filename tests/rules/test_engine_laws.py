"""The laws of the engine, tried on drawn rule sets, logs and ways in which the logs arrive."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.fact import Event, Fact, Mark, split_key
from rules.history import Rows
from rules.memory import Memory
from rules.moment import format_moment
from rules.row import Sealed, encode_event
from rules.rule import RuleSet
from rules.screen import Screen
from rules.shelf import Shelf
from rules.stages import Claims
from rules.timing import MAX_HISTORY, Timing
from rules.watermark import NEVER_US, Watermarks
from tests.rules.build import SIGNAL
from tests.rules.deliveries import (
    Delivery,
    begin,
    draw_delivery,
    last_by_id,
    observe_all,
    raised,
    run,
    steps_of,
)
from tests.rules.oracle import final_alerts, told
from tests.rules.worlds import TYPES, World, draw_world

Law = Callable[[Any], None]
Drawn = tuple[World, Delivery]

RANDOMS = st.randoms(use_true_random=False)


def _draw(random: Random, *, truthful: bool = True, campaigns: bool | None = None) -> Drawn:
    world = draw_world(random, campaigns=campaigns)
    return world, draw_delivery(random, world, truthful=truthful)


def _draw_twice(random: Random) -> tuple[World, Delivery, Delivery]:
    world, delivery = _draw(random)
    return world, delivery, draw_delivery(random, world)


TRUTHFUL = RANDOMS.map(_draw)
CAMPAIGNS = RANDOMS.map(lambda random: _draw(random, campaigns=True))
EITHER = RANDOMS.map(lambda random: _draw(random, truthful=random.random() < 0.5))
TWICE = RANDOMS.map(_draw_twice)
CAPS = st.sampled_from((MAX_HISTORY, 1, 2))
BROKEN_OFF = st.tuples(EITHER, st.floats(0, 1), CAPS)
SOMEWHERE = st.tuples(st.one_of(TRUTHFUL, CAMPAIGNS), st.floats(0, 1))
RESTING = st.tuples(EITHER, CAPS, st.sampled_from((Shelf.PLACES, 1, 2)))
FLOODED = st.tuples(EITHER, st.sampled_from((1, 2, 3)))


def final_alerts_are_those_of_the_oracle(drawn: Drawn) -> None:
    world, delivery = drawn
    assert raised(run(world, delivery)) == final_alerts(
        world.records, world.rule_set, world.timing
    )


def evidence_stands_as_its_greatest_record_tells_it(drawn: Drawn) -> None:
    world, delivery = drawn
    events = {event.record.name: event for event in told(world.records, world.timing)}
    for alert in last_by_id(run(world, delivery)).values():
        if alert.state == "raised":
            for shown in alert.content["evidence"]:
                if "count" in shown or shown["type"] == "alert":
                    continue
                event = events[shown["source"], shown["type"], shown["id"]]
                assert shown["at"] == format_moment(event.start_us)
                assert shown["until"] == format_moment(event.end_us)
                assert shown["late"] is False


def final_records_are_alike_for_all_deliveries(drawn: tuple[World, Delivery, Delivery]) -> None:
    world, first, second = drawn
    assert _final_contents(run(world, first)) == _final_contents(run(world, second))


def steps_do_not_change_final_records(drawn: Drawn) -> None:
    world, delivery = drawn
    rows = [row for step in steps_of(world, delivery) for row in step]
    at_once = begin(world, delivery).observe(rows, 0)
    one_by_one = observe_all(begin(world, delivery), [[row] for row in rows])
    assert _final_contents(at_once) == _final_contents(one_by_one)


class _Logged(Correlator):
    """A correlator that keeps the log of its rows, what it wrote, and its watermarks before."""

    def __init__(self, rule_set: RuleSet, like: Correlator, timing: Timing, cap: int) -> None:
        self.rule_set = replace(rule_set, max_history=cap)
        super().__init__(self.rule_set, like.watermarks.as_mapping(), timing=timing)
        self.timing = timing
        self.log: list[tuple[Sequence[Fact | Sealed | Mark], int, list[Alert]]] = []
        self.vectors = [self.watermarks.as_mapping()]
        self.oldest: list[int | None] = [None]

    def observe(self, rows: Sequence[Fact | Sealed | Mark], revision: int) -> list[Alert]:
        written = super().observe(rows, revision)
        self.log.append((rows, revision, written))
        self.vectors.append(self.watermarks.as_mapping())
        self.oldest.append(self.oldest_revision())
        return written


def restart_changes_nothing_that_is_still_to_come(drawn: tuple[Drawn, float, int]) -> None:
    (world, delivery), where, cap = drawn
    engine = begin(world, delivery)
    first = engine.first = _Logged(world.rule_set.first_stage, engine.first, world.timing, cap)
    second = engine.second = _Logged(world.rule_set.second_stage, engine.second, world.timing, cap)
    observe_all(engine, steps_of(world, delivery))
    stop = int(where * len(first.log))
    assert _claimed(world, _since(first, stop), stop) == _claimed(
        world, [written for _, _, written in first.log], stop
    )
    if second.log:
        _since(second, stop)


def _since(lane: _Logged, stop: int) -> list[list[Alert]]:
    """Restart a lane before a step, compare what it writes from there on; return all of that.

    What comes before that step is observed unread.
    """
    oldest = lane.oldest[stop]
    since = stop if oldest is None else oldest
    rebuilt = Correlator(lane.rule_set, lane.vectors[since], timing=lane.timing)
    written: list[list[Alert]] = [[] for _ in range(since)]
    for number in range(since, len(lane.log)):
        rows, revision, expected = lane.log[number]
        written.append(rebuilt.observe(sealed(rows) if number < stop else rows, revision))
        if number >= stop:
            assert list(map(encode_alert, written[-1])) == list(map(encode_alert, expected))
    return written


def _claimed(world: World, written: Sequence[Sequence[Alert]], stop: int) -> list[object]:
    """What the second stage is told of these alerts from a step on."""
    claims = Claims(world.rule_set.second_stage)
    facts = [[fact for a in alerts for fact in claims.facts(a)] for alerts in written]
    return [(f.key, f.event.rank, f.event.gone) for step in facts[stop:] for f in step]


def sealed(rows: Sequence[Fact | Sealed | Mark]) -> list[Fact | Sealed | Mark]:
    """The rows of a step as a rebuild takes them in."""
    return [_seal(row.key, row.event) if isinstance(row, Fact) else row for row in rows]


def _seal(key: str, event: Event) -> Sealed:
    data = msgspec.Raw(msgspec.json.encode(event.data))
    by, _ = split_key(key)
    return Sealed(key, by, event.identity.type, event.start_us, data, encode_event(event))


def what_is_at_rest_is_as_it_was(drawn: tuple[Drawn, int, int]) -> None:
    (world, delivery), cap, places = drawn
    steps = steps_of(world, delivery)
    plain, resting = begin(world, delivery, cap), begin(world, delivery, cap)
    for number, rows in enumerate(steps):
        expected = plain.observe(rows, number)
        with at_rest(places):
            found = resting.observe(rows, number)
        assert list(map(encode_alert, found)) == list(map(encode_alert, expected))
        assert resting.first.oldest_revision() == plain.first.oldest_revision()
    assert resting.lost() == plain.lost()
    assert resting.first.counts == plain.first.counts


def what_is_not_read_until_it_matters_changes_nothing(
    drawn: tuple[Drawn, float, int],
) -> None:
    (world, delivery), where, cap = drawn
    steps = steps_of(world, delivery)
    rules = replace(world.rule_set.first_stage, max_history=cap)
    roster = dict.fromkeys(delivery.declared, NEVER_US)
    read = Correlator(rules, roster, timing=world.timing)
    unread = Correlator(rules, roster, timing=world.timing)
    for number, rows in enumerate(steps):
        expected = read.observe(rows, number)
        found = unread.observe(sealed(rows) if number < where * len(steps) else rows, number)
        assert list(map(encode_alert, found)) == list(map(encode_alert, expected))
        assert unread.oldest_revision() == read.oldest_revision()
        assert unread.counts == read.counts


def every_alert_ends_with_its_one_final_record(drawn: Drawn) -> None:
    alerts = run(*drawn)
    finals = Counter(alert.alert_id for alert in alerts if alert.final)
    assert finals == Counter(last_by_id(alerts).keys())
    for alert in alerts:
        assert bool(alert.undecided) is not alert.final
    assert all(alert.final for alert in last_by_id(alerts).values())


def a_cap_takes_no_alert_away(drawn: tuple[Drawn, int]) -> None:
    (world, delivery), cap = drawn
    engine = begin(world, delivery, cap)
    truncated: dict[str, object] = {}
    final: set[str] = set()
    keys = 2 * len(TYPES) * len({rule.by for rule in world.rule_set.rules}) * 2
    for number, rows in enumerate(steps_of(world, delivery)):
        for alert in engine.observe(rows, number):
            assert alert.alert_id not in final
            if alert.alert_id in truncated:
                assert alert.state == "raised"
                assert alert.content == truncated[alert.alert_id]
            if alert.content.get("truncated"):
                truncated[alert.alert_id] = alert.content
            final |= {alert.alert_id} if alert.final else set()
        assert engine.first.remembered()[1] <= cap * keys
    assert engine.first.remembered() == engine.second.remembered() == (0, 0)
    assert truncated.keys() <= final


def revisions_only_grow(drawn: Drawn) -> None:
    reached: dict[str, int] = {}
    for alert in run(*drawn):
        # Above what was reached, not equal to it: one record for each alert and step at most.
        assert alert.revision > reached.get(alert.alert_id, -1)
        reached[alert.alert_id] = alert.revision


def no_record_repeats_the_one_before(drawn: Drawn) -> None:
    written: dict[str, tuple[object, ...]] = {}
    for alert in run(*drawn):
        says = (alert.state, alert.final, alert.content)
        assert alert.alert_id in written or alert.state == "raised"
        assert written.get(alert.alert_id) != says
        written[alert.alert_id] = says


def a_rule_that_waits_is_silent_until_it_is_certain(drawn: Drawn) -> None:
    world, delivery = drawn
    waiting = {rule.id for rule in world.rule_set.rules if rule.raises == "when_final"}
    for alert in run(world, delivery):
        if alert.content["rule"]["id"] in waiting:
            assert (alert.state, alert.final) == ("raised", True)


def an_alert_is_a_signal_if_its_rule_asks_for_nothing(drawn: Drawn) -> None:
    world, delivery = drawn
    signals = {rule.id for rule in world.rule_set.rules if rule.bands == SIGNAL}
    for alert in run(world, delivery):
        assert alert.is_signal is (alert.content["rule"]["id"] in signals)


def nothing_is_remembered_after_the_end(drawn: Drawn) -> None:
    world, delivery = drawn
    engine = begin(world, delivery)
    steps = steps_of(world, delivery)
    observe_all(engine, steps)
    # Whatever came once more is too late to be used.
    for rows in [[], *steps]:
        assert engine.observe(rows, 10_000) == []
        for stage in (engine.first, engine.second):
            assert (*stage.remembered(), stage.oldest_revision()) == (0, 0, None)


def what_the_screen_drops_is_never_missed(drawn: Drawn) -> None:
    world, delivery = drawn
    screened = run(world, delivery, Screen(world.rule_set))
    assert _final_contents(screened) == _final_contents(run(world, delivery))


def same_rows_give_the_same_bytes(drawn: Drawn) -> None:
    first, second = run(*drawn), run(*drawn)
    assert list(map(encode_alert, first)) == list(map(encode_alert, second))


def marks_may_wait_until_they_are_due(drawn: Drawn) -> None:
    world, delivery = drawn
    steps = steps_of(world, delivery)
    engine, watermarks = begin(world, delivery), Watermarks(delivery.declared)
    waiting: list[Mark] = []
    written: list[Alert] = []
    for number, rows in enumerate(steps):
        marks = [row for row in rows if isinstance(row, Mark)]
        for mark in marks:
            watermarks.raise_to((mark.feed, mark.partition), mark.watermark_us)
        if len(marks) == len(rows) and watermarks.minimum_us <= engine.next_due_us:
            waiting += marks
            continue
        if len(marks) == len(rows):
            written += engine.observe([*waiting, *marks], number)
        else:
            assert engine.observe(waiting, number - 1) == []
            written += engine.observe(rows, number)
        waiting = []
    expected = observe_all(begin(world, delivery), steps)
    assert list(map(encode_alert, written)) == list(map(encode_alert, expected))


def a_log_that_begins_late_gives_the_alerts_of_anchors_a_reach_later(
    drawn: tuple[Drawn, float],
) -> None:
    (world, delivery), where = drawn
    rules = world.rule_set
    starts = sorted(event.start_us for event in told(world.records, world.timing))
    since_us = starts[int(where * (len(starts) - 1))] if starts else 0
    roster = dict.fromkeys(delivery.declared, NEVER_US)
    # What rests on alerts rests on what those rest on.
    later_us = since_us + rules.first_stage.reach_us
    engine = begin(world, delivery)
    engine.first = Correlator(rules.first_stage, roster, timing=world.timing, since_us=since_us)
    engine.second = Correlator(
        rules.second_stage,
        engine.second.watermarks.as_mapping(),
        timing=world.timing,
        since_us=later_us,
    )
    steps = [
        [row for row in rows if isinstance(row, Mark) or row.event.start_us >= since_us]
        for rows in steps_of(world, delivery)
    ]
    first_us = {
        rule.id: rule.span.reach_us + (later_us if rule.reads_alerts else since_us)
        for rule in rules.rules
    }
    expected = [a for a in run(world, delivery) if a.anchor_start_us >= first_us[_rule(a)]]
    assert _final_contents(observe_all(engine, steps)) == _final_contents(expected)


def _rule(alert: Alert) -> str:
    return str(alert.content["rule"]["id"])


def cutting_off_ends_every_open_alert_and_no_other(drawn: tuple[Drawn, float]) -> None:
    (world, delivery), where = drawn
    engine = begin(world, delivery)
    steps = steps_of(world, delivery)
    last = last_by_id(observe_all(engine, steps[: int(where * len(steps))]))
    ended = [*engine.first.cut_off(10_000), *engine.second.cut_off(10_000)]
    assert {a.alert_id for a in ended} == {i for i, a in last.items() if not a.final}
    assert len({a.alert_id for a in ended}) == len(ended)
    for alert in ended:
        before = last[alert.alert_id]
        assert (alert.final, alert.undecided, alert.revision) == (True, (), 10_000)
        assert (alert.state, alert.content) == (before.state, before.content)


def _final_contents(alerts: list[Alert]) -> dict[str, tuple[object, ...]]:
    """What the last record of each raised alert says, apart from its revision."""
    return {
        name: (alert.anchor_start_us, alert.settles_at_us, alert.content)
        for name, alert in last_by_id(alerts).items()
        if alert.state == "raised"
    }


@contextmanager
def crowds() -> Iterator[None]:
    """Let the engine take any number of events for many, with what it does only for many."""
    few, Rows.FEW = Rows.FEW, 0
    try:
        yield
    finally:
        Rows.FEW = few


@contextmanager
def at_rest(places: int = Shelf.PLACES) -> Iterator[None]:
    """Let the engine put everything to rest that nothing is being done with."""
    recent, Memory.RECENT = Memory.RECENT, 0
    most, Shelf.PLACES = Shelf.PLACES, places
    try:
        yield
    finally:
        Memory.RECENT, Shelf.PLACES = recent, most


def _under(law: Law, where: Callable[[], AbstractContextManager[None]], how: str) -> Law:
    def hold(drawn: object) -> None:
        with where():
            law(drawn)

    hold.__name__ = f"{law.__name__}_{how}"
    return hold


def in_crowds(law: Law) -> Law:
    """The same law, where every event is one of many."""
    return _under(law, crowds, "in_crowds")


def while_all_rests(law: Law) -> Law:
    """The same law, where whatever can be at rest is."""
    return _under(law, at_rest, "while_all_rests")


LAWS: list[tuple[Law, st.SearchStrategy[Any], int]] = [
    (final_alerts_are_those_of_the_oracle, TRUTHFUL, 300),
    (final_alerts_are_those_of_the_oracle, CAMPAIGNS, 200),
    (in_crowds(final_alerts_are_those_of_the_oracle), TRUTHFUL, 300),
    (evidence_stands_as_its_greatest_record_tells_it, TRUTHFUL, 40),
    (final_records_are_alike_for_all_deliveries, TWICE, 60),
    (steps_do_not_change_final_records, TRUTHFUL, 60),
    (restart_changes_nothing_that_is_still_to_come, BROKEN_OFF, 200),
    (in_crowds(restart_changes_nothing_that_is_still_to_come), BROKEN_OFF, 100),
    (while_all_rests(restart_changes_nothing_that_is_still_to_come), BROKEN_OFF, 100),
    (what_is_at_rest_is_as_it_was, RESTING, 300),
    (what_is_not_read_until_it_matters_changes_nothing, BROKEN_OFF, 300),
    (while_all_rests(what_is_not_read_until_it_matters_changes_nothing), BROKEN_OFF, 150),
    (while_all_rests(final_alerts_are_those_of_the_oracle), TRUTHFUL, 100),
    (while_all_rests(nothing_is_remembered_after_the_end), EITHER, 60),
    (while_all_rests(a_cap_takes_no_alert_away), FLOODED, 60),
    (every_alert_ends_with_its_one_final_record, EITHER, 150),
    (a_cap_takes_no_alert_away, FLOODED, 150),
    (revisions_only_grow, EITHER, 40),
    (no_record_repeats_the_one_before, EITHER, 40),
    (a_rule_that_waits_is_silent_until_it_is_certain, EITHER, 60),
    (an_alert_is_a_signal_if_its_rule_asks_for_nothing, EITHER, 30),
    (nothing_is_remembered_after_the_end, EITHER, 60),
    (what_the_screen_drops_is_never_missed, TRUTHFUL, 100),
    (same_rows_give_the_same_bytes, EITHER, 30),
    (a_log_that_begins_late_gives_the_alerts_of_anchors_a_reach_later, SOMEWHERE, 200),
    (cutting_off_ends_every_open_alert_and_no_other, SOMEWHERE, 60),
    (marks_may_wait_until_they_are_due, EITHER, 150),
    (marks_may_wait_until_they_are_due, CAMPAIGNS, 100),
]
NAMES = [f"{law.__name__}{'_in_campaigns' if s is CAMPAIGNS else ''}" for law, s, _ in LAWS]


@pytest.mark.parametrize(("law", "drawn", "examples"), LAWS, ids=NAMES)
def test_law_holds(law: Law, drawn: st.SearchStrategy[Any], examples: int) -> None:
    _try(law, drawn, examples)


@pytest.mark.slow
@pytest.mark.parametrize(("law", "drawn", "examples"), LAWS, ids=NAMES)
def test_law_holds_in_many_more_worlds(
    law: Law, drawn: st.SearchStrategy[Any], examples: int
) -> None:
    _try(law, drawn, 3 * examples)


def test_final_alerts_are_those_of_the_oracle_in_a_thousand_seeded_worlds() -> None:
    # What cannot be made simpler is drawn faster, and more evenly.
    for seed in range(1_000):
        random = Random(seed)  # noqa: S311 - nothing is kept secret by it
        with crowds() if seed % 2 else nullcontext():
            final_alerts_are_those_of_the_oracle(_draw(random))


def _try(law: Law, drawn: st.SearchStrategy[Any], examples: int) -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    # A busy machine is no bug, neither of the engine nor of the strategies.
    limits = settings(
        max_examples=examples,
        # Of a broken engine it is enough to know that it is broken.
        phases=phases[:-1] if "RINGFENCE_TEST_UNSHRUNK" in os.environ else phases,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    limits(given(drawn)(law))()
