"""How much memory sequences of a model take: keys and values by class of layers, and recurrent states."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.core._core import PAGE_TOKENS, cache_head_bytes, state_blocks, window_pages
from oxillama.models.graph.ops import State

if TYPE_CHECKING:
    from oxillama.models.graph.ops import Graph

DEFAULT_BATCH = 512
"""The most tokens of a step."""

STATE_ALIGNMENT = 64
"""Each state of a block begins on a cache line."""


@dataclass(frozen=True, slots=True)
class SequenceMemory:
    """page_bytes: window in tokens → bytes of a page of the layers that have it; 0: no window. state_bytes: of a block
    of all recurrent states; 0: the model has none."""

    page_bytes: dict[int, int]
    state_bytes: int

    def of(self, *, n_pages: int, n_batch: int, n_active: int, n_saved: int) -> Use:
        """What a runner of these sizes allocates."""
        cache = {
            window: size * window_pages(window, n_pages, n_batch, n_active, n_saved)
            for window, size in self.page_bytes.items()
        }
        states = self.state_bytes * state_blocks(n_active, n_saved) if self.state_bytes else 0
        return Use(cache[0], sum(cache.values()) - cache[0], states)


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes: of keys and values of layers that see everything, of those with a window, and of recurrent states."""

    cache: int
    windows: int
    states: int

    @property
    def total(self) -> int:
        return self.cache + self.windows + self.states


def sequence_memory(graph: Graph, cache_type: str) -> SequenceMemory:
    """What sequences of a model take with keys and values of a type."""
    pages = {0: 0}
    for layer in graph.cache_layers():
        size = layer.n_head * cache_head_bytes(cache_type, layer.key_dim, layer.value_dim, layer.shared)
        pages[layer.window] = pages.get(layer.window, 0) + size
    states = {id(state): state for op in graph.ops if isinstance(state := getattr(op, "state", None), State)}
    sizes = (-(-4 * state.n_floats // STATE_ALIGNMENT) * STATE_ALIGNMENT for state in states.values())
    return SequenceMemory(pages, sum(sizes))


def bytes_per_token(memory: SequenceMemory) -> int:
    """What a sequence takes more for each token, however long it is."""
    return memory.page_bytes[0] // PAGE_TOKENS


def largest(most: int, size: Callable[[int], int], room: int) -> int:
    """The largest n from 0 to `most` with size(n) <= room; size must not fall. 0 if there is none."""
    return max(0, bisect_right(range(most + 1), room, key=size) - 1)
