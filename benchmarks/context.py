"""What does a long context cost? Decode at growing depth, and prefill of growing prompts, beside llama.cpp in one run.

    LLAMA_CPP_BIN=…/bin python benchmarks/context.py --type Q4_K_M --depths 128,1024,4096

"kept": the speed at this length divided by the speed at the first one, for both sides. Our side reads one random text
and stops at each depth to decode, so a run costs one prefill of the greatest length. llama.cpp reads a text for every
figure, which takes minutes at great depth: --peer-most limits it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import peer
import report
from make_model import DEFAULT_FOLDER, made

from oxillama.core._core import PAGE_TOKENS
from oxillama.errors import InvalidParameterError
from oxillama.models import load_model

BATCH = 512  # tokens of a step of prefill

Speeds = dict[tuple[str, int], float]
"""Tokens per second by ("decode", depth) and ("prefill", tokens)."""


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
    parser.add_argument("--peer-most", type=int, metavar="N", help="longest context that llama.cpp is measured at")
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def lengths(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def our_speeds(model: Path, args: argparse.Namespace) -> Speeds:
    """All figures of our side, from one sequence that grows. A depth may be beyond what the model was trained with."""
    depths, prompts = lengths(args.depths), lengths(args.prompts)
    n_ctx = max(*depths, *prompts) + args.new
    try:
        loaded = load_model(
            model, n_threads=args.threads, n_ctx=n_ctx, n_batch=BATCH, kv_type=args.kv_type, n_seqs=1,
            kv_pages=n_ctx // PAGE_TOKENS + 1,
        )  # fmt: skip
    except InvalidParameterError as error:
        raise SystemExit(f"--kv-type: {error}") from None
    runner, seq = loaded.runner, loaded.runner.seq_open()
    rng, speeds = np.random.default_rng(0), Speeds()

    def step(n: int) -> float:
        tokens, flags = rng.integers(3, runner.n_vocab, n).astype(np.int32), np.zeros(n, np.bool_)
        flags[-1] = True
        began = time.perf_counter()
        runner.step(tokens, [seq], [n], flags)
        return time.perf_counter() - began

    step(8)  # memory that is touched for the first time
    runner.seq_truncate(seq, 0)
    spent = 0.0
    for stop in sorted({*depths, *prompts}):
        while (at := runner.seq_len(seq)) < stop:
            spent += step(min(BATCH, stop - at))
        if stop in prompts:
            speeds["prefill", stop] = stop / spent
        if stop in depths:
            speeds["decode", stop] = 1 / statistics.median(step(1) for _ in range(args.new))
            runner.seq_truncate(seq, stop)
    loaded.close()
    return speeds


def their_speed(model: Path, what: str, length: int, args: argparse.Namespace) -> float:
    kv_type = args.kv_type if args.kv_type in ("q8_0", "f32") else "f16"
    prompt, depth = (length, 0) if what == "prefill" else (32, length)
    rates = peer.llama_bench(model, threads=args.threads, prompt=prompt, new=args.new, depth=depth, kv_type=kv_type)
    return rates[what]


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    plan = [("decode", n) for n in lengths(args.depths)] + [("prefill", n) for n in lengths(args.prompts)]
    compared = [] if args.no_peer else [(what, n) for what, n in plan if not args.peer_most or n <= args.peer_most]
    mine, theirs = [], []
    for _ in range(args.reps):
        mine.append(our_speeds(model, args))
        theirs.append({(what, n): their_speed(model, what, n, args) for what, n in compared})
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[float, float | None]] = {}
    for key in plan:
        ours = statistics.median(run[key] for run in mine)
        other = statistics.median(run[key] for run in theirs) if key in compared else None
        base = first.setdefault(key[0], (ours, other))
        rows.append(
            {
                "what": key[0],
                "context": key[1],
                "tok/s": ours,
                "kept": ours / base[0],
                "llama.cpp": other,
                "kept ": other / base[1] if other and base[1] else None,
                "ratio": ours / other if other else None,
            }
        )
    report.emit(
        args, rows, model=f"{args.shape} {args.type}", threads=args.threads, reps=args.reps, kv_type=args.kv_type
    )


if __name__ == "__main__":
    main()
