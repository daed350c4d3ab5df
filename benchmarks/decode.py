"""How fast is one sequence, beside llama.cpp? Decode and prefill of whole models, both sides in one run.

    LLAMA_CPP_BIN=…/bin python benchmarks/decode.py --threads 2 --types Q4_0,Q4_K_M,Q8_0

The sides alternate, each in a fresh process on the same file, so that a slow minute of the machine hits both; the
figures are medians. "of bandwidth": weight bytes that a token must read x decode speed, over the read bandwidth
measured between the runs. The models are made by make_model.py on first use and kept in --models.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import machine
import ours
import peer
import report
from make_model import DEFAULT_FOLDER, made, weight_bytes_per_token


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--types", default="Q4_0,Q4_K_M,Q8_0", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--isa", help="kernel row to force on our side (the peer has its own build)")
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def measure(model: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One row: medians of both sides over alternating runs."""
    runs: dict[str, list[float]] = {key: [] for key in ("our_d", "our_p", "their_d", "their_p", "bandwidth")}
    for _ in range(args.reps):
        mine = ours.bench(model, args.isa, threads=args.threads, prompt=args.prompt, new=args.new, reps=1)
        runs["our_d"].append(mine["decode_tok_s"])
        runs["our_p"].append(mine["prefill_tok_s"])
        if not args.no_peer:
            theirs = peer.llama_bench(model, threads=args.threads, prompt=args.prompt, new=args.new)
            runs["their_d"].append(theirs["decode"])
            runs["their_p"].append(theirs["prefill"])
        runs["bandwidth"].append(machine.read_bandwidth(args.threads, repeats=3))
    m = {key: statistics.median(values) if values else None for key, values in runs.items()}
    needed = weight_bytes_per_token(model) * m["our_d"]
    return {
        "kernels": mine["kernels"],
        "decode tok/s": m["our_d"],
        "llama.cpp": m["their_d"],
        "ratio": m["our_d"] / m["their_d"] if m["their_d"] else None,
        "of bandwidth": f"{needed / m['bandwidth']:.0%}",
        "GB/s": m["bandwidth"] / 1e9,
        f"prefill {args.prompt} tok/s": m["our_p"],
        "llama.cpp ": m["their_p"],
        "ratio ": m["our_p"] / m["their_p"] if m["their_p"] else None,
    }


def main() -> None:
    args = arguments()
    rows = []
    for mix in args.types.split(","):
        model = made(args.shape, mix, args.models)
        row = {"model": f"{args.shape} {mix}", **measure(model, args)}
        rows.append(row)
        print(report.table([row]), file=sys.stderr)
    report.emit(args, rows, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
