"""The ops of a program as plain data: values, views of them, and one dataclass per op of csrc/oxillama.h."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from oxillama.models.tensors import Matrix, Vector


@dataclass(eq=False, slots=True)
class Value:
    """What one op computes: `width` columns for every token, or for every requested output. Compared by identity."""

    width: int
    outputs: bool = False

    def view(self, column: int = 0, width: int | None = None) -> View:
        return View(self, column, self.width - column if width is None else width)


@dataclass(frozen=True, slots=True)
class View:
    """Columns [column, column + width) of a value."""

    value: Value
    column: int
    width: int

    def part(self, column: int, width: int) -> View:
        return View(self.value, self.column + column, width)

    def begins_with(self, other: View) -> bool:
        """Whether `other` is the first columns of this view."""
        return self.value is other.value and self.column == other.column and other.width <= self.width

    @property
    def whole(self) -> bool:
        return self.column == 0 and self.width == self.value.width


@dataclass(eq=False, slots=True)
class Op:
    """Base of all ops. `outputs`: works on the rows of requested outputs instead of all tokens."""

    outputs: bool

    def reads(self) -> Iterator[View]:
        yield from ()

    def writes(self) -> Iterator[View]:
        yield from ()


@dataclass(eq=False, slots=True)
class Embed(Op):
    """Rows of a table, times scale: each token's by its id ("token") or "position", or the "first" for all."""

    out: View
    table: str
    scale: float = 1.0
    by: str = "token"

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class RopeTable(Op):
    """cos and sin of position * frequency, times magnitude."""

    out: View
    frequencies: Vector
    magnitude: Callable[[], float]

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Norm(Op):
    """`kind` "rms" or "layer", over runs of `group` columns."""

    x: View
    out: View
    kind: str
    group: int
    weight: Vector | None
    bias: Vector | None
    eps: float

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Glu(Op):
    """fn(x) * times; times None: fn(x)."""

    x: View
    times: View | None
    out: View
    fn: str

    def reads(self) -> Iterator[View]:
        yield self.x
        if self.times is not None:
            yield self.times

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Part:
    """One product of a linear op: matrix * x * scale + bias + addend."""

    matrix: Matrix
    out: View
    bias: Vector | None = None
    scale: Vector | None = None  # one value; None: 1
    addend: View | None = None


@dataclass(eq=False, slots=True)
class Linear(Op):
    """Products of several matrices with one input, to which `prologue` (if any) is applied first."""

    x: View
    parts: list[Part]
    prologue: Norm | Glu | None = None

    def reads(self) -> Iterator[View]:
        yield self.x
        if self.prologue is not None:
            yield from self.prologue.reads()
        for part in self.parts:
            if part.addend is not None:
                yield part.addend

    def writes(self) -> Iterator[View]:
        for part in self.parts:
            yield part.out


@dataclass(eq=False, slots=True)
class HeadLinear(Op):
    """A product for every head with a matrix of its own; see oxi_op_head_linear."""

    x: View
    out: View
    matrix: Matrix
    shared: bool = False

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Rope(Op):
    """Rotates heads of x and y in place. `kind` "pairs" or "halves" (NeoX)."""

    x: View
    y: View | None
    table: View
    kind: str
    head_dim: int
    n_rot: int
    offset: int = 0

    def reads(self) -> Iterator[View]:
        yield self.table
        yield from self.writes()

    def writes(self) -> Iterator[View]:
        yield self.x
        if self.y is not None:
            yield self.y


@dataclass(eq=False, slots=True)
class CacheLayer:
    """One layer of the key/value cache; several layers of a model may read it. Compared by identity.

    window: how many tokens before and including a query the model still reads; 0: all of them. shared: the values are
    the first value_dim columns of the keys, and are kept once.
    """

    n_head: int
    key_dim: int
    value_dim: int
    window: int = 0
    shared: bool = False


@dataclass(eq=False, slots=True)
class State:
    """A recurrent state of one layer: n_floats float32 values for every sequence, zero at first."""

    n_floats: int


@dataclass(eq=False, slots=True)
class KVStore(Op):
    """Stores keys and values in the cache."""

    k: View
    v: View
    cache: CacheLayer

    def reads(self) -> Iterator[View]:
        yield self.k
        yield self.v


@dataclass(eq=False, slots=True)
class Attention(Op):
    """Attention over the cache; see oxi_op_attention for the formula.

    both_ways: rows see later keys of their run too.
    """

    q: View
    out: View
    cache: CacheLayer
    n_head: int
    scale: float
    both_ways: bool = False
    window: int = 0
    softcap: float = 0.0
    slopes: Vector | None = None
    sinks: Vector | None = None
    temperature_scale: float = 0.0
    temperature_floor: int = 0
    temperature_offset: int = 0
    chunked: bool = False

    def reads(self) -> Iterator[View]:
        yield self.q

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class ExpertMatrix:
    """One of the matrices of a mixture, with its per-expert bias [n_experts * n_rows] and scale [n_experts]."""

    matrix: Matrix
    bias: Vector | None = None
    scale: Vector | None = None


@dataclass(eq=False, slots=True)
class Experts(Op):
    """A mixture of experts; see oxi_op_experts."""

    x: View
    logits: View
    out: View
    gate: ExpertMatrix | None
    up: ExpertMatrix
    down: ExpertMatrix
    n_expert: int
    n_used: int
    fn: str
    gating: str = "softmax"
    normalize: bool = True
    weight_scale: float = 1.0
    selection_bias: Vector | None = None
    n_groups: int = 0
    n_groups_used: int = 0
    weigh_first: bool = False
    limited: str = "not"
    limit: float = 0.0
    addend: View | None = None

    def reads(self) -> Iterator[View]:
        yield self.x
        yield self.logits
        if self.addend is not None:
            yield self.addend

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Select(Op):
    """The rows whose outputs were requested; `mean`: for each the mean of its run up to that row."""

    x: View
    out: View
    mean: bool = False

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Affine(Op):
    """x * scale * times * weight + bias + addend, of times and weight at most one. A scale that the file holds is a
    Vector of one value."""

    x: View
    out: View
    scale: float | Vector = 1.0
    times: View | None = None
    addend: View | None = None
    weight: Vector | None = None
    bias: Vector | None = None

    @property
    def plain_sum(self) -> bool:
        """x + addend."""
        others = (self.times, self.weight, self.bias)
        return self.scale == 1.0 and self.addend is not None and all(other is None for other in others)

    def reads(self) -> Iterator[View]:
        yield self.x
        for view in (self.times, self.addend):
            if view is not None:
                yield view

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Softcap(Op):
    """cap * tanh(x / cap)."""

    x: View
    out: View
    cap: float

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Gather(Op):
    """Columns [offset, offset + take) of every run of `stride` columns, side by side."""

    x: View
    out: View
    stride: int
    offset: int
    take: int

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Gate(Op):
    """x * fn(gate) + addend, where each column of gate is that of equally many of x."""

    x: View
    gate: View
    out: View
    fn: str
    addend: View | None = None

    def reads(self) -> Iterator[View]:
        yield self.x
        yield self.gate
        if self.addend is not None:
            yield self.addend

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(slots=True)
class Graph:
    """A whole model: its ops in order, and its results. A model that only embeds has no logits."""

    ops: list[Op] = field(default_factory=list)
    logits: View | None = None
    hidden: View | None = None

    def cache_layers(self) -> list[CacheLayer]:
        """The layers of the key/value cache, in the order in which a step stores into them."""
        return list(dict.fromkeys(op.cache for op in self.ops if isinstance(op, KVStore)))
