"""Every op against a plain float64 formula, on one instruction set of each kind."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from oxillama.core._core import Runner, available_isas, isa
from oxillama.models.graph import ops
from tests.support.graphs import N_VOCAB, OpBench, vector

Floats = npt.NDArray[Any]

TOKENS = list(range(37))


def close(got: Any, want: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


def silu(x: Floats) -> Any:
    return x / (1 + np.exp(-x))


def softmax(x: Floats, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "none": lambda x: x,
    "silu": silu,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


@pytest.fixture
def bench(tmp_path: Path) -> OpBench:
    return OpBench(tmp_path / "ops.gguf")


@pytest.fixture
def x64(bench: OpBench) -> Floats:
    return bench.embedding[TOKENS].astype(np.float64)


@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_activation_functions(tmp_path: Path, fn: str, spread: float) -> None:
    bench = OpBench(tmp_path / "ops.gguf", 75, spread=spread)  # a width that no vector divides
    x = bench.embedding[TOKENS].astype(np.float64)
    out = bench.value(75)
    bench.add(ops.Glu(False, bench.x, None, out, fn))
    with np.errstate(over="ignore"):
        close(bench.run(out, TOKENS), FUNCTIONS[fn](x), 1e-6)


def test_a_gated_activation_multiplies(bench: OpBench, x64: Floats) -> None:
    out = bench.value(48)
    bench.add(ops.Glu(False, bench.x.part(0, 48), bench.x.part(48, 48), out, "silu"))
    close(bench.run(out, TOKENS), silu(x64[:, :48]) * x64[:, 48:])


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
        ops.Part(ops.Matrix("a.weight", 40, 96), first),
        ops.Part(ops.Matrix("b.weight", 96, 96), second, vector(bias), vector([1.5])),
    ]
    bench.add(ops.Linear(False, normed, parts))
    bench.add(ops.Affine(False, second, total, addend=bench.x))
    both = bench.value(40)
    bench.add(ops.Affine(False, total.part(0, 40), both, addend=first))
    x = x64[:n_tokens]
    h = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight
    want = (h @ b.T.astype(np.float64) * 1.5 + bias + x)[:, :40] + h @ a.T.astype(np.float64)
    close(bench.run(both, TOKENS[:n_tokens], fused=fused), want, 1e-5)


def rotated(
    x: Floats, positions: Any, frequencies: Any, head_dim: int, offset: int, kind: str, magnitude: float
) -> Floats:
    x = x.reshape(len(positions), -1, head_dim).copy()
    half = len(frequencies)
    angle = positions[:, None] * frequencies
    cos, sin = np.cos(angle)[:, None] * magnitude, np.sin(angle)[:, None] * magnitude
    part = x[..., offset : offset + 2 * half]
    a, b = (part[..., ::2], part[..., 1::2]) if kind == "pairs" else (part[..., :half], part[..., half:])
    a, b = a * cos - b * sin, a * sin + b * cos
    if kind == "pairs":
        part[..., ::2], part[..., 1::2] = a, b
    else:
        part[..., :half], part[..., half:] = a, b
    return x.reshape(len(positions), -1)


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


def stored(x: Floats, n_head: int, cache_type: str, *, value: Any = False) -> Floats:
    """What a cache of the type gives back for x [n, n_head * dim]: rounded as oxillama/csrc's page.h says."""
    if cache_type == "f32":
        return x
    if cache_type == "f16":
        return x.astype(np.float16).astype(np.float64)
    heads = x.reshape(len(x), n_head, -1)
    dim = heads.shape[-1]
    group, most = (32, 127) if cache_type == "q8_0" else (dim if value else 64, 4095)
    back = np.empty_like(heads)
    for at in range(0, dim, group):
        part = heads[..., at : at + group]
        exact = np.abs(part).max(-1, keepdims=True) / most
        scale = exact.astype(np.float16)
        scale = np.where(scale < exact, np.nextafter(scale, np.float16(np.inf)), scale).astype(np.float64)
        back[..., at : at + group] = np.rint(part / scale) * scale
    return back.reshape(x.shape)


# The largest error against the formula over what is stored: of probabilities and queries as 14-bit integers.
TOLERANCE = {"f32": 1e-5, "f16": 2e-5, "i16": 1e-3, "q8_0": 1e-3}


