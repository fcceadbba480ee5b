"""What the engine alone takes for each fact that it is told, without bytes or a disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import process_time

from rules.alert import Alert
from rules.fact import Fact, Mark
from rules.moment import LATEST_US, MINUTE_US
from rules.rule import RuleSet
from rules.stages import Engine
from rules.timing import Timing
from rules.watermark import Partition
from streams.ingest import Ingest
from streams.logs import open_log
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms


class _Timed(Engine):
    """An engine that notes how long it takes, and how many facts it is told."""

    def __init__(
        self, rule_set: RuleSet, watermarks: Mapping[Partition, int], timing: Timing
    ) -> None:
        super().__init__(rule_set, watermarks, timing=timing)
        self.cpu_seconds = 0.0
        self.facts = 0

    def observe(self, rows: Sequence[Fact | Mark], revision: int) -> list[Alert]:
        begun = process_time()
        alerts = super().observe(rows, revision)
        self.cpu_seconds += process_time() - begun
        self.facts += sum(isinstance(row, Fact) for row in rows)
        return alerts


def cpu_us_per_fact(log: Path, rules: Path) -> float:
    """Return the microseconds of processor time that the engine takes for a fact, on average."""
    timing = Timing()
    rule_set = read_rules(rules, timing)
    engines: list[_Timed] = []

    def make_engine(watermarks: Mapping[Partition, int]) -> Engine:
        engines.append(_Timed(rule_set, watermarks, timing))
        return engines[-1]

    replay = Replay(
        rule_set,
        Ingest(rule_set, timing, Pseudonyms(PUBLISHED_KEY, frozenset())),
        lambda _feed: 15 * MINUTE_US,
        as_of_us=LATEST_US,
        make_engine=make_engine,
    )
    with open_log(str(log)) as opened:
        replay.run([opened], lambda _alert: None, lambda _letter: None)
    (engine,) = engines
    return engine.cpu_seconds / engine.facts * 1e6
