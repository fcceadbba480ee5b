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
from streams.logs import open_log
from streams.record_command import Writing
from streams.windows import Span
from tests.streams.memory_kafka import MemoryKafka
from tests.streams.test_windows import TimedRow
from tests.streams.worker_parts import TEN_O_CLOCK, call, transfer

GOLDEN = Path(__file__).parent / "golden"
TEN_MS = TEN_O_CLOCK // 1_000
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


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    """Give a Kafka with three partitions, one of them silent, and gaps among the offsets."""
    kafka = MemoryKafka()
    kafka.use(monkeypatch)
    for n in range(8):
        kafka.append("calls", call(n, TEN_O_CLOCK), timestamp=TEN_MS + 10 * n)
    del kafka.logs["calls", 0][2:4]
    kafka.append("calls", partition=1)
    for n in range(4):
        kafka.append("transactions", transfer(n, TEN_O_CLOCK), timestamp=TEN_MS + 15 + 10 * n)
    return kafka


def ids(text: str) -> list[str]:
    """The kind and number of each record behind the head of a log of three partitions."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert [x["type"] for x in lines[:3]] == ["ringfence.heartbeat.v1"] * 3
    return ["".join((x["id"][0], x["id"].split("-")[1])) for x in lines[3:]]


@pytest.mark.usefixtures("kafka")
def test_partitions_are_mixed_by_the_time_of_appending() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0, result.exception
    assert ids(result.stdout) == ["c0", "c1", "t0", "t1", "t2", "c4", "t3", "c5", "c6", "c7"]
    assert result.stderr.startswith("10 records of 3 partitions in standard output; ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--from", "2023-07-08T10:00:00.03Z"], "t2 c4 t3 c5 c6 c7"),
        (["--from", "2023-07-08T10:00:00.035Z"], "t2 c4 t3 c5 c6 c7"),
        (["--to", "2023-07-08T10:00:00.0401Z"], "c0 c1 t0 t1 t2 c4"),
        (["--to", "2023-07-08T10:00:00.040Z"], "c0 c1 t0 t1 t2"),
        (["--from", "calls:0:5", "--to", "transactions:0:1"], "t0 c5 c6 c7"),
        (["--from", "latest"], ""),
    ],
)
def test_a_window_has_its_first_moment_and_not_its_last(arguments: list[str], found: str) -> None:
    assert ids(CliRunner().invoke(app, arguments).stdout) == found.split()


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_log_is_packed_as_its_name_says(tmp_path: Path, suffix: str) -> None:
    whole, path = CliRunner().invoke(app, []).stdout, tmp_path / f"log.{suffix}"
    result = CliRunner().invoke(app, ["--out", str(path)])
    assert (result.exit_code, result.stdout) == (0, "")
    with open_log(str(path)) as log:
        assert b"".join(log.chunks()).decode() == whole
    assert (path.read_bytes().decode("latin-1") == whole) == (suffix == "jsonl")


def test_what_can_be_no_line_goes_to_a_file_with_its_reason(
    kafka: MemoryKafka, tmp_path: Path
) -> None:
    kafka.append("calls", b"[]", timestamp=TEN_MS)
    path = tmp_path / "letters.jsonl"
    assert CliRunner().invoke(app, ["--dead-letters", str(path)]).exit_code == 0
    (letter,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (letter["feed"], letter["offset"], letter["reason"]) == ("calls", 8, "wrong_type")


def test_a_partition_with_thousands_of_records_waits_for_the_others(kafka: MemoryKafka) -> None:
    kafka.append("transactions", *[b'{"id":"x-0"}'] * 10_500, timestamp=TEN_MS + 45)
    found = ids(CliRunner().invoke(app, []).stdout)
    assert found == ["c0", "c1", "t0", "t1", "t2", "c4", "t3", *["x0"] * 10_500, "c5", "c6", "c7"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--topics", "nowhere"],
            3,
            'topic "nowhere" is not there, or not for us to see; check the settings, or name',
        ),
        (["--from", "calls:0:9"], 3, "calls:0 holds the offsets from 0 up to 8, and not 9"),
        (["--to", "calls:2:0"], 2, "calls:2 is none of the partitions read: calls:0, calls:1,"),
        (["--out", "no/where.jsonl"], 3, '"no/where.jsonl" cannot be written: no such file'),
    ],
)
@pytest.mark.usefixtures("kafka")
def test_a_window_that_cannot_be_read_or_written_gets_one_sentence(
    arguments: list[str], code: int, said: str
) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, Failure), result.exception
    assert (result.exception.exit_code, result.stdout) == (code, "")
    assert str(result.exception).startswith(said)
