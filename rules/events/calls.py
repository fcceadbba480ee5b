"""The events of the call side: what telephone, messenger and device know."""

from typing import Annotated, Literal

from pydantic import Field

from rules.events.base import OPEN, OfPerson, RecordOfPerson, not_after, not_before
from rules.events.kinds import (
    Account,
    Device,
    Domain,
    Handle,
    Integer,
    Meeting,
    Moment,
    OwnId,
    Package,
    Text,
)


class CallInvitation(OfPerson):
    """Somebody calls, or is called: answered or not."""

    call_id: OwnId = Field(description="Names the call, the same in all its records.")
    invited_at: Moment = Field(description="When it began to ring.")
    ended_at: Annotated[Moment | None, not_before("invited_at")] = Field(
        None, description="When it was over.", json_schema_extra=OPEN
    )
    caller: Handle = Field(
        description="The other side: a number or an address, or a word such as `anonymous` "
        "where it is withheld."
    )
    service: Literal[
        "facetime",
        "whatsapp",
        "wechat",
        "telegram",
        "meeting",
        "ims_video",
        "volte",
        "cs_voice",
        "other",
    ] = Field(description="What carried the call.")
    media: Literal["audio", "video", "screen"] = Field(description="What it was set up as.")
    direction: Literal["incoming", "outgoing"] = Field(description="As the person sees it.")
    relationship: (
        Literal["contact", "prior_mutual", "one_way_prior", "stranger", "unknown"] | None
    ) = Field(None, description="What the person had to do with the other side before.")
    display_name_class: (
        Literal["none", "personal", "institution_like", "official_verified"] | None
    ) = Field(None, description="What the name on the screen looked like.")
    answered_at: Annotated[Moment | None, not_before("invited_at"), not_after("ended_at")] = Field(
        None, description="When it was answered.", json_schema_extra=OPEN
    )
    meeting: Meeting | None = Field(None, description="The conference that it was part of.")
    device: Device | None = Field(None, description="The person's device.")
    camera_on: bool | None = Field(
        None, description="Whether the person's camera was on.", json_schema_extra=OPEN
    )
    number_validation: Literal["passed", "failed", "none", "not_applicable"] | None = Field(
        None, description="What the network says of the caller's number (STIR/SHAKEN or alike)."
    )


class ScreenShare(OfPerson):
    """The person shows a screen to somebody."""

    share_id: OwnId = Field(description="Names the share, the same in all its records.")
    started_at: Moment = Field(description="When it began.")
    ended_at: Annotated[Moment | None, not_before("started_at")] = Field(
        None, description="When it was over.", json_schema_extra=OPEN
    )
    app_category: Literal["meeting", "remote_control", "other"] | None = Field(
        None, description="What kind of app shows the screen."
    )
    remote_input: bool | None = Field(
        None,
        description="Whether the other side could type and tap.",
        json_schema_extra=OPEN,
    )
    bank_app_foreground: bool | None = Field(
        None, description="Whether a bank's app was in front.", json_schema_extra=OPEN
    )
    meeting: Meeting | None = Field(None, description="The conference that it was part of.")
    device: Device | None = Field(None, description="The person's device.")
    first: bool | None = Field(None, description="Whether it is the person's first ever.")


class AppInstall(RecordOfPerson):
    """An app is installed on the person's device."""

    package: Package | None = Field(None, description="Names the app.")
    category: Literal["meeting", "remote_control", "unknown_finance", "vpn", "other"] | None = (
        Field(None, description="What kind of app it is.")
    )
    store: Literal["official", "sideload", "link"] | None = Field(
        None, description="Where it came from."
    )
    publisher_known: bool | None = Field(None, description="Whether its publisher is known.")
    device: Device | None = Field(None, description="The person's device.")


class WebVisit(RecordOfPerson):
    """The person opens a web site."""

    domain: Domain | None = Field(None, description="The site's domain.")
    domain_age_days: Integer | None = Field(None, description="Days since it was registered.")
    lookalike_of: Text | None = Field(
        None, description="The code of the institution whose site it looks like."
    )
    category: Literal["bank", "authority", "finance", "shopping", "other"] | None = Field(
        None, description="What the site presents itself as."
    )
    form_posted: bool | None = Field(None, description="Whether a form was sent to it.")


class ContactBlocked(RecordOfPerson):
    """Somebody cuts the contact off."""

    by: Literal["counterparty", "subject"] | None = Field(
        None, description="Who cut it off: the other side, or the person."
    )
    evidence: (
        Literal["unreachable_calls", "message_rejected", "victim_report", "app_event"] | None
    ) = Field(None, description="What it was seen by.")
    caller: Handle | None = Field(None, description="The other side: a number or an address.")
    payee_account: Account | None = Field(
        None, description="The other side's account. ISO 20022: CdtrAcct."
    )


class CallForwarding(RecordOfPerson):
    """The forwarding of the person's calls is changed."""

    mode: Literal["inactive", "unconditional", "conditional"] | None = Field(
        None, description="What it is from now on."
    )


class SimSwap(RecordOfPerson):
    """The person's number moves to another SIM."""


class OfficialCall(OfPerson):
    """A call to this person that an institution registered as its own, up to a day ahead.

    It counts for `settle` at most.
    """

    call_id: OwnId = Field(description="Names the registration, the same in all its records.")
    valid_from: Moment = Field(description="From when the call may come.")
    valid_to: Annotated[Moment | None, not_before("valid_from")] = Field(
        None, description="Until when it may come."
    )
    institution: Text = Field(description="The institution's code.")
    caller: Handle | None = Field(None, description="The number it will call from.")
