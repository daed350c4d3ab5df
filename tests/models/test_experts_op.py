"""A mixture of experts has the same bits whatever the threads, the batch and the kinds of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.models.graph import ops
from oxillama.models.tensors import Matrix
from tests.support.graphs import Float32, OpBench

WIDTH, INNER, N_EXPERT, N_USED = 256, 256, 5, 2
TOKENS = [(7 * i) % 50 for i in range(150)]
TYPES = {"one kind": ("Q4_0", "Q4_0", "Q4_0"), "two kinds": ("Q8_0", "Q4_K", "Q6_K"), "floats": ("F32", "F32", "F32")}


def mixture(path: Path, types: str, n_tokens: int, n_threads: int, *, gated: bool = True) -> Float32:
    """The op's results for the first tokens, computed in one step."""
    bench = OpBench(path, WIDTH)
    shapes = {"gate": (INNER, WIDTH), "up": (INNER, WIDTH), "down": (WIDTH, INNER)}
    matrices = {}
    for (name, shape), type_name in zip(shapes.items(), TYPES[types], strict=True):
        bench.model.add_matrix(name, N_EXPERT, *shape, type_name=type_name)
        matrices[name] = ops.ExpertMatrix(Matrix(f"{name}.weight", *shape, N_EXPERT), None, None)
    bench.matrix("router", N_EXPERT, WIDTH)
    out = bench.value(WIDTH)
    gate = matrices["gate"] if gated else None
    logits = bench.linear(bench.x, "router")
    bench.add(
        ops.Experts(False, bench.x, logits, out, gate, matrices["up"], matrices["down"], N_EXPERT, N_USED, "silu")
    )
    return bench.run(out, TOKENS[:n_tokens], n_threads=n_threads)


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("n_tokens", [1, 8, 150])
def test_threads_change_no_bit(tmp_path: Path, types: str, n_tokens: int) -> None:
    """19 threads: three groups at the barrier, and more threads than some products have tasks."""
    alone = mixture(tmp_path / "m.gguf", types, n_tokens, 1)
    assert np.isfinite(alone).all()
    for n_threads in (2, 3, 4, 5, 19):
        assert np.array_equal(mixture(tmp_path / "m.gguf", types, n_tokens, n_threads), alone)


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("gated", [True, False])
def test_the_batch_changes_no_bit(tmp_path: Path, types: str, gated: bool) -> None:
    """Rows alone, a few together and many together take different ways."""
    together = mixture(tmp_path / "m.gguf", types, 150, 2, gated=gated)
    for n_tokens in (1, 8, 9):
        assert np.array_equal(mixture(tmp_path / "m.gguf", types, n_tokens, 2, gated=gated), together[:n_tokens])
