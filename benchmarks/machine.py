"""What was measured on: processor, cores and versions, and no name of anybody or anything."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("ringfence", "msgspec", "pydantic", "duckdb", "polars", "bytewax")
_ROOT: Final = Path(__file__).parents[1]


def described() -> str:
    """Return one sentence for the page."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    cores = os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, {_memory_gb():.0f} GB, "
        f"load {os.getloadavg()[1]:.1f} at the end; {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}; {versions}, "
        f"revision {_revision()}"
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
