"""How fast are many sequences together, beside llama-batched-bench? Aggregate tokens per second in decode.

    LLAMA_CPP_BIN=…/bin python benchmarks/batched.py --threads 2 --types Q4_K_M --sequences 1,8,16

The sides alternate, each in a fresh process on the same file; figures are medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import ours
import peer
import report
from make_model import DEFAULT_FOLDER, made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--types", default="Q4_K_M")
    parser.add_argument("--sequences", default="1,8,16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=32, help="tokens in each sequence before decode is timed")
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def measure(model: Path, sequences: int, args: argparse.Namespace) -> dict[str, Any]:
    our, their = [], []
    for _ in range(args.reps):
        mine = ours.bench(
            model,
            threads=args.threads,
            prompt=args.prompt,
            new=args.new,
            depth=args.prompt,
            sequences=sequences,
            reps=1,
        )
        our.append(mine["decode_tok_s"])
        if not args.no_peer:
            done = peer.llama_batched_bench(
                model, threads=args.threads, prompt=args.prompt, new=args.new, sequences=sequences
            )
            their.append(done["decode"])
    own, other = statistics.median(our), statistics.median(their) if their else None
    return {
        "sequences": sequences,
        "decode tok/s": own,
        "llama.cpp": other,
        "ratio": own / other if other else None,
    }


def main() -> None:
    args = arguments()
    rows = []
    for mix in args.types.split(","):
        model = made(args.shape, mix, args.models)
        for count in map(int, args.sequences.split(",")):
            rows.append({"model": f"{args.shape} {mix}", **measure(model, count, args)})
            print(report.table(rows[-1:]), file=sys.stderr)
    report.emit(args, rows, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
