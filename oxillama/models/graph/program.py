"""From a Graph to the C core's program: ops that can share a pass are fused, values get slots of memory, names become
indices."""

from __future__ import annotations

from collections import Counter
from typing import Any

from oxillama.core import _core
from oxillama.models.graph import ops
from oxillama.models.graph.ops import Affine, Experts, Glu, Graph, Linear, Norm, Op, Value, Vector, View

# After these every thread has passed a barrier, so that memory may change its owner and its row layout.
_BARRIERS = (Linear, ops.Attention, Experts, ops.Select)


def fuse(graph: Graph) -> None:
    """Move norms and gated activations into the linear op that alone uses them, residual sums into their product."""
    uses = Counter(view.value for op in graph.ops for view in op.reads())
    for result in (graph.logits, graph.hidden):
        if result is not None:
            uses[result.value] += 1
    _fuse_prologues(graph, uses)
    _fuse_sums(graph, uses)


def _fuse_prologues(graph: Graph, uses: Counter[Value]) -> None:
    made_by = {id(op.out.value): op for op in graph.ops if isinstance(op, Norm | Glu)}
    for op in graph.ops:
        if not isinstance(op, Linear) or not op.x.whole or uses[op.x.value] != 1:
            continue
        maker = made_by.get(id(op.x.value))
        if maker is None or maker.x.value is maker.out.value or maker.outputs != op.outputs:
            continue
        if any(_written_between(graph, view.value, maker, op) for view in maker.reads()):
            continue
        op.prologue, op.x = maker, maker.x
        graph.ops.remove(maker)


def _fuse_sums(graph: Graph, uses: Counter[Value]) -> None:
    ready: dict[int, int] = {}  # value → index of the op that made it
    for index, op in enumerate(list(graph.ops)):
        if isinstance(op, Affine) and op.scale == 1.0 and op.times is None and op.addend is not None:
            for x, other in ((op.x, op.addend), (op.addend, op.x)):
                if _absorb_sum(graph, ready, uses, op, x, other):
                    graph.ops.remove(op)
                    break
        for view in op.writes():
            ready.setdefault(id(view.value), index)


def _absorb_sum(graph: Graph, ready: dict[int, int], uses: Counter[Value], op: Affine, x: View, other: View) -> bool:
    """Let the product that made x add `other` to it and write the sum where `op` would have."""
    if not (x.whole and op.out.whole) or uses[x.value] != 1 or x.value is other.value:
        return False
    for maker in reversed(graph.ops):
        target = _sum_target(maker, x)
        if target is None:
            continue
        # What is added must have been there, as it is now, before the product ran.
        if target.addend is not None or ready[id(other.value)] >= ready[id(x.value)] or maker.outputs != op.outputs:
            return False
        if _written_between(graph, other.value, maker, op) or _written_between(graph, x.value, maker, op):
            return False
        target.out, target.addend = op.out, other
        ready[id(op.out.value)] = ready[id(x.value)]
        return True
    return False


def _written_between(graph: Graph, value: Value, first: Op, last: Op) -> bool:
    """Whether an op after `first` and before `last` changes the value in place."""
    between = graph.ops[graph.ops.index(first) + 1 : graph.ops.index(last)]
    return any(view.value is value for op in between for view in op.writes())


def _sum_target(op: Op, x: View) -> ops.Part | Experts | None:
    if isinstance(op, Experts) and op.out.value is x.value:
        return op
    if isinstance(op, Linear):
        for part in op.parts:
            if part.out.value is x.value:
                return part
    return None


def assign_slots(graph: Graph) -> dict[Value, int]:
    """A slot of memory for every value. Two values share one when the first is dead before the second is born, with a
    barrier between: without one, a quick thread would write rows that a slow one has still to read."""
    last_use: dict[Value, int] = {}
    for index, op in enumerate(graph.ops):
        for view in (*op.reads(), *op.writes()):
            last_use[view.value] = index
    for result in (graph.logits, graph.hidden):
        if result is not None:
            last_use[result.value] = len(graph.ops)

    slots: dict[Value, int] = {}
    widths: list[int] = []
    free: list[int] = []
    cooling: list[int] = []
    for index, op in enumerate(graph.ops):
        for view in op.writes():
            if view.value not in slots:
                slots[view.value] = _take_slot(view.value.width, widths, free)
        if isinstance(op, _BARRIERS):
            free += cooling
            cooling = []
        dead = [v for v in {view.value: None for view in (*op.reads(), *op.writes())} if last_use[v] == index]
        cooling += [slots[value] for value in dead]
    return slots


