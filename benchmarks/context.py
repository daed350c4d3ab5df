"""What does a long context cost? Decode at growing depth, and prefill of growing prompts, beside llama.cpp in one run.

    LLAMA_CPP_BIN=…/bin python benchmarks/context.py --type Q4_K_M --depths 128,1024,4096

"kept": the speed at this length divided by the speed at the first one, for both sides.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import ours
import peer
import report
from make_model import DEFAULT_FOLDER, made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--depths", default="128,1024,4096", help="tokens in the context when decode starts")
    parser.add_argument("--prompts", default="512,4096", help="tokens of the prompts to prefill")
    parser.add_argument("--new", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument(
        "--kv-type", default="auto", help="of our cache; llama.cpp's is q8_0 or f32 if this is, else f16"
    )
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def measure(model: Path, args: argparse.Namespace, *, prompt: int, depth: int, what: str) -> tuple[float, float | None]:
    """Median speeds of both sides over alternating runs; `what` is "prefill" or "decode"."""
    mine, theirs = [], []
    for _ in range(args.reps):
        run = ours.bench(
            model,
            threads=args.threads,
            prompt=prompt,
            new=args.new,
            depth=depth,
            ctx_size=depth + max(prompt, args.new),  # a depth may be beyond what the shape's model was trained with
            reps=1,
            kv_type=args.kv_type,
        )
        mine.append(run[f"{what}_tok_s"])
        if not args.no_peer:
            kv_type = args.kv_type if args.kv_type in ("q8_0", "f32") else "f16"
            run = peer.llama_bench(
                model, threads=args.threads, prompt=prompt, new=args.new, depth=depth, kv_type=kv_type
            )
            theirs.append(run[what])
    return statistics.median(mine), statistics.median(theirs) if theirs else None


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    plan = [("decode", int(d), 32, int(d)) for d in args.depths.split(",")]
    plan += [("prefill", int(p), int(p), 0) for p in args.prompts.split(",")]
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[float, float | None]] = {}
    for what, length, prompt, depth in plan:
        mine, theirs = measure(model, args, prompt=prompt, depth=depth, what=what)
        base = first.setdefault(what, (mine, theirs))
        rows.append(
            {
                "what": what,
                "context": length,
                "tok/s": mine,
                "kept": mine / base[0],
                "llama.cpp": theirs,
                "kept ": theirs / base[1] if theirs and base[1] else None,
                "ratio": mine / theirs if theirs else None,
            }
        )
    report.emit(
        args, rows, model=f"{args.shape} {args.type}", threads=args.threads, reps=args.reps, kv_type=args.kv_type
    )


if __name__ == "__main__":
    main()
