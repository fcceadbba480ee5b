"""What a run found: the last record of each alert, and whether two runs found the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.alert import Alert, encode_alert
from rules.rule import RuleSet
from streams.clock import now_us
from streams.ingest import Ingest
from streams.logs import Log
from streams.replay import Replay
from streams.settings import Settings
from streams.summary import Summary
from streams.wire.pseudonyms import Pseudonyms

Json = dict[str, Any]


@dataclass
class Found:
    """The greatest revision of each alert that has been seen, by alert id."""

    last: dict[str, Json] = field(default_factory=dict)

    def add(self, value: bytes) -> None:
        """Take in one record of an alert; older ones than the one known change nothing."""
        event: Json = msgspec.json.decode(value)
        known = self.last.get(event["data"]["alert_id"])
        if known is None or known["sequence"] < event["sequence"]:
            self.last[event["data"]["alert_id"]] = event

    @property
    def is_final(self) -> bool:
        """Whether every alert has had its last record."""
        return all(event["data"]["final"] for event in self.last.values())

    def raised(self) -> list[Json]:
        """Return the data of the alerts that stand, in the order of their anchors."""
        standing = [e["data"] for e in self.last.values() if e["data"]["state"] == "raised"]
        return sorted(standing, key=lambda data: (data["anchor"]["at"], data["alert_id"]))


def replayed(log: Log, settings: Settings, rule_set: RuleSet) -> tuple[Found, Summary]:
    """Return what a replay finds in a log, in this process and with no bus, and its counts."""
    withheld = frozenset(settings.withheld_values)
    ingest = Ingest(rule_set, settings.timing, Pseudonyms(settings.secret(), withheld))
    replay = Replay(rule_set, ingest, settings.lateness_us, as_of_us=now_us())
    found = Found()

    def keep(alert: Alert) -> None:
        # Signals only feed other rules, and are on no topic.
        if not alert.is_signal:
            found.add(encode_alert(alert))

    return found, replay.run([log], keep, lambda _letter: None)


def differences(one: Found, other: Found) -> list[str]:
    """Return the ids of the alerts that stand in one run and do not stand just so in the other.

    Revisions count rows of different logs, so they are left out.
    """
    ones, others = _by_id(one.raised()), _by_id(other.raised())
    return sorted(i for i in ones.keys() | others.keys() if ones.get(i) != others.get(i))


def _by_id(alerts: Iterable[Json]) -> Mapping[str, Json]:
    return {
        alert["alert_id"]: {name: value for name, value in alert.items() if name != "revision"}
        for alert in alerts
    }