def _take_slot(width: int, widths: list[int], free: list[int]) -> int:
    """The free slot whose width fits best; a new one when there is none."""
    if not free:
        widths.append(width)
        return len(widths) - 1
    best = min(free, key=lambda slot: abs(widths[slot] - width))
    free.remove(best)
    widths[best] = max(widths[best], width)
    return best


class Lowering:
    """Turns the ops of one graph into calls of the core's Program."""

    def __init__(self, graph: Graph, program: _core.Program) -> None:
        self.graph = graph
        self.program = program
        self._slots = assign_slots(graph)
        self._buffers: dict[Value, int] = {}
        self._matrices: dict[str, int] = {}
        self._caches: dict[ops.CacheLayer, int] = {}

    def run(self) -> None:
        for op in self.graph.ops:
            self.program.op(_KINDS[type(op)], op.outputs, getattr(self, "_" + _KINDS[type(op)])(op))
        assert self.graph.logits is not None
        assert self.graph.hidden is not None
        self.program.results(self._view(self.graph.logits), self._view(self.graph.hidden))

    @property
    def matrix_names(self) -> list[str]:
        """Tensor names of the program's matrices, in its order."""
        return list(self._matrices)

    def _view(self, view: View | None) -> dict[str, int]:
        if view is None:
            return {"buffer": -1, "column": 0, "width": 0}
        value = view.value
        if value not in self._buffers:
            self._buffers[value] = self.program.buffer(self._slots[value], value.width)
        return {"buffer": self._buffers[value], "column": view.column, "width": view.width}

    def _vector(self, vector: Vector | None) -> int:
        return -1 if vector is None else self.program.vector(vector.read())

    def _matrix(self, matrix: ops.Matrix) -> int:
        if matrix.name not in self._matrices:
            self._matrices[matrix.name] = self.program.matrix(matrix.name)
        return self._matrices[matrix.name]

    def _cache(self, cache: ops.CacheLayer) -> int:
        if cache not in self._caches:
            self._caches[cache] = self.program.cache(cache.n_head, cache.key_dim, cache.value_dim)
        return self._caches[cache]

    def _embed(self, op: ops.Embed) -> dict[str, Any]:
        return {"out": self._view(op.out), "table": self.program.table(op.table), "scale": op.scale}

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
            "scale": 1.0 if part.scale is None else float(part.scale.read()[0]),
            "out": self._view(part.out),
            "addend": self._view(part.addend),
        }

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
            "window": op.window,
            "slopes": self._vector(op.slopes),
            "sinks": self._vector(op.sinks),
            "scale": op.scale,
            "softcap": op.softcap,
            "temperature_scale": op.temperature_scale,
            "temperature_floor": op.temperature_floor,
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
            "weight_scale": op.weight_scale,
        }

    def _select(self, op: ops.Select) -> dict[str, Any]:
        return {"x": self._view(op.x), "out": self._view(op.out)}

    def _affine(self, op: Affine) -> dict[str, Any]:
        views = {name: self._view(getattr(op, name)) for name in ("x", "times", "addend", "out")}
        return views | {"scale": op.scale}

    def _softcap(self, op: ops.Softcap) -> dict[str, Any]:
        return {"x": self._view(op.x), "out": self._view(op.out), "cap": op.cap}


_KINDS: dict[type[Op], str] = {
    ops.Embed: "embed",
    ops.RopeTable: "rope_table",
    Norm: "norm",
    Linear: "linear",
    Glu: "glu",
    ops.Rope: "rope",
    ops.KVStore: "kv_store",
    ops.Attention: "attention",
    Experts: "experts",
    ops.Select: "select",
    Affine: "affine",
    ops.Softcap: "softcap",
}
