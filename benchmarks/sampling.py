"""What share of a step does choosing its tokens take? Decode of many sequences with a large vocabulary.

    python benchmarks/sampling.py --threads 2 --vocabulary 152064 --sequences 1,16

For each way of choosing: the median time of the step's forward pass and of the call that chooses its tokens, both for
all sequences together. "share" is the second beside both. make_model.py makes the model on first use and keeps it in
--models.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import report
from make_model import DEFAULT_FOLDER, make
from shapes import SHAPES

from oxillama.core._core import PAGE_TOKENS, Choice, Chooser
from oxillama.engine.api.sampling import SamplerSettings
from oxillama.engine.decoding.sampling import core_sampler
from oxillama.models import load_model

USUAL = SamplerSettings()  # the defaults
FULL = SamplerSettings(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
WAYS: dict[str, tuple[SamplerSettings, int | None]] = {
    "greedy": (SamplerSettings(temperature=0.0), None),
    "defaults": (USUAL, None),
    "defaults, 20 log-probabilities": (USUAL, 20),
    "temperature alone": (FULL, None),
    "top_p alone": (SamplerSettings(temperature=1.0, top_k=0, top_p=0.95, min_p=0.0), None),
}
"""Settings, and how many alternatives' log-probabilities are wanted; None: no log-probabilities."""
ALONE: dict[str, dict[str, Any]] = {
    "typical_p": {"typical_p": 0.95},
    "top_a": {"top_a": 0.2},
    "top_n_sigma": {"top_n_sigma": 1.0},
    "epsilon_cutoff": {"epsilon_cutoff": 3e-4},
    "eta_cutoff": {"eta_cutoff": 2e-3},
    "xtc": {"xtc_probability": 0.5},
    "dynamic temperature": {"dynatemp_range": 0.5},
    "mirostat 1": {"mirostat": 1},
    "mirostat 2": {"mirostat": 2},
}
MORE: dict[str, tuple[SamplerSettings, int | None]] = {
    f"{name} alone": (replace(FULL, **values), None) for name, values in ALONE.items()
} | {"defaults and all of them": (SamplerSettings(typical_p=0.95, top_n_sigma=1.0, xtc_probability=0.5), None)}
"""Samplers that are off by default. Each has to look at all tokens, where the defaults leave few to it."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--vocabulary", type=int, default=152_064, help="number of tokens (default %(default)s)")
    parser.add_argument("--sequences", default="1,16", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=9, help="steps of each kind (default %(default)s)")
    parser.add_argument("--more", action="store_true", help="measure the samplers that are off by default instead")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def model_of(args: argparse.Namespace) -> Path:
    path: Path = args.models / f"{args.shape}-{args.type}-{args.vocabulary}.gguf"
    if not path.exists():
        print(f"making {path}", file=sys.stderr)
        make(path, SHAPES[args.shape].with_vocabulary(args.vocabulary), args.type)
    return path


def measure(model: Path, n: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    ways = MORE if args.more else WAYS
    n_steps = len(ways) * args.reps
    pages = n * (n_steps // PAGE_TOKENS + 1)
    loaded = load_model(model, n_threads=args.threads, n_ctx=n_steps, n_batch=n, n_seqs=n, kv_pages=pages)
    runner = loaded.runner
    chooser, every = Chooser(runner.n_vocab, runner.n_threads), np.ones(n, np.bool_)
    seqs, tokens = [runner.seq_open() for _ in range(n)], np.arange(3, 3 + n, dtype=np.int32)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    samplers = {
        way: [core_sampler(settings, runner.n_vocab, logit_bias={}, seed=i) for i in range(n)]
        for way, (settings, _) in ways.items()
    }
    for _ in range(args.reps):
        for way, (_, n_top) in ways.items():  # the ways take turns, so that a disturbance meets all of them
            began = time.perf_counter()
            logits = runner.step(tokens, seqs, [1] * n, every)
            stepped = time.perf_counter()
            choices = [Choice(one, n_top=n_top) for one in samplers[way]]
            chooser.choose(runner.pool, logits, choices)
            tokens = np.array([choice.result()[0] for choice in choices], np.int32)
            times[way].append((stepped - began, time.perf_counter() - stepped))
    loaded.close()
    rows = []
    for way, found in times.items():
        step, choose = (statistics.median(values) for values in zip(*found, strict=True))
        row = {"sequences": n, "tokens by": way, "step ms": step * 1e3, "choosing ms": choose * 1e3}
        rows.append(row | {"share": f"{choose / (step + choose):.1%}"})
    return rows


def main() -> None:
    args = arguments()
    model = model_of(args)
    rows = [row for n in map(int, args.sequences.split(",")) for row in measure(model, n, args)]
    facts = {"model": f"{args.shape} {args.type}", "vocabulary": args.vocabulary}
    report.emit(args, rows, **facts, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
