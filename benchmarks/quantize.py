"""How long does quantising take, and how much memory, beside llama-quantize? Both sides in one run on one F16 file.

    LLAMA_CPP_BIN=…/bin python benchmarks/quantize.py --threads 2 --types Q4_0,Q4_K_M,Q8_0

The sides alternate, each in a fresh process that writes a new file; the figures are medians. Resident memory is the
process's peak, which includes pages of the mapped input. The input is read once before, to keep the disk out of the
figures as far as possible. Rounding differs: docs/quantize.md says how much less error the time buys.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import ours
import peer
import report
from make_model import DEFAULT_FOLDER, made


class Run(NamedTuple):
    seconds: float
    resident: int  # bytes at the peak
    size: int  # bytes of the file written


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--types", default="Q4_0,Q4_K_M,Q6_K,Q8_0,IQ4_XS", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def read_through(path: Path) -> None:
    """Read a file into the page cache, a little at a time: a child's peak includes its parent's memory at the fork."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def run(command: list[str | Path], out: Path) -> Run:
    """Run one process to its end and remove the file that it wrote."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said, stderr=said, env=ours.environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))}: {said.read().decode(errors='replace').strip()}")
    size = out.stat().st_size
    out.unlink()
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), size)


def measure(source: Path, mix: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One row: medians of both sides over alternating runs."""
    out = folder / "out.gguf"
    command: list[str | Path] = [sys.executable, "-m", "oxillama", "quantize", source, out, mix]
    mine, theirs = [], []
    for _ in range(args.reps):
        mine.append(run([*command, "--threads", str(args.threads)], out))
        if not args.no_peer:
            theirs.append(run([peer.program("llama-quantize"), source, out, mix, str(args.threads)], out))

    def middle(runs: list[Run], what: str) -> float | None:
        return statistics.median(getattr(r, what) for r in runs) if runs else None

    seconds, their_seconds = middle(mine, "seconds"), middle(theirs, "seconds")
    return {
        "type": mix,
        "seconds": seconds,
        "llama.cpp": their_seconds,
        "times as long": seconds / their_seconds if seconds and their_seconds else None,
        "peak MiB": _mib(middle(mine, "resident")),
        "llama.cpp ": _mib(middle(theirs, "resident")),
        "file MiB": _mib(mine[0].size),
        "llama.cpp  ": _mib(theirs[0].size) if theirs else None,
    }


def _mib(n: float | None) -> str | None:
    return None if n is None else f"{n / 2**20:.0f}"


def main() -> None:
    args = arguments()
    source = made(args.shape, "F16", args.models)
    read_through(source)
    rows = []
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        for mix in args.types.split(","):
            rows.append(measure(source, mix, Path(folder), args))
            print(report.table(rows[-1:]), file=sys.stderr)
    report.emit(args, rows, model=f"{args.shape} F16", threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
