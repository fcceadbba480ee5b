import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.wire.dead_letters import dead_letter, encode_dead_letter
from streams.wire.examples import example_of
from streams.wire.records import Refusal, decode_record

FIELDS = ["reason", "detail", "field", "feed", "partition", "offset", "record_time", "bytes"]
FIELDS += ["sha256", "source", "type", "id"]


def letter_of(raw: bytes) -> dict[str, Any]:
    refusal = decode_record(raw, settle_us=lambda _: 0, now_us=None)
    assert isinstance(refusal, Refusal)
    return dead_letter(raw, refusal, "transactions", 3, 42)


def test_a_dead_letter_says_where_the_record_is_and_what_is_wrong_with_it() -> None:
    record = example_of("transfer")
    record["data"]["status"] = "vanished"
    raw = json.dumps(record).encode()
    letter = letter_of(raw)
    assert list(letter) == FIELDS
    assert letter == {
        "reason": "bad_value",
        "detail": "wanted one of drafted, attempted, submitted, accepted, settled, rejected, "
        "held, released, recalled",
        "field": "data.status",
        "feed": "transactions",
        "partition": 3,
        "offset": 42,
        "record_time": "2023-07-08T02:42:00Z",
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "source": "//bank.example/core",
        "type": "ringfence.transfer.v1",
        "id": "transfer-1",
    }


def test_what_cannot_be_read_is_null() -> None:
    letter = letter_of(b"\xff")
    assert letter["reason"] == "not_utf8"
    for name in ("field", "record_time", "source", "type", "id"):
        assert letter[name] is None


def test_names_that_are_no_text_are_left_out_and_long_ones_are_cut() -> None:
    letter = letter_of(json.dumps({"specversion": "2", "id": 5, "source": "s" * 999}).encode())
    assert (letter["id"], letter["source"], letter["type"]) == (None, "s" * 256, None)


def test_a_dead_letter_is_one_line_with_its_fields_in_order() -> None:
    line = encode_dead_letter(letter_of(json.dumps({"specversion": "2", "id": "é\n"}).encode()))
    assert b"\n" not in line
    assert list(json.loads(line)) == FIELDS
    assert json.loads(line)["id"] == "é\n"


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_names_can_be_written_and_read_back(source: str, record_id: str) -> None:
    raw = json.dumps({"specversion": "2", "source": source, "id": record_id}).encode()
    letter = letter_of(raw)
    assert json.loads(encode_dead_letter(letter)) == letter
