"""What `ringfence replay` does around the replay: settings, files, progress and the summary."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from rules.alert import Alert, encode_alert
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.watermark import Partition
from streams.clock import now_us
from streams.failures import SettingsError
from streams.files import output
from streams.garbage import look_seldom
from streams.ingest import Ingest
from streams.jobs import can_split, skimmed_parts
from streams.logs import Log, open_log
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.settings import Settings, load_settings
from streams.summary import Summary
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms

if TYPE_CHECKING:
    from streams.columnar import ColumnarReplay


@dataclass(frozen=True)
class ReplayRequest:
    """The command's options, as given."""

    logs: tuple[str, ...]
    rules: Path | None = None
    params: Path | None = None
    out: Path | None = None
    dead_letters: Path | None = None
    lateness: str | None = None
    as_of: str | None = None
    feeds: str | None = None
    final_only: bool = False
    signals: bool = False
    summary: str = "text"
    jobs: int = 1
    validate: str | None = None


def run_replay(request: ReplayRequest) -> int:
    """Replay as requested and say on stderr what was counted; return how many were refused.

    Raises:
        Failure: a setting, rule file, log or output is not as it should be.
    """
    settings = load_settings(
        os.environ,
        rules=request.rules,
        params=request.params,
        lateness=request.lateness,
        validate=request.validate,
    )
    as_of_us = _moment(request.as_of)
    rule_set = read_rules(settings.rules, settings.timing, settings.params)
    pseudonyms = pseudonyms_of(settings)
    validates_all = settings.validates == "all"
    ingest = Ingest(rule_set, settings.timing, pseudonyms, validates_all=validates_all)
    begun = time.perf_counter()
    look_seldom()
    with ExitStack() as stack:
        logs = [stack.enter_context(open_log(name)) for name in request.logs]
        replay = _replay_of(logs, request, settings, rule_set, ingest, as_of_us=as_of_us)
        letters = stack.enter_context(_letters(request.dead_letters))
        alerts = stack.enter_context(output(request.out))
        parts = stack.enter_context(
            skimmed_parts(
                request.logs[0],
                request.jobs,
                rule_set,
                settings.timing,
                pseudonyms,
                as_of_us=as_of_us,
                validates_all=validates_all,
            )
            if _is_split(request)
            else nullcontext()
        )
        stack.enter_context(progress_of(logs, replay.summary))
        written = _Written(alerts, final_only=request.final_only, signals=request.signals)
        replay.run(logs, written.write, letters, parts)
        written.finish()
    _report(replay.summary, time.perf_counter() - begun, request.summary)
    return replay.summary.refused.total()


def _is_split(request: ReplayRequest) -> bool:
    """Tell whether the log is read in several processes; say so if that was asked in vain."""
    if request.jobs > 1 and not can_split(request.logs):
        sys.stderr.write(
            "ringfence: --jobs splits one log of JSON lines that is not compressed; this runs as"
            " one job\n"
        )
    return request.jobs > 1 and can_split(request.logs)


def _replay_of(
    logs: Sequence[Log],
    request: ReplayRequest,
    settings: Settings,
    rule_set: RuleSet,
    ingest: Ingest,
    *,
    as_of_us: int,
) -> "Replay | ColumnarReplay":
    """Return the replay of these logs: of one in columns, by its columns where that is quicker."""
    feeds = _feeds(request.feeds)
    columns = logs[0].columns if len(logs) == 1 and settings.validates != "all" else None
    if columns is not None and columns.is_comparable:
        # Few logs are Parquet, and start-up time counts.
        from streams.columnar import ColumnarReplay  # noqa: PLC0415 - see above

        by_columns = ColumnarReplay(
            columns, rule_set, ingest, settings, as_of_us=as_of_us, feeds=feeds
        )
        if by_columns.is_worth_it:
            return by_columns
    return Replay(rule_set, ingest, settings.lateness_us, as_of_us=as_of_us, feeds=feeds)


def pseudonyms_of(settings: Settings) -> Pseudonyms:
    """Return the pseudonyms of a replay: with the set key, or with a published one and a warning.

    Raises:
        SettingsError: the key is too short.
    """
    withheld = frozenset(settings.withheld_values)
    if settings.pseudonym_key is None:
        sys.stderr.write(
            "ringfence: RINGFENCE_PSEUDONYM_KEY is not set; pseudonyms are made with a published"
            " key, so anybody can recompute them\n"
        )
        return Pseudonyms(PUBLISHED_KEY, withheld)
    try:
        return Pseudonyms(settings.pseudonym_key.get_secret_value().encode(), withheld)
    except ValueError as error:
        raise SettingsError(f"RINGFENCE_PSEUDONYM_KEY: {error}") from error


def _moment(text: str | None) -> int:
    if text is None:
        return now_us()
    try:
        return parse_moment(text)
    except ValueError as error:
        raise SettingsError(f"--as-of: {error}") from error


def _feeds(text: str | None) -> Sequence[Partition]:
    partitions = []
    for part in (text or "").split(","):
        feed, slash, number = part.strip().rpartition("/")
        if not part.strip():
            continue
        if not slash or not number.isdecimal() or not feed:
            raise SettingsError(f'--feeds: "{part.strip()}" is no partition like calls/0')
        partitions.append((feed, int(number)))
    return partitions


class _Written:
    """Writes alerts as they come, or only the last record of each at the end."""

    def __init__(self, stream: BinaryIO, *, final_only: bool, signals: bool) -> None:
        self._stream = stream
        self._final_only = final_only
        self._signals = signals
        self._last: dict[str, Alert] = {}

    def write(self, alert: Alert) -> None:
        if alert.is_signal and not self._signals:
            return
        if self._final_only:
            self._last[alert.alert_id] = alert
        else:
            self._stream.write(encode_alert(alert) + b"\n")

    def finish(self) -> None:
        for alert in sorted(self._last.values(), key=lambda a: (a.anchor_start_us, a.alert_id)):
            self._stream.write(encode_alert(alert) + b"\n")


@contextmanager
def _letters(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    if path is None:
        yield lambda _letter: None
        return
    with output(path) as stream:

        def write(letter: bytes) -> None:
            stream.write(letter + b"\n")

        yield write


@contextmanager
def progress_of(logs: Sequence[Log], summary: Summary) -> Iterator[None]:
    """Show on a terminal how far the logs have been read."""
    if not sys.stderr.isatty():
        yield
        return
    from streams.progress import show_progress  # noqa: PLC0415 - rich is slow to load

    with show_progress(logs, summary):
        yield


def _report(summary: Summary, seconds: float, form: str) -> None:
    counted = summary.as_json(seconds)
    if form == "json":
        sys.stderr.buffer.write(msgspec.json.encode(counted) + b"\n")
        return
    for line in summary.as_lines(seconds):
        sys.stderr.write(line + "\n")
