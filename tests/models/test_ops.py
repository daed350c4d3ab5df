"""Every op but attention and experts against a plain float64 formula, on one instruction set of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.errors import InvalidParameterError
from oxillama.models.graph import ops
from oxillama.models.tensors import Matrix
from tests.support.formulas import FUNCTIONS, Floats, close, glu, rotated
from tests.support.graphs import N_VOCAB, TOKENS, OpBench, vector


@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_activation_functions(tmp_path: Path, fn: str, spread: float) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 75, spread=spread)  # a width that is not a multiple of any vector's
    x = bench.embedding[TOKENS].astype(np.float64)
    out = bench.value(75)
    bench.add(ops.Glu(False, bench.x, None, out, fn))
    with np.errstate(over="ignore"):
        close(bench.run(out, TOKENS), FUNCTIONS[fn](x), 1e-6)


@pytest.mark.parametrize("fn", [*FUNCTIONS, "swiglu_clamped"])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_gated_activations(tmp_path: Path, fn: str, spread: float) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 94, spread=spread)
    x = bench.embedding[TOKENS].astype(np.float64)
    out = bench.value(47)
    bench.add(ops.Glu(False, bench.x.part(0, 47), bench.x.part(47, 47), out, fn))
    with np.errstate(over="ignore"):
        close(bench.run(out, TOKENS), glu(fn, x[:, :47], x[:, 47:]), 1e-6)


def test_an_activation_without_its_second_factor_is_refused(bench: OpBench) -> None:
    out = bench.value(96)
    bench.add(ops.Glu(False, bench.x, None, out, "swiglu_clamped"))
    with pytest.raises(InvalidParameterError, match="does not fit"):
        bench.run(out, TOKENS)


@pytest.mark.parametrize("kind", ["rms", "layer"])
@pytest.mark.parametrize(("group", "own"), [(96, False), (24, False), (24, True)])
def test_norms(bench: OpBench, x64: Floats, kind: str, group: int, own: bool) -> None:
    n = 96 if own else group
    weight, bias = bench.rng.standard_normal((2, n))
    out = bench.value(96)
    bench.add(ops.Norm(False, bench.x, out, kind, group, vector(weight), vector(bias), 1e-3))
    g = x64.reshape(len(TOKENS), -1, group)
    centred = g - g.mean(-1, keepdims=True) if kind == "layer" else g
    normed = (centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)).reshape(len(TOKENS), 96)
    repeats = 1 if own else 96 // group
    close(bench.run(out, TOKENS), normed * np.tile(weight, repeats) + np.tile(bias, repeats))


def test_a_norm_without_weight(bench: OpBench, x64: Floats) -> None:
    out = bench.value(96)
    bench.add(ops.Norm(False, bench.x, out, "rms", 96, None, None, 1e-5))
    close(bench.run(out, TOKENS), x64 / np.sqrt((x64**2).mean(-1, keepdims=True) + 1e-5))


def test_affine_scales_multiplies_and_adds(bench: OpBench, x64: Floats) -> None:
    a, b, c = (bench.x.part(i * 32, 32) for i in range(3))
    out = bench.value(32)
    bench.add(ops.Affine(False, a, out, 0.5, b, c))
    close(bench.run(out, TOKENS), x64[:, :32] * 0.5 * x64[:, 32:64] + x64[:, 64:])


def test_affine_takes_its_scale_from_the_file(bench: OpBench, x64: Floats) -> None:
    out = bench.value(96)
    bench.add(ops.Affine(False, bench.x, out, vector([0.75]), addend=bench.x))
    close(bench.run(out, TOKENS), x64 * 1.75)


@pytest.mark.parametrize("type_name", ["F32", "Q8_0", "MXFP4"])
def test_products_with_some_rows_of_a_tensor(bench: OpBench, x64: Floats, type_name: str) -> None:
    """Rows from the middle of a panel of 16 on."""
    bench.matrix("a", 80, 96)
    bench.model.types["a.weight"] = type_name
    parts = [ops.Part(Matrix("a.weight", n, 96, 1, at), bench.value(n)) for at, n in ((0, 24), (24, 40), (24, 56))]
    bench.add(ops.Linear(False, bench.x, parts))
    whole = bench.linear(bench.x, "a")
    both = bench.value(120 + 80)
    at = 0
    for part in (*(p.out for p in parts), whole):
        bench.add(ops.Affine(False, part, both.part(at, part.width)))
        at += part.width
    got = bench.run(both, TOKENS)
    want = got[:, 120:]
    assert np.abs(want).max() > 1
    np.testing.assert_array_equal(got[:, :120], np.concatenate([want[:, :24], want[:, 24:64], want[:, 24:80]], 1))


def test_softcap(bench: OpBench, x64: Floats) -> None:
    out = bench.value(96)
    bench.add(ops.Softcap(False, bench.x, out, 1.5))
    close(bench.run(out, TOKENS), 1.5 * np.tanh(x64 / 1.5))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_tokens", [1, 2, 37])
def test_norm_products_bias_scale_and_residual(bench: OpBench, x64: Floats, fused: Any, n_tokens: int) -> None:
    a, b = bench.matrix("a", 40, 96), bench.matrix("b", 96, 96)
    weight, bias = bench.rng.standard_normal(96), bench.rng.standard_normal(96)
    normed, first, second, total = bench.value(96), bench.value(40), bench.value(96), bench.value(96)
    bench.add(ops.Norm(False, bench.x, normed, "rms", 96, vector(weight), None, 1e-5))
    parts = [
        ops.Part(Matrix("a.weight", 40, 96), first),
        ops.Part(Matrix("b.weight", 96, 96), second, vector(bias), vector([1.5])),
    ]
    bench.add(ops.Linear(False, normed, parts))
    bench.add(ops.Affine(False, second, total, addend=bench.x))
    both = bench.value(40)
    bench.add(ops.Affine(False, total.part(0, 40), both, addend=first))
    x = x64[:n_tokens]
    h = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight
    want = (h @ b.T.astype(np.float64) * 1.5 + bias + x)[:, :40] + h @ a.T.astype(np.float64)
    close(bench.run(both, TOKENS[:n_tokens], fused=fused), want, 1e-5)


# More rows than a task takes, few and one; more panels than a task takes, and heads with columns that only move along.
@pytest.mark.parametrize("n_tokens", [1, 2, 9, 150])
@pytest.mark.parametrize(
    ("n_head", "n_rows", "n_cols"), [(2, 40, 48), (2, 200, 40), (4, 16, 11), (1, 24, 96), (3, 8, 32)]
)
def test_a_product_for_every_head(bench: OpBench, n_tokens: int, n_head: int, n_rows: int, n_cols: int) -> None:
    tokens = [*TOKENS, *range(N_VOCAB), *range(N_VOCAB), *range(13)][:n_tokens]
    matrices = bench.matrix("heads", n_head, n_rows, n_cols).astype(np.float64)
    left = 96 // n_head - n_cols
    out = bench.value(n_head * (n_rows + left))
    bench.add(ops.HeadLinear(False, bench.x, out, Matrix("heads.weight", n_rows, n_cols, n_head)))
    x = bench.embedding[tokens].astype(np.float64).reshape(n_tokens, n_head, -1)
    products = np.einsum("thc,hrc->thr", x[..., :n_cols], matrices)
    want = np.concatenate([products, x[..., n_cols:]], -1).reshape(n_tokens, -1)
    close(bench.run(out, tokens), want, 1e-5)


@pytest.mark.parametrize("n_tokens", [1, 70])
@pytest.mark.parametrize(("n_head", "first", "n_rows", "of_rows", "n_cols"), [(4, 0, 24, 40, 80), (3, 24, 16, 40, 96)])
def test_heads_that_share_their_input_and_have_their_rows_in_one_matrix(
    bench: OpBench, n_tokens: int, n_head: int, first: int, n_rows: int, of_rows: int, n_cols: int
) -> None:
    tokens = [*TOKENS, *range(N_VOCAB)][:n_tokens]
    rows = bench.matrix("heads", n_head * of_rows, n_cols).astype(np.float64).reshape(n_head, of_rows, n_cols)
    out = bench.value(n_head * (n_rows + 96 - n_cols))
    matrix = Matrix("heads.weight", n_rows, n_cols, n_head, first)
    bench.add(ops.HeadLinear(False, bench.x, out, matrix, shared=True))
    x = bench.embedding[tokens].astype(np.float64)
    products = np.einsum("tc,hrc->thr", x[:, :n_cols], rows[:, first : first + n_rows])
    left = np.broadcast_to(x[:, None, n_cols:], (n_tokens, n_head, 96 - n_cols))
    close(bench.run(out, tokens), np.concatenate([products, left], -1).reshape(n_tokens, -1), 1e-5)


@pytest.mark.parametrize("type_name", ["F32", "F16", "Q8_0", "Q4_K"])
def test_a_head_product_of_a_row_is_the_same_alone_and_among_many(tmp_path: Path, type_name: str) -> None:
    def run(tokens: list[int], n_threads: int) -> Floats:
        bench = OpBench(tmp_path / "ops.gguf", 512)
        bench.model.add_matrix("heads", 2, 300, 256, type_name=type_name)
        out = bench.value(600)
        bench.add(ops.HeadLinear(False, bench.x, out, Matrix("heads.weight", 300, 256, 2)))
        return bench.run(out, tokens, n_threads=n_threads)

    many = run([*range(N_VOCAB), *range(N_VOCAB)], 2)
    for token in (0, 7, 49):
        assert np.array_equal(run([token], 1)[0], many[token])
    assert np.array_equal(run(list(range(N_VOCAB)), 1), many[:N_VOCAB])


@pytest.mark.parametrize("kind", ["pairs", "halves"])
@pytest.mark.parametrize(("n_rot", "offset"), [(24, 0), (14, 0), (10, 8)])
def test_rope_whole_partial_and_with_an_offset(bench: OpBench, x64: Floats, kind: str, n_rot: int, offset: int) -> None:
    frequencies = 10000.0 ** (-np.arange(n_rot // 2) / (n_rot // 2))
    table, out = bench.value(n_rot), bench.value(96)
    bench.add(ops.RopeTable(False, table, vector(frequencies), lambda: 1.25))
    bench.add(ops.Affine(False, bench.x, out))
    bench.add(ops.Rope(False, out.part(0, 48), out.part(48, 48), table, kind, 24, n_rot, offset))
    want = rotated(x64, np.arange(len(TOKENS)), frequencies, 24, offset, kind, 1.25)
    close(bench.run(out, TOKENS), want, 5e-6)


def test_embedding_rows_are_scaled(bench: OpBench, x64: Floats) -> None:
    embed = bench.graph.ops[0]
    assert isinstance(embed, ops.Embed)
    embed.scale = 3.0
    out = bench.value(96)
    bench.add(ops.Affine(False, bench.x, out))
    close(bench.run(out, TOKENS), 3 * x64)


def test_values_changed_in_place_between_ops_prevent_fusion(bench: OpBench, x64: Floats) -> None:
    a = bench.matrix("a", 96, 96).astype(np.float64)
    copy, normed, table = bench.value(96), bench.value(96), bench.value(24)
    frequencies = np.full(12, 0.3)
    bench.add(ops.RopeTable(False, table, vector(frequencies), lambda: 1.0))
    bench.add(ops.Affine(False, bench.x, copy))
    bench.add(ops.Norm(False, copy, normed, "rms", 96, None, None, 1e-5))
    bench.add(ops.Rope(False, copy, None, table, "pairs", 24, 24))
    product, total = bench.linear(normed, "a"), bench.value(96)
    bench.add(ops.Rope(False, copy, None, table, "pairs", 24, 24))
    bench.add(ops.Affine(False, product, total, addend=copy))
    twice = rotated(x64, 2 * np.arange(len(TOKENS)), frequencies, 24, 0, "pairs", 1.0)
    want = x64 / np.sqrt((x64**2).mean(-1, keepdims=True) + 1e-5) @ a.T + twice
    close(bench.run(total, TOKENS), want, 1e-5)
