"""How fast is each way of reading packed weights, and does the choice at load find the best one?

    python benchmarks/reading.py --threads 1,2 --types Q4_K_M,Q8_0 --sequences 1,8

The ways are those of csrc/kernels/pack/reading.c; from three sequences on, they are those for several tokens. All are
measured on each format with a twentieth of a model's weights or more, by the comparison that a load makes, and by
decoding with the whole model. Ways alternate. "best GB/s": of products of one token, or of eight, the best round of a
comparison; "median GB/s": of all rounds. "of best": the best round beside that of the best way. "of read": the same
beside what a bare loop read right after. "chosen": in how many of the comparisons a load would have taken this way.
make_model.py makes the models on first use and keeps them in --models.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import machine
import numpy as np
import report
from make_model import DEFAULT_FOLDER, made

from oxillama.core._core import Program, Runner, ThreadPool, default_reading, isa, readings, tensor_types
from oxillama.gguf import GGUFFile
from oxillama.models.describe import describe_model
from oxillama.models.load import packed_program
from oxillama.models.tuning.choice import judge
from oxillama.models.tuning.tune import LEAST_SHARE, ROUNDS

CONTEXT = 64
SEVERAL = 3  # fewest tokens that weights are read for in another way


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--types", default="Q4_0,Q4_K_M,Q8_0", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default %(default)s)")
    parser.add_argument("--sequences", default="1", help="numbers of sequences together (default %(default)s)")
    parser.add_argument("--new", type=int, default=8, help="tokens to decode in each way (default %(default)s)")
    parser.add_argument("--reps", type=int, default=5, help="comparisons and decodes (default %(default)s)")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def decode(
    gguf: GGUFFile, program: Program, pool: ThreadPool, reading: str, n_tokens: int, n_sequences: int
) -> float:
    """Tokens per second of all sequences with all weights read in one way."""
    described = describe_model(gguf)
    for matrix in range(len(program.matrix_bytes)):
        program.read_as(matrix, n_sequences >= SEVERAL, reading)
    runner = Runner(
        program,
        pool,
        n_vocab=described.vocabulary,
        n_embd=described.embedding_length,
        n_batch=n_sequences,
        n_ctx=CONTEXT,
        n_pages=n_sequences * CONTEXT // 32,
        n_seqs=n_sequences,
        cache_type="f16",
    )
    try:
        seqs, counts = [runner.seq_open() for _ in range(n_sequences)], [1] * n_sequences
        wanted = np.ones(n_sequences, np.bool_)
        runner.step(np.zeros(n_sequences, np.int32), seqs, counts, wanted)
        start = time.perf_counter()
        for token in range(1, n_tokens + 1):
            runner.step(np.full(n_sequences, token, np.int32), seqs, counts, wanted)
        return n_tokens * n_sequences / (time.perf_counter() - start)
    finally:
        runner.close()


def measure(
    model: Path, mix: str, n_threads: int, n_sequences: int, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each large format and way."""
    gguf, pool, names = GGUFFile(model), ThreadPool(n_threads), readings()
    program = packed_program(gguf, CONTEXT, pool)
    sizes: Counter[int] = Counter()
    for kind, size in zip(program.matrix_types, program.matrix_bytes, strict=True):
        sizes[kind] += size
    kinds = [kind for kind, size in sizes.items() if size >= LEAST_SHARE * sizes.total()]
    rates: dict[int, list[Any]] = {kind: [] for kind in kinds}
    speeds: dict[str, list[float]] = {name: [] for name in names}
    limits: list[float] = []
    several = n_sequences >= SEVERAL
    for _ in range(args.reps):
        for kind in kinds:
            rates[kind].append(program.compare_readings(kind, several, ROUNDS, pool))
        for name in names:
            speeds[name].append(decode(gguf, program, pool, name, args.new, n_sequences))
        limits.append(machine.limits(isa(), n_threads).bytes_per_second)
    rows = []
    for kind in kinds:
        chosen = Counter(judge(found, names, default_reading(several)).reading for found in rates[kind])
        best = np.median([found.max(axis=0) for found in rates[kind]], axis=0)
        middle = np.median(np.concatenate(rates[kind]), axis=0)
        for i, name in enumerate(names):
            rows.append(
                {
                    "model": mix,
                    "threads": n_threads,
                    "sequences": n_sequences,
                    "weights": tensor_types()[kind][0],
                    "reading": name,
                    "best GB/s": best[i] / 1e9,
                    "median GB/s": middle[i] / 1e9,
                    "of best": f"{best[i] / best.max():.0%}",
                    "of read": f"{best[i] / statistics.median(limits):.0%}",
                    "chosen": f"{chosen[name]} of {args.reps}",
                    "decode tok/s": statistics.median(speeds[name]),
                }
            )
    return rows


def main() -> None:
    args = arguments()
    rows = []
    for mix in args.types.split(","):
        model = made(args.shape, mix, args.models)
        for n_threads, n_sequences in product(args.threads.split(","), args.sequences.split(",")):
            found = measure(model, mix, int(n_threads), int(n_sequences), args)
            rows += found
            print(report.table(found), file=sys.stderr)
    report.emit(args, rows, shape=args.shape, reps=args.reps)


if __name__ == "__main__":
    main()
