"""The topic that says which epochs there are: read from its beginning, appended to by commands.

It has one partition, keeps its few records for ever, and goes by the name of the group.
"""

from typing import Final

import msgspec

from streams.bus import Bus
from streams.failures import OutsideFailure
from streams.outbox import Message
from streams.producer import producing
from streams.settings import Settings
from streams.succession import Succession, encode_succession, fold

TOPIC_SETTINGS: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class OvertakenError(OutsideFailure):
    """Somebody else has changed the epochs at the same moment."""


def epochs_topic(settings: Settings) -> str:
    """Return the topic's name."""
    return f"{settings.group}.epochs"


async def read_succession(settings: Settings) -> Succession:
    """Return the epochs as they are; the topic has to be there.

    Raises:
        OutsideFailure: The broker does not bring it, or what it holds is not ours.
    """
    return (await _versions(settings))[-1]


async def write_succession(settings: Settings, succession: Succession) -> Succession:
    """Append what a change has made of the version that was read, and return it.

    Raises:
        OvertakenError: Somebody else has changed it at the same time.
        OutsideFailure: The broker fails.
    """
    changed = msgspec.structs.replace(succession, version=succession.version + 1)
    message = Message(epochs_topic(settings), None, encode_succession(changed), 0)
    async with producing(settings) as producer:
        await producer.send_all([message])
    if (await _versions(settings))[changed.version] != changed:
        raise OvertakenError(
            "somebody else has changed the epochs at this moment, and this has changed nothing;"
            ' look at "ringfence switch --status" and run it again'
        )
    return changed


async def _versions(settings: Settings) -> list[Succession]:
    bus = Bus(settings, settings.group)
    place = (epochs_topic(settings), 0)
    versions = [Succession()]
    async for rows in bus.rows(place, await bus.begin_of(place), await bus.end_of(place)):
        for row in rows:
            after = fold(versions[-1], row.value)
            if after is not versions[-1]:
                versions.append(after)
    return versions
