"""One process and what it cost: seconds of the clock, of CPU (children included), and MB at its peak. Used by the others."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile


@dataclass(frozen=True)
class Cost:
    """One process, or the medians of several."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], folder: Path) -> Cost:
    """Run to its end. Raises SystemExit with what it wrote last when it fails."""
    with TemporaryFile() as out:
        started = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir(folder)
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
                # compiled modules are kept between runs, as on anybody's machine, whatever this shell says
                kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
                os.execve(command[0], command, kept)
            finally:
                os._exit(127)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - started
        if os.waitstatus_to_exitcode(status):
            out.seek(0)
            last = out.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)} failed in {folder}:\n{last}")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def median(costs: Iterable[Cost]) -> Cost:
    found = list(costs)
    return Cost(*(statistics.median(getattr(cost, name) for cost in found) for name in ("wall", "cpu", "memory")))
