"""Tests of brokers of our own: they come up, and nothing of them stays."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import children
from streams.brokers import (
    DockerBroker,
    EmbeddedBroker,
    JavaBroker,
    OwnBroker,
    answers,
    kafka_jars,
    own_broker,
)
from streams.failures import OutsideFailure


class Unlucky(OwnBroker):
    """Ends at once, after a complaint."""

    name = "the unlucky broker"
    patience_s = 20.0

    def command(self, _folder: Path, _port: int, _other_port: int) -> list[str]:
        """Return a command that fails."""
        return ["/bin/sh", "-c", "echo starting; echo out of luck >&2; exit 3"]


class Silent(OwnBroker):
    """Never answers."""

    name = "the silent broker"
    patience_s = 0.3

    def command(self, _folder: Path, _port: int, _other_port: int) -> list[str]:
        """Return a command that does nothing for a minute."""
        return ["sleep", "60"]


class Embedded(EmbeddedBroker):
    """The embedded one, under a name that no other test has."""

    name = "the one that works"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which all temporary files of this test lie."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder with the only commands that there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def within(seconds: float) -> Iterator[None]:
    """Yield again and again until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_embedded_broker_answers_until_it_is_left_and_leaves_nothing(scratch: Path) -> None:
    pytest.importorskip("noida_db")
    with EmbeddedBroker() as address:
        assert answers(address)
        assert list(scratch.iterdir())
    assert not answers(address)
    assert not list(scratch.iterdir())


def test_a_broker_goes_when_what_it_was_for_fails(scratch: Path) -> None:
    pytest.importorskip("noida_db")
    broker = EmbeddedBroker()
    with pytest.raises(ZeroDivisionError), broker:
        raise ZeroDivisionError
    assert not list(scratch.iterdir())


