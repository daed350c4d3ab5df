"""What a figure was measured on: the processor, its memory's read bandwidth, and what else was running."""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time

# Set before numpy loads its BLAS, so that a probe of n threads is n threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np


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
    """`describe` in one line."""
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


def read_bandwidth(n_threads: int, megabytes: int = 256, repeats: int = 7) -> float:
    """Median bytes per second that `n_threads` read from memory: a dot product of a vector with itself on each."""
    vectors = [np.ones(megabytes * 2**20 // 4 // n_threads, np.float32) for _ in range(n_threads)]
    rates = []
    for _ in range(repeats):
        workers = [threading.Thread(target=v.dot, args=(v,)) for v in vectors]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rates.append(sum(v.nbytes for v in vectors) / (time.perf_counter() - start))
    return statistics.median(rates)
