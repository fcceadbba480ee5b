"""A Parquet log replayed by its columns gives what reading each of its rows gives."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.logs import Workload, as_columns
from benchmarks.workload import Size, lines
from rules.alert import encode_alert
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.timing import Timing
from streams.columnar import ColumnarReplay
from streams.failures import OutsideFailure
from streams.ingest import Ingest
from streams.logs import open_log
from streams.parquet import course
from streams.replay import Replay
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.wire.pseudonyms import PUBLISHED_KEY, Pseudonyms
from tests.streams.columns import write_parquet
from tests.streams.test_pass_over import Pen

AS_OF_US = parse_moment("2023-07-11T00:00:00Z")
SETTINGS = load_settings({})
TIMING = Timing()
HEAD = """
version: 1.0.0
title: A rule of this test
status: test
typology: test
"""
RULES = {
    "by_caller": """
by: caller
stage: exfiltration
steps:
  - {as: first, event: call_invitation, where: [media == "video"]}
  - {as: second, event: call_invitation, after: first, within: 30m, where: [answered]}
anchor: second
unless:
  - {event: contact_blocked, around: first, within: 10m}
severity: medium
action: warn
""",
    "many_payments": """
by: person
stage: exfiltration
steps:
  - as: pays
    each: transfer
    where: [direction == "out" and not (payee_times_paid > 0)]
    within: 3h
    having: ['sum(pays.amount) >= "20000 CNY"', count(pays) >= 2]
anchor: pays
severity: medium
action: warn
""",
    "whatever_before": """
by: payee
stage: exfiltration
steps:
  - {as: pay, event: transfer, where: [amount >= "100 CNY" or purpose_class is None]}
  - as: noise
    either: [{event: transfer, where: [payee_times_paid is None]}, {event: payee_added}]
    before: pay
    within: 2h
anchor: pay
evidence:
  - {as: blocked, event: contact_blocked, around: pay, within: 1h, weight: 5}
severity: medium
action: warn
""",
    "long_before": """
by: person
stage: exfiltration
steps:
  - {as: call, event: call_invitation, where: [media == "video", answered]}
  - as: pay
    event: transfer
    after: call
    within: 2h
    where: [direction == "out", payee_is_new, 'amount >= "100 CNY"']
anchor: pay
evidence:
  - {as: loan, event: loan_drawdown, before: pay, within: 3d, weight: 20}
  - {as: blocked, event: contact_blocked, around: call, within: 3d, weight: 30}
score:
  base: 40
  bands:
    - {from: 40, severity: medium, action: warn}
""",
    "campaign": """
by: payee
stage: campaign
steps:
  - as: hits
    each: alert
    where: [stage == "exfiltration"]
    within: 72h
    having: [count(hits.person) >= 2]
anchor: hits
severity: critical
action: block
""",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RuleSet]:
    """Give the catalogue, and rules of every other kind."""
    others = tmp_path_factory.mktemp("rules")
    for name, text in RULES.items():
        (others / f"{name}.yaml").write_text(f"id: {name}{HEAD}{text}")
    return {"catalogue": read_rules(None, TIMING), "others": read_rules(others, TIMING)}


def given_by(path: Path, rules: RuleSet, *, by_columns: bool) -> dict[str, Any]:
    """Return the alert records, dead letters and counts of a replay of a Parquet log."""
    ingest = Ingest(rules, TIMING, Pseudonyms(PUBLISHED_KEY, frozenset({"unknown"})))
    alerts: list[bytes] = []
    letters: list[bytes] = []
    with open_log(str(path)) as log:
        run: Replay | ColumnarReplay
        if by_columns:
            assert log.columns is not None
            run = ColumnarReplay(log.columns, rules, ingest, SETTINGS, as_of_us=AS_OF_US)
        else:
            run = Replay(rules, ingest, SETTINGS.lateness_us, as_of_us=AS_OF_US)
        counts = run.run([log], lambda a: alerts.append(encode_alert(a)), letters.append)
    return {"alert_bytes": alerts, "letters": letters, **counts.as_json(0)}


def drawn(seed: int, count: int) -> list[dict[str, Any]]:
    """Return records of all sorts, as columns can hold them."""
    pen = Pen(random.Random(seed))  # noqa: S311 - no secret
    spacing = pen.chance.choice([1, 6, 40])
    written = (pen.line(n * spacing) for n in range(count))
    return [record for line in written if (record := as_record(line)) is not None]


def as_record(line: bytes) -> dict[str, Any] | None:
    """Return a line as a record; None if it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "data" in record else None


