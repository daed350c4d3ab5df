"""How fast is one sequence, beside llama.cpp? Decode and prefill of whole models, both sides in one run.

    LLAMA_CPP_BIN=…/bin python benchmarks/decode.py --threads 2 --types Q4_0,Q4_K_M,Q8_0

The sides alternate, each in a fresh process on the same file, so that a slow minute of the machine affects both. The
figures are medians. "of read": weight bytes that a token must read x decode speed, divided by what a bare loop read
right after. "of peak": two operations for each weight and prompt token x prefill speed, divided by what a bare loop of
the same multiply instruction reached. make_model.py makes the models on first use and keeps them in --models.
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
from make_model import DEFAULT_FOLDER, made, weight_bytes_per_token, weights_per_token


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--types", default="Q4_0,Q4_K_M,Q8_0", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--isa", help="isa to force on our side (the peer has its own build)")
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def measure(model: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One row: medians of both sides over alternating runs."""
    runs: dict[str, list[float]] = {}
    needed, ops = weight_bytes_per_token(model), 2 * weights_per_token(model)
    for _ in range(args.reps):
        mine = ours.bench(model, args.isa, threads=args.threads, prompt=args.prompt, new=args.new, reps=1)
        limits = machine.limits(mine["kernels"], args.threads)
        figures = {
            "our decode": mine["decode_tok_s"],
            "our prefill": mine["prefill_tok_s"],
            "of read": needed * mine["decode_tok_s"] / limits.bytes_per_second,
            "of peak": ops * mine["prefill_tok_s"] / limits.ops_per_second,
        }
        if not args.no_peer:
            theirs = peer.llama_bench(model, threads=args.threads, prompt=args.prompt, new=args.new)
            figures |= {"their decode": theirs["decode"], "their prefill": theirs["prefill"]}
        for key, value in figures.items():
            runs.setdefault(key, []).append(value)
    m = {key: statistics.median(values) for key, values in runs.items()}
    their_decode, their_prefill = m.get("their decode"), m.get("their prefill")
    return {
        "kernels": mine["kernels"],
        "decode tok/s": m["our decode"],
        "llama.cpp": their_decode,
        "ratio": m["our decode"] / their_decode if their_decode else None,
        "of read": f"{m['of read']:.0%}",
        f"prefill {args.prompt} tok/s": m["our prefill"],
        "llama.cpp ": their_prefill,
        "ratio ": m["our prefill"] / their_prefill if their_prefill else None,
        "of peak": f"{m['of peak']:.0%}",
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
