import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from rules.events import EVENTS
from streams.wire.contract_docs import DOCS, main, render
from streams.wire.dead_letters import dead_letter
from streams.wire.examples import example_of
from streams.wire.records import Refusal, decode_record
from streams.wire.schemas import asyncapi, dead_letter_schema, event_schema
from tests.strategies import FROM_OUTSIDE, record_objects

with warnings.catch_warnings():
    # Its own field names shadow pydantic's, which pydantic minds.
    warnings.simplefilter("ignore")
    from asyncapi3.models.asyncapi import AsyncAPI3
VALIDATORS = {name: Draft202012Validator(event_schema(spec)) for name, spec in EVENTS.items()}


def test_the_printed_contract_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_printed_contract_has_no_files_of_events_that_are_gone() -> None:
    assert {f"schemas/{path.name}" for path in (DOCS / "schemas").glob("*.v1.json")} == {
        name for name in render() if name.startswith("schemas/")
    }


def test_writing_makes_it_current_and_checking_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "transfer.v1.json: not current" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "events.md").write_text("old", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_has_a_schema_that_is_one(event: str) -> None:
    Draft202012Validator.check_schema(event_schema(EVENTS[event]))


@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_the_example_of_an_event_keeps_its_schema_and_its_page(event: str) -> None:
    VALIDATORS[event].validate(example_of(event))
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    assert json.dumps(example_of(event)["data"]) in page


@pytest.mark.parametrize("event", FROM_OUTSIDE)
def test_an_example_knows_most_of_its_event(event: str) -> None:
    own = [name for name, field in EVENTS[event].fields.items() if not field.derived]
    assert len(example_of(event)["data"]) >= len(own) // 2


@given(record_objects())
def test_a_record_that_keeps_the_contract_keeps_its_schema(record: dict[str, Any]) -> None:
    VALIDATORS[record["type"].split(".")[1]].validate(record)


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("transfer", {"amount": None}),
        ("transfer", {"amount": -1}),
        ("transfer", {"amount": "1e3"}),
        ("transfer", {"amount": True}),
        ("transfer", {"currency": "cny"}),
        ("transfer", {"status": "vanished"}),
        ("transfer", {"payee_times_paid": -1}),
        ("transfer", {"payee_times_paid": "0"}),
        ("transfer", {"payee_account": ""}),
        ("transfer", {"payee_account": "x" * 257}),
        ("transfer", {"first": 1}),
        ("transfer", {"session": 5}),
        ("payee_added", {"currency": None}),
        ("payee_added", {"limit": None}),
        ("funds_moved", {"currency": None}),
        ("funds_moved", {"amount": None, "balance_before": None}),
        ("outcome", {"loss": None, "prevented": None}),
        ("heartbeat", {"watermark": None}),
        ("call_invitation", {"caller": None}),
    ],
)
def test_what_the_schema_refuses_is_refused(event: str, changes: dict[str, Any]) -> None:
    example = example_of(event)
    record = example | {"data": example["data"] | changes}
    assert not VALIDATORS[event].is_valid(record)
    raw = json.dumps(record).encode()
    assert isinstance(decode_record(raw, settle_us=lambda _: 0, now_us=None), Refusal)


def test_an_alert_keeps_its_schema() -> None:
    anchor = {"source": "//bank.example/core", "type": "transfer", "id": "p-1"}
    anchor["at"] = "2023-07-08T02:42:00Z"
    event = anchor | {"step": "pay", "until": anchor["at"], "late": False, "fields": {}}
    whole = {"step": "hits", "count": 3, "totals": {}, "sample": [anchor]}
    alert = {
        "specversion": "1.0",
        "id": "335e4d06-965f-5ca2-aded-c989d3a2ccc8.7",
        "source": "ringfence",
        "type": "ringfence.alert.v1",
        "time": anchor["at"],
        "sequence": 7,
        "data": {
            "alert_id": "335e4d06-965f-5ca2-aded-c989d3a2ccc8",
            "revision": 7,
            "state": "raised",
            "final": False,
            "settles_at": "2023-07-08T14:52:00Z",
            "undecided": [],
            "rule": {"id": "r", "version": "1.0.0", "title": "t", "digest": "d"},
            "by": "person",
            "key": "0123456789abcdef0123456789abcdef",
            "incident": "335e4d06-965f-5ca2-aded-c989d3a2ccc8",
            "typology": "video_call_led_transfer",
            "stage": "exfiltration",
            "tags": [],
            "severity": "high",
            "action": "hold",
            "score": 70,
            "anchor": anchor,
            "evidence": [event, whole],
            "because": [],
        },
    }
    VALIDATORS["alert"].validate(alert)
    alert["data"] |= {"evidence": [{"step": "pay"}]}  # type: ignore[operator]  # it is a dict
    assert not VALIDATORS["alert"].is_valid(alert)


def test_a_dead_letter_keeps_its_schema() -> None:
    schema = dead_letter_schema()
    Draft202012Validator.check_schema(schema)
    for raw in (b"\xff", b"[]", json.dumps(example_of("transfer") | {"type": "x"}).encode()):
        refusal = decode_record(raw, settle_us=lambda _: 0, now_us=None)
        assert isinstance(refusal, Refusal)
        Draft202012Validator(schema).validate(dead_letter(raw, refusal, "calls", 0, 0))


def references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [ref for one in part.values() for ref in references(one)]
    return [ref for one in part for ref in references(one)] if isinstance(part, list) else []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    files = render()
    for reference in references(document):
        if reference.startswith("./"):
            assert reference.removeprefix("./") in files
            continue
        meant: Any = document
        for name in reference.removeprefix("#/").split("/"):
            meant = meant[name]
        assert meant


def test_the_asyncapi_document_has_every_event_on_a_channel() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    on_channels = {name for one in document["channels"].values() for name in one["messages"]}
    assert on_channels == document["components"]["messages"].keys() == {*EVENTS, "dead_letter"}
    assert {one["address"]: one["messages"].keys() for one in document["channels"].values()}[
        "ringfence.alerts"
    ] == {"alert"}


def test_the_asyncapi_document_keeps_the_specification_of_asyncapi_3() -> None:
    AsyncAPI3.model_validate(asyncapi())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "9"),
        (("info", "title"), None),
        (("channels", "alerts", "adress"), "ringfence.alerts"),
        (("operations", "sendAlerts", "action"), "shout"),
    ],
)
def test_a_document_that_does_not_keep_it_is_noticed(path: tuple[str, ...], value: object) -> None:
    document = asyncapi()
    *places, last = path
    place: Any = document
    for name in places:
        place = place[name]
    place[last] = value
    with pytest.raises(ValidationError):
        AsyncAPI3.model_validate(document)
