"""What does another thread gain? Prefill and decode, beside bare loops on the same number of threads.

    python benchmarks/threads.py --threads 1,2,4 --type Q4_K_M

The thread counts alternate, each in a fresh process. Right after each run come two bare loops: one of the kernels'
multiply instruction, one that reads memory. Figures are medians; "x": the speed relative to the first thread count, the
median over the rounds. Cores that share a cache, memory or a power budget gain less than their number, in loops as in
models.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import machine
import ours
import report
from make_model import DEFAULT_FOLDER, made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default %(default)s)")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def measure(model: Path, args: argparse.Namespace, n_threads: int) -> dict[str, float]:
    """One run with one number of threads."""
    run = ours.bench(model, threads=n_threads, prompt=args.prompt, new=args.new, reps=1)
    limits = machine.limits(run["kernels"], n_threads)
    return {
        "prefill tok/s": run["prefill_tok_s"],
        "multiply Top/s": limits.ops_per_second / 1e12,
        "decode tok/s": run["decode_tok_s"],
        "read GB/s": limits.bytes_per_second / 1e9,
    }


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    counts = [int(n) for n in args.threads.split(",")]
    turns = [{n: measure(model, args, n) for n in counts} for _ in range(args.reps)]
    rows: list[dict[str, Any]] = []
    for n in counts:
        row: dict[str, Any] = {"threads": n}
        for i, what in enumerate(turns[0][n]):
            row[what] = statistics.median(turn[n][what] for turn in turns)
            row["x" + " " * i] = statistics.median(turn[n][what] / turn[counts[0]][what] for turn in turns)
        rows.append(row)
    report.emit(args, rows, model=f"{args.shape} {args.type}", reps=args.reps)


if __name__ == "__main__":
    main()
