"""The events of the bank side: what happens to the person's money."""

from typing import Annotated, Literal

from pydantic import Field

from rules.events.base import OPEN, OfPerson, RecordOfPerson, goes_with, needed_by, second_to
from rules.events.kinds import (
    Account,
    Amount,
    Currency,
    Device,
    Integer,
    Moment,
    OwnId,
    Text,
)

Channel = Literal["mobile", "web", "branch", "atm", "phone", "other"]
NameCheck = Literal["match", "close", "no_match", "unavailable"]


class Transfer(OfPerson):
    """Money goes from the person's account to another, or comes from there."""

    transfer_id: OwnId = Field(
        description="Names the transfer, the same in all its records. ISO 20022: PmtId/InstrId."
    )
    initiated_at: Moment = Field(description="When the person set about it.")
    amount: Amount = Field(description="How much. ISO 20022: InstdAmt.")
    currency: Currency = Field(description="The amount's currency. ISO 20022: InstdAmt/@Ccy.")
    payee_account: Account = Field(
        description="The account on the other side. ISO 20022: CdtrAcct."
    )
    direction: Literal["out", "in"] = Field(description="As the person sees it.")
    payee_kind: Literal["personal", "merchant", "own", "government", "unknown"] | None = Field(
        None, description="Whose account the other one is."
    )
    payee_times_paid: Integer | None = Field(
        None, description="How often the person paid it before this transfer; 0 means never."
    )
    payee_first_paid_at: Moment | None = Field(
        None, description="When the person paid it for the first time."
    )
    payee_added_at: Moment | None = Field(
        None, description="When it was added to the person's payees."
    )
    status: (
        Literal[
            "drafted",
            "attempted",
            "submitted",
            "accepted",
            "settled",
            "rejected",
            "held",
            "released",
            "recalled",
        ]
        | None
    ) = Field(
        None,
        description="How far it has come. ISO 20022: pacs.002 TxSts.",
        json_schema_extra=OPEN,
    )
    balance_before: Amount | None = Field(
        None, description="What was on the person's account before, in `currency`."
    )
    channel: Channel | None = Field(None, description="Where it was ordered.")
    session: Text | None = Field(None, description="The banking session it was ordered in.")
    device: Device | None = Field(None, description="The person's device.")
    first: bool | None = Field(
        None, description="Whether it is the person's first online transfer."
    )
    rail: Text | None = Field(None, description="The payment system that carries it.")
    irrevocable_at: Moment | None = Field(
        None, description="From when it can no longer be taken back.", json_schema_extra=OPEN
    )
    purpose_class: (
        Literal["clearing", "deposit", "unfreeze", "verification", "fee", "refund", "other"] | None
    ) = Field(None, description="What it is said to be for. ISO 20022: from Purp/Cd or RmtInf.")
    payee_name_check: NameCheck | None = Field(
        None, description="Whether the payee's name fits the account."
    )
    end_to_end_id: Text | None = Field(None, description="ISO 20022: EndToEndId.")
    uetr: Text | None = Field(None, description="ISO 20022: UETR.")


class PayeeAdded(RecordOfPerson):
    """An account is added to the person's payees."""

    payee_account: Account = Field(description="The account. ISO 20022: CdtrAcct.")
    limit: Amount | None = Field(None, description="The most that may be paid to it.")
    currency: Annotated[Currency | None, goes_with("limit")] = Field(
        None, description="The limit's currency.", validate_default=True
    )
    channel: Channel | None = Field(None, description="Where it was added.")
    session: Text | None = Field(None, description="The banking session it was added in.")
    payee_name_check: NameCheck | None = Field(
        None, description="Whether the payee's name fits the account."
    )


class LoanDrawdown(OfPerson):
    """Borrowed money is paid out to the person."""

    loan_id: OwnId = Field(description="Names the drawdown, the same in all its records.")
    drawn_at: Moment = Field(description="When it was paid out.")
    amount: Amount | None = Field(None, description="How much. ISO 20022: InstdAmt.")
    currency: Annotated[Currency | None, goes_with("amount")] = Field(
        None,
        description="The amount's currency. ISO 20022: InstdAmt/@Ccy.",
        validate_default=True,
    )
    facility: Literal["bank_loan", "consumer_credit", "card_cash"] | None = Field(
        None, description="What kind of loan."
    )
    first: bool | None = Field(None, description="Whether it is the person's first of its kind.")
    applied_at: Moment | None = Field(None, description="When the person applied for it.")


class FundsMoved(OfPerson):
    """Money moves between the person's own accounts."""

    move_id: OwnId = Field(description="Names the move, the same in all its records.")
    moved_at: Moment = Field(description="When it moved.")
    kind: Literal["term_to_current", "current_to_term", "fund_redemption", "own_sweep"] = Field(
        description="From where to where."
    )
    amount: Amount | None = Field(None, description="How much. ISO 20022: InstdAmt.")
    currency: Annotated[Currency | None, needed_by("amount")] = Field(
        None,
        description="The currency of both amounts. ISO 20022: InstdAmt/@Ccy.",
        validate_default=True,
    )
    balance_before: Annotated[Amount | None, second_to("amount")] = Field(
        None,
        description="What was on the current account before, in `currency`.",
        validate_default=True,
    )
    at_maturity: bool | None = Field(None, description="Whether a term had come to its end.")


class SessionOpened(RecordOfPerson):
    """The person, or somebody as the person, opens a banking session."""

    session: Text | None = Field(None, description="Names the session.")
    channel: Channel | None = Field(None, description="Where it was opened.")
    device: Device | None = Field(None, description="The device it was opened on.")
