"""What the bank or the police found out about alerts, each outcome as its greatest record says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rules.events import Scalar
from rules.fact import Identity, canonical

CONFIRMED: Final = "confirmed_fraud"
VERDICTS: Final = (CONFIRMED, "false_positive", "benign", "unknown")


@dataclass(frozen=True)
class Outcome:
    """One record of an outcome.

    `rank` decides between records of one outcome, and between outcomes of one alert: the greatest
    counts.
    """

    identity: Identity
    rank: tuple[int, int, str, bytes]
    alert_id: str | None
    verdict: str


def outcome_of(
    identity: Identity, record_id: str, sequence: int, time_us: int, data: Mapping[str, Scalar]
) -> Outcome:
    """Return the outcome that a record of the contract tells; a missing verdict is unknown."""
    alert_id = data.get("alert_id")
    return Outcome(
        identity,
        (sequence, time_us, record_id, canonical(data)),
        None if alert_id is None else str(alert_id),
        str(data.get("verdict", "unknown")),
    )


class Outcomes:
    """All outcomes that are known, and what they say of each alert together."""

    def __init__(self) -> None:
        self._known: dict[Identity, Outcome] = {}

    def note(self, outcome: Outcome) -> None:
        """Take note of a record; order and repeats do not matter."""
        held = self._known.get(outcome.identity)
        if held is None or outcome.rank > held.rank:
            self._known[outcome.identity] = outcome

    def __len__(self) -> int:
        return len(self._known)

    def verdicts(self) -> Mapping[str, str]:
        """Return what each alert turned out to be, by its id."""
        return {alert_id: found[-1].verdict for alert_id, found in self._by_alert().items()}

    def contradictions(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """Yield alerts of which outcomes differ: the id, what counts, and what else is said."""
        for alert_id, found in sorted(self._by_alert().items()):
            counts = found[-1].verdict
            others = sorted({outcome.verdict for outcome in found} - {counts})
            if others:
                yield alert_id, counts, others

    @property
    def nameless(self) -> int:
        """How many outcomes name no alert."""
        return sum(outcome.alert_id is None for outcome in self._known.values())

    def _by_alert(self) -> Mapping[str, list[Outcome]]:
        """Return the outcomes of each alert, the one that counts last."""
        found: dict[str, list[Outcome]] = {}
        for outcome in sorted(self._known.values(), key=lambda o: (o.rank, o.identity)):
            if outcome.alert_id is not None:
                found.setdefault(outcome.alert_id, []).append(outcome)
        return found
