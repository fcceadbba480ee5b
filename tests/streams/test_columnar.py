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
    for _ in range(chance.choice([0, 5])):
        at = chance.randrange(len(made))
        wrong, right = chance.choice(MISTAKES)
        made[at] = made[at].replace(right, wrong)
    (folder / "log.jsonl").write_bytes(b"\n".join(made))
    as_columns(folder / "log.jsonl", folder / "log.parquet")
    return folder / "log.parquet"


MISTAKES = (
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
