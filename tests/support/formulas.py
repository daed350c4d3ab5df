"""The formulas of all ops, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


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
    "gelu_erf": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_quick": lambda x: x / (1 + np.exp(-1.702 * x)),
    "softplus": lambda x: np.logaddexp(0, x),
}


def glu(fn: str, x: Floats, times: Floats) -> Floats:
    """fn(x) * times, or the whole product of a function that needs both."""
    if fn == "swiglu_clamped":
        gate, up = np.minimum(x, 7), np.clip(times, -7, 7)
        return np.asarray(gate / (1 + np.exp(-1.702 * gate)) * (up + 1))
    return np.asarray(FUNCTIONS[fn](x) * times)


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


def stored(x: Floats, n_head: int, cache_type: str, *, value: Any = False) -> Floats:
    """x [n, n_head * dim] as a KV cache of the type returns it, rounded as csrc/kv/page.h describes."""
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


def asked(q: Floats, n_head: int, cache_type: str) -> Floats:
    """Queries q [n, n_head * dim] as attention over a cache of the type rounds them: q8_0's to bytes like its keys."""
    if cache_type != "q8_0":
        return q
    heads = q.reshape(len(q), n_head, -1)
    back = np.empty_like(heads)
    for at in range(0, heads.shape[-1], 32):
        part = heads[..., at : at + 32]
        scale = np.abs(part).max(-1, keepdims=True) / 127
        back[..., at : at + 32] = np.rint(part / scale) * scale
    return back.reshape(q.shape)


# The largest error of attention against the formula on the stored values and the queries asked. It comes from
# probabilities as 13-bit integers (i16) or bytes (q8_0), and from i16's queries, which have 13 bits too.
TOLERANCE = {"f32": 1e-5, "f16": 2e-5, "i16": 1e-3, "q8_0": 1e-2}


def attention(
    q: Floats,
    k: Floats,
    v: Floats,
    n_head: int,
    n_kv: int,
    *,
    scale: float,
    both_ways: bool = False,
    window: int = 0,
    softcap: float = 0.0,
    slopes: Any = None,
    sinks: Any = None,
    temperature: tuple[float, int] = (0.0, 0),
) -> Floats:
    """The formula of oxi_op_attention over all positions at once."""
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
        s = s - slopes[:, None, None] * np.abs(distance)
    if both_ways:
        visible = np.abs(distance) <= (window // 2 if window else n)
    else:
        visible = (distance <= 0) & (-distance < (window or n + 1))
    s = np.where(visible, s, -np.inf)
    if sinks is not None:
        s = np.concatenate([s, np.broadcast_to(sinks[:, None, None], (n_head, n, 1))], -1)
    p = softmax(s)[..., :n]
    out: Floats = (p @ v).transpose(1, 0, 2).reshape(n, -1)
    return out


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
            h = FUNCTIONS[fn](gates) if gate is None else glu(fn, gates, h)
            out[t] += w * (down[e] @ h * scales["down"][e] + biases["down"][e])
    return out


def convolved(u: Floats, kernel: Floats) -> Floats:
    """out[t] = the sum of kernel[i] * u[t - n_taps + 1 + i] for u [tokens, width] and kernel [n_taps, width]."""
    padded = np.concatenate([np.zeros((len(kernel) - 1, u.shape[1])), u])
    return np.stack([(padded[t : t + len(kernel)] * kernel).sum(0) for t in range(len(u))])


def delta_rule(
    q: Floats,
    k: Floats,
    v: Floats,
    decay: Floats,
    beta: Floats,
    rate: Floats,
    dt: Floats,
    n_head: int,
    n_key_head: int,
    *,
    tiled: bool,
) -> Floats:
    """Equation 10 of "Gated Delta Networks" (Yang et al., 2024): rows of tokens, heads side by side in each row."""
    n = len(q)
    heads = np.arange(n_head) % n_key_head if tiled else np.arange(n_head) // (n_head // n_key_head)
    q, k = q.reshape(n, n_key_head, -1)[:, heads], k.reshape(n, n_key_head, -1)[:, heads]
    v = v.reshape(n, n_head, -1)
    g = np.exp(rate * np.log1p(np.exp(decay + dt)))
    b = 1 / (1 + np.exp(-beta))
    state = np.zeros((n_head, q.shape[2], v.shape[2]))
    out = np.empty_like(v)
    for t in range(n):
        state *= g[t][:, None, None]
        error = v[t] - np.einsum("hk,hkv->hv", k[t], state)
        state += np.einsum("hk,hv->hkv", k[t], b[t][:, None] * error)
        out[t] = np.einsum("hk,hkv->hv", q[t], state)
    return out.reshape(n, -1)


def selective_scan(
    x: Floats, k: Floats, q: Floats, step: Floats, rate: Floats, dt: Floats, skip: Floats, n_head: int, n_key_head: int
) -> Floats:
    """Mamba-2 (Dao, Gu: "Transformers are SSMs", 2024): rows of tokens, heads side by side in each row."""
    n = len(q)
    heads = np.arange(n_head) // (n_head // n_key_head)
    q, k = q.reshape(n, n_key_head, -1)[:, heads], k.reshape(n, n_key_head, -1)[:, heads]
    x = x.reshape(n, n_head, -1)
    d = np.log1p(np.exp(step + dt))
    state = np.zeros((n_head, q.shape[2], x.shape[2]))
    out = np.empty_like(x)
    for t in range(n):
        state *= np.exp(rate * d[t])[:, None, None]
        state += np.einsum("hk,hv->hkv", k[t], d[t][:, None] * x[t])
        out[t] = np.einsum("hk,hkv->hv", q[t], state) + skip[:, None] * x[t]
    return out.reshape(n, -1)


def dplr(q: Floats, w: Floats, k: Floats, a: Floats, b: Floats, v: Floats, n_head: int) -> Floats:
    """S = diag(w) S + b (a' S) + k v', out = q' S: rows of tokens, heads side by side in each row."""
    n = len(q)
    q, w, k, a, b, v = (x.reshape(n, n_head, -1) for x in (q, w, k, a, b, v))
    state = np.zeros((n_head, q.shape[2], v.shape[2]))
    out = np.empty_like(v)
    for t in range(n):
        sums = np.einsum("hk,hkv->hv", a[t], state)
        state = w[t][:, :, None] * state + np.einsum("hk,hv->hkv", b[t], sums) + np.einsum("hk,hv->hkv", k[t], v[t])
        out[t] = np.einsum("hk,hkv->hv", q[t], state)
    return out.reshape(n, -1)
