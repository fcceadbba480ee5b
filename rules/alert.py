"""One record of an alert, its identity, and its bytes: always the same for the same claim."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from rules.events import EVENTS
from rules.fact import Identity
from rules.moment import DAY_US, format_moment
from rules.rule import Rule

NAMESPACE: Final = UUID("293d4950-186f-428b-b851-8c8e19aec016")

Json = Mapping[str, Any]


class Alert(msgspec.Struct, frozen=True):
    """One record of an alert: a revision of the claim.

    `content` is what the rule says of its match; a later revision is better informed. A signal
    only feeds other rules.
    """

    alert_id: str
    revision: int
    state: str
    final: bool
    anchor_start_us: int
    settles_at_us: int
    undecided: tuple[str, ...]
    content: Json
    is_signal: bool = False

    def to_cloudevent(self) -> Json:
        """Return the alert as the CloudEvents object of the event contract."""
        return {
            "specversion": "1.0",
            "id": f"{self.alert_id}.{self.revision}",
            "source": "ringfence",
            "type": EVENTS["alert"].wire_type,
            "time": format_moment(self.anchor_start_us),
            "sequence": self.revision,
            "data": {
                "alert_id": self.alert_id,
                "revision": self.revision,
                "state": self.state,
                "final": self.final,
                "settles_at": format_moment(self.settles_at_us),
                "undecided": list(self.undecided),
                **self.content,
            },
        }


def encode_alert(alert: Alert) -> bytes:
    """Return the alert's record as one line of JSON, the same bytes for the same alert."""
    return msgspec.json.encode(alert.to_cloudevent())


def alert_id(rule: Rule, anchor: Identity, key: str) -> str:
    """Return the alert's id: UUIDv5 (RFC 9562) of the rule and the anchor, and nothing else.

    The key counts only for rules that read alerts: an alert under two keys is about two things.
    """
    return _uuid(rule.id, *anchor, *([key] if rule.reads_alerts else []))


def incident_of(rule: Rule, key: str, anchor_start_us: int) -> str:
    """Return what groups the alerts of one key and UTC day: UUIDv5 of just these."""
    return _uuid(rule.by, key, str(anchor_start_us // DAY_US))


# Of one key many rules and records ask the same, so what was asked last is remembered.
@lru_cache(4_096)
def _uuid(*names: str) -> str:
    return str(uuid5(NAMESPACE, msgspec.json.encode(names).decode()))
