"""The consumer in the documents: what it keeps is right whatever repeats or comes out of order."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.examples.consume_alerts import Desk, to_do


def alert(revision: int, alert_id: str = "a", **more: object) -> dict[str, Any]:
    told = {"state": "raised", "final": False, "severity": "high", "action": "hold", "score": 50}
    return {"alert_id": alert_id, "revision": revision, "incident": "i", **told, **more}


def message(told: dict[str, Any]) -> bytes:
    return json.dumps({"type": "ringfence.alert.v1", "data": told}).encode()


def desk_after(messages: Sequence[dict[str, Any]]) -> tuple[list[str | None], list[Any]]:
    """Return what there was to do, and what a desk knows in the end."""
    with closing(sqlite3.connect(":memory:")) as database:
        desk = Desk(database)
        done = [desk.take(message(told)) for told in messages]
        return done, sorted(
            map(json.loads, (x for (x,) in database.execute("SELECT said FROM alert"))),
            key=lambda told: str(told["alert_id"]),
        )


RECORDS = [
    alert(revision, alert_id, state=state, final=revision == 4)
    for alert_id in ("a", "b")
    for revision, state in enumerate(("raised", "withdrawn", "raised", "raised", "withdrawn"))
]


@given(st.lists(st.sampled_from(RECORDS)), st.permutations(RECORDS))
def test_the_greatest_revision_wins_in_any_order_with_any_repeats(
    before: list[dict[str, Any]], order: list[dict[str, Any]]
) -> None:
    assert desk_after([*before, *order])[1] == [RECORDS[4], RECORDS[9]]


def test_a_repeat_asks_for_nothing() -> None:
    history = [alert(1), alert(2, final=True)]
    assert desk_after([*history, *history])[0] == ["act", "close", None, None]


@pytest.mark.parametrize(
    ("before", "told", "what"),
    [
        (None, alert(1), "act"),
        (None, alert(1, state="withdrawn"), None),
        (alert(1), alert(2), None),
        (alert(1), alert(2, score=60), "act again"),
        (alert(1), alert(2, final=True), "close"),
        (alert(1), alert(2, final=True, action="block"), "act again"),
        (alert(1), alert(2, state="withdrawn"), "release"),
        (alert(1, state="withdrawn"), alert(2), "act"),
        (alert(1, state="withdrawn"), alert(2, state="withdrawn", final=True), None),
    ],
)
def test_what_there_is_to_do(
    before: dict[str, Any] | None, told: dict[str, Any], what: str | None
) -> None:
    assert to_do(before, told) == what


def test_alerts_of_one_incident_are_bundled_and_each_is_kept() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        desk = Desk(database)
        desk.take(message(alert(1)))
        assert desk.is_first_of_incident(alert(1))
        desk.take(message(alert(2, "b")))
        assert not desk.is_first_of_incident(alert(2, "b"))
        desk.take(message(alert(3, state="withdrawn")))
        assert desk.is_first_of_incident(alert(2, "b"))


def test_what_is_no_alert_is_none_of_its_business() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        assert Desk(database).take(b'{"type": "another.v1"}') is None
