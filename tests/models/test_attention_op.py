"""Attention and mixtures of experts against their formulas, on one instruction set of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Runner
from oxillama.errors import InvalidParameterError
from oxillama.models.graph import ops
from oxillama.models.tensors import Matrix
from tests.support.formulas import TOLERANCE, Floats, asked, attention, close, mixture, stored
from tests.support.graphs import N_VOCAB, TOKENS, OpBench, vector

ATTENTION: dict[str, dict[str, Any]] = {
    "plain": {},
    "window": {"window": 9},
    "wide window": {"window": 70},
    "softcap": {"softcap": 0.7},
    "alibi": {"slopes": np.array([0.5, 0.25, 0.125, 0.0625, 0.03, 0.015])},
    "sinks": {"sinks": np.array([-1.0, 0.0, 1.0, 2.0, 5.0, -30.0])},
    "temperature": {"temperature": (0.3, 16)},
    "all": {
        "window": 33,
        "softcap": 2.0,
        "slopes": np.full(6, 0.1),
        "sinks": np.zeros(6),
        "temperature": (0.1, 8),
    },
}
BOTH_WAYS: dict[str, dict[str, Any]] = {
    "whole run": {},
    "even window": {"window": 8},
    "odd window": {"window": 41},
    "wide window": {"window": 1000},
    "alibi": {"slopes": np.array([0.5, 0.25, 0.125, 0.0625, 0.03, 0.015])},
    "all": {"window": 33, "softcap": 2.0, "slopes": np.full(6, 0.1), "sinks": np.zeros(6)},
}


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
@pytest.mark.parametrize("chunk", [170, 41, 1])
def test_attention(tmp_path: Path, name: str, cache_type: str, chunk: int) -> None:
    check_attention(tmp_path, cache_type, 170 if chunk > 1 else 60, chunk, ATTENTION[name])


@pytest.mark.parametrize("name", BOTH_WAYS)
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
@pytest.mark.parametrize("n", [1, 33])
def test_attention_both_ways(tmp_path: Path, name: str, cache_type: str, n: int) -> None:
    check_attention(tmp_path, cache_type, n, n, BOTH_WAYS[name] | {"both_ways": True})


@pytest.mark.parametrize("name", ["whole run", "odd window"])
@pytest.mark.parametrize("cache_type", ["f32", "i16"])
def test_attention_both_ways_over_two_blocks_of_keys(tmp_path: Path, name: str, cache_type: str) -> None:
    check_attention(tmp_path, cache_type, 530, 530, BOTH_WAYS[name] | {"both_ways": True})


def test_a_sequence_that_sees_both_ways_comes_in_one_step(tmp_path: Path) -> None:
    bench = OpBench(tmp_path / "ops.gguf")
    cache, out = ops.CacheLayer(1, 96, 96), bench.value(96)
    bench.add(ops.KVStore(False, bench.x, bench.x, cache))
    bench.add(ops.Attention(False, bench.x, out, cache, 1, 0.1, both_ways=True))

    def steps(runner: Runner) -> Floats:
        long, short = runner.seq_open(), runner.seq_open()
        tokens, every = np.arange(7, dtype=np.int32), np.ones(7, bool)
        runner.step(tokens[:5], [long], [5], every[:5])
        free = runner.free_pages
        with pytest.raises(InvalidParameterError, match="takes a sequence in one step"):
            runner.step(tokens, [short, long], [2, 5], every)
        assert (runner.seq_len(short), runner.free_pages) == (0, free)  # nothing was changed
        return runner.embeddings().copy()

    bench.run(out, TOKENS, steps=steps)


# Dimensions of keys and values: whole groups of scales, halves of lanes, and values as wide as keys.
SHARED = [(100, 80), (21, 7), (130, 66), (64, 64)]


@pytest.mark.parametrize(("key_dim", "value_dim"), SHARED)
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
@pytest.mark.parametrize(("n_head", "chunk"), [(2, 1), (2, 60), (9, 1), (80, 60)])
def test_values_that_are_the_first_dimensions_of_keys(
    tmp_path: Path, cache_type: str, key_dim: int, value_dim: int, n_head: int, chunk: int
) -> None:
    check_shared(tmp_path, cache_type, key_dim, value_dim, n_head, 60, chunk)


@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
def test_values_of_keys_over_two_blocks(tmp_path: Path, cache_type: str) -> None:
    check_shared(tmp_path, cache_type, 100, 80, 3, 600, 597)


def check_shared(
    tmp_path: Path, cache_type: str, key_dim: int, value_dim: int, n_head: int, n: int, chunk: int
) -> None:
    bench = OpBench(tmp_path / "ops.gguf")
    widths = {"q": n_head * key_dim, "k": key_dim}
    q, k = (bench.linear(bench.x, bench_matrix(bench, m, rows)) for m, rows in widths.items())
    cache, out = ops.CacheLayer(1, key_dim, value_dim, shared=True), bench.value(n_head * value_dim)
    bench.add(ops.KVStore(False, k, k.part(0, value_dim), cache))
    bench.add(ops.Attention(False, q, out, cache, n_head, 0.1))
    tokens = bench.rng.integers(0, N_VOCAB, n)
    x = bench.embedding[tokens].astype(np.float64)
    queries, dense = (x @ bench.model.tensors[f"{m}.weight"].T.astype(np.float64) for m in "qk")
    keys = stored(dense, 1, cache_type)
    want = attention(asked(queries, n_head, cache_type), keys, keys[:, :value_dim], n_head, 1, scale=0.1)

    def steps(runner: Runner) -> Floats:
        seq, rows = runner.seq_open(), []
        for at in range(0, n, chunk):
            part = tokens[at : at + chunk].astype(np.int32)
            runner.step(part, [seq], [len(part)], np.ones(len(part), bool))
            rows.append(runner.embeddings().copy())
        return np.concatenate(rows)

    # A key that lies between two halves may be rounded to the other one here.
    tolerance = 1e-3 if cache_type == "f16" else TOLERANCE[cache_type]
    close(bench.run(out, tokens.tolist(), steps=steps, cache_type=cache_type), want, tolerance)


def check_attention(tmp_path: Path, cache_type: str, n: int, chunk: int, options: dict[str, Any]) -> None:
    bench = OpBench(tmp_path / "ops.gguf")
    n_head, n_kv, key_dim, value_dim = 6, 2, 10, 20
    q, k, v = (
        bench.linear(bench.x, bench_matrix(bench, m, rows))
        for m, rows in (("q", n_head * key_dim), ("k", n_kv * key_dim), ("v", n_kv * value_dim))
    )
    cache, out = ops.CacheLayer(n_kv, key_dim, value_dim), bench.value(n_head * value_dim)
    bench.add(ops.KVStore(False, k, v, cache))
    temperature = options.get("temperature", (0.0, 0))
    bench.add(
        ops.Attention(
            False,
            q,
            out,
            cache,
            n_head,
            0.4,
            both_ways=options.get("both_ways", False),
            window=options.get("window", 0),
            softcap=options.get("softcap", 0.0),
            slopes=vector(options["slopes"]) if "slopes" in options else None,
            sinks=vector(options["sinks"]) if "sinks" in options else None,
            temperature_scale=temperature[0],
            temperature_floor=temperature[1],
        )
    )
    tokens = bench.rng.integers(0, N_VOCAB, n)

    def steps(runner: Runner) -> Floats:
        seq, rows = runner.seq_open(), []
        for at in range(0, n, chunk):
            part = tokens[at : at + chunk].astype(np.int32)
            runner.step(part, [seq], [len(part)], np.ones(len(part), bool))
            rows.append(runner.embeddings().copy())
        return np.concatenate(rows)

    x = bench.embedding[tokens].astype(np.float64)
    dense = [x @ bench.model.tensors[f"{m}.weight"].T.astype(np.float64) for m in "qkv"]
    keys, values = stored(dense[1], n_kv, cache_type), stored(dense[2], n_kv, cache_type, value=True)
    queries = asked(dense[0], n_head, cache_type)
    want = attention(queries, keys, values, n_head, n_kv, scale=0.4, **options)
    got = bench.run(out, tokens.tolist(), steps=steps, cache_type=cache_type)
    close(got, want, TOLERANCE[cache_type])


def bench_matrix(bench: OpBench, name: str, rows: int) -> str:
    bench.matrix(name, rows, bench.x.width)
    return name


EXPERTS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "not normalised": {"normalize": False},
    "sigmoid with bias": {"gating": "sigmoid", "selection_bias": np.linspace(-0.5, 0.5, 8), "weight_scale": 2.5},
    "softmax of the chosen": {"gating": "softmax_chosen", "normalize": False},
    "groups": {"gating": "sigmoid", "n_groups": 4, "n_groups_used": 2},
    "one expert": {"n_used": 1},
    "all experts": {"n_used": 8},
}


@pytest.mark.parametrize("name", EXPERTS)
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("n_tokens", [1, 37])
def test_experts(bench: OpBench, x64: Floats, name: str, gated: bool, n_tokens: int) -> None:
    options = {"n_used": 3} | EXPERTS[name]
    n, inner = 8, 40
    logits = bench.linear(bench.x, bench_matrix(bench, "router", n))
    shapes = {"gate": (n, inner, 96), "up": (n, inner, 96), "down": (n, 96, inner)}
    weights = {m: bench.matrix(m, *shape).astype(np.float64) for m, shape in shapes.items()}
    biases = {m: bench.rng.standard_normal((n, shape[1])) for m, shape in shapes.items()}
    scales = {m: bench.rng.uniform(0.5, 2, n) for m in shapes}
    matrices = {
        m: ops.ExpertMatrix(Matrix(f"{m}.weight", s[1], s[2], n), vector(biases[m]), vector(scales[m]))
        for m, s in shapes.items()
    }
    out, total = bench.value(96), bench.value(96)
    plain = {key: value for key, value in options.items() if key not in ("selection_bias", "n_used")}
    bias = options.get("selection_bias")
    bench.add(
        ops.Experts(
            False,
            bench.x,
            logits,
            out,
            matrices["gate"] if gated else None,
            matrices["up"],
            matrices["down"],
            n,
            options["n_used"],
            "silu",
            selection_bias=None if bias is None else vector(bias),
            **plain,
        )
    )
    bench.add(ops.Affine(False, out, total, addend=bench.x))
    x = x64[:n_tokens]
    router = bench.model.tensors["router.weight"].astype(np.float64)
    gate = weights["gate"] if gated else None
    want = x + mixture(x, x @ router.T, gate, weights["up"], weights["down"], biases, scales, "silu", **options)
    close(bench.run(total, TOKENS[:n_tokens]), want, 1e-5)
