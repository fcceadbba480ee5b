"""What was found out about alerts, and what counts where it was found out twice."""

from itertools import permutations

from rules.authoring.outcomes import Outcome, Outcomes, outcome_of
from rules.fact import Identity


def outcome(
    own_id: str, verdict: str | None, sequence: int = 0, alert: str | None = "a1"
) -> Outcome:
    told = {"alert_id": alert, "verdict": verdict}
    data = {name: value for name, value in told.items() if value is not None}
    return outcome_of(
        Identity("//bank.example/desk", "outcome", own_id), f"r-{own_id}", sequence, 0, data
    )


def test_of_several_records_of_one_outcome_the_greatest_counts_in_any_order() -> None:
    records = [outcome("o1", "unknown"), outcome("o1", "benign", 2), outcome("o1", "unknown", 1)]
    for order in permutations([*records, records[0]]):
        outcomes = Outcomes()
        for record in order:
            outcomes.note(record)
        assert len(outcomes) == 1
        assert outcomes.verdicts() == {"a1": "benign"}
        assert list(outcomes.contradictions()) == []


def test_two_outcomes_that_contradict_each_other_are_named_and_the_greatest_counts() -> None:
    for order in permutations(
        [outcome("o1", "benign", 1), outcome("o2", "confirmed_fraud"), outcome("o3", "benign")]
    ):
        outcomes = Outcomes()
        for record in order:
            outcomes.note(record)
        assert outcomes.verdicts() == {"a1": "benign"}
        assert list(outcomes.contradictions()) == [("a1", "benign", ["confirmed_fraud"])]


def test_an_outcome_may_lack_a_verdict_or_an_alert() -> None:
    outcomes = Outcomes()
    outcomes.note(outcome("o1", None))
    outcomes.note(outcome("o2", "benign", alert=None))
    assert outcomes.verdicts() == {"a1": "unknown"}
    assert outcomes.nameless == 1
