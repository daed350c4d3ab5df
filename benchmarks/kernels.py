"""How close does each kernel come to the machine's limits? Packed formats times rows, on the matrices of a 1.1B model.

    python benchmarks/kernels.py --threads 2 --rows avx512-vnni,avx2-vnni

Decode (1 token) is bound by memory: GB/s of packed weights. Prefill (512 tokens) is bound by arithmetic: int8
operations per second, two for each weight and token (float formats do floating-point ones and are shown without a
share). Beside both stands the share of what a bare loop of the same instructions reads and multiplies in the same
minute. Figures are the best of several repeats over all matrices, each through more weights than the caches hold.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import report
from make_model import TYPES as FILE_TYPES
from make_model import pool

from oxillama.core import _core

# TinyLlama-1.1B: (rows, columns) of attention, feed-forward and output matrices, and how many of each one token reads.
MATRICES = {
    (2048, 2048): 44,
    (256, 2048): 44,
    (5632, 2048): 44,
    (2048, 5632): 22,
    (32000, 2048): 1,
}
# One type for each packed format.
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
         "IQ4_XS", "IQ2_XXS", "MXFP4", "NVFP4", "TQ2_0", "Q1_0"]  # fmt: skip
COLD_BYTES = 96 << 20  # more than the last cache holds, so that every repeat reads memory


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--types", default=",".join(TYPES), help="comma-separated (default %(default)s)")
    parser.add_argument("--rows", help="kernel rows, comma-separated (default: all of this machine but generic)")
    parser.add_argument("--tokens", default="1,8,512", help="tokens of a product (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--output", action="store_true", help="with the large output matrix (slow for many tokens)")
    report.add_options(parser)
    return parser.parse_args()


class Model:
    """The matrices of one type, several copies of the small ones."""

    def __init__(self, name: str, *, with_output: bool) -> None:
        self.kind, block, _ = FILE_TYPES[name]
        blocks = pool(name)
        rng = np.random.default_rng(0)
        self.layers: list[tuple[_core._PackedMatrix, int, int, int]] = []
        for (rows, cols), count in MATRICES.items():
            if rows == 32000 and not with_output:
                continue
            raw = blocks[rng.integers(0, len(blocks), rows * cols // block)].ravel()
            copies = max(1, min(count, COLD_BYTES // raw.size))
            self.layers += [
                (_core._PackedMatrix(self.kind, raw, rows, cols), rows, cols, copies) for _ in range(copies)
            ]

    def time(self, n_tokens: int, row: str, n_threads: int, reps: int) -> tuple[float, float, float]:
        """(bytes per second, operations per second, seconds) of all matrices, each as often as a token reads it."""
        inputs = {
            cols: np.random.default_rng(cols).standard_normal((n_tokens, cols)).astype(np.float32)
            for cols in (2048, 5632)
        }
        best: dict[tuple[int, int], float] = {}
        for _ in range(reps):
            spent: dict[tuple[int, int], float] = {}
            for packed, rows, cols, copies in self.layers if n_tokens < 64 else self._one_of_each():
                seconds = packed.run(inputs[cols], row, n_threads)[1][0]
                spent[rows, cols] = spent.get((rows, cols), 0) + seconds / (copies if n_tokens < 64 else 1)
            best = {shape: min(best.get(shape, 1e9), seconds) for shape, seconds in spent.items()}
        size = {(rows, cols): packed.packed_bytes for packed, rows, cols, _ in self.layers}
        total = sum(best[shape] * MATRICES[shape] for shape in best)
        read = sum(size[shape] * MATRICES[shape] for shape in best)
        ops = sum(2 * n_tokens * rows * cols * MATRICES[rows, cols] for rows, cols in best)
        return read / total, ops / total, total

    def _one_of_each(self) -> list[tuple[_core._PackedMatrix, int, int, int]]:
        return list({(rows, cols): (packed, rows, cols, 1) for packed, rows, cols, _ in self.layers}.values())


def main() -> None:
    args = arguments()
    rows = args.rows.split(",") if args.rows else _core.available_isas()[1:]
    counts = [int(n) for n in args.tokens.split(",")]
    lines: list[dict[str, Any]] = []
    for name in args.types.split(","):
        model = Model(name, with_output=args.output)
        for row in rows:
            for n_tokens in counts:
                bandwidth, arithmetic = _core._probe(row, args.threads) if row != "generic" else (None, None)
                read, ops, seconds = model.time(n_tokens, row, args.threads, args.reps if n_tokens < 64 else 2)
                integer = not name.startswith(("F", "BF"))
                lines.append(
                    {
                        "type": name,
                        "row": row,
                        "tokens": n_tokens,
                        "GB/s": read / 1e9,
                        "of read": f"{read / bandwidth:.0%}" if bandwidth else None,
                        "Tera-op/s": ops / 1e12,
                        "of peak": f"{ops / arithmetic:.0%}" if arithmetic and integer else None,
                        "tokens/s": n_tokens / seconds,
                    }
                )
    report.emit(args, lines, threads=args.threads)


if __name__ == "__main__":
    main()
