"""SmolLM3: llama's block, but every fourth layer has no rotation ("Rope to Nope", Yang et al., 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder

UNROTATED_EVERY = 4
"""A constant of the architecture; files do not state it."""


class SmolLM3:
    """Grouped-query attention and a gated SiLU network, which ignores a scale beside a matrix."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture)
        require_whole_heads(Keys(gguf, architecture), hparams.heads)
        return hparams

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot)
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            h = b.norm(x, prefix + "attn_norm")
            q, k, v = b.qkv(h, prefix, shape)
            if (i + 1) % UNROTATED_EVERY:
                b.rope(q, k, table, "pairs", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape), shape.n_head)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            h = b.norm(x, prefix + "ffn_norm")
            x = b.add(b.ffn(h, prefix, hp.n_ff[i], scaled=False, biased=False), x)
        b.output(b.norm(x, "output_norm"))
