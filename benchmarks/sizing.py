"""How much a worker needs: what a remembered row costs, how many are kept, and for how long."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import machine, page
from benchmarks.rebuilt import Cost as Rebuilt
from benchmarks.remembered import Cost
from rules.fact import split_key
from rules.memory import Memory
from rules.moment import DAY_US, HOUR_US, SECOND_US, format_duration
from rules.rule import RuleSet
from rules.timing import Timing
from rules.watermark import END_US, FeedClock
from streams.ingest import Ingest
from streams.rule_files import read_rules
from streams.settings import LATENESS
from streams.topics import facts_retention_us
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.facts import encode_fact
from streams.wire.pseudonyms import Pseudonyms
from streams.wire.records import Refusal

_ROOT: Final = Path(__file__).parents[1]
_KEY: Final = b"an invented key for benchmarks alone"
_TOWN: Final = ("--people", "5000", "--events", "50000", "--days", "2")
_REBUILT: Final = 200_000
_PER_SECOND: Final = 100
_PARTITIONS: Final = 12
_WORKER_GIB: Final = 4
_HEAD: Final = """\
# Sizing

Made by `python -m benchmarks sizing`; nothing here is written by hand. A worker remembers
events in memory, and for each of them there is a row in the facts log.

> **rows kept = records per second, times facts per record, times how long they are kept**

