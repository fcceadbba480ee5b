"""Rules that are asked together: what is remembered of the answers changes none of them."""

import pytest

from rules.moment import HOUR_US
from rules.money import parse_money
from tests.rules.build import (
    CALL,
    TIMING,
    at,
    bench,
    build_rule,
    call_record,
    compare,
    condition,
    field,
    relation,
    step_of,
    transfer_record,
)


@pytest.mark.parametrize("most", [4_096, 1])
def test_each_of_many_rules_raises_where_it_would_alone(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They differ in the least amount, and in how long after the call a transfer counts.
    monkeypatch.setattr("rules.groups._MOST_KNOWN", most)
    amount = field("pay", "transfer", "amount")
    rules = [
        build_rule(
            [
                CALL,
                step_of(
                    "pay",
                    "transfer",
                    (condition(compare(amount, ">=", parse_money(f"{1_000 * n} CNY"))),),
                    (relation("after", "call", hours * HOUR_US),),
                ),
            ],
            TIMING,
            name=f"from_{n}_within_{hours}",
        )
        for n in range(1, 10)
        for hours in (1, 2, 3)
    ]
    told = bench(*rules)
    told.tell(call_record("c-1", at("10:00"), until_us=at("10:30")))
    for paid, clock in ((500, "10:40"), (3_500, "11:45"), (9_000, "13:10"), (9_000, "13:31")):
        record = transfer_record(f"p-{clock}", at(clock), amount=str(paid))
        raised = {alert.content["rule"]["id"] for alert in told.tell(record)}
        assert raised == {
            f"from_{n}_within_{hours}"
            for n in range(1, 10)
            for hours in (1, 2, 3)
            if paid >= 1_000 * n and at(clock) <= at("10:30") + hours * HOUR_US
        }
