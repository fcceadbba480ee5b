"""Runs one command and writes down what it took: `launch.py RESULT COMMAND…`.

It stands between the benchmark and what is measured, as a process that imports next to nothing:
Linux counts into a process's peak memory what its parent held when it was started.
"""

import json
import os
import sys
import time


def main() -> int:
    """Run the command; returns its exit code."""
    result, *command = sys.argv[1:]
    begun = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    with open(result, "w", encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is not loaded
        json.dump(
            {
                "seconds": seconds,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                "code": code,
            },
            stream,
        )
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
