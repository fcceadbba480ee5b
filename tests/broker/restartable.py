"""Brokers that can be killed and started again over their data: one, or a cluster of several."""

import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streams.brokers import JavaBroker, answers, free_ports


class RestartableBroker:
    """A broker that can be killed, and started again over the same data."""

    process: "subprocess.Popen[bytes]"

    def __init__(self, address: str, command: Sequence[str]) -> None:
        """Prepare a broker.

        Args:
            address: where it answers.
            command: runs it over its data.
        """
        self.address = address
        self._command = command

    def begin(self) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def again(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        give_up_s = time.monotonic() + JavaBroker.patience_s
        while not answers(self.address):
            assert time.monotonic() < give_up_s, "the broker does not answer"
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait()


SHORT_SESSIONS = {"group.min.session.timeout.ms": "1000"}
"""Kafka's own least is six seconds, and tests wait for many sessions to end."""


class PatientBroker(JavaBroker):
    """A broker that takes sessions as short as tests want them."""

    def settings(self, folder: Path, port: int, other_port: int) -> dict[str, str]:
        """See `JavaBroker`."""
        return super().settings(folder, port, other_port) | SHORT_SESSIONS


class _Node(PatientBroker):
    """One of several brokers that are a cluster."""

    def __init__(self, cluster_id: str, ports: Sequence[tuple[int, int]], number: int) -> None:
        """Prepare a node.

        Args:
            cluster_id: the cluster's.
            ports: of each node, that for clients and that of its controller.
            number: which of them this is, from 1 on.
        """
        super().__init__()
        self._cluster_id = cluster_id
        self._ports = ports
        self._number = number

    def cluster_id(self) -> str:
        """See `JavaBroker`."""
        return self._cluster_id

    def settings(self, folder: Path, port: int, other_port: int) -> dict[str, str]:
        """See `JavaBroker`."""
        size = len(self._ports)
        voters = (f"{n}@127.0.0.1:{other}" for n, (_, other) in enumerate(self._ports, 1))
        return super().settings(folder, port, other_port) | {
            "node.id": str(self._number),
            "controller.quorum.voters": ",".join(voters),
            # Of Kafka's own topics; the others are given theirs as they are made.
            "offsets.topic.replication.factor": str(size),
            "min.insync.replicas": str(max(1, size - 1)),
        }


@contextmanager
def restartable(folder: Path) -> Iterator[RestartableBroker]:
    """Give a broker of one's own, with its data in a folder."""
    with cluster(folder, 1) as (broker,):
        yield broker


@contextmanager
def cluster(folder: Path, size: int) -> Iterator[Sequence[RestartableBroker]]:
    """Give brokers that are one cluster, each of them a controller too."""
    numbers = free_ports(2 * size)
    ports = list(zip(numbers[:size], numbers[size:], strict=True))
    name = str(uuid.uuid4())
    brokers = []
    for number, (port, _) in enumerate(ports, 1):
        own = folder / str(number)
        own.mkdir()
        node = _Node(name, ports, number)
        brokers.append(
            RestartableBroker(f"127.0.0.1:{port}", node.command(own, *ports[number - 1]))
        )
    try:
        for broker in brokers:
            broker.begin()
        for broker in brokers:
            broker.wait()
        yield brokers
    finally:
        for broker in brokers:
            broker.kill()
