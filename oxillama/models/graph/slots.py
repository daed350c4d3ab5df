"""Assigns memory to values by liveness: two values that are never alive together share a slot."""

from __future__ import annotations

from oxillama.models.graph.ops import Attention, Experts, Graph, HeadLinear, Linear, Select, Value
from oxillama.models.graph.recurrent_ops import Conv, Delta, Dplr, Scan

# After these ops every thread has passed a barrier, so memory may change its owner and its row layout.
_BARRIERS = (Linear, HeadLinear, Attention, Experts, Select, Conv, Delta, Scan, Dplr)


def assign_slots(graph: Graph) -> dict[Value, int]:
    """A slot of memory for every value. Two values share one if the first dies before the second is created, with a
    barrier in between. Without the barrier a fast thread would overwrite rows that a slow one has yet to read."""
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
    """The free slot whose width fits best; a new one if none is free."""
    if not free:
        widths.append(width)
        return len(widths) - 1
    best = min(free, key=lambda slot: abs(widths[slot] - width))
    free.remove(best)
    widths[best] = max(widths[best], width)
    return best
