"""What hybrid models add to the builder: convolutions, delta rules, and gates. Each function appends an op."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxillama.models.graph import ops
from oxillama.models.graph.ops import State, Value, View
from oxillama.models.graph.recurrent_ops import Conv, Delta
from oxillama.models.tensors import Float32, Vector

if TYPE_CHECKING:
    from oxillama.models.graph.builder import Builder

DELTA_BLOCK = 16


def gather(b: Builder, x: View, stride: int, offset: int, take: int, out: View | None = None) -> View:
    """Columns [offset, offset + take) of every run of `stride` columns, side by side; `out`: where they go."""
    if out is None:
        out = Value(x.width // stride * take, x.value.outputs).view()
    b.graph.ops.append(ops.Gather(x.value.outputs, x, out, stride, offset, take))
    return out


def gate(b: Builder, x: View, by: View, addend: View | None = None, fn: str = "sigmoid") -> View:
    """x * fn(by) + addend, where `by` is one number per row."""
    out = Value(x.width, x.value.outputs).view()
    b.graph.ops.append(ops.Gate(x.value.outputs, x, by, out, fn, addend))
    return out


def short_conv(b: Builder, x: View, name: str, n_taps: int, *, times: View | None = None, fn: str = "none") -> View:
    """fn of a causal convolution of x * times over time. The tensor `name`.weight holds the taps of each column."""
    in_file = b.tensors.vector(f"{name}.weight", x.width * n_taps, (n_taps, x.width))

    def by_tap() -> Float32:
        return np.ascontiguousarray(in_file.read().reshape(x.width, n_taps).T).ravel()

    out = Value(x.width).view()
    kernel = Vector(in_file.n, by_tap)
    b.graph.ops.append(Conv(False, x, times, out, kernel, n_taps, fn, State((n_taps - 1) * x.width)))
    return out


def l2_norm(b: Builder, x: View, group: int, scales: tuple[tuple[int, float], ...]) -> None:
    """x / sqrt(sum(x^2) + eps) for every run of `group` columns, in place. scales: (columns, factor) from the left."""

    def weight() -> Float32:
        # The norm divides by the root of the mean, not of the sum.
        return np.concatenate([np.full(n, factor / np.sqrt(group), np.float32) for n, factor in scales])

    n = sum(n for n, _ in scales)
    b.graph.ops.append(ops.Norm(False, x, x, "rms", group, Vector(n, weight), None, b.hparams.norm_eps / group))


def delta_rule(
    b: Builder,
    q: View,
    k: View,
    v: View,
    decay: View,
    beta: View,
    prefix: str,
    *,
    n_head: int,
    n_key_head: int,
    key_dim: int,
    value_dim: int,
    tiled: bool,
) -> View:
    """The gated delta rule with the file's decay rates and biases; see oxi_op_delta."""
    out = Value(n_head * value_dim).view()
    blocks = -(-value_dim // DELTA_BLOCK)
    b.graph.ops.append(
        Delta(
            False,
            q,
            k,
            v,
            out,
            decay,
            beta,
            rate=b.tensors.vector(f"{prefix}ssm_a", n_head),
            dt=b.tensors.vector(f"{prefix}ssm_dt.bias", n_head),
            n_head=n_head,
            n_key_head=n_key_head,
            key_dim=key_dim,
            value_dim=value_dim,
            tiled=tiled,
            state=State(n_head * blocks * key_dim * DELTA_BLOCK),
        )
    )
    return out
