"""Kafka brokers of our own: a process on loopback with its own data, gone when it is left."""

import fcntl
import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from streams.children import Child, child, said
from streams.failures import OutsideFailure

KAFKA_VERSION = "4.1.0"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"

_HOST = "127.0.0.1"
_POLL_S = 0.05
_ANSWER_S = 2.0
_LONGEST_ANSWER = 1_000_000
_DOWNLOAD_S = 300.0

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringfence</groupId><artifactId>kafka-of-our-own</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

# One node that is broker and controller, so every topic of Kafka's own has one replica.
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}


class OwnBroker(AbstractContextManager[str]):
    """A broker of our own; entering it starts it and gives its bootstrap address.

    Raises:
        OutsideFailure: It cannot be started here; the text says why.
    """

    name: ClassVar[str]
    patience_s: ClassVar[float]
    end_signal: ClassVar[str] = "KILL"

    def __init__(self) -> None:
        self._stack = ExitStack()

    def command(self, folder: Path, port: int, other_port: int) -> list[str]:
        """Return the command that runs the broker in the foreground, on `port` of loopback."""
        raise NotImplementedError

    def __enter__(self) -> str:
        with ExitStack() as stack:
            folder = stack.enter_context(_folder())
            port, other_port = free_ports(2)
            address = f"{_HOST}:{port}"
            command = self.command(folder, port, other_port)
            kept = child(command, end_signal=self.end_signal, folder=folder)
            self._wait_for_answer(address, stack.enter_context(kept))
            self._stack = stack.pop_all()
        return address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _wait_for_answer(self, address: str, process: Child) -> None:
        give_up = time.monotonic() + self.patience_s
        while not answers(address):
            process.check(self.name)
            if time.monotonic() > give_up:
                raise OutsideFailure(
                    f"{self.name} did not answer within {self.patience_s:.0f} s"
                    f"{process.last_words()}"
                )
            time.sleep(_POLL_S)


class EmbeddedBroker(OwnBroker):
    """The broker of the wheel `noida-db`: up in a moment, and good enough for a demo only."""

    name = "the embedded broker of noida-db"
    patience_s = 20.0

    def command(self, folder: Path, port: int, _other_port: int) -> list[str]:
        """Return the command; see `OwnBroker`."""
        spec = importlib.util.find_spec("noida_db")
        if spec is None or spec.origin is None:
            raise OutsideFailure('noida-db is not installed (pip install "ringfence[demo]")')
        # Not the console script: that one is a parent which a signal would leave childless.
        binary = Path(spec.origin).with_name("noida-db")
        return [
            *(str(binary), "start", "--only", "kafka"),
            *("--kafka-port", str(port), "--data-dir", str(folder / "data")),
        ]


class JavaBroker(OwnBroker):
    """Apache Kafka itself, from its Maven jars, which are kept in the user's cache folder."""

    name = f"Apache Kafka {KAFKA_VERSION} on Java"
    patience_s = 90.0

    def settings(self, folder: Path, port: int, other_port: int) -> dict[str, str]:
        """Return the broker's settings; `other_port` is for its controller."""
        return _SETTINGS | {
            "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{other_port}",
            "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
            "controller.quorum.voters": f"1@{_HOST}:{other_port}",
            "log.dirs": str(folder / "data"),
        }

    def cluster_id(self) -> str:
        """Return the name that the data are formatted with."""
        return str(uuid.uuid4())

    def format_options(self) -> list[str]:
        """Return what else the data are formatted with."""
        return []

    def command(self, folder: Path, port: int, other_port: int) -> list[str]:
        """Return the command, after fetching the jars if need be and formatting the data."""
        java = _program("java", "it takes Java 17 or later")
        class_path = f"{kafka_jars()}/*"
        properties = folder / "server.properties"
        lines = [f"{k}={v}\n" for k, v in self.settings(folder, port, other_port).items()]
        properties.write_text("".join(lines), encoding="utf-8")
        storage = ["format", "--cluster-id", self.cluster_id(), "--config", str(properties)]
        storage += self.format_options()
        formatter = [java, "-cp", class_path, "kafka.tools.StorageTool", *storage]
        _run(formatter, f"{self.name} could not format its data", self.patience_s)
        options = ["-Xmx512m", "-XX:-UsePerfData", f"-Dkafka.logs.dir={folder}"]
        return [java, *options, "-cp", class_path, "kafka.Kafka", str(properties)]