What that comes to depends on your rules and your customers: put your own figures into the
[example](#example). A running worker tells them: `ringfence_records_total`,
`ringfence_facts_total`, `ringfence_kept_events`, `process_resident_memory_bytes`
([operations](operations.md)). How much one worker gets done in a second:
[performance](performance.md).
"""


@dataclass(frozen=True)
class Kept:
    """What a rule set keeps of the records of a made-up town.

    `facts` are counted by what they are under and what they are; the bytes are those of their
    rows, keys included.
    """

    records: int
    facts: Counter[tuple[str, str]]
    row_bytes: int
    letter_bytes: int
    keep_us: dict[tuple[str, str], int]

    @property
    def share(self) -> float:
        """Facts per record."""
        return self.facts.total() / self.records

    @property
    def horizon_us(self) -> float:
        """How long a fact is kept on average, lateness included."""
        kept_us = sum(count * self.keep_us[what] for what, count in self.facts.items())
        return kept_us / self.facts.total() + LATENESS.default_us


def tables(
    sizes: Sequence[int], seed: int, folder: Path, say: Callable[[str], None]
) -> Iterator[str]:
    """Yield the page.

    Args:
        sizes: for how many people one row each is remembered, in ascending order.
        seed: what the town is made from, whose records are kept or not.
        folder: where its log is made.
        say: is told how far it is.
    """
    yield _HEAD
    say(f"{', '.join(f'{size:,}' for size in sizes)} people, one row each")
    # Two at a time: memory is each one's own, and what is counted is processor time.
    with ThreadPoolExecutor(2) as pool:
        costs = list(pool.map(_cost, sizes))
    yield f"\n## What a row costs\n\n{_about_costs(costs[-1])}\n\n{_cost_table(costs)}"
    say(f"a rebuild of {_REBUILT:,} rows from a broker")
    rebuilt = _rebuilt(_REBUILT)
    yield f"\n## A rebuild\n\n{_about_rebuild(rebuilt)}\n"
    rule_set = read_rules(None, Timing(), None)
    say("what is kept of a town's records")
    kept = _kept(rule_set, _town(folder, seed))
    yield f"\n## What is kept\n\n{_about_kept(kept)}\n\n{_kept_table(kept)}"
    yield f"\n## Example\n\n{_example(costs[-1], rebuilt, kept, rule_set)}"
    yield f"\nOn {machine.described()}.\n"


def _cost(rows: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.remembered", str(rows)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=Cost)


def _rebuilt(rows: int) -> Rebuilt:
    command = [sys.executable, "-m", "benchmarks.rebuilt", str(rows)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=Rebuilt)


def _about_costs(cost: Cost) -> str:
    return (
        "The correlator of the whole catalogue observes the rows of a facts log, decoding\n"
        "included: one answered call by a stranger for each person, so each has a history of\n"
        "one event. Memory is the resident memory of the process, beyond what it had before\n"
        f"the first row. The {2 * Memory.RECENT:,} keys touched last are kept as they are, up to\n"
        "2 KB each, in every partition; all others rest compressed. What is left: after all has\n"
        "expired, as the system sees it. The allocator keeps freed memory for what comes next;\n"
        f"Python itself has given back {100 - 100 * cost.traced_share_left:.0f} % of what it took."
    )


def _about_rebuild(rebuilt: Rebuilt) -> str:
    each_us = rebuilt.cpu_seconds / rebuilt.rows * 1e6
    reading_us = rebuilt.reading_cpu_seconds / rebuilt.rows * 1e6
    return (
        f"A worker's own code makes the state of one partition anew from {rebuilt.rows:,} such\n"
        f"rows on a real Kafka: {each_us:.1f} µs of processor time per row, of which\n"
        f"{reading_us:.1f} for reading, so {1e6 / each_us:,.0f} rows a second on a core of its\n"
        "own. Rows of keys with so many events that a rule could match are read and judged\n"
        "one by one, and take as long as they do when they come."
    )


def _cost_table(costs: Sequence[Cost]) -> str:
    return page.table(
        (
            "people",
            "bytes in memory per row",
            "left after expiry",
            "CPU µs per row as it comes",
            "in a rebuild",
            "bytes in the log",
        ),
        [
            (
                f"{cost.rows:,}",
                f"{cost.memory_bytes / cost.rows:,.0f}",
                f"{cost.left_bytes / cost.rows:,.0f}",
                f"{cost.cpu_seconds / cost.rows * 1e6:,.0f}",
                f"{cost.rebuild_cpu_seconds / cost.rows * 1e6:,.1f}",
                f"{cost.log_bytes / cost.rows:,.0f}",
            )
            for cost in costs
        ],
    )


def _town(folder: Path, seed: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"town-{seed}.jsonl"
    command = [sys.executable, "-m", "streams.cli", "simulate", "--seed", str(seed), *_TOWN]
    subprocess.run([*command, "--out", str(log)], cwd=_ROOT, capture_output=True, check=True)
    return log


def _kept(rule_set: RuleSet, log: Path) -> Kept:
    timing = Timing()
    ingest = Ingest(rule_set, timing, Pseudonyms(_KEY, frozenset()))
    clock = FeedClock(LATENESS.default_us)
    facts: Counter[tuple[str, str]] = Counter()
    row_bytes = records = 0
    useful = b""
    with log.open("rb") as lines:
        for line in lines:
            records += 1
            taken = ingest.admit(ingest.read_whole(line, now_us=END_US), clock)
            if taken.facts:
                useful = line
            for fact in taken.facts:
                facts[split_key(fact.key)[0], fact.event.identity.type] += 1
                row_bytes += sum(map(len, encode_fact(fact)))
    refused = ingest.read_whole(useful.replace(b'"person"', b'"nobody"'), now_us=END_US)
    assert isinstance(refused, Refusal), "a record about nobody is refused"
    letter = encode_dead_letter(dead_letter(useful, refused, "transactions", 0, 10**9))
    return Kept(records, facts, row_bytes // facts.total(), len(letter), _keep_us(rule_set))


def _keep_us(rule_set: RuleSet) -> dict[tuple[str, str], int]:
    keep_us: Counter[tuple[str, str]] = Counter()
    for rule in rule_set.rules:
        for option in (option for part in rule.parts for option in part.options):
            what = (rule.by, option.event)
            keep_us[what] = max(keep_us[what], rule.keep_us)
    return keep_us


def _about_kept(kept: Kept) -> str:
    average = format_duration(_minutes(kept.horizon_us))
    return (
        f"The whole catalogue and {kept.records:,} records of two ordinary days in a made-up\n"
        f"town (`ringfence simulate`): {kept.share:.3f} facts per record, each {kept.row_bytes}\n"
        f"bytes in the facts log with its key, kept for {average} on average, lateness included.\n"
        "An event is kept until the feed that is furthest behind has passed its start by the\n"
        "time in the last column: a feed that is hours late keeps everything hours longer."
    )


def _kept_table(kept: Kept) -> str:
    return page.table(
        ("event, and its key", "facts per 1,000 records", "kept for"),
        [
            (
                f"`{event}` by {by}",
                f"{1000 * count / kept.records:,.1f}",
                format_duration(kept.keep_us[by, event]),
            )
            for (by, event), count in kept.facts.most_common()
        ],
    )


def _example(cost: Cost, rebuilt: Rebuilt, kept: Kept, rule_set: RuleSet) -> str:
    horizon_s = kept.horizon_us / SECOND_US
    facts_per_s = _PER_SECOND * kept.share
    rows = facts_per_s * horizon_s
    memory = rows * cost.memory_bytes / cost.rows
    retention_us = facts_retention_us(rule_set)
    log_bytes = facts_per_s * retention_us / SECOND_US * kept.row_bytes
    workers = ceil(memory / (_WORKER_GIB * 1024**3 * 0.6)) + 1
    rebuild_s = rows / _PARTITIONS * rebuilt.cpu_seconds / rebuilt.rows
    lines = (
        ("records per second, both sides", f"{_PER_SECOND:,}"),
        (f"times {kept.share:.3f} facts per record", f"{facts_per_s:,.1f} facts per second"),
        (f"times {horizon_s / 3600:,.1f} h that they are kept", f"{rows:,.0f} rows kept"),
        (
            f"times {cost.memory_bytes / cost.rows:,.0f} bytes",
            f"{memory / 1e9:,.2f} GB in all workers together",
        ),
        (
            f"in workers of {_WORKER_GIB} GiB, 60 % of it for what is kept, and one to spare",
            f"{workers} workers",
        ),
        (
            f"a rebuild of one of {_PARTITIONS} partitions",
            f"{rebuild_s:,.0f} s",
        ),
        (
            f"facts log, kept for {retention_us / DAY_US:,.0f} days, before replication",
            f"{log_bytes / 1e9:,.1f} GB",
        ),
        (
            f"dead letters of {kept.letter_bytes} bytes, if 1 record in 1,000 is refused",
            f"{_PER_SECOND / 1000 * 86_400 * kept.letter_bytes / 1e6:,.0f} MB a day",
        ),
    )
    return page.table(("step", "comes to"), lines)


def _minutes(us: float) -> int:
    return round(us / (HOUR_US // 60)) * (HOUR_US // 60)
