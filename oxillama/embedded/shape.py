"""The size of the demonstration model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The hyperparameters of a llama model whose output matrix is its embedding.

    Widths are multiples of 256, so that every weight format can store them. rope_pairs: how many pairs of a head's
    dimensions turn with the position, the fastest. The others see content alone, which helps to find a word again.
    """

    n_vocab: int = 4096
    n_layer: int = 6
    n_embd: int = 256
    n_ff: int = 512
    n_head: int = 4
    n_head_kv: int = 2
    n_ctx: int = 2048
    rope_base: float = 10000.0
    rope_pairs: int = 16
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
