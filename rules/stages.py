"""Both stages of a rule set: rules on outside events, and rules on the alerts of those."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rules.alert import Alert
from rules.engine import Correlator
from rules.events import EVENTS, KEYS, Scalar, numbers_of, values_of
from rules.fact import Event, Fact, Identity, Mark, key_of
from rules.judging import Lost
from rules.rule import RuleSet
from rules.screen import Screen
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, Partition

SOURCE = "ringfence"
"""The source of every alert."""

_FIRST: Partition = ("alerts", 0)


class Engine:
    """The whole engine of a rule set in one partition: what a replay runs."""

    def __init__(
        self,
        rule_set: RuleSet,
        watermarks: Mapping[Partition, int],
        *,
        timing: Timing,
    ) -> None:
        """Begin with nothing remembered; see `rules.engine.Correlator`."""
        self.first = Correlator(rule_set.first_stage, watermarks, timing=timing)
        self._second = rule_set.second_stage
        self._claims = Claims(self._second)
        roster = {_FIRST: passed_on(self.first.watermarks.minimum_us, self._second)}
        self.second = Correlator(self._second, roster, timing=timing)

    def observe(self, rows: Sequence[Fact | Mark], revision: int) -> list[Alert]:
        """Take in one step's rows and return the alert records of both stages it causes."""
        raised = self.first.observe(rows, revision)
        if not self._second.rules:
            return raised
        passed: list[Fact | Mark] = [row for row in rows if isinstance(row, Fact)]
        for alert in raised:
            passed += self._claims.facts(alert)
        passed.append(Mark(*_FIRST, passed_on(self.first.watermarks.minimum_us, self._second)))
        return raised + self.second.observe(passed, revision)

    @property
    def next_due_us(self) -> int:
        """The moment that the least watermark must pass before a mark can cause an alert record.

        See `rules.engine.Correlator.next_due_us`; here for both stages together.
        """
        return min(self.first.next_due_us, self.second.next_due_us + self._second.lag_us)

    def lost(self) -> Mapping[str, Sequence[Mapping[str, Lost]]]:
        """Return for each rule, part and type of event how many events failed as unknown."""
        return {**self.first.lost(), **self.second.lost()}

    def count(self, fact: Fact, times: int) -> None:
        """Count what rules lose of so many events, all like this one, that can be in no match.

        It is as if they had been observed, but that nothing is remembered.
        """
        self.first.count(fact, times)
        self.second.count(fact, times)

    def join(self, partition: Partition) -> int:
        """Let in a feed partition that is not on the roster; return the watermark it starts at.

        That is the minimum as it stands, in microseconds: what has been judged final stays so.
        """
        minimum_us = self.first.watermarks.minimum_us
        self.first.watermarks.raise_to(partition, minimum_us)
        return minimum_us


def passed_on(minimum_us: int, second_stage: RuleSet) -> int:
    """Return how far the second stage may go: no alert that starts before can change.

    Args:
        minimum_us: the least watermark of the first stage.
        second_stage: the rules that read alerts.
    """
    if minimum_us in (NEVER_US, END_US):
        return minimum_us
    return minimum_us - second_stage.lag_us


class Claims:
    """Turns alert records of the first stage into facts of the second.

    An alert is an event under every key by which some rule reads alerts. Each record replaces
    its predecessor whole; where that was withdrawn, or no longer names a key, it is gone.
    """

    def __init__(self, second_stage: RuleSet) -> None:
        self._screen = Screen(second_stage)
        self._keys: dict[str, tuple[str, ...]] = {}

    def facts(self, alert: Alert) -> Iterator[Fact]:
        """Yield the facts of one record, those that take it back from a key included."""
        event = event_of(alert)
        wanted = () if event.gone else self._screen.keys("alert", event.fields)
        named = event.keys()
        keys = tuple(key_of(by, named[by]) for by in wanted if by in named)
        gone = msgspec.structs.replace(event, gone=True)
        for key in self._keys.pop(alert.alert_id, ()):
            if key not in keys:
                yield Fact(key, gone)
        for key in keys:
            yield Fact(key, event)
        if keys and not alert.final:
            self._keys[alert.alert_id] = keys


def event_of(alert: Alert) -> Event:
    """Return an alert as an event: an instant at its anchor's start, its revision the sequence."""
    content: Mapping[str, Any] = alert.content
    claimed = {
        "alert_id": alert.alert_id,
        "rule": content["rule"]["id"],
        **{name: content[name] for name in ("typology", "stage", "severity", "action", "score")},
        **{name: content[name] for name in KEYS.values() if name in content},
        **{name: content[name] for name in ("amount", "currency") if name in content},
    }
    # The anchor is no field of conditions; a set's sample names it, so that the bank can act.
    anchor = {f"anchor_{name}": content["anchor"][name] for name in ("source", "type", "id")}
    data: dict[str, Scalar] = {**claimed, **anchor}
    return Event(
        identity=Identity(SOURCE, "alert", alert.alert_id),
        record_id=f"{alert.alert_id}.{alert.revision}",
        sequence=alert.revision,
        time_us=alert.anchor_start_us,
        start_us=alert.anchor_start_us,
        end_us=alert.anchor_start_us,
        open=False,
        late=False,
        fields=values_of(EVENTS["alert"], data),
        numbers=numbers_of(EVENTS["alert"], data),
        gone=alert.state == "withdrawn",
    )
