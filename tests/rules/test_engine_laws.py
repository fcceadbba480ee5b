"""The laws of the engine, tried on drawn rule sets, logs and ways in which the logs arrive."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.alert import Alert, encode_alert
from rules.engine import Correlator
from rules.moment import format_moment
from rules.screen import Screen
from tests.rules.deliveries import (
    Delivery,
    begin,
    deliveries,
    end_of,
    last_by_id,
    raised,
    run,
    steps_of,
)
from tests.rules.oracle import final_alerts, told
from tests.rules.worlds import World, worlds

Law = Callable[[Any], None]

TRUTHFUL = worlds().flatmap(lambda world: st.tuples(st.just(world), deliveries(world)))
UNTRUTHFUL = worlds().flatmap(
    lambda world: st.tuples(st.just(world), deliveries(world, truthful=False))
)
EITHER = st.booleans().flatmap(lambda truthful: TRUTHFUL if truthful else UNTRUTHFUL)
TWICE = worlds().flatmap(
    lambda world: st.tuples(st.just(world), deliveries(world), deliveries(world))
)
BROKEN_OFF = st.tuples(EITHER, st.floats(0, 1))


def final_alerts_are_those_of_the_oracle(drawn: tuple[World, Delivery]) -> None:
    world, delivery = drawn
    assert raised(run(world, delivery)) == final_alerts(
        world.records, world.rule_set, world.timing
    )


def evidence_stands_as_its_greatest_record_tells_it(drawn: tuple[World, Delivery]) -> None:
    world, delivery = drawn
    events = {event.record.name: event for event in told(world.records, world.timing)}
    for alert in last_by_id(run(world, delivery)).values():
        if alert.state == "raised":
            for shown in alert.content["evidence"]:
                event = events[shown["source"], shown["type"], shown["id"]]
                assert shown["at"] == format_moment(event.start_us)
                assert shown["until"] == format_moment(event.end_us)
                assert shown["late"] is False


def final_records_are_alike_for_all_deliveries(drawn: tuple[World, Delivery, Delivery]) -> None:
    world, first, second = drawn
    assert _final_contents(run(world, first)) == _final_contents(run(world, second))


def steps_do_not_change_final_records(drawn: tuple[World, Delivery]) -> None:
    world, delivery = drawn
    rows = [row for step in [*steps_of(world, delivery), end_of(delivery)] for row in step]
    at_once = begin(world, delivery).observe(rows, 0)
    correlator = begin(world, delivery)
    one_by_one = [a for n, row in enumerate(rows) for a in correlator.observe([row], n)]
    assert _final_contents(at_once) == _final_contents(one_by_one)


def restart_changes_nothing_that_is_still_to_come(
    drawn: tuple[tuple[World, Delivery], float],
) -> None:
    (world, delivery), where = drawn
    steps = [*steps_of(world, delivery), end_of(delivery)]
    stop = int(where * len(steps))
    undisturbed = begin(world, delivery)
    vectors = []
    for number, rows in enumerate(steps[:stop]):
        vectors.append(undisturbed.watermarks.as_mapping())
        undisturbed.observe(rows, number)
    vectors.append(undisturbed.watermarks.as_mapping())
    oldest = undisturbed.oldest_revision()
    since = stop if oldest is None else oldest
    rebuilt = Correlator(world.rule_set, vectors[since])
    for number in range(since, stop):
        rebuilt.observe(steps[number], number)
    for number in range(stop, len(steps)):
        expected = undisturbed.observe(steps[number], number)
        again = rebuilt.observe(steps[number], number)
        assert [encode_alert(a) for a in again] == [encode_alert(a) for a in expected]


def every_alert_ends_with_its_one_final_record(drawn: tuple[World, Delivery]) -> None:
    alerts = run(*drawn)
    finals = Counter(alert.alert_id for alert in alerts if alert.final)
    assert finals == Counter(last_by_id(alerts).keys())
    assert all(alert.final and not alert.undecided for alert in last_by_id(alerts).values())


def revisions_only_grow(drawn: tuple[World, Delivery]) -> None:
    reached: dict[str, int] = {}
    for alert in run(*drawn):
        # Above what was reached, not equal to it: one record for each alert and step at most.
        assert alert.revision > reached.get(alert.alert_id, -1)
        reached[alert.alert_id] = alert.revision


def no_record_repeats_the_one_before(drawn: tuple[World, Delivery]) -> None:
    written: dict[str, tuple[object, ...]] = {}
    for alert in run(*drawn):
        says = (alert.state, alert.final, alert.content)
        assert alert.alert_id in written or alert.state == "raised"
        assert written.get(alert.alert_id) != says
        written[alert.alert_id] = says


def nothing_is_remembered_after_the_end(drawn: tuple[World, Delivery]) -> None:
    world, delivery = drawn
    correlator = begin(world, delivery)
    for number, rows in enumerate([*steps_of(world, delivery), end_of(delivery)]):
        correlator.observe(rows, number)
    assert correlator.oldest_revision() is None
    for arrival_rows in steps_of(world, delivery):
        assert correlator.observe(arrival_rows, 10_000) == []
    assert correlator.oldest_revision() is None


def what_the_screen_drops_is_never_missed(drawn: tuple[World, Delivery]) -> None:
    world, delivery = drawn
    screened = run(world, delivery, Screen(world.rule_set))
    assert _final_contents(screened) == _final_contents(run(world, delivery))


def same_rows_give_the_same_bytes(drawn: tuple[World, Delivery]) -> None:
    first, second = run(*drawn), run(*drawn)
    assert [encode_alert(a) for a in first] == [encode_alert(a) for a in second]


def _final_contents(alerts: list[Alert]) -> dict[str, tuple[object, ...]]:
    """What the last record of each raised alert says, apart from its revision."""
    return {
        name: (alert.anchor_start_us, alert.settles_at_us, alert.content)
        for name, alert in last_by_id(alerts).items()
        if alert.state == "raised"
    }


LAWS = [
    (final_alerts_are_those_of_the_oracle, TRUTHFUL, 300),
    (evidence_stands_as_its_greatest_record_tells_it, TRUTHFUL, 40),
    (final_records_are_alike_for_all_deliveries, TWICE, 60),
    (steps_do_not_change_final_records, TRUTHFUL, 60),
    (restart_changes_nothing_that_is_still_to_come, BROKEN_OFF, 150),
    (every_alert_ends_with_its_one_final_record, EITHER, 200),
    (revisions_only_grow, EITHER, 40),
    (no_record_repeats_the_one_before, EITHER, 40),
    (nothing_is_remembered_after_the_end, EITHER, 60),
    (what_the_screen_drops_is_never_missed, TRUTHFUL, 100),
    (same_rows_give_the_same_bytes, EITHER, 30),
]
NAMES = [law.__name__ for law, _, _ in LAWS]


@pytest.mark.parametrize(("law", "drawn", "examples"), LAWS, ids=NAMES)
def test_law_holds(law: Law, drawn: st.SearchStrategy[Any], examples: int) -> None:
    _try(law, drawn, examples)


@pytest.mark.slow
@pytest.mark.parametrize(("law", "drawn", "examples"), LAWS, ids=NAMES)
def test_law_holds_in_many_more_worlds(
    law: Law, drawn: st.SearchStrategy[Any], examples: int
) -> None:
    _try(law, drawn, 10 * examples)


def _try(law: Law, drawn: st.SearchStrategy[Any], examples: int) -> None:
    # A busy machine is no bug, neither of the engine nor of the strategies.
    limits = settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    limits(given(drawn)(law))()
