"""Llama 4 (Meta, 2025): attention in chunks, and in every fourth layer over everything, without rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.families.blocks.decoder import Blocks, Decoder
from oxillama.models.families.blocks.layout import Layout, Mixture, Rotation, Windows

if TYPE_CHECKING:
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View

CHUNK = 8192
TEMPERATURE = (0.1, CHUNK)
UNNORMED_EXPERTS = 128
"""So many experts has the model whose heads are not normed. Files do not state it."""

LAYOUT = Layout(
    rotation=Rotation(kind="pairs", factors=True, unrotated=(4, 3)),
    windows=Windows(full_every=4, default=CHUNK, fixed=True),
    mixture=Mixture(gating="sigmoid", normalize=False, shared="plain", always_shared=True, weigh_first=True),
)


class Llama4(Decoder):
    """Weights multiply what experts read. Rotated heads are normed without weights, others sharpen with position."""

    def __init__(self) -> None:
        super().__init__(LAYOUT)

    def blocks(self, b: Builder) -> Blocks:
        return Llama4Blocks(self.layout, b)


class Llama4Blocks(Blocks):
    """A file that states a window of 0 has no chunks: all layers see everything and are rotated."""

    def attention(self, h: View, i: int, table: View | None) -> View:
        b, shape, hp = self.b, self.hp.heads[i], self.hp
        q, k, v = b.qkv(h, f"blk.{i}.", shape)
        if table is not None:
            b.rope(q, k, table, "pairs", shape.key_dim)
            if hp.experts is None or hp.experts.n != UNNORMED_EXPERTS:
                b.norm(q, None, group=shape.key_dim, in_place=True)
                b.norm(k, None, group=shape.key_dim, in_place=True)
        sharpens = table is None and any(hp.windows)
        return b.attend(
            q,
            b.store(k, v, shape, window=hp.windows[i]),
            shape.n_head,
            temperature=TEMPERATURE if sharpens else (0.0, 0),
            temperature_offset=int(sharpens),
            chunked=hp.windows[i] > 0,
        )

    def unrotated(self, i: int) -> bool:
        return any(self.hp.windows) and super().unrotated(i)
