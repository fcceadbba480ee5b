"""What `ringfence dead-letters` does: letters listed, records shown masked, records sent again."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from rules.language.mistakes import quoted, suggestion
from rules.moment import format_moment, parse_moment
from streams.failures import OutsideFailure, SettingsError, UsageFailure
from streams.letters import Letter, Letters, as_refused, parse_place, read_letters, record_at
from streams.refusals import why
from streams.security import client_options
from streams.settings import Settings
from streams.topics import all_sizes
from streams.windows import MILLISECOND_US, Bound, Reader, Stored, open_reader
from streams.wire.dead_letters import REASONS
from streams.wire.json_text import Mistake
from streams.wire.masked import masked

_ENDS: Final[Mapping[str, str]] = {
    "sent": "sent to {topic}",
    "would_send": "to be sent to {topic}",
    "gone": "not there any more",
    "another": "not the same record any more",
}
"""What has become of a record, and how that is said."""


@dataclass(frozen=True)
class Pick:
    """Which letters are meant; None is all."""

    reason: str | None = None
    feed: str | None = None
    since: str | None = None

    def bound(self) -> Bound:
        """Return from which moment of writing on letters are meant.

        Raises:
            SettingsError: An option is not as it should be.
        """
        if self.reason is not None and self.reason not in REASONS:
            hint = suggestion(self.reason, REASONS, "reasons")
            raise SettingsError(f"--reason: {quoted(self.reason)} is none; {hint}")
        if self.since is None:
            return "earliest"
        try:
            return parse_moment(self.since)
        except ValueError as error:
            raise SettingsError(f"--since: {error}") from error

    def means(self, letter: Letter) -> bool:
        """Tell whether a letter is meant, whenever it was written."""
        return self.reason in (None, letter.reason) and self.feed in (None, letter.feed)


def run_list(settings: Settings, pick: Pick) -> None:
    """Write the letters to standard output as they stand, and their counts to stderr.

    Raises:
        Failure: an option or the broker is not as it should be.
    """
    letters = asyncio.run(read_letters(settings, pick.bound()))
    found = [letter for letter in letters.all() if pick.means(letter)]
    for letter in found:
        sys.stdout.buffer.write(letters.by_place[letter.place][1] + b"\n")
    sys.stdout.buffer.flush()
    _say(f"{_counted(len(found), 'dead letter')}{_by(Counter(x.reason for x in found))}")
    if letters.strangers:
        _say(f"rows of the topic that are no dead letters: {letters.strangers:,}")


def run_show(settings: Settings, place_text: str) -> None:
    """Write what is known of one refused record: its letter, and itself with its values masked.

    Raises:
        Failure: the place, the broker or a topic is not as it should be.
    """
    place = parse_place(place_text)
    shown = asyncio.run(_show(settings, place))
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n")


async def _show(settings: Settings, place: tuple[str, int, int]) -> Mapping[str, Any]:
    topic, number, offset = place
    size = (await all_sizes(settings)).get(topic, 0)
    if not size:
        raise OutsideFailure(f'topic "{topic}" is not there')
    if number >= size:
        raise UsageFailure(
            f'topic "{topic}" has {size} partitions, counted from 0, and no {number}'
        )
    letters = await read_letters(settings)
    async with open_reader(settings) as reader:
        row = await record_at(reader, place)
    if row is None:
        raise OutsideFailure(
            f"no record lies at {topic}:{number}:{offset}; retention may have deleted it"
        )
    return shown_record(row, letters, place)


def shown_record(row: Stored, letters: Letters, place: tuple[str, int, int]) -> Mapping[str, Any]:
    """Return a record as it may be shown, with its letter, as JSON values in a fixed order."""
    raw = as_refused(row)
    letter, encoded = letters.by_place.get(place, (None, b""))
    found = masked(raw)
    timestamp_us = row.timestamp * MILLISECOND_US
    return {
        "letter": None if letter is None else msgspec.json.decode(encoded),
        **({} if letter is None else {"is_the_record_refused": letter.is_about(raw)}),
        "written_at": format_moment(timestamp_us) if timestamp_us >= 0 else None,
        "bytes": len(raw),
        "record": None if isinstance(found, Mistake) else found,
        **({"unreadable": found._asdict()} if isinstance(found, Mistake) else {}),
    }


def run_redrive(settings: Settings, pick: Pick, *, sends: bool) -> None:
    """Send refused records again, as they came, to the redrive topic; without `sends` only say so.

    Raises:
        Failure: an option, a setting, the broker or a topic is not as it should be.
    """
    topic, since = _redrive_topic(settings), pick.bound()
    ends = asyncio.run(_redrive(settings, pick, (topic, since), sends=sends))
    told = ", ".join(
        f"{count:,} {_ENDS[end].format(topic=topic)}" for end, count in sorted(ends.items())
    )
    _say(f"{_counted(ends.total(), 'record')}{': ' * bool(told)}{told}")
    if not sends:
        _say("nothing has been sent; say so with --yes")


def _redrive_topic(settings: Settings) -> str:
    if settings.redrive_topic is None:
        raise SettingsError(
            "RINGFENCE_REDRIVE_TOPIC: it is not set, and records are sent again to a topic of your"
            " own only; name one there and in RINGFENCE_CALLS_TOPICS, and give both to the worker"
        )
    return settings.redrive_topic


async def _redrive(
    settings: Settings, pick: Pick, to: tuple[str, Bound], *, sends: bool
) -> Counter[str]:
    topic, since = to
    sizes = await all_sizes(settings)
    if not sizes.get(topic):
        raise OutsideFailure(f'topic "{topic}" is not there; run "ringfence topics create"')
    letters = await read_letters(settings, since)
    ends: Counter[str] = Counter()
    async with open_reader(settings) as reader, _producer(settings) as producer:
        for letter in redrivable(letters, pick, topic):
            row = await _original(reader, letter, sizes)
            end = end_of(row, letter, sends=sends)
            if end == "sent" and row is not None:
                await producer.send_and_wait(
                    topic, row.value, key=row.key, headers=list(row.headers)
                )
            ends[end] += 1
            sys.stdout.buffer.write(_told(letter, end) + b"\n")
    return ends


def redrivable(letters: Letters, pick: Pick, topic: str) -> Sequence[Letter]:
    """Return the letters meant, without those about records that were sent again already."""
    return [x for x in letters.all() if pick.means(x) and x.feed != topic]


def end_of(row: Stored | None, letter: Letter, *, sends: bool) -> str:
    """Return what becomes of a record, of those in `_ENDS`."""
    if row is None:
        return "gone"
    if not letter.is_about(as_refused(row)):
        return "another"
    return "sent" if sends else "would_send"


async def _original(reader: Reader, letter: Letter, sizes: Mapping[str, int]) -> Stored | None:
    if letter.partition >= sizes.get(letter.feed, 0):
        return None
    return await record_at(reader, letter.place)


def _told(letter: Letter, end: str) -> bytes:
    feed, partition, offset = letter.place
    told = {"feed": feed, "partition": partition, "offset": offset, "reason": letter.reason}
    return msgspec.json.encode({**told, "outcome": end})


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**client_options(settings), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        yield producer
    except KafkaError as error:
        # The error's own text stays out: it could hold what the record holds.
        raise OutsideFailure(f"a record was not taken: {why(error)}") from None
    finally:
        await producer.stop()


def _by(reasons: Counter[str]) -> str:
    found = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return f": {found}" if found else ""


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
