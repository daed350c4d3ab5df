"""Runs a few ops on their own, and returns what they compute from embedding rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oxillama.core._core import Program, Runner, ThreadPool
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph
from oxillama.models.graph import ops
from oxillama.models.graph.fuse import fuse
from oxillama.models.graph.lower import Lowering
from oxillama.models.graph.ops import Graph, Value, View
from oxillama.models.tensors import Matrix, Vector
from tests.support.tiny_models import N_VOCAB as N_TINY
from tests.support.tiny_models import TinyModel

N_VOCAB = 50
TOKENS = list(range(37))
"""The default input of ops."""
Float32 = npt.NDArray[np.float32]


def vector(values: npt.ArrayLike) -> Vector:
    array = np.asarray(values, np.float32).ravel()
    return Vector(len(array), lambda: array)


class OpBench:
    """A model file with an embedding [N_VOCAB, width] and a test's matrices, and a graph that uses them."""

    def __init__(self, path: Path, width: int = 96, *, seed: int = 0, spread: float = 1.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.path = path
        self.model = TinyModel("llama", n_layer=0)
        self.model.tensors.clear()
        self.model.types.clear()
        self.embedding = self.matrix("token_embd", N_VOCAB, width, spread=spread)
        self.head = self.matrix("output", N_VOCAB, width)
        self.graph = Graph()
        self.x = Value(width).view()
        self.graph.ops.append(ops.Embed(False, self.x, "token_embd.weight"))

    def matrix(self, name: str, *shape: int, spread: float | None = None) -> Float32:
        self.model.add_matrix(name, *shape, spread=spread)
        return self.model.tensors[f"{name}.weight"]

    def value(self, width: int) -> View:
        return Value(width).view()

    def add(self, op: ops.Op) -> None:
        self.graph.ops.append(op)

    def linear(self, x: View, name: str) -> View:
        rows, columns = self.model.tensors[f"{name}.weight"].shape
        out = self.value(rows)
        self.add(ops.Linear(False, x, [ops.Part(Matrix(f"{name}.weight", rows, columns), out)]))
        return out

    def run(
        self,
        result: View,
        tokens: Sequence[int],
        *,
        steps: Callable[[Runner], Float32] | None = None,
        cache_type: str = "f32",
        fused: bool = True,
        n_threads: int = 2,
    ) -> Float32:
        """`result` for every token [n_tokens, width], computed in one step, or by `steps` if it is given."""
        picked, first = Value(result.width, outputs=True).view(), Value(self.x.width, outputs=True).view()
        logits = Value(N_VOCAB, outputs=True).view()
        self.add(ops.Select(True, result, picked))
        self.add(ops.Select(True, self.x, first))
        part = ops.Part(Matrix("output.weight", N_VOCAB, self.x.width), logits)
        self.add(ops.Linear(True, first, [part]))
        runner = self.runner(
            picked, len(tokens), logits=logits, cache_type=cache_type, fused=fused, n_threads=n_threads
        )
        if steps is not None:
            return steps(runner)
        runner.step(np.array(tokens, np.int32), [runner.seq_open()], [len(tokens)], np.ones(len(tokens), bool))
        return runner.embeddings().copy()

    def runner(
        self,
        hidden: View,
        n_tokens: int,
        *,
        logits: View | None = None,
        cache_type: str = "f32",
        fused: bool = True,
        n_threads: int = 2,
    ) -> Runner:
        """A runner of the graph as it is, whose results are `hidden` and `logits`, for steps of n_tokens."""
        self.graph.logits, self.graph.hidden = logits, hidden
        if fused:
            fuse(self.graph)
        gguf = GGUFFile(self.model.write(self.path))
        program = Program(gguf.core)
        Lowering(self.graph, program).run()
        program.reserve()
        pool = ThreadPool(n_threads)
        for index in range(len(program.matrix_bytes)):
            program.pack(index, pool)
        return Runner(
            program,
            pool,
            n_vocab=N_VOCAB,
            n_embd=hidden.width,
            n_batch=max(n_tokens, 8),
            n_ctx=max(n_tokens, 512),
            n_pages=max(64, n_tokens // 32 + 16),
            n_seqs=16,
            cache_type=cache_type,
        )


def runner_of(gguf: GGUFFile, pool: ThreadPool, **changes: int) -> Runner:
    """A runner of a tiny model, built as load_model builds it, but with the caller's pool and sizes."""
    builder = build_graph(gguf, 256)
    fuse(builder.graph)
    program = Program(gguf.core)
    Lowering(builder.graph, program).run()
    program.reserve()
    for index in range(len(program.matrix_bytes)):
        program.pack(index, pool)
    sizes = {"n_vocab": N_TINY, "n_embd": 64, "n_batch": 512, "n_ctx": 1024, "n_pages": 32, "n_seqs": 4}
    return Runner(program, pool, **(sizes | changes), cache_type="f32")
