"""What a figure was measured on: the processor, its limits, and what else was running."""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

from oxillama.core import _core


class Limits(NamedTuple):
    """What bare loops reach."""

    bytes_per_second: float  # read from memory
    ops_per_second: float  # products and sums of bytes, two for each pair


def limits(isa: str, n_threads: int) -> Limits:
    """The machine's limits in this minute, with the instructions of an isa: the best of several tries."""
    return Limits(*_core._probe(isa, n_threads))


def describe() -> dict[str, object]:
    """Processor, cores, kernel and Python, as a table's heading."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def heading() -> str:
    """`describe` as one line."""
    facts = describe()
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, load {facts['load_1min']}"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
