"""A rule set that is changed on a running system: `ringfence switch` on a real Kafka."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker.bus import Bus
from tests.broker.rule_changes import Change, changed, two_sites
from tests.broker.storms import told

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("shadow", [False, True])
async def test_a_change_of_rules_under_load_loses_nothing_and_leaves_nothing_open(
    bus: Bus, names: Callable[[str], str], tmp_path: Path, *, shadow: bool
) -> None:
    async with two_sites(bus, names, tmp_path) as (old, new):
        change = Change(people=300, shadow=shadow)
        verdict = await changed(old, new, tmp_path / "journal", change)
    assert verdict.is_clean, told(verdict)
    assert verdict.alerts > 300
    assert verdict.faults >= 2
