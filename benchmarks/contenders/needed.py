"""Of a record of workload A, only the fields that the rule looks at, as msgspec decodes them."""

import msgspec


class CallData(msgspec.Struct):
    """What is needed of a call."""

    person: str
    direction: str
    media: str
    invited_at: str
    relationship: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None


class TransferData(msgspec.Struct):
    """What is needed of a transfer."""

    transfer_id: str
    person: str
    initiated_at: str
    amount: str
    currency: str
    direction: str
    payee_kind: str | None = None
    payee_times_paid: int | None = None
    status: str | None = None


class Call(msgspec.Struct, tag_field="type", tag="ringfence.call_invitation.v1"):
    """A call's record."""

    time: str
    data: CallData


class Transfer(msgspec.Struct, tag_field="type", tag="ringfence.transfer.v1"):
    """A transfer's record."""

    time: str
    data: TransferData


decode = msgspec.json.Decoder(Call | Transfer).decode
