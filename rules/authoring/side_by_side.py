"""Several rule sets run side by side over the same facts, as if each ran alone.

Rules on outside events know nothing of each other, so each distinct one of all sets is judged
once. The rules that read alerts are another matter: each set has its own, which see the alerts of
that set alone. What depends on all rules that run is how long events are remembered, so of records
that came late more may be known here than there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from rules.alert import Alert, alert_id
from rules.authoring.standings import Standing, Standings
from rules.engine import Correlator
from rules.fact import Fact, Identity, Mark
from rules.judging import Lost
from rules.rule import Rule, RuleSet
from rules.stages import Claims, Engine, passed_on
from rules.timing import Timing
from rules.watermark import Partition

_ALERTS: Partition = ("alerts", 0)


class SideBySide:
    """Rule sets under names of their own: `rule_set` holds all their rules, each once."""

    def __init__(self, rule_sets: Sequence[RuleSet], timing: Timing) -> None:
        self._timing = timing
        self._own: dict[str, Rule] = {}
        self._names: list[Sequence[str]] = []
        held: dict[tuple[str, str], str] = {}
        for rule_set in rule_sets:
            names = [self._name(rule, held) for rule in rule_set.rules]
            self._names.append(names)
        renamed = (replace(rule, id=name) for name, rule in sorted(self._own.items()))
        most = max(rule_set.max_history for rule_set in rule_sets)
        self.rule_set = RuleSet(tuple(renamed), most)

    def _name(self, rule: Rule, held: dict[tuple[str, str], str]) -> str:
        # No rule's own id has such a sign in it.
        new = f"{rule.id}~{len(self._own)}"
        name = new if rule.reads_alerts else held.setdefault((rule.id, rule.digest), new)
        self._own.setdefault(name, rule)
        return name

    def engine(self, watermarks: Mapping[Partition, int]) -> Engine:
        """Return the engine of all sets, with nothing remembered."""
        by_name = {rule.id: rule for rule in self.rule_set.rules}
        readers = []
        for names in self._names:
            own = tuple(by_name[n] for n in sorted(names))
            second = replace(self.rule_set, rules=own).second_stage
            if second.rules:
                readers.append((frozenset(names), second))
        return _Engines(self.rule_set.first_stage, self._own, readers, watermarks, self._timing)

    def standings(self, found: Standings) -> list[Standings]:
        """Return how the alerts of each set stand, under their own ids, from those of all."""
        by_name: dict[str, dict[str, Standing]] = {}
        for standing in found.values():
            rule = self._own[standing.rule]
            own_id = alert_id(rule, standing.anchor, standing.key)
            own = replace(standing, rule=rule.id, alert_id=own_id)
            by_name.setdefault(standing.rule, {})[own_id] = own
        return [
            {n: s for name in names for n, s in by_name.get(name, {}).items()}
            for names in self._names
        ]


class _Reader:
    """The rules of one set that read alerts; `names` are those under which its rules run."""

    def __init__(
        self, names: frozenset[str], rules: RuleSet, minimum_us: int, timing: Timing
    ) -> None:
        self._names = names
        self._rules = rules
        self._claims = Claims(rules)
        self._correlator = Correlator(
            rules, {_ALERTS: passed_on(minimum_us, rules)}, timing=timing
        )

    def observe(
        self,
        facts: Sequence[Fact],
        raised: Sequence[tuple[str, Alert]],
        minimum_us: int,
        revision: int,
    ) -> Sequence[Alert]:
        rows: list[Fact | Mark] = [*facts]
        for name, alert in raised:
            if name in self._names:
                rows += self._claims.facts(alert)
        rows.append(Mark(*_ALERTS, passed_on(minimum_us, self._rules)))
        return self._correlator.observe(rows, revision)

    @property
    def next_due_us(self) -> int:
        return self._correlator.next_due_us + self._rules.lag_us

    def lost(self) -> Mapping[str, Sequence[Mapping[str, Lost]]]:
        return self._correlator.lost()


class _Engines(Engine):
    """One first stage for all, and for each set a second stage of its own."""

    def __init__(
        self,
        first: RuleSet,
        own: Mapping[str, Rule],
        readers: Sequence[tuple[frozenset[str], RuleSet]],
        watermarks: Mapping[Partition, int],
        timing: Timing,
    ) -> None:
        super().__init__(first, watermarks, timing=timing)
        self._own = own
        minimum_us = self.first.watermarks.minimum_us
        self._readers = [_Reader(names, rules, minimum_us, timing) for names, rules in readers]

    def observe(self, rows: Sequence[Fact | Mark], revision: int) -> list[Alert]:
        raised = self.first.observe(rows, revision)
        facts = [row for row in rows if isinstance(row, Fact)]
        told = [self._told(alert) for alert in raised] if self._readers else []
        minimum_us = self.first.watermarks.minimum_us
        read = [r.observe(facts, told, minimum_us, revision) for r in self._readers]
        return [*raised, *(alert for alerts in read for alert in alerts)]

    def _told(self, alert: Alert) -> tuple[str, Alert]:
        """Return the name under which a rule ran, and its alert under the rule's own id."""
        content = alert.content
        rule = self._own[content["rule"]["id"]]
        anchor = content["anchor"]
        identity = Identity(anchor["source"], anchor["type"], anchor["id"])
        own_id = alert_id(rule, identity, content["key"])
        own = {**content, "rule": {**content["rule"], "id": rule.id}}
        return (
            content["rule"]["id"],
            msgspec.structs.replace(alert, alert_id=own_id, content=own),
        )

    @property
    def next_due_us(self) -> int:
        return min([self.first.next_due_us, *(r.next_due_us for r in self._readers)])

    def lost(self) -> Mapping[str, Sequence[Mapping[str, Lost]]]:
        every = dict(self.first.lost())
        for reader in self._readers:
            every.update(reader.lost())
        return every
