"""The field on Kafka: each contender's process, its topics, and how its alerts are read."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.contenders.by_hand import Match
from benchmarks.kafka.course import BY_APPENDING, OUTSIDE, PARTITIONS, Course
from benchmarks.kafka.sites import environment_of_quix, streams_class_path
from benchmarks.truth import Limits
from streams.brokers import kafka_jars
from streams.epoch import Epoch
from streams.joining import find_epoch
from streams.rule_files import read_rules
from streams.settings import load_settings

_ROOT: Final = Path(__file__).parents[2]
_RINGFENCE: Final = str(Path(sys.executable).with_name("ringfence"))
_STOPS_WITHIN_S: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Name = Literal["ringfence", "plain aiokafka loop", "Kafka Streams", "Quix"]
FIELD: Final[Sequence[Name]] = ("ringfence", "plain aiokafka loop", "Kafka Streams", "Quix")


@dataclass(frozen=True)
class Heat:
    """One run of one contender: which rules, and names on the bus that are its own.

    `rules` is a folder with the rule files of the variants.
    """

    name: Name
    course: Course
    variants: Sequence[Limits]
    rules: Path
    folder: Path
    serial: str

    def topic(self, what: str) -> str:
        """Return the name of a topic of this run."""
        return f"bench.{self.serial}.{what}"

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of the process."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")}
        told = {
            "broker": self.course.bus.address,
            "outside": OUTSIDE,
            "kept": self.topic("kept"),
            "alerts": self.topic("alerts"),
            "group": self.topic("group"),
            "folder": str(self.folder),
            "variants": [asdict(limits) for limits in self.variants],
        }
        mine = self.settings if self.name == "ringfence" else {"CONTENDER": json.dumps(told)}
        return {**others, "PYTHONPATH": str(_ROOT), **mine}

    @property
    def settings(self) -> Mapping[str, str]:
        """What the product is told; all else is as it comes."""
        return {
            "RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": self.course.bus.address,
            "RINGFENCE_CALLS_TOPICS": OUTSIDE[0],
            "RINGFENCE_TRANSACTIONS_TOPICS": OUTSIDE[1],
            "RINGFENCE_FACTS_TOPIC": self.topic("facts"),
            "RINGFENCE_ALERTS_TOPIC": self.topic("alerts"),
            "RINGFENCE_DEAD_LETTERS_TOPIC": self.topic("dead-letters"),
            "RINGFENCE_GROUP": self.topic("group"),
            "RINGFENCE_RULES": str(self.rules),
            "RINGFENCE_PSEUDONYM_KEY": "no secret, only a benchmark",
        }

    def command(self) -> Sequence[str]:
        """Return the command of the process."""
        if self.name == "ringfence":
            return [_RINGFENCE, "worker"]
        if self.name == "plain aiokafka loop":
            return [sys.executable, "-m", "benchmarks.contenders.on_kafka"]
        if self.name == "Quix":
            return [str(environment_of_quix()), "-m", "benchmarks.contenders.on_quix"]
        classes = streams_class_path(kafka_jars().parent)
        return ["java", "-Xmx512m", "-XX:-UsePerfData", "-cp", classes, "OnStreams"]

    async def make_topics(self) -> str:
        """Make the topics of this run; return the one between its two hops."""
        bus = self.course.bus
        await bus.create(self.topic("alerts"), PARTITIONS, BY_APPENDING)
        if self.name != "ringfence":
            await bus.create(self.topic("kept"), PARTITIONS, BY_APPENDING)
            return self.topic("kept")
        command = [_RINGFENCE, "topics", "create", "--partitions", str(PARTITIONS)]
        await asyncio.to_thread(
            subprocess.run, command, env=self.environ, check=True, stderr=subprocess.DEVNULL
        )
        return (await self._epoch()).facts_topic

    async def _epoch(self) -> Epoch:
        settings = load_settings(self.settings)
        return await find_epoch(settings, read_rules(settings.rules, settings.timing))

    def match(self, raw: bytes) -> Match | None:
        """Return the match that an alert tells of, if it tells of one."""
        if self.name != "ringfence":
            rule, _, transfer = raw.decode().partition("\t")
            return rule, transfer
        data: dict[str, Any] = json.loads(raw)["data"]
        is_raised = data["state"] == "raised"
        return (data["rule"]["id"], data["anchor"]["id"]) if is_raised else None

    @contextmanager
    def process(self) -> Iterator["Process"]:
        """Run the process; a signal ends it afterwards."""
        journal = self.folder / "journal"
        with journal.open("wb") as stderr:
            child = subprocess.Popen(
                self.command(), env=self.environ, stdout=stderr, stderr=stderr, cwd=_ROOT
            )
        try:
            yield Process(child, journal)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@dataclass(frozen=True)
class Process:
    """A contender's process while it runs."""

    child: "subprocess.Popen[bytes]"
    journal: Path

    def cpu_s(self) -> float:
        """Return the processor seconds that it has taken so far."""
        told = Path(f"/proc/{self.child.pid}/stat").read_text()
        fields = told.rpartition(")")[2].split()
        return sum(int(fields[n]) for n in (11, 12)) / _TICKS

    def peak_mb(self) -> float:
        """Return the most memory that it has had so far."""
        return self._mb("VmHWM")

    def resident_mb(self) -> float:
        """Return the memory that it has now."""
        return self._mb("VmRSS")

    def _mb(self, what: str) -> float:
        told = Path(f"/proc/{self.child.pid}/status").read_text()
        line = next(line for line in told.splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            RuntimeError: It has ended; the text has its last words.
        """
        if self.child.poll() is not None:
            words = self.journal.read_text(errors="replace").splitlines()[-1:]
            raise RuntimeError(f"exit code {self.child.returncode}: {' '.join(words)}")


def now_s() -> float:
    """Return seconds of a clock that only goes on."""
    return time.monotonic()
