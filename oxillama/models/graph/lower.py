"""Turns a Graph into the C core's program: values get slots of memory, names become indices."""

from __future__ import annotations

from typing import Any

from oxillama.core import _core
from oxillama.models.graph import ops
from oxillama.models.graph.ops import Affine, Experts, Glu, Graph, Linear, Norm, Op, Value, View
from oxillama.models.graph.recurrent_ops import Conv, Delta, Dplr, Scan
from oxillama.models.graph.row_ops import Clamp, Dot
from oxillama.models.graph.slots import assign_slots
from oxillama.models.tensors import Matrix, Vector


class Lowering:
    """Turns the ops of one graph into calls of the core's Program."""

    def __init__(self, graph: Graph, program: _core.Program) -> None:
        self.graph = graph
        self.program = program
        self._slots = assign_slots(graph)
        self._buffers: dict[Value, int] = {}
        self._matrices: dict[Matrix, int] = {}
        self._caches: dict[ops.CacheLayer, int] = {}
        self._states: dict[ops.State, int] = {}

    def run(self) -> None:
        for op in self.graph.ops:
            self.program.op(_KINDS[type(op)], op.outputs, getattr(self, "_" + _KINDS[type(op)])(op))
        assert self.graph.hidden is not None
        self.program.results(self._view(self.graph.logits), self._view(self.graph.hidden))

    def _view(self, view: View | None) -> dict[str, int]:
        if view is None:
            return {"buffer": -1, "column": 0, "width": 0}
        value = view.value
        if value not in self._buffers:
            self._buffers[value] = self.program.buffer(self._slots[value], value.width)
        return {"buffer": self._buffers[value], "column": view.column, "width": view.width}

    def _vector(self, vector: Vector | None) -> int:
        return -1 if vector is None else self.program.vector(vector.read())

    def _matrix(self, matrix: Matrix) -> int:
        if matrix not in self._matrices:
            self._matrices[matrix] = self.program.matrix(
                matrix.name, matrix.n_experts, matrix.first_row, matrix.n_rows
            )
        return self._matrices[matrix]

    def _cache(self, cache: ops.CacheLayer) -> int:
        if cache not in self._caches:
            self._caches[cache] = self.program.cache(
                cache.n_head, cache.key_dim, cache.value_dim, cache.window, cache.shared
            )
        return self._caches[cache]

    def _state(self, state: ops.State) -> int:
        if state not in self._states:
            self._states[state] = self.program.state(state.n_floats)
        return self._states[state]

    def _embed(self, op: ops.Embed) -> dict[str, Any]:
        return {
            "out": self._view(op.out),
            "table": self.program.table(op.table),
            "by": _core.EMBEDS[op.by],
            "scale": op.scale,
        }

    def _rope_table(self, op: ops.RopeTable) -> dict[str, Any]:
        return {"out": self._view(op.out), "frequencies": self._vector(op.frequencies), "magnitude": op.magnitude()}

    def _norm(self, op: Norm, *, fused: bool = False) -> dict[str, Any]:
        return {
            "x": self._view(op.x),
            "out": self._view(None if fused else op.out),
            "kind": _core.NORMS[op.kind],
            "group": op.group,
            "weight": self._vector(op.weight),
            "bias": self._vector(op.bias),
            "eps": op.eps,
        }

    def _glu(self, op: Glu, *, fused: bool = False) -> dict[str, Any]:
        return {
            "x": self._view(op.x),
            "times": self._view(op.times),
            "out": self._view(None if fused else op.out),
            "fn": _core.FUNCTIONS[op.fn],
        }

    def _linear(self, op: Linear) -> dict[str, Any]:
        fields: dict[str, Any] = {"x": self._view(op.x), "parts": [self._part(part) for part in op.parts]}
        if isinstance(op.prologue, Norm):
            fields["norm"] = self._norm(op.prologue, fused=True)
        elif isinstance(op.prologue, Glu):
            fields["glu"] = self._glu(op.prologue, fused=True)
        return fields

    def _part(self, part: ops.Part) -> dict[str, Any]:
        return {
            "matrix": self._matrix(part.matrix),
            "bias": self._vector(part.bias),
            "scale": 1.0 if part.scale is None else _number(part.scale),
            "out": self._view(part.out),
            "addend": self._view(part.addend),
        }

    def _head_linear(self, op: ops.HeadLinear) -> dict[str, Any]:
        fields = {"x": self._view(op.x), "out": self._view(op.out), "matrix": self._matrix(op.matrix)}
        return fields | {"shared": op.shared}

    def _rope(self, op: ops.Rope) -> dict[str, Any]:
        return {
            "x": self._view(op.x),
            "y": self._view(op.y),
            "table": self._view(op.table),
            "kind": _core.ROPES[op.kind],
            "head_dim": op.head_dim,
            "n_rot": op.n_rot,
            "offset": op.offset,
        }

    def _kv_store(self, op: ops.KVStore) -> dict[str, Any]:
        return {"k": self._view(op.k), "v": self._view(op.v), "layer": self._cache(op.cache)}

    def _attention(self, op: ops.Attention) -> dict[str, Any]:
        return {
            "q": self._view(op.q),
            "out": self._view(op.out),
            "layer": self._cache(op.cache),
            "n_head": op.n_head,
            "both_ways": op.both_ways,
            "window": op.window,
            "slopes": self._vector(op.slopes),
            "sinks": self._vector(op.sinks),
            "scale": op.scale,
            "softcap": op.softcap,
            "temperature_scale": op.temperature_scale,
            "temperature_floor": op.temperature_floor,
            "temperature_offset": op.temperature_offset,
            "chunked": op.chunked,
        }

    def _experts(self, op: Experts) -> dict[str, Any]:
        fields: dict[str, Any] = {name: self._view(getattr(op, name)) for name in ("x", "logits", "out", "addend")}
        for name in ("gate", "up", "down"):
            matrix: ops.ExpertMatrix | None = getattr(op, name)
            fields[name] = -1 if matrix is None else self._matrix(matrix.matrix)
            fields[f"{name}_bias"] = self._vector(None if matrix is None else matrix.bias)
            fields[f"{name}_scale"] = self._vector(None if matrix is None else matrix.scale)
        return fields | {
            "selection_bias": self._vector(op.selection_bias),
            "n_expert": op.n_expert,
            "n_used": op.n_used,
            "fn": _core.FUNCTIONS[op.fn],
            "gating": _core.GATINGS[op.gating],
            "n_groups": op.n_groups,
            "n_groups_used": op.n_groups_used,
            "normalize": op.normalize,
            "weigh_first": op.weigh_first,
            "limited": _core.LIMITS[op.limited],
            "weight_scale": op.weight_scale,
            "limit": op.limit,
        }

    def _select(self, op: ops.Select) -> dict[str, Any]:
        return {"x": self._view(op.x), "out": self._view(op.out), "mean": op.mean}

    def _affine(self, op: Affine) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("x", "times", "addend", "out")}
        vectors = {name: self._vector(getattr(op, name)) for name in ("weight", "bias")}
        return views | vectors | {"scale": _number(op.scale)}

    def _softcap(self, op: ops.Softcap) -> dict[str, Any]:
        return {"x": self._view(op.x), "out": self._view(op.out), "cap": op.cap}

    def _dot(self, op: Dot) -> dict[str, Any]:
        return {name: self._view(getattr(op, name)) for name in ("x", "y", "out")}

    def _clamp(self, op: Clamp) -> dict[str, Any]:
        return {"x": self._view(op.x), "out": self._view(op.out), "low": op.low, "high": op.high}

    def _gather(self, op: ops.Gather) -> dict[str, Any]:
        fields = {name: getattr(op, name) for name in ("stride", "offset", "take")}
        return fields | {"x": self._view(op.x), "out": self._view(op.out)}

    def _gate(self, op: ops.Gate) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("x", "gate", "addend", "out")}
        return views | {"fn": _core.FUNCTIONS[op.fn]}

    def _conv(self, op: Conv) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("x", "times", "out")}
        return views | {
            "kernel": self._vector(op.kernel),
            "bias": self._vector(op.bias),
            "n_taps": op.n_taps,
            "fn": _core.FUNCTIONS[op.fn],
            "state": self._state(op.state),
        }

    def _delta(self, op: Delta) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("q", "k", "v", "out", "decay", "beta")}
        sizes = {name: getattr(op, name) for name in ("n_head", "n_key_head", "key_dim", "value_dim", "tiled")}
        vectors = {"rate": self._vector(op.rate), "dt": self._vector(op.dt)}
        return views | sizes | vectors | {"state": self._state(op.state)}

    def _scan(self, op: Scan) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("q", "k", "v", "out", "step")}
        sizes = {name: getattr(op, name) for name in ("n_head", "n_key_head", "key_dim", "value_dim")}
        vectors = {name: self._vector(getattr(op, name)) for name in ("rate", "dt", "skip")}
        return views | sizes | vectors | {"state": self._state(op.state)}

    def _dplr(self, op: Dplr) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("q", "w", "k", "a", "b", "v", "out")}
        sizes = {name: getattr(op, name) for name in ("n_head", "key_dim", "value_dim")}
        return views | sizes | {"state": self._state(op.state)}


def _number(value: float | Vector) -> float:
    return float(value.read()[0]) if isinstance(value, Vector) else value


_KINDS: dict[type[Op], str] = {
    ops.Embed: "embed",
    ops.RopeTable: "rope_table",
    Norm: "norm",
    Linear: "linear",
    Glu: "glu",
    ops.HeadLinear: "head_linear",
    ops.Rope: "rope",
    ops.KVStore: "kv_store",
    ops.Attention: "attention",
    Experts: "experts",
    ops.Select: "select",
    Affine: "affine",
    ops.Softcap: "softcap",
    ops.Gather: "gather",
    ops.Gate: "gate",
    Conv: "conv",
    Delta: "delta",
    Scan: "scan",
    Dplr: "dplr",
    Clamp: "clamp",
    Dot: "dot",
}
