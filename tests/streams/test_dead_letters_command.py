"""`ringfence dead-letters` over a Kafka in memory: what it lists, shows and sends again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rules.events import EVENTS
from streams.cli.dead_letters import dead_letters
from streams.failures import Failure
from streams.settings import load_settings
from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.records import Refusal, decode_record
from tests.streams.memory_kafka import MemoryKafka
from tests.streams.worker_parts import TEN_O_CLOCK, call, transfer

GOLDEN = Path(__file__).parent / "golden"
LETTERS = "ringfence.dead-letters"
OURS = "ours"
BAD = transfer(7, TEN_O_CLOCK).replace(b'"out"', b'"+8613800000007"')
ENVIRON = {
    "RINGFENCE_TRANSACTIONS_TOPICS": f"transactions,{OURS}",
    "RINGFENCE_REDRIVE_TOPIC": OURS,
}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    """Give a Kafka with two refused records, one that is gone, and a stranger's row."""
    kafka = MemoryKafka()
    kafka.use(monkeypatch)
    kafka.append("transactions", call(1, TEN_O_CLOCK), BAD, key=b"k", timestamp=60_000)
    kafka.append("calls", b"{not json", timestamp=60_000)
    kafka.append(OURS)
    refuse(kafka, "transactions", 1, BAD, timestamp=60_000)
    refuse(kafka, "transactions", 1, BAD, timestamp=61_000)
    kafka.append(LETTERS, b"no letter", timestamp=61_000)
    refuse(kafka, "calls", 0, b"{not json", timestamp=120_000)
    refuse(kafka, "calls", 9, b"{", timestamp=180_000)
    return kafka


def refuse(kafka: MemoryKafka, topic: str, offset: int, raw: bytes, timestamp: int) -> None:
    """Write the dead letter of a record."""
    refusal = decode_record(raw, settle_us=load_settings({}).timing.settle, now_us=None)
    assert isinstance(refusal, Refusal)
    letter = encode_dead_letter(dead_letter(raw, refusal, topic, 0, offset))
    kafka.append(LETTERS, letter, timestamp=timestamp)


def asked(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(dead_letters, arguments, env=ENVIRON if environ is None else environ)


def places(result: Result) -> list[tuple[str, int]]:
    assert result.exit_code == 0, result.exception
    return [(x["feed"], x["offset"]) for x in map(json.loads, result.stdout.splitlines())]


def sentence(result: Result, code: int) -> str:
    assert isinstance(result.exception, Failure), result.exception
    assert result.exception.exit_code == code
    assert result.stdout == ""
    return str(result.exception)


@pytest.mark.usefixtures("kafka")
def test_letters_are_listed_each_record_once_in_the_order_of_their_writing() -> None:
    result = asked("list")
    assert places(result) == [("transactions", 1), ("calls", 0), ("calls", 9)]
    assert result.stderr == (
        "3 dead letters: bad_value 1, not_json 2\nrows of the topic that are no dead letters: 1\n"
    )
    letter = json.loads(result.stdout.splitlines()[0])
    assert (letter["reason"], letter["field"], letter["bytes"]) == (
        "bad_value",
        "data.direction",
        len(BAD),
    )


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--reason", "not_json"], [("calls", 0), ("calls", 9)]),
        (["--feed", "transactions"], [("transactions", 1)]),
        (["--since", "1970-01-01T00:02:00Z"], [("calls", 0), ("calls", 9)]),
        (["--since", "1970-01-01T00:02:00.000001Z"], [("calls", 9)]),
        (["--since", "1970-01-01T00:03:01Z"], []),
        (["--reason", "not_json", "--feed", "transactions"], []),
    ],
)
def test_a_filter_picks_letters(arguments: list[str], found: Sequence[tuple[str, int]]) -> None:
    assert places(asked("list", *arguments)) == found


@pytest.mark.usefixtures("kafka")
def test_a_refused_record_is_shown_with_its_letter_and_nobody_in_it() -> None:
    result = asked("show", "transactions:0:1")
    assert result.stdout == (GOLDEN / "dead_letter_shown.json").read_text(encoding="utf-8")


def test_what_nobody_can_read_is_shown_by_its_size(kafka: MemoryKafka) -> None:
    said = json.loads(asked("show", "calls:0:0").stdout)
    assert (said["record"], said["unreadable"]["reason"], said["bytes"]) == (None, "not_json", 9)
    kafka.append("calls", call(1, TEN_O_CLOCK), timestamp=-1)
    in_order = json.loads(asked("show", "calls:0:1").stdout)
    assert (in_order["letter"], in_order["written_at"]) == (None, None)
    assert in_order["record"]["data"]["media"] == "video"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "calls"], 2, 'PLACE: "calls" is no record, wanted topic:partition:offset'),
        (["show", "nowhere:0:0"], 3, 'topic "nowhere" is not there'),
        (["show", "calls:1:0"], 2, 'topic "calls" has 1 partitions, counted from 0, and no 1'),
        (["show", "calls:0:9"], 3, "no record lies at calls:0:9; retention may have deleted it"),
        (["list", "--reason", "bad"], 2, "--reason: 'bad' is none; "),
        (["redrive", "--since", "soon"], 2, '--since: "soon" is not a moment'),
    ],
)
@pytest.mark.usefixtures("kafka")
def test_a_wrong_request_gets_one_sentence(arguments: list[str], code: int, said: str) -> None:
    assert sentence(asked(*arguments), code).startswith(said)