def attention(
    q: Floats,
    k: Floats,
    v: Floats,
    n_head: int,
    n_kv: int,
    *,
    scale: float,
    window: int = 0,
    softcap: float = 0.0,
    slopes: Any = None,
    sinks: Any = None,
    temperature: tuple[float, int] = (0.0, 0),
) -> Floats:
    """The formula of oxi_op_attention, dense."""
    n = len(q)
    q = q.reshape(n, n_head, -1).transpose(1, 0, 2)
    k, v = (np.repeat(m.reshape(n, n_kv, -1).transpose(1, 0, 2), n_head // n_kv, 0) for m in (k, v))
    position = np.arange(n)
    sharpened = np.ones(n)
    if temperature[1]:
        sharpened = 1 + temperature[0] * np.log(1 + position // temperature[1])
    s = q @ k.transpose(0, 2, 1) * scale * sharpened[None, :, None]
    if softcap:
        s = softcap * np.tanh(s / softcap)
    distance = position[None, :] - position[:, None]
    if slopes is not None:
        s = s + slopes[:, None, None] * distance
    visible = distance <= 0
    if window:
        visible &= -distance < window
    s = np.where(visible, s, -np.inf)
    if sinks is not None:
        s = np.concatenate([s, np.broadcast_to(sinks[:, None, None], (n_head, n, 1))], -1)
    p = softmax(s)[..., :n]
    out: Floats = (p @ v).transpose(1, 0, 2).reshape(n, -1)
    return out


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


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("cache_type", ["f32", "f16", "i16", "q8_0"])
@pytest.mark.parametrize("chunk", [170, 41, 1])
def test_attention(tmp_path: Path, name: str, cache_type: str, chunk: int) -> None:
    options = ATTENTION[name]
    n = 170 if chunk > 1 else 60
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
    want = attention(dense[0], keys, values, n_head, n_kv, scale=0.4, **options)
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


def mixture(
    x: Floats,
    logits: Floats,
    gate: Any,
    up: Any,
    down: Any,
    biases: Any,
    scales: Any,
    fn: str,
    n_used: int,
    **options: Any,
) -> Floats:
    gating = options.get("gating", "softmax")
    gatings: dict[str, Callable[[Any], Any]] = {
        "softmax": softmax,
        "sigmoid": FUNCTIONS["sigmoid"],
        "softmax_chosen": lambda x: x,
    }
    probabilities = gatings[gating](logits)
    out = np.zeros((len(x), down.shape[1]))
    for t, p in enumerate(probabilities):
        scores = p + options.get("selection_bias", 0.0)
        if options.get("n_groups"):
            groups = scores.reshape(options["n_groups"], -1)
            kept = np.argsort(-np.sort(groups)[:, -2:].sum(1), kind="stable")[: options["n_groups_used"]]
            mask = np.full_like(groups, -np.inf)
            mask[kept] = 0
            scores = scores + mask.ravel()
        chosen = np.argsort(-scores, kind="stable")[:n_used]
        weights = p[chosen]
        if gating == "softmax_chosen":
            weights = softmax(weights)
        if options.get("normalize", True):
            weights = weights / weights.sum()
        for e, w in zip(chosen, weights * options.get("weight_scale", 1.0), strict=True):
            h = up[e] @ x[t] * scales["up"][e] + biases["up"][e]
            gates = h if gate is None else gate[e] @ x[t] * scales["gate"][e] + biases["gate"][e]
            h = FUNCTIONS[fn](gates) * (1 if gate is None else h)
            out[t] += w * (down[e] @ h * scales["down"][e] + biases["down"][e])
    return out


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
        m: ops.ExpertMatrix(ops.Matrix(f"{m}.weight", s[1], s[2], n), vector(biases[m]), vector(scales[m]))
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


def test_embedding_rows_are_scaled(bench: OpBench, x64: Floats) -> None:
    embed = bench.graph.ops[0]
    assert isinstance(embed, ops.Embed)
    embed.scale = 3.0
    out = bench.value(96)
    bench.add(ops.Affine(False, bench.x, out))
    close(bench.run(out, TOKENS), 3 * x64)


def test_what_is_changed_in_place_meanwhile_is_not_fused(bench: OpBench, x64: Floats) -> None:
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


def other_rows() -> list[str]:
    """One row of each family whose vector functions differ, besides the one this process uses."""
    found = {name.split("-")[0]: name for name in available_isas()}
    return [name for family, name in found.items() if family != isa().split("-")[0]]


@pytest.mark.slow
@pytest.mark.skipif("OXILLAMA_OPS_ONCE" in os.environ, reason="this is the run for another row")
@pytest.mark.parametrize("row", other_rows())
def test_all_of_the_above_on_other_instruction_sets(row: str) -> None:
    long_attention = str(Path(__file__).with_name("test_long_attention.py"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, long_attention],
        env=os.environ | {"OXILLAMA_ISA": row, "OXILLAMA_OPS_ONCE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.skipif("OXILLAMA_OPS_ONCE" in os.environ, reason="this is the run for another row")
@pytest.mark.parametrize("row", [name for name in available_isas() if name.endswith("-base")])
def test_integer_attention_without_its_instruction(row: str) -> None:
    """Rows of one family share their float functions; products of pairs of integers differ."""
    chosen = ["-k", "formula and (i16 or q8_0)", str(Path(__file__).with_name("test_long_attention.py"))]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        env=os.environ | {"OXILLAMA_ISA": row, "OXILLAMA_OPS_ONCE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
