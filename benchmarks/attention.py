"""What does attention alone take at depth? Layers of a model that have nothing else, for each type of keys and values.

    python benchmarks/attention.py --depths 4096 --kv-types i16,q8_0

"decode" is one token behind so many; "prefill" is the last 512 of them, read together. Both are milliseconds for all
layers, medians. "GMAC/s" counts multiplications of queries with keys and of probabilities with values. A depth is
filled by reading tokens, so 16,384 takes a while: --layers 4 shortens it. Keys and values of fewer layers than a model
has may fit into the caches, which a model's weights would empty; so does --flush.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import report

from oxillama.core._core import PAGE_TOKENS, Program, Runner, ThreadPool
from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.models.graph import ops
from oxillama.models.graph.lower import Lowering
from oxillama.models.graph.ops import Graph, Part, Value
from oxillama.models.tensors import Matrix

WIDTH, N_VOCAB, CHUNK = 32, 512, 512
FLUSHED = 64 * 2**20  # bytes, more than a last-level cache of a core or two


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kv-types", default="f32,f16,i16,q8_0", help="comma-separated (default %(default)s)")
    parser.add_argument("--depths", default="4096", help="comma-separated multiples of 512 (default %(default)s)")
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument("--heads", default="32,4", help="of queries and of keys (default %(default)s)")
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=25, help="decoded tokens (default %(default)s)")
    parser.add_argument("--flush", action="store_true", help="empty the caches before every decoded token")
    report.add_options(parser)
    return parser.parse_args()


def program_of(path: Path, args: argparse.Namespace) -> Program:
    """Queries, keys and values of all layers are products of one small embedding with three matrices."""
    n_head, n_kv = map(int, args.heads.split(","))
    rng, dim = np.random.default_rng(0), args.head_dim
    rows = {"q": n_head * dim, "k": n_kv * dim, "v": n_kv * dim}
    shapes = {"token_embd": (N_VOCAB, WIDTH), "output": (N_VOCAB, n_head * dim)} | {
        n: (r, WIDTH) for n, r in rows.items()
    }
    with GGUFWriter(path) as writer:
        writer.add("general.architecture", "none", "str")
        for name, shape in shapes.items():
            writer.add_tensor_info(f"{name}.weight", "F32", shape[::-1])
        for name, shape in shapes.items():
            spread = 1.0 if name == "token_embd" else WIDTH**-0.5
            writer.write_tensor(f"{name}.weight", [rng.normal(0, spread, shape).astype(np.float32).data.cast("B")])
    graph, x = Graph(), Value(WIDTH).view()
    graph.ops.append(ops.Embed(False, x, "token_embd.weight"))
    q, k, v = (Value(n).view() for n in rows.values())
    for name, out in zip(rows, (q, k, v), strict=True):
        graph.ops.append(ops.Linear(False, x, [Part(Matrix(f"{name}.weight", out.width, WIDTH), out)]))
    out = Value(q.width).view()
    for _ in range(args.layers):
        cache = ops.CacheLayer(n_kv, dim, dim)
        graph.ops.append(ops.KVStore(False, k, v, cache))
        graph.ops.append(ops.Attention(False, q, out, cache, n_head, dim**-0.5))
    picked, logits = Value(q.width, outputs=True).view(), Value(N_VOCAB, outputs=True).view()
    graph.ops.append(ops.Select(True, out, picked))
    graph.ops.append(ops.Linear(True, picked, [Part(Matrix("output.weight", N_VOCAB, q.width), logits)]))
    graph.logits, graph.hidden = logits, picked
    program = Program(GGUFFile(path).core)
    Lowering(graph, program).run()
    return program


class Bench:
    """Steps of attention alone, with one type of keys and values."""

    def __init__(self, path: Path, kv_type: str, depth: int, args: argparse.Namespace) -> None:
        program, pool = program_of(path, args), ThreadPool(args.threads)
        program.reserve()
        for index in range(len(program.matrix_bytes)):
            program.pack(index, pool)
        n = depth + CHUNK
        self.runner = Runner(
            program, pool, n_vocab=N_VOCAB, n_embd=int(args.heads.split(",")[0]) * args.head_dim, n_batch=CHUNK,
            n_ctx=n, n_pages=n // PAGE_TOKENS + 1, n_seqs=1, cache_type=kv_type,
        )  # fmt: skip
        self.seq, self.rng = self.runner.seq_open(), np.random.default_rng(1)

    def step(self, n: int) -> float:
        """Seconds that n more tokens take."""
        tokens, flags = self.rng.integers(0, N_VOCAB, n).astype(np.int32), np.zeros(n, np.bool_)
        flags[-1] = True
        began = time.perf_counter()
        self.runner.step(tokens, [self.seq], [n], flags)
        return time.perf_counter() - began


def measure(path: Path, kv_type: str, depth: int, args: argparse.Namespace) -> dict[str, Any]:
    bench, junk = Bench(path, kv_type, depth, args), np.ones(FLUSHED // 8)
    prefill = [bench.step(CHUNK) for _ in range(depth // CHUNK)][-1]
    decode = []
    for _ in range(args.reps):
        if args.flush:
            junk += 1
        decode.append(bench.step(1))
        bench.runner.seq_truncate(bench.seq, depth)
    one = statistics.median(decode)
    macs = 2.0 * int(args.heads.split(",")[0]) * args.head_dim * args.layers
    return {
        "keys and values": kv_type,
        "depth": depth,
        "decode ms": one * 1e3,
        "GMAC/s": macs * depth / one / 1e9,
        "prefill ms": prefill * 1e3,
        "GMAC/s ": macs * CHUNK * (depth - CHUNK / 2) / prefill / 1e9,
    }


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(Path(folder) / "attention.gguf", kv_type, int(depth), args)
            for depth in args.depths.split(",")
            for kv_type in args.kv_types.split(",")
        ]
    facts = {"heads": args.heads.replace(",", " over "), "head dimensions": args.head_dim, "layers": args.layers}
    report.emit(args, rows, **facts, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