def test_nothing_is_sent_without_yes(kafka: MemoryKafka) -> None:
    result = asked("redrive")
    assert kafka.logs[OURS, 0] == []
    assert result.stderr == (
        "3 records: 1 not there any more, 2 to be sent to ours\n"
        "nothing has been sent; say so with --yes\n"
    )
    assert [x["outcome"] for x in map(json.loads, result.stdout.splitlines())] == [
        "would_send",
        "would_send",
        "gone",
    ]


def test_what_was_refused_is_sent_as_it_came_and_only_to_a_topic_of_ones_own(
    kafka: MemoryKafka,
) -> None:
    headers = [("ce_id", b"r"), ("else", b"e")]
    kafka.append("calls", b'{"call_id": "c"}', key=b"k", headers=headers)
    raw = b'{"id":"r","data":{"call_id": "c"}}'
    refuse(kafka, "calls", 1, raw, timestamp=240_000)
    before = {place: list(log) for place, log in kafka.logs.items()}
    result = asked("redrive", "--yes", "--since", "1970-01-01T00:04:00Z")
    assert result.stderr == "1 record: 1 sent to ours\n"
    (row,) = kafka.logs.pop((OURS, 0))
    del before[OURS, 0]
    assert kafka.logs == before
    assert (row.key, row.value, row.headers) == (b"k", b'{"call_id": "c"}', headers)


def test_what_was_sent_again_and_refused_again_is_not_sent_a_third_time(
    kafka: MemoryKafka,
) -> None:
    kafka.append(OURS, BAD)
    refuse(kafka, OURS, 0, BAD, timestamp=240_000)
    result = asked("redrive", "--yes", "--since", "1970-01-01T00:04:00Z")
    assert result.stderr == "0 records\n"
    assert len(kafka.logs[OURS, 0]) == 1


def test_another_record_at_the_same_place_is_not_sent(kafka: MemoryKafka) -> None:
    kafka.logs["calls", 0].clear()
    kafka.append("calls", b"{another")
    result = asked("redrive", "--yes", "--feed", "calls")
    assert result.stderr == "2 records: 1 not the same record any more, 1 not there any more\n"
    assert kafka.logs[OURS, 0] == []


def test_records_whose_topic_or_partition_is_gone_are_left(kafka: MemoryKafka) -> None:
    del kafka.logs["calls", 0]
    assert "2 not there any more" in asked("redrive", "--yes").stderr


def test_records_that_retention_has_deleted_are_left(kafka: MemoryKafka) -> None:
    kafka.deleted["transactions", 0] = 2
    said = asked("redrive", "--feed", "transactions").stderr
    assert said.startswith("1 record: 1 not there any more\n")


def test_without_a_topic_of_ones_own_nothing_can_be_sent(kafka: MemoryKafka) -> None:
    said = sentence(asked("redrive", "--yes", environ={}), 2)
    assert said.startswith("RINGFENCE_REDRIVE_TOPIC: it is not set")
    del kafka.logs[OURS, 0]
    said = sentence(asked("redrive", "--yes"), 3)
    assert said == 'topic "ours" is not there; run "ringfence topics create"'


def test_without_the_topic_of_letters_there_is_nothing_to_read(kafka: MemoryKafka) -> None:
    del kafka.logs[LETTERS, 0]
    said = sentence(asked("list"), 3)
    assert said == (
        f'topic "{LETTERS}" is not there, or not for us to see; give this command the settings of'
        " the worker"
    )


def shown_of(kafka: MemoryKafka, raw: bytes) -> Any:  # noqa: ANN401 - JSON
    kafka.append("more", raw)
    place = f"more:0:{kafka.logs['more', 0][-1].offset}"
    return json.loads(asked("show", place).stdout)["record"]


def test_nothing_is_shown_that_could_be_somebody(kafka: MemoryKafka) -> None:
    secret = "+86 138 0000 0009"
    known = json.loads(transfer(9, TEN_O_CLOCK))
    for name in (f.name for f in EVENTS["transfer"].fields.values() if not f.derived):
        wrong = {**known, "data": {**known["data"], name: secret}, "about": secret, secret: "x"}
        # Own ids stay as sent, everywhere.
        if not name.endswith("_id"):
            assert secret not in json.dumps(shown_of(kafka, json.dumps(wrong).encode()))
    unknown = {**known, "type": "ringfence.tea.v1", "data": {"whoever": [secret], "event_id": "e"}}
    data = shown_of(kafka, json.dumps(unknown).encode())["data"]
    assert data == {"whoever": "✱ a list", "event_id": "e"}
    odd = {"data": secret, "sequence": True, "partition": -1, "time": "soon", "id": "", "type": 7}
    assert shown_of(kafka, json.dumps(odd).encode()) == {
        "data": "✱ text of 17 characters",
        "sequence": "✱ true or false",
        "partition": "✱ a number",
        "time": "✱ text of 4 characters",
        "id": "✱ text of 0 characters",
        "type": "✱ a number",
    }
