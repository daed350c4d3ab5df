"""Convolutions and delta rules, which carry a state from token to token, and gates."""

from __future__ import annotations

import numpy as np

from oxillama.models.graph import ops
from oxillama.models.graph.building.rows import Rows
from oxillama.models.graph.ops import State, Value, View
from oxillama.models.graph.recurrent_ops import Conv, Delta, Dplr, Scan
from oxillama.models.params.recurrent import DeltaNet, StateSpace, state_floats
from oxillama.models.tensors import Float32, Vector


class Recurrent(Rows):
    """What hybrid models have beside attention."""

    def gather(self, x: View, stride: int, offset: int, take: int, out: View | None = None) -> View:
        """Columns [offset, offset + take) of every run of `stride` columns, side by side; `out`: where they go."""
        if out is None:
            out = Value(x.width // stride * take, x.value.outputs).view()
        self.append(ops.Gather(x.value.outputs, x, out, stride, offset, take))
        return out

    def gate(self, x: View, by: View, addend: View | None = None, *, fn: str = "sigmoid") -> View:
        """x * fn(by) + addend. `by` has one number per row, or one for each head."""
        out = Value(x.width, x.value.outputs).view()
        self.append(ops.Gate(x.value.outputs, x, by, out, fn, addend))
        return out

    def token_shift(self, x: View, share: Vector) -> View:
        """x + (the row of the token before - x) * share, column by column; before the first token there are zeros."""

        def kernel() -> Float32:
            return np.concatenate([share.read(), 1 - share.read()])

        out = Value(x.width).view()
        self.append(Conv(False, x, None, out, Vector(2 * x.width, kernel), 2, "none", State(x.width)))
        return out

    def short_conv(self, x: View, name: str, n_taps: int, *, times: View | None = None, fn: str = "none") -> View:
        """fn of a causal convolution of x * times over tokens. The tensor `name`.weight has the taps of each column,
        and there may be a `name`.bias."""
        stated = self.gguf.tensors[f"{name}.weight"].shape if self.tensors.has(f"{name}.weight") else ()
        shape = (n_taps, 1, x.width) if len(stated) > 2 else (n_taps, x.width)
        in_file = self.tensors.vector(f"{name}.weight", x.width * n_taps, shape)

        def by_tap() -> Float32:
            return np.ascontiguousarray(in_file.read().reshape(x.width, n_taps).T).ravel()

        out = Value(x.width).view()
        state = State((n_taps - 1) * x.width)
        bias = self.tensors.optional_vector(f"{name}.bias", x.width)
        self.append(Conv(False, x, times, out, Vector(in_file.n, by_tap), n_taps, fn, state, bias))
        return out

    def selective_scan(self, xbc: View, step: View, prefix: str, net: StateSpace) -> View:
        """Mamba-2's scan of values, keys and queries side by side; see oxi_op_scan."""
        values, keys = net.n_head * net.value_dim, net.n_key_head * net.key_dim
        out = Value(values).view()
        rate, dt, skip = (
            self.tensors.vector(f"{prefix}{name}", net.n_head, shape)
            for name, shape in (("ssm_a", (1, net.n_head)), ("ssm_dt.bias", (net.n_head,)), ("ssm_d", (1, net.n_head)))
        )
        self.append(
            Scan(
                False,
                xbc.part(values + keys, keys),
                xbc.part(values, keys),
                xbc.part(0, values),
                out,
                step,
                rate,
                dt,
                skip,
                net.n_head,
                net.n_key_head,
                net.key_dim,
                net.value_dim,
                State(net.state_floats),
            )
        )
        return out

    def delta_rule(self, qkv: View, decay: View, beta: View, prefix: str, net: DeltaNet, *, tiled: bool) -> View:
        """The gated delta rule for queries, keys and values side by side; see oxi_op_delta.

        Queries and keys become unit vectors in place, and queries are divided by the root of their columns. tiled:
        value head h belongs to key head h mod n_key_head, else as many neighbours belong to one key head.
        """
        keys = net.n_key_head * net.dim
        self.unit_vectors(qkv.part(0, 2 * keys), net.dim, (net.dim**-0.5, 1.0))
        out = Value(net.n_head * net.dim).view()
        self.append(
            Delta(
                False,
                q=qkv.part(0, keys),
                k=qkv.part(keys, keys),
                v=qkv.part(2 * keys, out.width),
                out=out,
                decay=decay,
                beta=beta,
                rate=self.tensors.vector(f"{prefix}ssm_a", net.n_head),
                dt=self.tensors.vector(f"{prefix}ssm_dt.bias", net.n_head),
                n_head=net.n_head,
                n_key_head=net.n_key_head,
                key_dim=net.dim,
                value_dim=net.dim,
                tiled=tiled,
                state=State(net.state_floats),
            )
        )
        return out

    def dplr(self, views: dict[str, View], n_head: int, key_dim: int, value_dim: int) -> View:
        """A recurrence with a diagonal plus rank-1 transition. views: q, w, k, a, b, v of oxi_op_dplr."""
        out = Value(n_head * value_dim).view()
        state = State(state_floats(n_head, key_dim, value_dim))
        self.append(Dplr(False, **views, out=out, n_head=n_head, key_dim=key_dim, value_dim=value_dim, state=state))
        return out

    def unit_vectors(self, x: View, group: int, scales: tuple[float, ...], eps: float | None = None) -> None:
        """x / sqrt(sum(x^2) + eps) of every run of `group` columns, in place. scales: of equal parts of the columns.
        eps None: that of the model's norms."""

        def weight() -> Float32:
            # The norm divides by the root of the mean, not of the sum.
            factors = np.array(scales, np.float32) / np.float32(np.sqrt(group))
            return np.repeat(factors, x.width // len(scales))

        eps = (self.hparams.norm_eps if eps is None else eps) / group
        self.append(ops.Norm(False, x, x, "rms", group, Vector(x.width, weight), None, eps))
