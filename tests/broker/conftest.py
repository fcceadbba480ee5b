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

from streams.brokers import JavaBroker, answers
from streams.failures import OutsideFailure
from tests.broker.bus import Bus


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Give the bootstrap address of a Kafka: one that is given, else Docker's, else Java's."""
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

        with KafkaContainer().with_kraft() as container:
            yield container.get_bootstrap_server()
    else:
        with JavaBroker() as address:
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
