"""Where contenders from elsewhere live: made once, in the folder that Kafka's jars are in."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from streams.brokers import KAFKA_VERSION

QUIX_VERSION: Final = "3.28.1"
_SOURCE: Final = Path(__file__).parents[1] / "contenders" / "kafka_streams" / "OnStreams.java"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringfence</groupId><artifactId>streams-for-comparison</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId>
      <version>{KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def environment_of_quix() -> Path:
    """Return the Python of an environment that has Quix Streams.

    Raises:
        subprocess.CalledProcessError: It cannot be installed here.
    """
    folder = _cache() / f"quix-{QUIX_VERSION}"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, clear=True, with_pip=True)
        wanted = [f"quixstreams=={QUIX_VERSION}", "msgspec"]
        command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "done").touch()
    return python


def streams_class_path(cache: Path) -> str:
    """Return the class path with the jars of Kafka Streams and the contender's own classes.

    Args:
        cache: the folder in which to keep them.

    Raises:
        subprocess.CalledProcessError: Maven or the compiler has failed.
        FileNotFoundError: There is no Maven, or no compiler.
    """
    jars, classes = cache / f"kafka-streams-{KAFKA_VERSION}", cache / "kafka-streams-classes"
    if not jars.is_dir():
        aside = cache / f".{os.getpid()}-streams"
        aside.mkdir()
        (aside / "pom.xml").write_text(_POM, encoding="utf-8")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={aside / 'jars'}"]
        _call("mvn", "-q", "-B", "-f", str(aside / "pom.xml"), *goal)
        (aside / "jars").rename(jars)
        shutil.rmtree(aside)
    _call("javac", "-cp", f"{jars}/*", "-d", str(classes), str(_SOURCE))
    return f"{jars}/*:{classes}"


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / f"ringfence/py{sys.version_info.major}.{sys.version_info.minor}"