def test_a_broker_does_not_outlive_a_program_that_is_killed(scratch: Path) -> None:
    pytest.importorskip("noida_db")
    script = (
        "import time\nfrom streams.brokers import EmbeddedBroker\n"
        "with EmbeddedBroker() as address:\n    print(address, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        assert answers(address)
        program.kill()
    assert any(not answers(address) and not list(scratch.iterdir()) for _ in within(10))


def test_a_broker_that_ends_is_told_with_its_last_words(scratch: Path) -> None:
    with pytest.raises(OutsideFailure) as caught, Unlucky():
        pass
    assert str(caught.value) == "the unlucky broker ended with code 3: out of luck"
    assert not list(scratch.iterdir())


def test_a_broker_that_never_answers_is_given_up(scratch: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(OutsideFailure, match=r"^the silent broker did not answer within 0 s$"):
        Silent().__enter__()
    assert time.monotonic() - begun < 10
    assert not list(scratch.iterdir())


def test_the_first_broker_that_works_is_taken_and_the_others_are_accounted_for() -> None:
    pytest.importorskip("noida_db")
    with own_broker((Unlucky, Embedded, Silent)) as own:
        assert answers(own.address)
        assert own.name == "the one that works"
        assert own.passed_over == ("the unlucky broker ended with code 3: out of luck",)


def test_what_fails_while_a_broker_is_used_is_not_taken_for_a_broker_that_fails() -> None:
    pytest.importorskip("noida_db")
    with (
        pytest.raises(OutsideFailure, match="of another kind"),
        own_broker((Embedded, Unlucky)),
    ):
        raise OutsideFailure("a failure of another kind")


def test_without_any_broker_every_reason_is_given() -> None:
    with pytest.raises(OutsideFailure) as caught, own_broker((Unlucky, Silent)):
        pass
    assert str(caught.value) == (
        "no broker can be started here: the unlucky broker ended with code 3: out of luck;"
        " the silent broker did not answer within 0 s"
    )


def test_docker_without_its_command_is_refused(commands: Path) -> None:
    assert not list(commands.iterdir())
    with pytest.raises(OutsideFailure) as caught:
        DockerBroker().__enter__()
    assert str(caught.value) == 'there is no command "docker", and no container can be started'


def test_docker_without_an_engine_is_refused_in_its_own_words(commands: Path) -> None:
    write_command(commands / "docker", "echo Cannot connect to the daemon >&2; exit 1")
    with pytest.raises(OutsideFailure) as caught:
        DockerBroker().__enter__()
    assert str(caught.value) == ("Docker has no engine that answers: Cannot connect to the daemon")


def test_docker_runs_kafka_on_loopback_only_and_takes_it_away_afterwards(
    tmp_path: Path, commands: Path
) -> None:
    said = tmp_path / "said"
    script = f'[ "$1" = version ] && exit 0; echo "$@" > {said}; echo no such image; exit 125'
    write_command(commands / "docker", script)
    with pytest.raises(OutsideFailure) as caught:
        DockerBroker().__enter__()
    assert str(caught.value) == (
        "Docker with apache/kafka:4.1.0 ended with code 125: no such image"
    )
    words = said.read_text(encoding="utf-8").split()
    assert words[:3] == ["run", "--rm", "--publish"]
    host, outer, inner = words[3].split(":")
    assert (host, outer) == ("127.0.0.1", inner)
    assert f"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:{outer}" in words
    assert "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false" in words
    assert words[-1] == "apache/kafka:4.1.0"


def test_java_that_is_too_old_is_told_in_its_own_words(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ringfence" / "kafka-4.1.0").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_command(commands / "java", "echo UnsupportedClassVersionError; echo '  at x'; exit 1")
    with pytest.raises(OutsideFailure) as caught:
        JavaBroker().__enter__()
    assert str(caught.value) == (
        "Apache Kafka 4.1.0 on Java could not format its data: UnsupportedClassVersionError"
    )


def test_without_its_wheel_there_is_no_embedded_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Python takes for a module that is not there.
    monkeypatch.setitem(sys.modules, "noida_db", None)
    with pytest.raises(OutsideFailure, match=r"^noida-db is not installed \(pip install "):
        EmbeddedBroker().__enter__()


def test_a_child_that_does_not_mind_its_signal_is_killed(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_STOP_S", 0.3)
    pid = scratch / "pid"
    script = f"trap '' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; while :; do sleep 0.1; done"
    with children.child(["/bin/sh", "-c", script], end_signal="TERM"):
        assert any(pid.exists() for _ in within(10))
        begun = time.monotonic()
    assert 0.3 < time.monotonic() - begun < 10
    number = int(pid.read_text(encoding="utf-8"))
    assert any(not is_running(number) for _ in within(10))


def test_kafka_without_java_is_refused(commands: Path) -> None:
    assert not list(commands.iterdir())
    with pytest.raises(OutsideFailure, match=r'^there is no command "java", and it takes Java 17'):
        JavaBroker().__enter__()


FETCH = """
echo once >> "$COUNT"; sleep 0.5
for word; do case $word in -DoutputDirectory=*) mkdir "${word#*=}" && touch "${word#*=}/kafka.jar"
esac; done
"""


def test_two_who_need_the_jars_at_once_fetch_them_once(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    monkeypatch.setenv("COUNT", str(count))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_command(commands / "mvn", FETCH)
    threads = [threading.Thread(target=kafka_jars) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [jar.name for jar in kafka_jars().iterdir()] == ["kafka.jar"]
    assert count.read_text(encoding="utf-8") == "once\n"


def test_a_download_that_fails_leaves_no_jars_and_says_so(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_command(commands / "mvn", f'COUNT={tmp_path}/n; {FETCH}\necho "[ERROR] no net"; exit 1')
    with pytest.raises(OutsideFailure) as caught:
        kafka_jars()
    assert str(caught.value) == "Maven could not fetch Kafka 4.1.0: [ERROR] no net"
    assert [path.name for path in (tmp_path / "cache" / "ringfence").iterdir()] == [
        "kafka-4.1.0.lock"
    ]


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutsideFailure, match="the jars of Kafka cannot be kept in "):
        kafka_jars()


def test_a_port_where_nobody_listens_does_not_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not answers(f"127.0.0.1:{unused.getsockname()[1]}")


@pytest.mark.parametrize("address", ["", "kafka", "kafka:", ":0", "127.0.0.1:none", "::"])
def test_what_is_no_address_does_not_answer(address: str) -> None:
    assert not answers(address)


def test_a_server_that_is_no_broker_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def hang_up() -> None:
            server.accept()[0].close()

        closing = threading.Thread(target=hang_up)
        closing.start()
        assert not answers(address)
        closing.join()
