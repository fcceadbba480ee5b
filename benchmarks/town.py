"""The catalogue against a simulated town: what is planted and found, and who is troubled."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Final

from benchmarks import page
from rules.alert import Alert
from streams.ingest import Ingest
from streams.logs import Log
from streams.replay import Replay
from streams.rule_files import read_texts
from streams.settings import load_settings
from streams.simulation.habits import HABITS
from streams.simulation.log import Scenario, write_log
from streams.simulation.planted import Planted, plant
from streams.simulation.repertoire import Repertoire, repertoire
from streams.wire.pseudonyms import Pseudonyms

Json = dict[str, Any]

PEOPLE, DAYS, ROUNDS, SEED = 20_000, 7, 20, 7
"""Of the published page."""

LIMIT: Final = 2.5
"""No rule may raise more alerts than this about 1,000 ordinary people and day."""

_PLANTED: Final = re.compile(r"(k\d+)-")
_EVENTS_A_DAY: Final = 4
_HEAD: Final = f"""\
# The town

Made by `python -m benchmarks town`; nothing here is written by hand. `ringfence simulate` makes a
town from a seed: ordinary life, written without a look at any rule, and among it the stories of
the rule files, told of other people, at other times, with other amounts where a story allows. The
whole catalogue is replayed over its log.

* *cases*: planted stories in which the rule must alert, and how many of them it found, each alert
  about the right event;
* *confusers*: planted occasions that look alike, and in how many the rule stayed silent;
* *ordinary people*: final alerts about people to whom nothing was done, all of them false, and how
  many that is per 1,000 people and day. Of no rule may it be more than {LIMIT}; a test holds it.
  0.000 is none at all in the whole town.

The town's ordinary life is a guess, shown at the end; the rates hold for it and for nobody else.
That cases are found shows that rules, engine and replay agree at this size, among strangers and
with other amounts. It says nothing about fraud that no story tells of.
"""


@dataclass(frozen=True)
class Verdict:
    """What a replay of a town says, against what is true."""

    scenario: Scenario
    truths: Sequence[Json]
    alerts: Mapping[str, Alert]

    def found(self, truth: Json) -> bool:
        """Tell whether every alert that a planted case must give stands."""
        return all(
            (truth["rule"], *expected["anchor"].values()) in self._standing
            for expected in truth["alerts"]
        )

    def silent(self, truth: Json) -> bool:
        """Tell whether no alert of the confused rule is about what was planted."""
        return (truth["rule"], truth["case"]) not in self._cases

    @cached_property
    def ordinary(self) -> Mapping[str, int]:
        """For each rule the alerts about people to whom nothing was done."""
        return Counter(
            alert.content["rule"]["id"]
            for alert in self.alerts.values()
            if self._case(alert) is None
        )

    def per_thousand(self, alerts: int) -> float:
        """Return how many alerts that is per 1,000 people and day."""
        return 1_000 * alerts / (self.scenario.people * self.scenario.days)

    @cached_property
    def _standing(self) -> set[tuple[str, ...]]:
        contents = [alert.content for alert in self.alerts.values()]
        names = ("source", "type", "id")
        return {(c["rule"]["id"], *(c["anchor"][name] for name in names)) for c in contents}

    @cached_property
    def _cases(self) -> set[tuple[str, str | None]]:
        found = self.alerts.values()
        return {(alert.content["rule"]["id"], self._case(alert)) for alert in found}

    def _case(self, alert: Alert) -> str | None:
        """Return the planted case that an alert is about, by the ids of what it rests on."""
        if alert.content["anchor"]["type"] == "alert":
            return self._case(self.alerts[alert.content["anchor"]["id"]])
        planted = _PLANTED.match(alert.content["anchor"]["id"])
        return planted and planted[1]


def judge(scenario: Scenario, rounds: int) -> Verdict:
    """Replay the catalogue over a town with so many rounds of planted cases."""
    settings = load_settings({"RINGFENCE_PSEUDONYM_KEY": "a key for this town only"})
    offered = repertoire(read_texts(None), settings.timing)
    planted = list(_planted(offered, scenario, rounds))
    lines = write_log(scenario, (each.happening for each in planted))
    stream = BytesIO(b"\n".join(line.raw for line in lines))
    ingest = Ingest(offered.rule_set, settings.timing, Pseudonyms(settings.secret(), frozenset()))
    replay = Replay(offered.rule_set, ingest, settings.lateness_us, as_of_us=0)
    last: dict[str, Alert] = {}

    def keep(alert: Alert) -> None:
        last[alert.alert_id] = alert

    summary = replay.run([Log("town", stream, None, stream.tell)], keep, lambda _letter: None)
    assert (summary.refused.total(), summary.late) == (0, 0), "a town's log keeps the contract"
    raised = {name: alert for name, alert in last.items() if alert.state == "raised"}
    return Verdict(scenario, [dict(each.truth) for each in planted], raised)


def _planted(offered: Repertoire, scenario: Scenario, rounds: int) -> Iterator[Planted]:
    return plant(offered, scenario.seed, rounds, scenario.start_us, scenario.days)


def tables(people: int, days: int, rounds: int, seed: int) -> str:
    """Return the page: what was planted and found, who was troubled, and how the town lives."""
    scenario = Scenario(seed, people, _EVENTS_A_DAY * people * days, days=days)
    verdict = judge(scenario, rounds)
    about = (
        f"Seed {seed}: {people:,} people, {days} days, {scenario.events:,} events, "
        f"{rounds} rounds of planted cases.\n"
    )
    return "\n".join((_HEAD, about, _by_rule(verdict), _LIFE, _habits()))


def _by_rule(verdict: Verdict) -> str:
    header = ("rule", "cases found", "confusers silent", "ordinary people", "per 1,000 and day")
    ordinary = verdict.ordinary
    rows = [
        (
            f"`{rule}`",
            _share(verdict.found(t) for t in verdict.truths if _is(t, rule, "case")),
            _share(verdict.silent(t) for t in verdict.truths if _is(t, rule, "confuser")),
            f"{ordinary.get(rule, 0):,}",
            f"{verdict.per_thousand(ordinary.get(rule, 0)):.3f}",
        )
        for rule in sorted({truth["rule"] for truth in verdict.truths})
    ]
    return page.table(header, rows)


def _is(truth: Json, rule: str, kind: str) -> bool:
    return (truth["rule"], truth["kind"]) == (rule, kind)


def _share(held: Iterable[bool]) -> str:
    told = list(held)
    return f"{sum(told):,} of {len(told):,}"


_LIFE: Final = """\
## How ordinary people live

What everybody of the town does, how often on average, in the words of
`streams/simulation/habits.py`.
"""


def _habits() -> str:
    events = sum(habit.weight * habit.events for habit in HABITS)
    rows = [
        (habit.says, f"{365 * _EVENTS_A_DAY * habit.weight / events:,.1f}") for habit in HABITS
    ]
    return page.table(("what", "times a year"), rows)
