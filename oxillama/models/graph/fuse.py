"""Fuses ops that can share a pass over memory: norms, gated activations and residual sums move into products."""

from __future__ import annotations

from collections import Counter

from oxillama.models.graph.ops import Affine, Experts, Glu, Graph, Linear, Norm, Op, Part, Value, View


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
    ready: dict[int, int] = {}  # value → index of the op that computed it
    for index, op in enumerate(list(graph.ops)):
        if isinstance(op, Affine) and op.plain_sum and op.addend is not None:
            for x, other in ((op.x, op.addend), (op.addend, op.x)):
                if _absorb_sum(graph, ready, uses, op, x, other):
                    graph.ops.remove(op)
                    break
        for view in op.writes():
            ready.setdefault(id(view.value), index)


def _absorb_sum(graph: Graph, ready: dict[int, int], uses: Counter[Value], op: Affine, x: View, other: View) -> bool:
    """Let the product that computes x add `other` and write the sum to `op`'s output."""
    if not (x.whole and op.out.whole) or uses[x.value] != 1 or x.value is other.value:
        return False
    for maker in reversed(graph.ops):
        target = _sum_target(maker, x)
        if target is None:
            continue
        # The addend must have had its final value before the product ran.
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


def _sum_target(op: Op, x: View) -> Part | Experts | None:
    if isinstance(op, Experts) and op.out.value is x.value:
        return op
    if isinstance(op, Linear):
        for part in op.parts:
            if part.out.value is x.value:
                return part
    return None
