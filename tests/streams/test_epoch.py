"""Tests of what makes an epoch another one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.rule import RuleSet
from streams.epoch import digest8, first_revision, offset_of, partitions_of
from streams.failures import OutsideFailure
from tests.streams.worker_parts import epoch_for_tests, rules_for_tests

RULES = rules_for_tests()


def digest(
    rule_set: RuleSet = RULES,
    *,
    key: bytes = b"one secret",
    roster: dict[str, int] | None = None,
    withheld: tuple[str, ...] = ("private", "unknown"),
) -> str:
    """Return a digest with all but one thing as usual."""
    return digest8(
        rule_set,
        pseudonym_key=key,
        roster=roster or {"calls": 2, "transactions": 4},
        withheld_values=withheld,
    )


def test_all_that_facts_depend_on_makes_another_epoch() -> None:
    other_rule = replace(RULES.rules[0], digest="0" * 64)
    digests = [
        digest(),
        digest(RuleSet((other_rule,))),
        digest(RuleSet(())),
        digest(key=b"another secret"),
        digest(roster={"calls": 2, "transactions": 5}),
        digest(roster={"calls": 2}),
        digest(withheld=("private",)),
        digest(replace(RULES, max_history=9_999)),
    ]
    assert len(set(digests)) == len(digests)
    assert all(len(text) == 8 for text in digests)


def test_order_makes_no_other_epoch() -> None:
    again = RuleSet((RULES.rules[0], replace(RULES.rules[0], id="another_rule")))
    assert digest(again) == digest(RuleSet(tuple(reversed(again.rules))))
    assert digest() == digest(roster={"transactions": 4, "calls": 2})
    assert digest() == digest(withheld=("unknown", "private", "private"))


@given(st.integers(0, 2**40 - 1), st.integers(1, 99))
def test_a_revision_tells_the_offset_of_its_row_and_grows_with_the_epoch(
    offset: int, number: int
) -> None:
    log = replace(epoch_for_tests(), number=number).first
    assert offset_of(log.revision_at(offset)) == offset
    assert log.revision_at(offset) < log.revision_at(offset + 1)
    assert log.revision_at(offset) < first_revision(number + 1)


def test_partitions_are_in_ascending_order() -> None:
    assert partitions_of({"b": 1, "a": 2}) == (("a", 0), ("a", 1), ("b", 0))


def test_a_facts_log_with_another_number_of_partitions_is_refused() -> None:
    epoch = epoch_for_tests(facts_partitions=4)
    epoch.first.check_spread(4)
    with pytest.raises(OutsideFailure, match=r'"facts.0123abcd" has 4 partitions, .* with 3'):
        epoch.first.check_spread(3)
