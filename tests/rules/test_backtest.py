"""What alerts were worth: the figures, what they are measured on, and thresholds."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.authoring.backtest import Ground, Result, results, shortfalls
from rules.authoring.outcomes import VERDICTS
from rules.authoring.standings import Standing
from rules.fact import Identity
from rules.moment import DAY_US, HOUR_US
from rules.money import Money


def standing(number: int, rule: str = "tried", state: str = "raised") -> Standing:
    return Standing(
        alert_id=f"a{number}",
        rule=rule,
        anchor=Identity("//bank.example/core", "transfer", f"p{number}"),
        anchor_at_us=0,
        key="somebody",
        person=f"person {number // 2}",
        money=Money(Decimal(100), "CNY"),
        state=state,
        severity="low",
        action="warn",
        score=40,
        raised_at_us=HOUR_US,
        record=1,
        settles_at_us=DAY_US,
    )


def measured(found: list[Standing], ground: Ground) -> Result:
    (result,) = results(["tried"], {s.alert_id: s for s in found}, ground)
    return result


GROUND = Ground({}, {}, {}, people=2_000, span_us=2 * DAY_US)


def test_precision_counts_what_was_judged_and_recall_what_is_known() -> None:
    verdicts = {
        "a1": "confirmed_fraud",
        "a2": "false_positive",
        "a3": "benign",
        "a4": "unknown",
        **dict.fromkeys(("a6", "a7", "a9"), "confirmed_fraud"),
        "a8": "benign",
    }
    owners = {"a6": "tried", "a7": "tried", "a8": "tried", "a9": "another"}
    found = [standing(n) for n in range(1, 6)] + [standing(6, state="withdrawn")]
    result = measured(found, replace(GROUND, verdicts=verdicts, owners=owners))
    assert (result.judged, result.precision, result.missed) == (3, 1 / 3, 2)
    assert (result.recall, result.spared) == (1 / 3, 1)
    assert result.rate == 5 / 2 / 2
    assert list(result.as_lines()) == [
        "tried: 5 alerts of 3 people, 500 CNY; 1.25 alerts per 1,000 people and day",
        (
            "  outcomes: 1 confirmed_fraud, 1 false_positive, 1 benign, 1 unknown, 1 without any;"
            " confirmed at stake: 100 CNY"
        ),
        "  precision 0.333 (1 of 3 judged); recall 0.333 (1 of 3 known frauds)",
        "  not raised though outcomes know it as no fraud: 1",
        "  lead: unknown (none of 5 says when the money is gone)",
    ]


def test_the_lead_is_measured_on_what_says_when_the_money_is_gone() -> None:
    found = [standing(n) for n in range(1, 5)]
    gone = {found[n].anchor: hours * HOUR_US for n, hours in ((0, 3), (1, 0), (2, 2))}
    result = measured(found, replace(GROUND, gone_at_us=gone))
    assert list(result.as_lines())[-1] == (
        "  lead: 1h in the middle, -1h at least; 2 before the money was gone (measured on 3 of 4,"
        " whose irrevocable_at is known)"
    )
    assert result.as_json()["lead"] == {
        "measured": 3,
        "in_time": 2,
        "median_seconds": 3600,
        "least_seconds": -3600,
    }


def test_where_nothing_is_known_nothing_is_guessed() -> None:
    result = measured([], Ground({}, {}, {}, people=0, span_us=0))
    assert result.as_json() == {
        "rule": "tried",
        "alerts": 0,
        "people": 0,
        "amounts": {},
        "confirmed_amounts": {},
        "verdicts": dict.fromkeys((*VERDICTS, "none"), 0),
        "missed": 0,
        "spared": 0,
        "precision": None,
        "recall": None,
        "alerts_per_1000_people_and_day": None,
        "lead": {"measured": 0, "in_time": 0, "median_seconds": None, "least_seconds": None},
    }
    assert list(result.as_lines()) == [
        "tried: 0 alerts",
        "  precision unknown (no alert of it was judged); recall unknown (no fraud is known)",
        "  lead: unknown (none of 0 says when the money is gone)",
    ]


def test_a_log_of_an_hour_counts_as_a_day() -> None:
    assert replace(GROUND, span_us=HOUR_US).days == 1


@given(
    st.lists(st.tuples(st.sampled_from(("tried", "other")), st.booleans()), max_size=12),
    st.dictionaries(st.integers(0, 14), st.sampled_from(VERDICTS)),
)
def test_counts_add_up(alerts: list[tuple[str, bool]], said: dict[int, str]) -> None:
    found = [
        standing(number, rule, "raised" if raised else "withdrawn")
        for number, (rule, raised) in enumerate(alerts)
    ]
    owners = {s.alert_id: s.rule for s in found} | {"a13": "tried"}
    ground = replace(GROUND, verdicts={f"a{n}": v for n, v in said.items()}, owners=owners)
    every = results(["tried", "other"], {s.alert_id: s for s in found}, ground)
    for result in every:
        assert sum(result.verdicts.values()) == result.total.alerts
        assert result.judged + result.verdicts["unknown"] + result.verdicts["none"] == (
            result.total.alerts
        )
    assert sum(r.total.alerts for r in every) == sum(raised for _, raised in alerts)
    frauds = [n for n, v in ground.verdicts.items() if v == "confirmed_fraud" and n in owners]
    assert sum(r.confirmed.alerts + r.missed for r in every) == len(frauds)


THRESHOLDS = [
    ("0.4", None, []),
    ("0.51", None, ["rule tried has a precision of 0.5, wanted 0.51 or more"]),
    (None, "0.5", []),
    (
        None,
        "0.49",
        ["rule tried raises 0.5 alerts per 1,000 people and day, wanted 0.49 or fewer"],
    ),
]


@pytest.mark.parametrize(("precision", "rate", "said"), THRESHOLDS)
def test_a_threshold_names_the_rule_what_was_found_and_what_was_wanted(
    precision: str | None, rate: str | None, said: list[str]
) -> None:
    verdicts = {"a1": "confirmed_fraud", "a2": "benign"}
    result = measured([standing(1), standing(2)], replace(GROUND, verdicts=verdicts))
    limits = [None if text is None else Decimal(text) for text in (precision, rate)]
    assert list(shortfalls([result], *limits)) == said


def test_a_precision_that_nobody_knows_is_not_enough() -> None:
    result = measured([standing(1)], replace(GROUND, people=0))
    assert list(shortfalls([result], Decimal("0.5"), Decimal(1))) == [
        "no alert was judged, so no precision is known, wanted 0.5 or more"
    ]
