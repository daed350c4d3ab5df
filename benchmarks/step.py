"""Where does a decode step spend its time? Every kind of op of a model, beside its kernel's own speed.

    python benchmarks/step.py --shape tinyllama-1.1b --type Q4_K_M --threads 1,2

"times": ops of the kind in a step. "wait ms": at the barriers before all of them together, the mean of the threads;
"prepare ms": before their products, for norms, gates and quantised activations; "work ms": after that. "MB": weights
read. "GB/s": of all threads, while they work. "kernel GB/s": products of one token with the same weights, at a stretch,
as a load compares the ways to read them. "outside the ops" is what else passes between two calls of a step, the last
barrier included. "all": the whole step, and what a bare loop read right after. Figures are medians of the steps. Timing
costs a step some microseconds. make_model.py makes the models on first use and keeps them in --models.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import machine
import numpy as np
import numpy.typing as npt
import report
from make_model import DEFAULT_FOLDER, TYPES, made

from oxillama.core._core import PAGE_TOKENS, Runner, ThreadPool, isa, quick_cache_type, readings
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph, describe_model
from oxillama.models.graph.fuse import fuse
from oxillama.models.graph.ops import Experts, HeadLinear, Linear, Op
from oxillama.models.load import packed_program
from oxillama.models.tensors import Matrix
from oxillama.models.tuning.tune import setting, tune

CONTEXT = 512
ROUNDS = 4
REPEATS = 5  # of measurements of the kernels and of the limit, among the steps


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default %(default)s)")
    parser.add_argument("--sequences", type=int, default=1, help="decoded together (default %(default)s)")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def graph_ops(gguf: GGUFFile) -> list[Op]:
    """The ops as the core runs them."""
    graph = build_graph(gguf, CONTEXT).graph
    fuse(graph)
    return graph.ops


def matrices(op: Op) -> list[tuple[Matrix, float]]:
    """The matrices of an op, and the part of each that one token reads."""
    if isinstance(op, Linear):
        return [(part.matrix, 1.0) for part in op.parts]
    if isinstance(op, HeadLinear):
        return [(op.matrix, 1.0)]
    if isinstance(op, Experts):
        return [(m.matrix, op.n_used / op.n_expert) for m in (op.gate, op.up, op.down) if m is not None]
    return []


def name_of(op: Op) -> str:
    roles = [re.sub(r"^blk\.\d+\.|\.weight$", "", matrix.name) for matrix, _ in matrices(op)]
    return ", ".join(dict.fromkeys(re.sub(r"\.weight$", "", role) for role in roles)) or type(op).__name__


class Bench:
    """A model, its steps by op, and its kernels."""

    def __init__(self, model: Path, n_threads: int, n_sequences: int) -> None:
        self.gguf, self.pool = GGUFFile(model), ThreadPool(n_threads)
        self.program = packed_program(self.gguf, CONTEXT, self.pool)
        tune(self.program, self.pool, setting())
        described = describe_model(self.gguf)
        self.runner = Runner(
            self.program, self.pool, n_vocab=described.vocabulary, n_embd=described.embedding_length,
            n_batch=n_sequences, n_ctx=CONTEXT, n_pages=n_sequences * CONTEXT // PAGE_TOKENS, n_seqs=n_sequences,
            cache_type=quick_cache_type(),
        )  # fmt: skip
        self.seqs = [self.runner.seq_open() for _ in range(n_sequences)]
        self.runner.clock()
        self.step()

    def step(self) -> tuple[float, npt.NDArray[np.float64]]:
        """Seconds of one step, and of its ops [op, 3]: waiting, preparing and working, the mean of the threads."""
        n = len(self.seqs)
        tokens, flags = np.arange(1, n + 1, dtype=np.int32), np.ones(n, np.bool_)
        self.runner.clock()
        began = time.perf_counter()
        self.runner.step(tokens, self.seqs, [1] * n, flags)
        return time.perf_counter() - began, self.runner.clocked().mean(0)

    def kernel_rates(self) -> dict[int, float]:
        """Tensor type → bytes that a second of products reads, in the way that was chosen."""
        found = {}
        for kind, way in zip(self.program.matrix_types, self.program.readings(False), strict=True):
            if kind not in found:
                rates = self.program.compare_readings(kind, False, ROUNDS, self.pool)
                found[kind] = float(np.median(rates[:, readings().index(way)]))
        return found

    def bytes_read(self, op: Op) -> Counter[int]:
        """Tensor type → bytes of weights that the op reads for one token."""
        read: Counter[int] = Counter()
        for matrix, share in matrices(op):
            tensor = self.gguf.tensors[matrix.name]
            rows = prod(tensor.shape[1:])
            number = TYPES[tensor.type_name][0]
            read[number] += round(tensor.n_bytes * share * matrix.n_rows * matrix.n_experts / rows)
        return read


def measure(bench: Bench, n_steps: int) -> list[dict[str, Any]]:
    """A row for each kind of op, and one for the step."""
    rates: dict[int, list[float]] = {}
    steps, limits = [], []
    for i in range(n_steps):
        if i % (n_steps // REPEATS or 1) == 0:
            for kind, rate in bench.kernel_rates().items():
                rates.setdefault(kind, []).append(rate)
            limits.append(machine.limits(isa(), bench.pool.n_threads).bytes_per_second)
            bench.step()
        steps.append(bench.step())
    wall = float(np.median([seconds for seconds, _ in steps]))
    times = np.median([ops for _, ops in steps], axis=0)
    kernel = {kind: float(np.median(found)) for kind, found in rates.items()}
    groups: dict[str, list[int]] = {}
    ops = graph_ops(bench.gguf)
    for i, op in enumerate(ops):
        groups.setdefault(name_of(op), []).append(i)
    rows = []
    for name, members in groups.items():
        read = sum((bench.bytes_read(ops[i]) for i in members), Counter[int]())
        rows.append(row(name, len(members), *times[members].sum(0), read, kernel))
    outside = float(np.median([seconds - ops.sum() for seconds, ops in steps]))
    rows.append(row("outside the ops", 1, 0.0, 0.0, outside, Counter(), kernel))
    everything = sum((bench.bytes_read(op) for op in ops), Counter[int]())
    rows.append(row("all", 1, *times[:, :2].sum(0), wall - times[:, :2].sum(), everything, kernel))
    rows[-1]["GB/s"] = everything.total() / wall / 1e9
    limit = float(np.median(limits)) / 1e9
    return [{"threads": bench.pool.n_threads, **r, "read GB/s": limit if r is rows[-1] else None} for r in rows]


def row(
    name: str, n: int, waited: float, prepared: float, worked: float, read: Counter[int], kernel: dict[int, float]
) -> dict[str, Any]:
    ideal = sum(size / kernel[kind] for kind, size in read.items())
    return {
        "op": name,
        "times": n,
        "wait ms": waited * 1e3,
        "prepare ms": prepared * 1e3,
        "work ms": worked * 1e3,
        "MB": read.total() / 1e6 if read else None,
        "GB/s": read.total() / worked / 1e9 if read else None,
        "kernel GB/s": read.total() / ideal / 1e9 if read else None,
    }


def main() -> None:
    args = arguments()
    rows = []
    model = made(args.shape, args.type, args.models)
    for n_threads in args.threads.split(","):
        found = measure(Bench(model, int(n_threads), args.sequences), args.steps)
        rows += found
        print(report.table(found), file=sys.stderr)
    report.emit(args, rows, model=f"{args.shape} {args.type}", sequences=args.sequences, steps=args.steps)


if __name__ == "__main__":
    main()
