"""An alert as it stands on its topic: the whole claim, for whoever reads alerts."""

from typing import Any, Literal

from pydantic import Field

from rules.events.base import Event
from rules.events.everyone import Action, Severity, Stage
from rules.events.kinds import Moment, Number


class RuleName(Event):
    """Which rule, in which version, with which parameters."""

    id: str
    version: str
    title: str
    digest: str = Field(
        description="SHA-256 of the effective rule: parameters, settle, open_for and timezone "
        "included."
    )


class EventName(Event):
    """An event by its identity."""

    source: str
    type: str = Field(description="The short name: `transfer`.")
    id: str = Field(description="The event's own id.")
    at: Moment = Field(description="When it started.")


class EventEvidence(EventName):
    """One event that the claim rests on."""

    step: str = Field(description="The rule's name for it.")
    until: Moment = Field(description="When it ended, as far as is known.")
    late: bool = Field(description="Whether its records came late.")
    fields: dict[str, Any] = Field(description="What the rule's conditions looked at.")


class SetEvidence(Event):
    """A set of events that the claim rests on."""

    step: str = Field(description="The rule's name for it.")
    count: int = Field(description="How many events are in it.")
    totals: dict[str, Any] = Field(description="What the rule's conditions added up.")
    sample: list[EventName] = Field(
        description="The latest 20; of an alert its anchor, so that the bank can act."
    )


class AlertClaim(Event):
    """What ringfence claims about an anchor event, with its evidence.

    Of all records of one `alert_id` the one with the greatest `revision` counts, whatever the
    order they come in.
    """

    alert_id: str = Field(description="Names the claim, the same in all its revisions.")
    revision: int = Field(description="Grows with every record of the claim.")
    state: Literal["raised", "withdrawn"] = Field(
        description="Whether the claim stands, or a later record has taken the match away."
    )
    final: bool = Field(description="Whether nothing can change it any more.")
    settles_at: Moment = Field(description="When all feeds have passed this, it becomes final.")
    undecided: list[str] = Field(description="What could still change it.")
    rule: RuleName = Field(description="The rule that raised it.")
    by: Literal["person", "payee", "caller", "meeting", "area"] = Field(
        description="What it was correlated by."
    )
    key: str = Field(description="The value it was correlated by; a pseudonym, except of an area.")
    incident: str = Field(
        description="The same for all alerts of one key and day; for grouping only."
    )
    person: str | None = Field(None, description="The anchor's, else the first step's. Pseudonym.")
    payee_account: str | None = Field(None, description="The account, likewise. Pseudonym.")
    caller: str | None = Field(None, description="The caller, likewise. Pseudonym.")
    meeting: str | None = Field(None, description="The conference, likewise. Pseudonym.")
    area: str | None = Field(None, description="The area, likewise.")
    typology: str = Field(description="The rule's typology.")
    stage: Stage = Field(description="Where in the fraud it stands.")
    tags: list[str] = Field(description="The rule's tags.")
    severity: Severity = Field(description="How bad it is.")
    action: Action = Field(description="What is to be done.")
    score: Number = Field(description="How sure the rule is.")
    anchor: EventName = Field(description="The event that the claim is about.")
    amount: str | None = Field(None, description="What is at stake, if the anchor has an amount.")
    currency: str | None = Field(None, description="The amount's currency.")
    evidence: list[EventEvidence | SetEvidence] = Field(
        description="The events of the steps in file order, then the evidence entries found."
    )
    because: list[str] = Field(
        description="One line per condition and relation, with the values that it met."
    )
    truncated: bool | None = Field(None, description="True where a flood limit cut it short.")
    late: bool | None = Field(None, description="True where something it rests on came late.")
    message: str | None = Field(None, description="A sentence for the person at the desk.")
    advice: str | None = Field(None, description="The rule's advice.")
