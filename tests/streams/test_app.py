"""Tests of the Faust app, of its process, and of what it logs, as far as they need no broker."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import structlog

from streams.app import IntakeApp, build_app
from streams.cli.worker import worker
from streams.failures import OutsideFailure, SettingsError
from streams.intake import Intake
from streams.journal import log_crash, open_journal
from streams.lanes import Lane, Opening
from streams.producer import Producer
from streams.worker import run_worker
from tests.streams.worker_parts import (
    SECRET,
    epoch_for_tests,
    rows_of,
    rules_for_tests,
    settings_for_tests,
)

RULES = rules_for_tests()
NOBODY = "127.0.0.1:1"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop for an app built outside one, and close it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def _journal_closed() -> Iterator[None]:
    """Put the logging of the test run back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def app_for_tests(**more: str) -> IntakeApp:
    """Return the app over a broker that is not there."""
    return build_app(settings_for_tests(**more), RULES, epoch_for_tests(), leave=lambda: None)


@pytest.mark.usefixtures("loop")
def test_building_the_app_starts_nothing_and_names_its_agents() -> None:
    app = app_for_tests()
    assert sorted(app.agents) == ["correlate", "ingest"]
    assert not app.started
    assert not any(service.started for service in app.feeding)
    producer, _, intake, _ = app.feeding
    # Services stop in reverse order: the intake has to finish while there is a producer.
    assert isinstance(producer, Producer)
    assert isinstance(intake, Intake)


@pytest.mark.usefixtures("loop")
def test_there_is_no_web_server_unless_it_has_a_port_and_then_on_loopback_unless_told() -> None:
    assert not app_for_tests().conf.web_enabled
    everywhere = app_for_tests(RINGFENCE_WEB_PORT="6067", RINGFENCE_WEB_HOST="0.0.0.0")  # noqa: S104 - in a container
    assert everywhere.conf.web_bind == "0.0.0.0"  # noqa: S104 - as asked for
    conf = app_for_tests(RINGFENCE_WEB_PORT="6067").conf
    assert conf.web_enabled
    assert (conf.web_bind, conf.web_port) == ("127.0.0.1", 6067)
    # Their pages would show what is remembered of people.
    assert not conf.web_tables_enabled
    assert not conf.web_router_enabled


@pytest.mark.usefixtures("loop")
def test_no_app_is_built_without_a_secret() -> None:
    settings = settings_for_tests().model_copy(update={"pseudonym_key": None})
    with pytest.raises(SettingsError, match="RINGFENCE_PSEUDONYM_KEY"):
        build_app(settings, RULES, epoch_for_tests(), leave=lambda: None)


@pytest.fixture
def _loops_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the loop that Faust opens for its own consumer, which never runs."""
    loops: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def make_and_note() -> asyncio.AbstractEventLoop:
        loops.append(make())
        return loops[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", make_and_note)
    yield
    for loop in loops:
        loop.close()


@asynccontextmanager
async def without_feeding(app: IntakeApp) -> AsyncIterator[IntakeApp]:
    """Run an app with its agents and nothing that feeds them."""
    app.feeding = ()
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


@pytest.mark.usefixtures("_loops_closed")
async def test_an_agent_that_fails_stops_the_app_and_acknowledges_nothing() -> None:
    app = app_for_tests()
    async with asyncio.timeout(10), without_feeding(app):
        agent = app.agents["correlate"]
        lane: Lane[object] = Lane(("facts", 0), contiguous=True, room=9)
        lane.open(Opening(object(), 0))
        lane.hold(rows_of(b"no state can observe this"))
        batch = lane.take(1, 0.0)
        assert batch is not None
        await agent.channel.put(batch)
        while not app.crashed:  # noqa: ASYNC110 - Faust has no event to wait for
            await asyncio.sleep(0.01)
    assert isinstance(app.crash_reason, AttributeError)
    assert lane.to_commit() is None


@pytest.mark.usefixtures("_journal_closed")
def test_a_worker_without_a_broker_says_so_in_one_sentence() -> None:
    settings = settings_for_tests(
        RINGFENCE_KAFKA_BOOTSTRAP_SERVERS=NOBODY, RINGFENCE_BROKER_WAIT="0.4s"
    )
    with pytest.raises(OutsideFailure) as caught:
        run_worker(settings, RULES)
    assert str(caught.value) == (
        f"no Kafka broker answers at {NOBODY} within 0.4 s: {NOBODY} cannot be reached, see"
        " RINGFENCE_KAFKA_BOOTSTRAP_SERVERS"
    )


@pytest.mark.usefixtures("_journal_closed")
def test_the_command_warns_of_variables_and_lets_flags_win(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGFENCE_PSEUDONYM_KEY", SECRET)
    monkeypatch.setenv("RINGFENCE_KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("RINGFENCE_BROKER_WAIT", "0.2s")
    monkeypatch.setenv("RINGFENCE_GRUOP", "x")
    with pytest.raises(OutsideFailure, match=NOBODY):
        worker(bootstrap_servers=NOBODY)
    warning = 'ringfence: warning: RINGFENCE_GRUOP is no setting, did you mean "RINGFENCE_GROUP"\n'
    assert warning in capsys.readouterr().err


@pytest.mark.usefixtures("_journal_closed")
def test_the_journal_is_json_without_the_text_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    open_journal()
    try:
        raise KeyError("cust-7")  # noqa: TRY301 - it is to have a place
    except KeyError as error:
        logging.getLogger("mode").exception("Crashed")
        log_crash(error)
    logging.getLogger("aiokafka").info("Discovered coordinator")
    logging.getLogger("aiokafka").warning("Heartbeat failed")
    entries = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [entry["event"] for entry in entries] == ["worker_crashed", "Heartbeat failed"]
    assert entries[0]["error"] == "KeyError"
    assert entries[0]["places"][0].startswith("test_app.py:")
    assert "cust-7" not in written.getvalue()


@pytest.mark.usefixtures("_journal_closed")
def test_the_journal_is_for_reading_where_a_person_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    written = Terminal()
    monkeypatch.setattr(sys, "stderr", written)
    open_journal()
    structlog.get_logger("another").info("lane_opened", partition=3)
    assert "lane_opened" in written.getvalue()
    assert not written.getvalue().startswith("{")


@pytest.mark.usefixtures("_journal_closed")
@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("debug", ["tick", "lane_opened", "row_skipped", "Heartbeat failed", "bug_met"]),
        ("warning", ["row_skipped", "Heartbeat failed", "bug_met"]),
        ("error", ["bug_met"]),
    ],
)
def test_the_level_is_the_least_that_is_logged_and_libraries_never_say_less_than_a_warning(
    monkeypatch: pytest.MonkeyPatch, level: str, wanted: list[str]
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    open_journal("json", level)
    log, theirs = structlog.get_logger("ringfence"), logging.getLogger("aiokafka.consumer")
    log.debug("tick")
    log.info("lane_opened")
    log.warning("row_skipped")
    theirs.debug("Fetched b'cust-7'")
    theirs.info("Joined group")
    theirs.warning("Heartbeat failed")
    log.error("bug_met")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == wanted


@pytest.mark.usefixtures("_journal_closed")
def test_a_journal_told_to_be_text_is_text_in_a_file_without_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    open_journal("text")
    structlog.get_logger("another").info("lane_opened", partition=3)
    assert "lane_opened" in written.getvalue()
    assert "partition=3" in written.getvalue()
    assert "\x1b" not in written.getvalue()
