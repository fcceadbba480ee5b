"""What a replay counted, and how it says so."""

from collections import Counter
from dataclasses import dataclass, field

from rules.authoring.people import people_sentence


@dataclass
class Summary:
    """What a replay counted.

    `people` are those with calls, with a bank and with both (estimates, if sampled);
    `blindness` says which rules could not match because something was never known. `alerts`
    counts the last records by rule and state; `joined_late` the partitions that were first met
    after others had been heard, below whose start everything counts as late.
    """

    lines: int = 0
    empty: int = 0
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    late: int = 0
    facts: int = 0
    below_horizon: int = 0
    partitions: int = 0
    joined_late: int = 0
    alert_records: int = 0
    alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    people: tuple[int, int, int] = (0, 0, 0)
    people_are_sampled: bool = False
    blindness: tuple[str, ...] = ()

    def as_json(self, seconds: float) -> dict[str, object]:
        """Return the counts as JSON values; `seconds` is how long the replay took."""
        by_rule: dict[str, dict[str, int]] = {}
        for (rule, state), count in sorted(self.alerts.items()):
            by_rule.setdefault(rule, {})[state] = count
        return {
            "lines": self.lines,
            "empty": self.empty,
            "records": self.records,
            "refused": dict(sorted(self.refused.items())),
            "late": self.late,
            "facts": self.facts,
            "below_horizon": self.below_horizon,
            "partitions": self.partitions,
            "joined_late": self.joined_late,
            "alert_records": self.alert_records,
            "alerts": by_rule,
            "people": dict(zip(("calls", "bank", "both"), self.people, strict=True)),
            "blind": list(self.blindness),
            "seconds": round(seconds, 3),
            "events_per_second": round(self.records / seconds) if seconds else 0,
        }

    def as_lines(self, seconds: float) -> list[str]:
        """Return the counts as sentences for a person."""
        rate = round(self.records / seconds) if seconds else 0
        refused = ", ".join(f"{reason} {n:,}" for reason, n in sorted(self.refused.items()))
        records = f"{self.records:,} records in {seconds:.1f} s ({rate:,}/s)"
        lines = [
            f"{records} from {self.partitions} feed partitions; {self.facts:,} facts kept",
            f"refused {self.refused.total():,}" + (f": {refused}" if refused else ""),
            f"late {self.late:,}; below the horizon {self.below_horizon:,}",
        ]
        if self.joined_late:
            lines.append(
                f"feed partitions first met after others had been heard: {self.joined_late}; what"
                " lay below them counted as late (name them with --feeds)"
            )
        lines += [
            f"{rule}: {count:,} {state}" for (rule, state), count in sorted(self.alerts.items())
        ]
        lines.append(people_sentence(*self.people, about=self.people_are_sampled))
        lines += self.blindness
        return lines if self.alerts else [*lines, "no alerts"]
