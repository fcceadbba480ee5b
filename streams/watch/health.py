"""Whether a worker works: the one sentence that says why not, or None."""

from collections.abc import Iterable
from typing import Any

from streams.intake import Intake
from streams.lanes import Lane, LaneStage


def stalled(lanes: Iterable[Lane[Any]], now_s: float, after_s: float) -> list[Lane[Any]]:
    """Return the lanes that have had work in hand for some seconds and have not moved."""
    return [x for x in lanes if x.moved_at_s is not None and now_s - x.moved_at_s > after_s]


def why_unhealthy(intake: Intake, now_s: float, after_s: float) -> str | None:
    """Return why the worker should be restarted, or None.

    Whoever gets an answer knows that the event loop turns: it is what answers.
    """
    if intake.crashed:
        return "the worker has crashed and is about to end"
    for lane in stalled(intake.lanes.values(), now_s, after_s):
        topic, number = lane.partition
        return (
            f'topic "{topic}" partition {number} has had work in hand for'
            f" {now_s - (lane.moved_at_s or 0):.0f} s and has not moved"
        )
    return None


def why_unready(intake: Intake, fetch_ages_s: Iterable[float], after_s: float) -> str | None:
    """Return why the worker does nothing for its partitions yet, or None."""
    if intake.should_stop:
        return "the worker is stopping"
    opening = [lane for lane in intake.lanes.values() if lane.stage is not LaneStage.OPEN]
    if opening:
        return f"{len(opening)} of {len(intake.lanes)} partitions are not open yet"
    if not intake.is_ready:
        return "the group has given no partitions yet"
    oldest_s = max(fetch_ages_s, default=0.0)
    if oldest_s > after_s:
        return f"the broker has not answered for {oldest_s:.0f} s"
    return None
