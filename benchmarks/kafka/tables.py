"""The Kafka part of the page: who took part, in what, and what came of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from benchmarks import page
from benchmarks.kafka.course import PARTITIONS, open_course
from benchmarks.kafka.field import FIELD, Name
from benchmarks.kafka.latency import Delays, delays
from benchmarks.kafka.race import Standing, race
from benchmarks.kafka.sites import QUIX_VERSION
from benchmarks.logs import Workload
from benchmarks.variants import variants, write_rules
from benchmarks.workload import Size, lines
from streams.brokers import KAFKA_VERSION

_LOOP: Final[Name] = "plain aiokafka loop"
_BACKLOG: Final = (
    "contender",
    "events/s (least to greatest)",
    "times the plain loop",
    "CPU s per million",
    "from its start to the last alert, s",
    "peak MB",
    "alerts, of true ones",
)
_STEADY: Final = ("contender", "p50 ms", "p90 ms", "p99 ms", "of one core", "alerts, of true ones")


async def tables(
    backlog: Workload, steady: Size, per_second: int, rounds: int, say: Callable[[str], None]
) -> str:
    """Run both contests and return their tables.

    Args:
        backlog: what lies on the outside topics before anybody begins.
        steady: what comes at a steady pace, with many matches.
        per_second: the pace.
        rounds: how often each contender works off the backlog.
        say: is told how far it is.
    """
    chosen = variants(1)
    rules = backlog.folder / "rules-1"
    write_rules(rules, chosen)
    log = backlog.jsonl()
    truth = frozenset((r, t) for r, ts in backlog.truth(log, chosen).items() for t in ts)
    async with open_course() as course:
        say(f"loading {backlog.size.events:,} records")
        with log.open("rb") as stream:
            await course.load(line.rstrip(b"\n") for line in stream)
        standings = await race(
            course,
            FIELD,
            variants=chosen,
            rules=rules,
            truth=truth,
            rounds=rounds,
            say=say,
        )
    paced = list(lines(steady))
    found = await delays(
        open_course,
        FIELD,
        lines=paced,
        per_second=per_second,
        variants=chosen,
        rules=rules,
        say=say,
    )
    return "\n".join(
        [
            _about(backlog.size, rounds),
            page.table(_BACKLOG, list(_backlog_rows(standings, backlog.size, len(truth)))),
            _about_pace(steady, per_second),
            page.table(_STEADY, list(map(_steady_row, found))),
        ]
    )


def _about(size: Size, rounds: int) -> str:
    return (
        f"Apache Kafka {KAFKA_VERSION} from its jars on the same machine, {PARTITIONS} partitions "
        f"per topic, acks=all; Kafka Streams {KAFKA_VERSION} (one stream thread, at least once, "
        f"in-memory store with changelog), Quix Streams {QUIX_VERSION}. One process each, one "
        f"rule, workload A, seed {size.seed}: {size.events:,} events lie on the outside topics, "
        "and whoever runs reads them, drops what the rule cannot use, sends the rest by person "
        "through a topic, matches, and writes alerts. The clock is the broker's: from the first "
        "record between the two hops to the last true alert. The product does it all: contract "
        "checks, pseudonyms, lateness, commits with watermarks; the plain loop "
        "(`benchmarks/contenders/on_kafka.py`) promises nothing. "
        f"{rounds} rounds in turn; medians.\n"
    )


def _backlog_rows(standings: Sequence[Standing], size: Size, true: int) -> Iterator[Sequence[str]]:
    loop = next((s for s in standings if s.name == _LOOP and s.runs), None)
    loop_s = loop.median(lambda ran: ran.seconds) if loop else None
    for one in standings:
        if one.why_not is not None or not one.runs:
            yield (one.name, one.why_not or "", *[""] * 5)
            continue
        seconds = one.median(lambda ran: ran.seconds)
        speeds = [size.events / ran.seconds for ran in one.runs]
        yield (
            one.name,
            f"{size.events / seconds:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
            f"{loop_s / seconds:.2f}" if loop_s else "",
            f"{one.median(lambda ran: ran.cpu_s) / size.events * 1e6:.1f}",
            f"{one.median(lambda ran: ran.from_start_s):.1f}",
            f"{max(ran.peak_mb for ran in one.runs):.0f}",
            _alerts(((ran.lost, ran.false) for ran in one.runs), true),
        )


def _alerts(found: Iterable[tuple[int, int]], true: int) -> str:
    worst = max(found, key=sum)
    lost, false = worst
    return f"{true:,} of {true:,}" if worst == (0, 0) else f"WRONG: {lost} lost, {false} false"


def _about_pace(steady: Size, per_second: int) -> str:
    return (
        f"{steady.events:,} events at {per_second:,} a second, {steady.planted:,} planted pairs "
        "among them, on a fresh broker for each. The delay is that from the record that completes "
        "a match, as the broker appended it, to its alert, as the broker appended that; the first "
        "five seconds do not count.\n"
    )


def _steady_row(one: Delays) -> Sequence[str]:
    if one.why_not is not None:
        return (one.name, one.why_not, *[""] * 4)
    counted = len(one.delays_ms)
    quantiles = [f"{one.quantile_ms(percent):.0f}" for percent in (50, 90, 99)]
    return (
        one.name,
        *quantiles,
        f"{one.cpu_share:.0%}",
        f"{counted:,} of {counted + one.missing:,}",
    )
