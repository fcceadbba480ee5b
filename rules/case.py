"""An alert that is not final yet: what it says, what it rests on, what was written of it last."""

from dataclasses import dataclass

from rules.alert import Alert, Json, alert_id
from rules.fact import Event, Identity
from rules.matching import Match
from rules.plan import Plan
from rules.tally import Members
from rules.watermark import Watermarks

CaseKey = tuple[int, str, Identity]
"""An alert while it is open: the rule's number, the key's value and the anchor."""


@dataclass(slots=True)
class Case:
    """What an alert says now, and what was written of it last.

    A frozen one has lost an event to a cap: it keeps what it says and is judged no more.
    """

    plan: Plan
    key: str
    anchor: Event
    content: Json
    state: str = "raised"
    final: bool = False
    frozen: bool = False
    match: Match | None = None
    open_steps: tuple[str, ...] = ()
    rests_on: frozenset[Identity] = frozenset()
    written: tuple[str, bool, Json] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing of it is to be written, now or ever if it stays like this."""
        if self.written is not None:
            return False
        waits = self.plan.rule.raises == "when_final" and not self.final
        return waits or self.state == "withdrawn"

    def raise_with(self, match: Match, content: Json) -> None:
        """Say of a match what there is to say."""
        self.state, self.content = "raised", content
        self.anchor, self.match = match.anchor, match
        parts = zip(self.plan.rule.parts, match.bound, strict=True)
        self.open_steps = tuple(
            [f"{part.name} has no end yet" for part, bound in parts if bound and bound.open]
        )

    def freeze(self) -> None:
        """Keep what it says from now on, whatever comes."""
        self.frozen = True
        self.content = {**self.content, "truncated": True}

    def record(self, revision: int, watermarks: Watermarks) -> Alert:
        """Return what is to be written of it now."""
        rule = self.plan.rule
        undecided: tuple[str, ...] = ()
        if not self.final:
            behind = watermarks.behind(rule.closes_at(self.anchor.start_us))
            waits = [f"feed {feed} is behind" for feed in behind]
            if rule.reads_alerts and behind:
                # The second stage knows no feeds, only how far the first has come.
                waits = ["the alerts of other rules can still change"]
            still = [f"unless {part.name} comes" for part in rule.unless]
            undecided = (*self.open_steps, *still, *waits)
        return Alert(
            alert_id=alert_id(rule, self.anchor.identity, self.key),
            revision=revision,
            state=self.state,
            final=self.final,
            anchor_start_us=self.anchor.start_us,
            settles_at_us=rule.settles_at(self.anchor.start_us),
            undecided=undecided,
            content=self.content,
            is_signal=rule.is_signal,
        )


def least_of_each_type(match: Match) -> frozenset[Identity]:
    """Return the events that a cap would drop before all others that a match rests on."""
    # The members of a set are of one type and in order of place.
    firsts = [b.least if isinstance(b, Members) else b for b in match.bound if b]
    least: dict[str, Event] = {}
    for event in firsts:
        held = least.setdefault(event.identity.type, event)
        if held is not event and event.place < held.place:
            least[event.identity.type] = event
    return frozenset(event.identity for event in least.values())
