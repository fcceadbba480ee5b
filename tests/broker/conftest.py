"""A real Kafka for the tests marked `broker`, and names on it that no other test uses."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from streams.brokers import answers
from streams.failures import OutsideFailure
from tests.broker.bus import Bus
from tests.broker.restartable import SHORT_SESSIONS, PatientBroker


@pytest.fixture(scope="session", autouse=True)
def _quick_java() -> Iterator[None]:
    """Let brokers start in half the time: they do not live long enough to be compiled well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Give the bootstrap address of a Kafka: one that is given, else Docker's, else Java's.

    One that is given has to take sessions of a second (`group.min.session.timeout.ms`).
    """
    given = os.environ.get("RINGFENCE_TEST_KAFKA")
    if given:
        assert answers(given), f"no Kafka answers at RINGFENCE_TEST_KAFKA={given}"
        yield given
        return
    try:
        with _started() as address:
            yield address
    except OutsideFailure as failure:
        give_up(failure)


def give_up(failure: OutsideFailure) -> NoReturn:
    """Skip the test, or fail it if tests on a broker are demanded."""
    reason = f"no Kafka for this test: {failure}"
    if os.environ.get("RINGFENCE_REQUIRE_BROKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _started() -> Iterator[str]:
    if _docker_answers():
        # Imported here: it takes its time, and without Docker nobody needs it.
        from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415 - as said

        kafka = KafkaContainer().with_kraft()
        for name, value in SHORT_SESSIONS.items():
            kafka = kafka.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        with kafka as container:
            yield container.get_bootstrap_server()
    else:
        with PatientBroker() as address:
            yield address


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "version"], check=False, capture_output=True).returncode == 0


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Give unique names for topics and groups: `names("calls")` is the same all through a test."""
    test = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:60].strip("-")
    unique = uuid.uuid4().hex[:8]
    return lambda name: f"{test}-{unique}.{name}"


@pytest.fixture
async def bus(kafka: str) -> AsyncIterator[Bus]:
    """Give the broker with what tests do to it; the topics made through it go with the test."""
    async with Bus(kafka) as bus:
        yield bus
