"""A log's parts, skimmed in processes of their own."""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rules.rule import RuleSet
from rules.timing import Timing
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.skim import Bounds, Part, parts_of, skim
from streams.wire.pseudonyms import Pseudonyms


def can_split(logs: Sequence[str]) -> bool:
    """Tell whether the logs are one file of lines, not compressed."""
    return len(logs) == 1 and logs[0].endswith((".jsonl", ".json", ".ndjson", ".log"))


@contextmanager
def skimmed_parts(
    name: str,
    jobs: int,
    rule_set: RuleSet,
    timing: Timing,
    pseudonyms: Pseudonyms,
    *,
    as_of_us: int,
    validates_all: bool,
) -> Iterator[Iterable[Part]]:
    """Skim a log in several processes; gives what its parts come to, in order.

    The processes end with the block, whatever ends it.

    Raises:
        OutsideFailure: the log cannot be read.
    """
    path = Path(name)
    # Forked processes have the rules already, and start in no time.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    work = partial(_Work.skim, path, as_of_us)
    told = (rule_set, timing, pseudonyms, validates_all)
    with context.Pool(jobs, _Work.begin, told) as pool:
        yield _named(name, pool.imap(work, parts_of(path.stat().st_size)))


def _named(name: str, parts: Iterable[Part]) -> Iterator[Part]:
    try:
        yield from parts
    except OSError as error:
        raise OutsideFailure(f'log "{name}" cannot be read to its end: {error}') from error


class _Work:
    """What one of the processes does."""

    ingest: Ingest

    @classmethod
    def begin(
        cls,
        rule_set: RuleSet,
        timing: Timing,
        pseudonyms: Pseudonyms,
        validates_all: bool,  # noqa: FBT001 - a pool passes by place
    ) -> None:
        # Ctrl-C reaches all processes of a terminal; the first one ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cls.ingest = Ingest(rule_set, timing, pseudonyms, validates_all=validates_all)

    @classmethod
    def skim(cls, path: Path, as_of_us: int, bounds: Bounds) -> Part:
        cls.ingest.people.clear()
        return skim(path, bounds, cls.ingest, as_of_us)