class DockerBroker(OwnBroker):
    """Apache Kafka's own image, run by the `docker` command."""

    name = f"Docker with {IMAGE}"
    patience_s = 240.0  # the image may have to be pulled
    end_signal = "TERM"  # the docker command hands it on to the container

    def command(self, _folder: Path, port: int, _other_port: int) -> list[str]:
        """Return the command; see `OwnBroker`."""
        docker = _program("docker", "no container can be started")
        _run([docker, "version"], "Docker has no engine that answers", 20.0)
        settings = _SETTINGS | {
            "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        environment = [f"KAFKA_{k.upper().replace('.', '_')}={v}" for k, v in settings.items()]
        return [
            *(docker, "run", "--rm", "--publish", f"{_HOST}:{port}:{port}"),
            *(word for pair in environment for word in ("--env", pair)),
            IMAGE,
        ]


DEMO_ORDER: tuple[type[OwnBroker], ...] = (EmbeddedBroker, JavaBroker, DockerBroker)


@dataclass(frozen=True)
class Started:
    """A running broker of our own: where it is, what it is, and why it is none of the others."""

    address: str
    name: str
    passed_over: tuple[str, ...]


@contextmanager
def own_broker(order: Sequence[type[OwnBroker]] = DEMO_ORDER) -> Iterator[Started]:
    """Start the first broker of the order that can be started, and stop it afterwards.

    Raises:
        OutsideFailure: None of them can be; the text gives every reason.
    """
    passed_over: list[str] = []
    with ExitStack() as stack:
        for kind in order:
            try:
                address = stack.enter_context(kind())
            except OutsideFailure as failure:
                passed_over.append(str(failure))
                continue
            yield Started(address, kind.name, tuple(passed_over))
            return
        raise OutsideFailure(f"no broker can be started here: {'; '.join(passed_over)}")


def answers(address: str) -> bool:
    """Tell whether a Kafka broker answers at an address without TLS, such as `127.0.0.1:9092`."""
    host, _, port = address.rpartition(":")
    # ApiVersions (key 18) in version 0, which every broker answers whatever else it speaks.
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection(
            (host.strip("[]"), int(port)), timeout=_ANSWER_S
        ) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            size: int = struct.unpack(">i", connection.recv(4))[0]
            # What speaks TLS, or is of the web, answers too; read as a size, that is a vast one.
            return 0 < size < _LONGEST_ANSWER
    except (OSError, ValueError, struct.error):
        return False


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, filled by Maven on the first call on this machine.

    Raises:
        OutsideFailure: There is no Maven, or it cannot fetch them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringfence"
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"kafka-{KAFKA_VERSION}.lock").open("w") as lock:
            # Whoever comes second waits here, and finds the jars.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.is_dir():
                _fetch_jars(jars)
    except OSError as error:
        raise OutsideFailure(f"the jars of Kafka cannot be kept in {cache}: {error}") from error
    return jars


def _fetch_jars(jars: Path) -> None:
    maven = _program("mvn", "the jars of Kafka come with Maven")
    with tempfile.TemporaryDirectory(dir=jars.parent) as name:
        folder = Path(name)
        (folder / "pom.xml").write_text(_POM, encoding="utf-8")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}"]
        command = [maven, "-q", "-B", "-f", str(folder / "pom.xml"), *goal]
        _run(command, f"Maven could not fetch Kafka {KAFKA_VERSION}", _DOWNLOAD_S)
        # Renamed whole: a download that was cut off is never taken for the jars.
        (folder / "jars").rename(jars)


def _program(name: str, need: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise OutsideFailure(f'there is no command "{name}", and {need}')
    return path


def _run(command: list[str], what_failed: str, patience_s: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - commands of this module, no text from outside
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience_s,
        )
    except subprocess.TimeoutExpired as error:
        raise OutsideFailure(f"{what_failed} within {patience_s:.0f} s") from error
    except OSError as error:
        raise OutsideFailure(f"{what_failed}: {error}") from error
    if done.returncode != 0:
        raise OutsideFailure(f"{what_failed}{said(done.stdout)}")


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ringfence-broker-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, each another."""
    with ExitStack() as held:
        # All are held until all are known, or two might be the same.
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_HOST, 0))
        return [each.getsockname()[1] for each in sockets]
