"""`ringfence record` without a broker: what a log gets of each row, and what is said of it."""

import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rules.moment import HOUR_US
from streams.cli.record import record
from streams.failures import Failure
from streams.record_command import Writing
from streams.windows import Span
from tests.streams.test_windows import TimedRow
from tests.streams.worker_parts import TEN_O_CLOCK, call

GOLDEN = Path(__file__).parent / "golden"
PARTITIONS = [("calls", 0), ("calls", 1)]
NO_BROKER = {"RINGFENCE_BROKER_WAIT": "0.2s", "RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

app = typer.Typer()
app.command()(record)


def test_every_row_is_a_line_a_letter_or_a_count() -> None:
    log, letters = io.BytesIO(), list[bytes]()
    writing = Writing(log, letters.append)
    writing.begin(PARTITIONS)
    early_ms = (TEN_O_CLOCK - HOUR_US) // 1_000
    values = [call(1, TEN_O_CLOCK), None, b'{"type":"ringfence.alert.v1"}', *[b"{"] * 12]
    for offset, value in enumerate(values):
        writing.take(("calls", 1), TimedRow(offset, None, value, timestamp=early_ms))
    in_binary_mode = [("ce_id", b"r-7"), ("ce_specversion", b"1.0")]
    late = TimedRow(15, None, b'{"call_id": "c"}', in_binary_mode, timestamp=TEN_O_CLOCK)
    writing.take(("calls", 0), late)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(x["feed"], x["partition"], x["id"]) for x in lines] == [
        ("calls", 0, "record-calls-0"),
        ("calls", 1, "record-calls-1"),
        ("calls", 1, f"call_invitation-1-{TEN_O_CLOCK}"),
        ("calls", 0, "r-7"),
    ]
    assert lines[-1]["data"] == {"call_id": "c"}
    assert [json.loads(letter)["offset"] for letter in letters] == list(range(3, 15))
    spans = {("calls", 0): Span(15, 16), ("calls", 1): Span(0, 15)}
    said = [*writing.recorded.sentences(spans, None)]
    said += [*Writing(log, letters.append).recorded.sentences(spans, Path("log.jsonl"))]
    assert "\n".join(said) + "\n" == (GOLDEN / "recorded.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 3, "no Kafka broker answers at 127.0.0.1:1 within 0.2 s"),
        (["--topics", ","], 2, "--topics: it names none, wanted one or more"),
        (["--topics", "my calls"], 2, '--topics: "my calls" is no name of a topic'),
        (["--topics", "ringfence.facts.0123abcd"], 2, '--topics: "ringfence.facts.0123abcd" is'),
        (["--topics", "ringfence.dead-letters"], 2, '--topics: "ringfence.dead-letters" is'),
        (["--from", "soon"], 2, '--from: "soon" is not a moment'),
        (["--to", "2200-01-01T00:00:00Z"], 2, "--to: that moment has not come yet"),
    ],
)
def test_a_wrong_request_gets_one_sentence(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(app, arguments, env=NO_BROKER)
    assert isinstance(result.exception, Failure), result.exception
    assert result.exception.exit_code == code
    assert str(result.exception).startswith(said)
    assert result.stdout == ""
