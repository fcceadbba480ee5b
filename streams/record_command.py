"""What `ringfence record` does: a window of topics in, a log that replays like the worker out."""

import asyncio
import gzip
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from rules.watermark import Partition
from streams.clock import now_us
from streams.epoch import partitions_of
from streams.failures import SettingsError
from streams.files import output
from streams.settings import NAME, Settings
from streams.topics import sizes_of
from streams.windows import MILLISECOND_US, Bound, Span, Stored, open_reader, parse_bound
from streams.wire.binary_mode import envelope_from_headers
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.json_text import Mistake
from streams.wire.log_lines import first_heartbeat, log_line
from streams.wire.records import Refusal

_SHOWN: Final = 10
_MISSING: Final = "check the settings, or name the topics with --topics"


@dataclass(frozen=True)
class RecordRequest:
    """The command's options, as given."""

    topics: str | None = None
    begin: str = "earliest"
    end: str = "latest"
    out: Path | None = None
    dead_letters: Path | None = None


@dataclass
class Recorded:
    """What was counted while a log was written; `unwritten` is where each such record lies."""

    records: int = 0
    alerts: int = 0
    without_value: int = 0
    ahead: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unwritten: list[str] = field(default_factory=list)

    def sentences(self, spans: Mapping[Partition, Span], out: Path | None) -> Iterator[str]:
        """Yield what there is to say of it, for a person."""
        where = "standard output" if out is None else f'"{out}"'
        yield (
            f"{self.records:,} records of {_counted(len(spans), 'partition')} in {where};"
            " they hold raw personal data: guard the log as you guard the topics"
        )
        if self.reasons:
            found = ", ".join(f"{reason} {n:,}" for reason, n in sorted(self.reasons.items()))
            more = ", …" if self.reasons.total() > len(self.unwritten) else ""
            yield f"no line could be made of {self.reasons.total():,}: {found}"
            yield f"they lie at {', '.join(self.unwritten)}{more}"
        if self.alerts:
            yield f"alerts left out: {self.alerts:,}"
        if self.without_value:
            yield f"without a value, which the worker skips too: {self.without_value:,}"
        for topic, count in sorted(self.ahead.items()):
            yield (
                f"{count:,} of {topic} are dated more than 5 minutes after Kafka's timestamp, and"
                " a replay refuses them as of the future"
            )


def run_record(settings: Settings, request: RecordRequest) -> None:
    """Write the window as a log, and say on stderr what was counted.

    Raises:
        Failure: a topic, a bound, the broker or the output is not as it should be.
    """
    topics = _topics(settings, request.topics)
    begin, end = parse_bound("--from", request.begin), parse_bound("--to", request.end)
    _check_moments(begin, end, now_us())
    asyncio.run(_record(settings, request, topics, (begin, end)))


def _topics(settings: Settings, text: str | None) -> Sequence[str]:
    if text is None:
        return settings.outside_topics
    topics = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not topics:
        raise SettingsError("--topics: it names none, wanted one or more")
    for topic in topics:
        if not NAME.fullmatch(topic):
            raise SettingsError(f'--topics: "{topic}" is no name of a topic')
        if topic.startswith((settings.facts_topic, settings.alerts_topic)) or (
            topic == settings.dead_letters_topic
        ):
            raise SettingsError(
                f'--topics: "{topic}" is ringfence\'s own, and a log holds what others have sent'
            )
    return topics


def _check_moments(begin: Bound, end: Bound, now: int) -> None:
    if isinstance(end, int) and end > now:
        raise SettingsError(
            "--to: that moment has not come yet; record what is there with --to now"
        )
    if isinstance(begin, int) and isinstance(end, int) and begin > end:
        raise SettingsError("--from: it lies after --to")


async def _record(
    settings: Settings,
    request: RecordRequest,
    topics: Sequence[str],
    bounds: tuple[Bound, Bound],
) -> None:
    partitions = partitions_of(await sizes_of(settings, topics, _MISSING))
    async with open_reader(settings) as reader:
        spans = await reader.spans(partitions, *bounds)
        with ExitStack() as stack:
            log = stack.enter_context(_packed(request.out))
            letters = stack.enter_context(_letters(request.dead_letters))
            writing = Writing(log, letters)
            writing.begin(partitions)
            async for partition, row in reader.rows(spans):
                writing.take(partition, row)
    for sentence in writing.recorded.sentences(spans, request.out):
        sys.stderr.write(f"{sentence}\n")


class Writing:
    """A log while it is written: rows in, lines out, and what could be no line to the letters."""

    def __init__(self, log: BinaryIO, letters: Callable[[bytes], None]) -> None:
        self.recorded = Recorded()
        self._log = log
        self._letters = letters

    def begin(self, partitions: Sequence[Partition]) -> None:
        """Name every partition, so that a replay knows them all before the first record."""
        for partition in partitions:
            self._log.write(first_heartbeat(partition) + b"\n")

    def take(self, partition: Partition, row: Stored) -> None:
        """Write one row as a line, or count why not."""
        if row.value is None:
            self.recorded.without_value += 1
            return
        raw = envelope_from_headers(row.headers, row.value)
        line = log_line(raw, partition, row.timestamp * MILLISECOND_US)
        if line is None:
            self.recorded.alerts += 1
        elif isinstance(line, Mistake):
            self._refuse(partition, row.offset, raw, line)
        else:
            self.recorded.records += 1
            if line.is_ahead:
                self.recorded.ahead[partition[0]] += 1
            self._log.write(line.text + b"\n")

    def _refuse(self, partition: Partition, offset: int, raw: bytes, mistake: Mistake) -> None:
        topic, number = partition
        self.recorded.reasons[mistake.reason] += 1
        if len(self.recorded.unwritten) < _SHOWN:
            self.recorded.unwritten.append(f"{topic}:{number}:{offset} ({mistake.reason})")
        refusal = Refusal(mistake.reason, mistake.detail)
        self._letters(encode_dead_letter(dead_letter(raw, refusal, topic, number, offset)))


@contextmanager
def _packed(path: Path | None) -> Iterator[BinaryIO]:
    """Open the log, compressed as the end of its name says."""
    with output(path) as stream:
        suffix = None if path is None else path.suffix
        if suffix == ".gz":
            # Without the time of packing, so that the same window gives the same file.
            with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed:
                yield cast("BinaryIO", packed)
        elif suffix == ".zst":
            with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as packed:
                yield cast("BinaryIO", packed)
        else:
            yield stream


@contextmanager
def _letters(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    if path is None:
        yield lambda _letter: None
        return
    with output(path) as stream:
        yield lambda letter: cast("None", stream.write(letter + b"\n"))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
