"""How close does each kernel come to the machine's limits? Packed formats times isas.

    python benchmarks/kernels.py --threads 2 --isas avx512-vnni,avx2-vnni

Decode (1 token) is bound by memory: GB/s of packed weights, read from a matrix larger than any cache. Prefill is bound
by arithmetic: int8 operations per second, two for each weight and token, on a feed-forward matrix of a 1.1B model
(float formats do floating-point operations and are shown without a share). Beside each stands its share of what a bare
loop of the same isa's instructions reads or multiplies, measured right before. "1 token" and "8 tokens" are in
billions of weights per second, times tokens: a model of 1.1 billion weights decodes 1/1.1 of that. Figures are medians.

An isa is a variant of an instruction set. Each packs codebook types in its own way, so their bits per weight differ.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np
import report
from make_model import TYPES as FILE_TYPES
from make_model import pool

from oxillama.core import _core

# One type per packed format, and all codebook types.
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
         "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "MXFP4", "NVFP4", "TQ2_0",
         "Q1_0"]  # fmt: skip
COLUMNS = 2048
PREFILL = (5632, COLUMNS)
FEW = 8  # tokens decoded together
MOST_WEIGHTS = 400_000_000  # of a matrix that misses the caches only because it is large


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--types", default=",".join(TYPES), help="comma-separated (default %(default)s)")
    parser.add_argument("--isas", help="comma-separated (default: all of this machine but generic)")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of prefill (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=5, help="products of each kind (default %(default)s)")
    parser.add_argument(
        "--cold", type=int, default=96, metavar="MIB", help="size of a cold matrix (default %(default)s)"
    )
    report.add_options(parser)
    return parser.parse_args()


def random_blocks(name: str, n_weights: int) -> np.ndarray:
    _, block, _ = FILE_TYPES[name]
    blocks = pool(name)
    return blocks[np.random.default_rng(0).integers(0, len(blocks), n_weights // block)].ravel()


def bits(name: str, isa: str) -> float:
    """Bits per weight, packed for `isa`."""
    small = _core._PackedMatrix(FILE_TYPES[name][0], random_blocks(name, 16 * COLUMNS), 16, COLUMNS, isa)
    return small.packed_bytes * 8 / (16 * COLUMNS)


def activations(n_tokens: int) -> np.ndarray:
    return np.random.default_rng(n_tokens).standard_normal((n_tokens, COLUMNS)).astype(np.float32)


def seconds(matrix: _core._PackedMatrix, n_tokens: int, isa: str, args: argparse.Namespace) -> float:
    """Median of `reps` products, after one that wakes the threads."""
    return statistics.median(matrix.run(activations(n_tokens), isa, args.threads, args.reps + 1)[1][1:])


def measure(name: str, isas: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per isa. Isas that pack a type the same way share the matrices."""
    kind = FILE_TYPES[name][0]
    lines: list[dict[str, Any]] = []
    cold: tuple[float, _core._PackedMatrix, _core._PackedMatrix] | None = None
    for isa in isas:
        packed_bits = bits(name, isa)
        if cold is None or cold[0] != packed_bits:
            n_rows = min(int((args.cold << 20) * 8 / packed_bits), MOST_WEIGHTS) // COLUMNS
            cold = (
                packed_bits,
                _core._PackedMatrix(kind, random_blocks(name, n_rows * COLUMNS), n_rows, COLUMNS, isa),
                _core._PackedMatrix(kind, random_blocks(name, PREFILL[0] * PREFILL[1]), *PREFILL, isa),
            )
        _, large, small = cold
        bandwidth, arithmetic = _core._probe(isa, args.threads) if isa != "generic" else (None, None)
        one, few, many = (
            seconds(matrix, n, isa, args) for matrix, n in ((large, 1), (large, FEW), (small, args.tokens))
        )
        weights = large.packed_bytes * 8 / packed_bits
        ops = 2 * args.tokens * PREFILL[0] * PREFILL[1] / many
        integer = not name.startswith(("F", "BF"))
        lines.append(
            {
                "type": name,
                "isa": isa,
                "bits": packed_bits,
                "GB/s": large.packed_bytes / one / 1e9,
                "of read": f"{large.packed_bytes / one / bandwidth:.0%}" if bandwidth else None,
                "1 token": weights / one / 1e9,
                f"{FEW} tokens": FEW * weights / few / 1e9,
                f"{args.tokens} tokens, Top/s": ops / 1e12,
                "of peak": f"{ops / arithmetic:.0%}" if arithmetic and integer else None,
            }
        )
    return lines


def main() -> None:
    args = arguments()
    isas = args.isas.split(",") if args.isas else _core.available_isas()[1:]
    lines = [line for name in args.types.split(",") for line in measure(name, isas, args)]
    report.emit(args, lines, threads=args.threads)


if __name__ == "__main__":
    main()
