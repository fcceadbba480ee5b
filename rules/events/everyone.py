"""The events that need no person: heartbeats, outcomes, and the alerts of ringfence itself."""

from typing import Annotated, Literal

from pydantic import Field

from rules.events.base import OPEN, Event, goes_with
from rules.events.kinds import (
    Account,
    Amount,
    Currency,
    Handle,
    Meeting,
    Moment,
    Number,
    OwnId,
    Person,
    Text,
)

Stage = Literal[
    "contact", "pretext", "control", "liquidity", "exfiltration", "cut_off", "campaign"
]
Severity = Literal["info", "low", "medium", "high", "critical"]
Action = Literal["none", "warn", "review", "hold", "block", "recall"]


class Heartbeat(Event):
    """A feed partition has told everything up to a moment."""

    watermark: Moment = Field(description="What is older than this counts as late from now on.")


class Outcome(Event):
    """What the bank or the police found out about an alert."""

    event_id: OwnId | None = Field(
        None, description="The own id, where a producer makes a new record id for each retry."
    )
    person: Person | None = Field(None, description="The customer it concerns.")
    area: Text | None = Field(None, description="A coarse code of where, never an address.")
    alert_id: Text | None = Field(None, description="The alert it is about.")
    verdict: Literal["confirmed_fraud", "false_positive", "benign", "unknown"] | None = Field(
        None, description="What it turned out to be."
    )
    by: Text | None = Field(None, description="Who found it out.")
    loss: Amount | None = Field(None, description="What was lost.")
    prevented: Amount | None = Field(None, description="What was saved.")
    currency: Annotated[Currency | None, goes_with("loss", "prevented")] = Field(
        None, description="The currency of both amounts.", validate_default=True
    )


class Alert(Event):
    """An alert of ringfence, as far as conditions of other rules may use it.

    The identifiers are pseudonyms already. What a later revision may change counts as open.
    """

    alert_id: OwnId = Field(description="Names the alert, the same in all its revisions.")
    rule: Text = Field(description="The id of the rule that raised it.")
    typology: Text = Field(description="The rule's typology.")
    stage: Stage = Field(description="Where in the fraud it stands.")
    severity: Severity = Field(description="How bad it is.", json_schema_extra=OPEN)
    action: Action = Field(description="What is to be done.", json_schema_extra=OPEN)
    score: Number = Field(description="How sure the rule is.", json_schema_extra=OPEN)
    person: Person | None = Field(
        None,
        description="The person: the anchor's, else that of the first step that names one.",
        json_schema_extra=OPEN,
    )
    payee_account: Account | None = Field(
        None, description="The account, likewise.", json_schema_extra=OPEN
    )
    caller: Handle | None = Field(
        None, description="The caller, likewise.", json_schema_extra=OPEN
    )
    meeting: Meeting | None = Field(
        None, description="The conference, likewise.", json_schema_extra=OPEN
    )
    area: Text | None = Field(None, description="The area, likewise.", json_schema_extra=OPEN)
    amount: Amount | None = Field(None, description="What is at stake.")
    currency: Annotated[Currency | None, goes_with("amount")] = Field(
        None, description="The amount's currency.", validate_default=True
    )
