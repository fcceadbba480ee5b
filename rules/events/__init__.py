"""The event contract: one model per event type, and what the rest needs to know of each.

`docs/events.md`, the JSON Schemas and the AsyncAPI document are generated from here.
"""

from rules.events.bank import FundsMoved, LoanDrawdown, PayeeAdded, SessionOpened, Transfer
from rules.events.base import Event
from rules.events.calls import (
    AppInstall,
    CallForwarding,
    CallInvitation,
    ContactBlocked,
    OfficialCall,
    ScreenShare,
    SimSwap,
    WebVisit,
)
from rules.events.everyone import Action, Alert, Heartbeat, Outcome, Severity, Stage
from rules.events.kinds import AMOUNT_PATTERN, IDENTIFIER_LIMIT, INTEGER_LIMIT, WANTED, Kind
from rules.events.spec import (
    BY_WIRE_TYPE,
    EVENTS,
    KEYS,
    EventSpec,
    FieldSpec,
    Scalar,
    Side,
    Value,
    data_of,
    normalise,
    numbers_of,
    own_fields,
    values_of,
)

__all__ = [
    "AMOUNT_PATTERN",
    "BY_WIRE_TYPE",
    "EVENTS",
    "IDENTIFIER_LIMIT",
    "INTEGER_LIMIT",
    "KEYS",
    "WANTED",
    "Action",
    "Alert",
    "AppInstall",
    "CallForwarding",
    "CallInvitation",
    "ContactBlocked",
    "Event",
    "EventSpec",
    "FieldSpec",
    "FundsMoved",
    "Heartbeat",
    "Kind",
    "LoanDrawdown",
    "OfficialCall",
    "Outcome",
    "PayeeAdded",
    "Scalar",
    "ScreenShare",
    "SessionOpened",
    "Severity",
    "Side",
    "SimSwap",
    "Stage",
    "Transfer",
    "Value",
    "WebVisit",
    "data_of",
    "normalise",
    "numbers_of",
    "own_fields",
    "values_of",
]
