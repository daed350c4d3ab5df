"""The ops with a recurrent state: one dataclass per op of csrc/oxillama_ops.h."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oxillama.models.graph.ops import Op, State, View
from oxillama.models.tensors import Vector


@dataclass(eq=False, slots=True)
class Conv(Op):
    """fn of bias and a causal convolution of x * times with kernel [n_taps, width]; see oxi_op_conv."""

    x: View
    times: View | None
    out: View
    kernel: Vector
    n_taps: int
    fn: str
    state: State
    bias: Vector | None = None

    def reads(self) -> Iterator[View]:
        yield self.x
        if self.times is not None:
            yield self.times

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Delta(Op):
    """The gated delta rule; see oxi_op_delta for the formula."""

    q: View
    k: View
    v: View
    out: View
    decay: View
    beta: View
    rate: Vector
    dt: Vector
    n_head: int
    n_key_head: int
    key_dim: int
    value_dim: int
    tiled: bool
    state: State

    def reads(self) -> Iterator[View]:
        yield from (self.q, self.k, self.v, self.decay, self.beta)

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Scan(Op):
    """The selective scan of Mamba-2; see oxi_op_scan for the formula."""

    q: View
    k: View
    v: View
    out: View
    step: View
    rate: Vector
    dt: Vector
    skip: Vector
    n_head: int
    n_key_head: int
    key_dim: int
    value_dim: int
    state: State

    def reads(self) -> Iterator[View]:
        yield from (self.q, self.k, self.v, self.step)

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Dplr(Op):
    """A recurrence with a diagonal plus rank-1 transition; see oxi_op_dplr for the formula."""

    q: View
    w: View
    k: View
    a: View
    b: View
    v: View
    out: View
    n_head: int
    key_dim: int
    value_dim: int
    state: State

    def reads(self) -> Iterator[View]:
        yield from (self.q, self.w, self.k, self.a, self.b, self.v)

    def writes(self) -> Iterator[View]:
        yield self.out