def both(path: Path, rules: RuleSet) -> tuple[Any, Any]:
    """Return what a log gives by columns, and what it gives by rows."""
    with pytest.MonkeyPatch.context() as patch:
        # So small that a log of a test has many blocks, and nothing is read but what must be.
        patch.setattr(course, "ROWS", 3)
        by_columns, by_rows = (given_by(path, rules, by_columns=flag) for flag in (True, False))
        return by_columns, by_rows


def ordinary(seed: int, folder: Path) -> Path:
    """Return two days of few people, somewhat out of order, with a mistake here and there."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    size = Size(chance.choice([300, 900]), people=2, hours=48, seed=seed)
    made = list(lines(size))
    delay = chance.choice([0, 3, 60])
    made = [made[n] for n in sorted(range(len(made)), key=lambda n: n + delay * chance.random())]
    for _ in range(chance.choice([0, 0, 9])):
        # So late that what it could serve is forgotten; and once more, as it was or otherwise.
        again = made[chance.randrange(len(made) // 4)]
        made.append(again)
        made.insert(chance.randrange(len(made)), again.replace(b'"status":"accepted"', REJECTED))
    for _ in range(chance.choice([0, 5])):
        at = chance.randrange(len(made))
        wrong, right = chance.choice(MISTAKES)
        made[at] = made[at].replace(right, wrong)
    (folder / "log.jsonl").write_bytes(b"\n".join(made))
    as_columns(folder / "log.jsonl", folder / "log.parquet")
    return folder / "log.parquet"


REJECTED = b'"status":"rejected"'
MISTAKES = (
    (b'"service":"smell"', b'"service":"facetime"'),
    (b'"channel":"smell"', b'"channel":"mobile"'),
    (b'"payee_times_paid":null', b'"payee_times_paid":0'),
    (b'"currency":"XAU"', b'"currency":"CNY"'),
    (b'"caller":"Private"', b'"caller":"+8610000000000"'),
    (b'"media":"smell"', b'"media":"video"'),
    (b'"amount":"-', b'"amount":"'),
    (b'"person":""', b'"person":"+8610000000001"'),
    (b'"person":"+86 10 000 000 001"', b'"person":"+8610000000001"'),
    (b'"person":"Jos\xc3\xa9"', b'"person":"+8610000000001"'),
    (b'"time":"2093', b'"time":"2023'),
    (b"call_invitation.v2", b"call_invitation.v1"),
)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rules=st.sampled_from(["catalogue", "others"]))
def test_what_is_in_no_match_need_not_be_read(
    folders: dict[str, RuleSet], seed: int, rules: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        by_columns, by_rows = both(ordinary(seed, Path(folder)), folders[rules])
    assert by_columns == by_rows


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 90),
    rules=st.sampled_from(["catalogue", "others"]),
    types=st.fixed_dictionaries(
        {
            "amount": st.sampled_from(["DECIMAL(21, 6)", "VARCHAR"]),
            "invited_at": st.sampled_from(["TIMESTAMPTZ", "TIMESTAMP", "VARCHAR"]),
        }
    ),
)
def test_columns_and_rows_give_the_same(
    folders: dict[str, RuleSet], seed: int, count: int, rules: str, types: dict[str, str]
) -> None:
    records = drawn(seed, count)
    if records:
        with tempfile.TemporaryDirectory() as folder:
            path = write_parquet(Path(folder) / "log.parquet", records, types)
            by_columns, by_rows = both(path, folders[rules])
        assert by_columns == by_rows


def test_of_an_ordinary_log_few_rows_are_read_and_all_alerts_found(
    folders: dict[str, RuleSet], tmp_path: Path
) -> None:
    path = Workload(Size(20_000), tmp_path).parquet()
    by_columns = given_by(path, folders["catalogue"], by_columns=True)
    assert by_columns == given_by(path, folders["catalogue"], by_columns=False)
    assert len(by_columns["alert_bytes"]) > 10


def record(event: str, at: str, **data: object) -> dict[str, Any]:
    """Return a record of a day in July 2023; `at` is `08 10:00:00`."""
    side = "telecom" if event in ("call_invitation", "contact_blocked") else "bank"
    return {
        "id": f"{event} {at} {data.get('person')}",
        "source": f"//{side}.example",
        "type": f"ringfence.{event}.v1",
        "time": _moment(at),
        "sequence": 0,
        "data": {"person": "+8613800000001"} | data,
    }


def _moment(at: str) -> str:
    return f"2023-07-{at.replace(' ', 'T')}Z"


def call(at: str, begun: str, **data: object) -> dict[str, Any]:
    told = {
        "call_id": f"c {begun}",
        "caller": "caller@mail.example",
        "service": "facetime",
        "media": "video",
        "direction": "incoming",
        "relationship": "stranger",
        "invited_at": _moment(begun),
        "answered_at": _moment(begun),
        "ended_at": _moment(at),
    }
    return record("call_invitation", at, **(told | data))


def pay(at: str, **data: object) -> dict[str, Any]:
    told = {
        "transfer_id": f"p {at}",
        "initiated_at": _moment(at),
        "amount": "20000",
        "currency": "CNY",
        "payee_account": "acc-1",
        "direction": "out",
        "payee_kind": "personal",
        "payee_times_paid": 0,
        "status": "attempted",
    }
    return record("transfer", at, **(told | data))


def loan(at: str) -> dict[str, Any]:
    told = {"loan_id": f"l {at}", "amount": "50000", "currency": "CNY", "drawn_at": _moment(at)}
    return record("loan_drawdown", at, **told)


def only(rules: RuleSet, rule_id: str) -> RuleSet:
    """Return a rule set of one rule."""
    return RuleSet(tuple(rule for rule in rules.rules if rule.id == rule_id))


def compared(records: list[dict[str, Any]], rules: RuleSet, folder: Path) -> dict[str, Any]:
    """Return what records give by columns, after seeing that rows give the same."""
    by_columns, by_rows = both(write_parquet(folder / "log.parquet", records), rules)
    assert by_columns == by_rows
    assert isinstance(by_columns, dict)
    return by_columns


def calm(day: str) -> list[dict[str, Any]]:
    """Return rows of a few minutes that no rule needs, so many that blocks begin and end there."""
    return [
        call(
            f"{day} 03:0{n}:00", f"{day} 03:00:00", media="audio", caller=f"{n}", answered_at=None
        )
        for n in range(7)
    ]


# 05 04:00 blocked   05 12:00 loan       08 04:00 calls       10:00 hangs up       12:00 pays
#    |------------------- 3d ----------------|------- 6h -------|------- 2h -------|
#                       |-------------------------- 3d ----------------------------|
@pytest.mark.parametrize("microseconds", [0, 1])
def test_what_lies_as_far_apart_as_a_rule_allows_is_read(
    folders: dict[str, RuleSet], tmp_path: Path, microseconds: int
) -> None:
    told = [
        record("contact_blocked", "05 04:00:00", by="counterparty", evidence="app_event"),
        *calm("05"),
        loan("05 12:00:00"),
        *calm("08"),
        call("08 10:00:00", "08 04:00:00"),
        pay(f"08 12:00:00.{microseconds:06}"),
    ]
    found = compared(told, only(folders["others"], "long_before"), tmp_path)
    scores = {json.loads(alert)["data"]["score"] for alert in found["alert_bytes"]}
    assert scores == ({40 + 20 + 30} if microseconds == 0 else set())


@pytest.mark.parametrize("ahead", ["08 10:25:00", "08 10:25:00.000001"])
@pytest.mark.parametrize("before", [True, False])
def test_the_row_just_before_decides_whether_another_is_late(
    folders: dict[str, RuleSet], tmp_path: Path, ahead: str, *, before: bool
) -> None:
    # A watermark stays 15 minutes behind the row that has come furthest.
    other = call(ahead, "08 10:20:00", media="audio", person="+8613800000002")
    late = call("08 10:10:00", "08 10:00:00")
    rows = [other, late] if before else [late, other]
    told = [*calm("08"), *rows, pay("08 10:30:00")]
    found = compared(told, only(folders["others"], "long_before"), tmp_path)
    is_late = before and ahead.endswith("1")
    assert found["late"] == is_late
    assert ("'late': True" in str(json.loads(found["alert_bytes"][0]))) == is_late


def test_what_no_rule_looks_at_is_checked_where_a_rule_could_use_the_row(
    folders: dict[str, RuleSet], tmp_path: Path
) -> None:
    told = [call("08 10:10:00", "08 10:00:00", service="smell"), pay("08 23:30:00")]
    found = compared(told, folders["catalogue"], tmp_path)
    (letter,) = map(json.loads, found["letters"])
    assert "data.service" in str(letter)


def test_a_row_that_is_too_large_for_a_record_is_refused(
    folders: dict[str, RuleSet], tmp_path: Path
) -> None:
    large = call("08 10:10:00", "08 10:00:00") | {"id": "r" * 70_000}
    found = compared([large, pay("08 23:30:00")], folders["catalogue"], tmp_path)
    assert found["refused"] == {"too_large": 1}


def test_a_log_without_rows_has_no_alerts(folders: dict[str, RuleSet], tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [], like=[pay("08 23:30:00")])
    by_columns, by_rows = both(path, folders["catalogue"])
    assert by_columns == by_rows
    assert by_columns["records"] == 0


def test_a_log_that_is_broken_inside_is_named(folders: dict[str, RuleSet], tmp_path: Path) -> None:
    told = [pay(f"08 23:30:{n:02}", person=f"+86138000{n}0001") for n in range(60)]
    path = write_parquet(tmp_path / "log.parquet", told)
    raw = bytearray(path.read_bytes())
    raw[8 : len(raw) // 3] = b"\xff" * (len(raw) // 3 - 8)
    path.write_bytes(raw)
    with pytest.raises(OutsideFailure, match="cannot be read to its end: "):
        given_by(path, folders["catalogue"], by_columns=True)


def test_what_a_bank_never_says_is_told_though_nothing_of_it_is_read(
    folders: dict[str, RuleSet], tmp_path: Path
) -> None:
    times = [f"08 {hour:02}:{minute:02}:00" for hour in range(10) for minute in range(0, 60, 5)]
    told = [pay(at, payee_times_paid=None, person=f"+8613800000{at[3:5]}1") for at in times]
    told[7]["data"]["payee_times_paid"] = 0
    told[8]["data"] |= {"payee_times_paid": 0, "currency": "XAU"}
    told += [call("08 10:10:00", "08 10:00:00", answered_at=None)]
    found = compared(told, folders["others"], tmp_path)
    losses = [said for said in found["blind"] if "failed because" in said and "long" in said]
    why = {"payee_is_new": 118, "amount": 1}
    assert losses == [
        f"step pay: {count} of 120 transfer records failed because {field} is unknown, in 1 rule"
        " (long_before)"
        for field, count in why.items()
    ]


def test_an_event_is_counted_as_it_stands_however_often_it_is_told(
    folders: dict[str, RuleSet], tmp_path: Path
) -> None:
    unsaid = pay("08 10:00:00", payee_times_paid=None)
    said = pay("08 10:00:00") | {"id": "later", "sequence": 1}
    found = compared([unsaid, said, unsaid], only(folders["others"], "long_before"), tmp_path)
    assert not any("failed because" in sentence for sentence in found["blind"])
