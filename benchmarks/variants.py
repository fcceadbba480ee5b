"""The rule of the benchmark, and any number of variants that differ in its parameters.

It is `video_call_then_new_payee` of the catalogue without its stories. `unless` and evidence stay
in, though the others of the comparison leave them out: they cost the product something, and
change no count, for workload A has no event that they could find.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from benchmarks.truth import Limits

RULE: Final = "video_call_then_new_payee"
_CATALOGUE: Final = Path(__file__).parents[1] / "rules" / "catalog"


def variants(count: int) -> Sequence[Limits]:
    """Return so many variants, no two alike; the first is the catalogue's rule as it stands.

    The others are what somebody tries who gets too many alerts: greater amounts, shorter windows,
    longer talks.
    """
    return [Limits(RULE, 3000, 7200, 60)] + [
        Limits(
            f"{RULE}_{n}",
            min_amount=3000 + 250 * (n % 40) + n // 40,
            after_call_s=600 * (1 + n % 12),
            min_talk_s=60 + 10 * (n % 30),
        )
        for n in range(1, count)
    ]


def write_rules(folder: Path, chosen: Sequence[Limits]) -> None:
    """Write one rule file for each variant into a folder, which is made."""
    rule = yaml.safe_load((_CATALOGUE / f"{RULE}.yaml").read_text(encoding="utf-8"))
    del rule["stories"]
    folder.mkdir(parents=True, exist_ok=True)
    for limits in chosen:
        rule["id"] = limits.rule
        rule["params"] = {
            "min_amount": f"{limits.min_amount} CNY",
            "after_call": f"{limits.after_call_s}s",
            "min_talk": f"{limits.min_talk_s}s",
        }
        # A condition stands on one line.
        text = yaml.safe_dump(rule, width=1000, allow_unicode=True)
        (folder / f"{limits.rule}.yaml").write_text(text, encoding="utf-8")
