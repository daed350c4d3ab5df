"""Convolutions, delta rules and gates against plain float64 formulas, and the same bits however a sequence is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.core._core import Runner
from oxillama.models.graph import ops
from oxillama.models.graph.ops import State
from oxillama.models.graph.recurrent_ops import Conv, Delta, Dplr, Scan
from oxillama.models.graph.row_ops import Clamp, Dot
from tests.support.formulas import FUNCTIONS, Floats, close, convolved, delta_rule, dplr, selective_scan
from tests.support.graphs import TOKENS, Float32, OpBench, vector


def test_columns_are_gathered_side_by_side(bench: OpBench, x64: Floats) -> None:
    out = bench.value(30)
    bench.add(ops.Gather(False, bench.x.part(6, 72), out, 12, 3, 5))
    want = x64[:, 6:78].reshape(len(TOKENS), 6, 12)[:, :, 3:8].reshape(len(TOKENS), 30)
    close(bench.run(out, TOKENS), want)


@pytest.mark.parametrize("added", [True, False])
def test_one_number_gates_a_row(bench: OpBench, x64: Floats, added: bool) -> None:
    out = bench.value(40)
    addend = bench.x.part(50, 40) if added else None
    bench.add(ops.Gate(False, bench.x.part(0, 40), bench.x.part(95, 1), out, "sigmoid", addend))
    want = x64[:, :40] * FUNCTIONS["sigmoid"](x64[:, 95:]) + (x64[:, 50:90] if added else 0)
    close(bench.run(out, TOKENS), want)


def conv_bench(path: Path, width: int, n_taps: int, times: bool, fn: str) -> tuple[OpBench, ops.View, Floats]:
    """(bench, result, the formula's result)"""
    bench = OpBench(path, 2 * width)
    kernel = bench.rng.standard_normal((n_taps, width)).astype(np.float32)
    bias = bench.rng.standard_normal(width).astype(np.float32) if times else None
    out = bench.value(width)
    factors = bench.x.part(width, width) if times else None
    state = State((n_taps - 1) * width)
    bench.add(
        Conv(
            False,
            bench.x.part(0, width),
            factors,
            out,
            vector(kernel),
            n_taps,
            fn,
            state,
            None if bias is None else vector(bias),
        )
    )
    x = bench.embedding[TOKENS].astype(np.float64)
    u = x[:, :width] * (x[:, width:] if times else 1)
    return bench, out, FUNCTIONS[fn](convolved(u, kernel) + (0 if bias is None else bias))


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize(("width", "n_taps", "fn"), [(48, 4, "silu"), (37, 3, "none"), (5, 16, "none")])
def test_convolutions(tmp_path: Path, width: int, n_taps: int, times: bool, fn: str) -> None:
    bench, out, want = conv_bench(tmp_path / "ops.gguf", width, n_taps, times, fn)
    close(bench.run(out, TOKENS), want)


SIZES = [(4, 2, 16, 32, True), (4, 2, 16, 32, False), (3, 3, 7, 5, True), (2, 1, 24, 80, False)]
"""n_head, n_key_head, key_dim, value_dim, tiled."""


def delta_bench(
    path: Path, n_head: int, n_key_head: int, key_dim: int, value_dim: int, tiled: bool
) -> tuple[OpBench, ops.View, Floats]:
    """(bench, result, the formula's result)"""
    keys, values = n_key_head * key_dim, n_head * value_dim
    bench = OpBench(path, 2 * keys + values + 2 * n_head)
    bench.embedding[:, : 2 * keys] *= key_dim**-0.5  # about as long as vectors that a layer has normalised
    q, k, v = bench.x.part(0, keys), bench.x.part(keys, keys), bench.x.part(2 * keys, values)
    decay, beta = (bench.x.part(2 * keys + values + i * n_head, n_head) for i in (0, 1))
    rate, dt = -np.exp(bench.rng.standard_normal(n_head) - 2), bench.rng.standard_normal(n_head)
    out = bench.value(values)
    state = State(n_head * (-(-value_dim // 16)) * 16 * key_dim)
    sizes = (n_head, n_key_head, key_dim, value_dim, tiled)
    bench.add(Delta(False, q, k, v, out, decay, beta, vector(rate), vector(dt), *sizes, state))
    x = bench.embedding[TOKENS].astype(np.float64)
    a, b, c, d, e = np.split(x, np.cumsum([keys, keys, values, n_head]), axis=1)
    gates = (d, e, rate.astype(np.float32), dt.astype(np.float32))
    return bench, out, delta_rule(a, b, c, *gates, n_head, n_key_head, tiled=tiled)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_delta_rule(tmp_path: Path, sizes: tuple[int, int, int, int, bool]) -> None:
    bench, out, want = delta_bench(tmp_path / "ops.gguf", *sizes)
    close(bench.run(out, TOKENS), want, 5e-6)


SCANS = [(4, 2, 16, 32), (3, 3, 7, 5), (2, 1, 24, 80)]
"""n_head, n_key_head, key_dim, value_dim."""


def scan_bench(
    path: Path, n_head: int, n_key_head: int, key_dim: int, value_dim: int
) -> tuple[OpBench, ops.View, Floats]:
    """(bench, result, the formula's result)"""
    keys, values = n_key_head * key_dim, n_head * value_dim
    bench = OpBench(path, 2 * keys + values + n_head)
    x, k, q = bench.x.part(0, values), bench.x.part(values, keys), bench.x.part(values + keys, keys)
    step = bench.x.part(values + 2 * keys, n_head)
    rate, dt = -np.exp(bench.rng.standard_normal(n_head) - 2), bench.rng.standard_normal(n_head)
    vectors = [array.astype(np.float32) for array in (rate, dt, bench.rng.standard_normal(n_head))]
    out = bench.value(values)
    state = State(n_head * (-(-value_dim // 16)) * 16 * key_dim)
    sizes = (n_head, n_key_head, key_dim, value_dim)
    bench.add(
        Scan(False, q, k, x, out, step, vector(vectors[0]), vector(vectors[1]), vector(vectors[2]), *sizes, state)
    )
    rows = bench.embedding[TOKENS].astype(np.float64)
    a, c, d, e = np.split(rows, np.cumsum([values, keys, keys]), axis=1)
    return bench, out, selective_scan(a, c, d, e, vectors[0], vectors[1], vectors[2], n_head, n_key_head)


def dplr_bench(path: Path, n_head: int, key_dim: int, value_dim: int) -> tuple[OpBench, ops.View, Floats]:
    """(bench, result, the formula's result)"""
    keys, values = n_head * key_dim, n_head * value_dim
    bench = OpBench(path, 5 * keys + values)
    bench.embedding[:, : 5 * keys] *= key_dim**-0.5  # so that states do not grow
    q, w, k, a, b = (bench.x.part(i * keys, keys) for i in range(5))
    out = bench.value(values)
    state = State(n_head * (-(-value_dim // 16)) * 16 * key_dim)
    bench.add(Dplr(False, q, w, k, a, b, bench.x.part(5 * keys, values), out, n_head, key_dim, value_dim, state))
    rows = bench.embedding[TOKENS].astype(np.float64)
    c, d, e, f, g, h = np.split(rows, np.cumsum([keys] * 5), axis=1)
    return bench, out, dplr(c, d, e, f, g, h, n_head)


@pytest.mark.parametrize("sizes", SCANS)
def test_the_selective_scan(tmp_path: Path, sizes: tuple[int, int, int, int]) -> None:
    bench, out, want = scan_bench(tmp_path / "ops.gguf", *sizes)
    close(bench.run(out, TOKENS), want, 5e-6)


@pytest.mark.parametrize("sizes", [(4, 16, 32), (3, 7, 5), (2, 24, 80)])
def test_a_diagonal_and_a_rank_one_transition(tmp_path: Path, sizes: tuple[int, int, int]) -> None:
    bench, out, want = dplr_bench(tmp_path / "ops.gguf", *sizes)
    close(bench.run(out, TOKENS), want, 2e-5)


def test_a_gate_for_every_head(bench: OpBench, x64: Floats) -> None:
    out = bench.value(40)
    bench.add(ops.Gate(False, bench.x.part(0, 40), bench.x.part(90, 5), out, "sigmoid", bench.x.part(50, 40)))
    gates = np.repeat(FUNCTIONS["sigmoid"](x64[:, 90:95]), 8, axis=1)
    close(bench.run(out, TOKENS), x64[:, :40] * gates + x64[:, 50:90])


def test_sums_of_products_of_every_head(bench: OpBench, x64: Floats) -> None:
    out = bench.value(5)
    bench.add(Dot(False, bench.x.part(0, 35), bench.x.part(40, 35), out))
    close(bench.run(out, TOKENS), (x64[:, :35] * x64[:, 40:75]).reshape(-1, 5, 7).sum(2), 1e-5)


def test_the_exponential(bench: OpBench, x64: Floats) -> None:
    out = bench.value(37)
    bench.add(ops.Glu(False, bench.x.part(3, 37), None, out, "exp"))
    close(bench.run(out, TOKENS), np.exp(x64[:, 3:40]))


def test_bounds_and_vectors(bench: OpBench, x64: Floats) -> None:
    weight, bias = (bench.rng.standard_normal(37).astype(np.float32) for _ in range(2))
    out = bench.value(37)
    affine = ops.Affine(False, bench.x.part(3, 37), out, 2.0, None, bench.x.part(50, 37), vector(weight), vector(bias))
    bench.add(affine)
    bench.add(Clamp(False, out, out, -0.5, 0.75))
    close(bench.run(out, TOKENS), np.clip(x64[:, 3:40] * 2 * weight + bias + x64[:, 50:87], -0.5, 0.75))


def in_pieces(runner: Runner, counts: list[int], n_neighbours: int = 0) -> Float32:
    """The hidden states of TOKENS, `counts` at a time, with other sequences in every step."""
    seq, *others = (runner.seq_open() for _ in range(1 + n_neighbours))
    rows, at = [], 0
    for count in counts:
        part = TOKENS[at : at + count]
        batch = [token for i in range(n_neighbours) for token in TOKENS[at + i : at + i + 2]] + part
        flags = [False] * (len(batch) - count) + [True] * count
        sizes = [len(TOKENS[at + i : at + i + 2]) for i in range(n_neighbours)]
        runs = [(other, n) for other, n in zip(others, sizes, strict=True) if n] + [(seq, count)]
        runner.step(np.array(batch, np.int32), [s for s, _ in runs], [n for _, n in runs], np.array(flags))
        rows.append(runner.embeddings().copy())
        at += count
    return np.concatenate(rows)


CUTS = [[1] * 37, [7] * 5 + [2], [36, 1], [1, 36], [2, 3, 30, 1, 1]]


@pytest.mark.parametrize("op", ["conv", "delta", "odd delta", "scan", "dplr"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_how_a_sequence_is_cut_and_shared_changes_no_bit(tmp_path: Path, op: str, n_threads: int) -> None:
    path = tmp_path / "ops.gguf"
    benches = {
        "conv": lambda: conv_bench(path, 37, 4, True, "silu"),
        "delta": lambda: delta_bench(path, *SIZES[3]),
        "odd delta": lambda: delta_bench(path, *SIZES[2]),
        "scan": lambda: scan_bench(path, *SCANS[1]),
        "dplr": lambda: dplr_bench(path, 3, 7, 20),
    }
    bench, out, want = benches[op]()

    def compared(runner: Runner) -> Float32:
        whole = in_pieces(runner, [37])
        for counts in CUTS:
            assert np.array_equal(in_pieces(runner, counts), whole), counts
        assert np.array_equal(in_pieces(runner, [5] * 7 + [2], n_neighbours=3), whole)
        return whole

    close(bench.run(out, TOKENS, steps=compared, n_threads=n_threads), want, 2e-5 if op == "dplr" else 5e-6)


def test_a_forked_sequence_continues_with_its_own_state(tmp_path: Path) -> None:
    bench, out, _ = delta_bench(tmp_path / "ops.gguf", *SIZES[0])

    def forked(runner: Runner) -> Float32:
        def step(seq: int, tokens: list[int]) -> Float32:
            runner.step(np.array(tokens, np.int32), [seq], [len(tokens)], np.ones(len(tokens), bool))
            return runner.embeddings().copy()

        whole = in_pieces(runner, [37])
        first = runner.seq_open()
        step(first, TOKENS[:20])
        second = runner.seq_fork(first, 20)
        step(first, TOKENS[:3])
        assert np.array_equal(step(second, TOKENS[20:]), whole[20:])
        return whole

    bench.run(out, TOKENS, steps=forked)
