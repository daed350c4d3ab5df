"""EmbeddingGemma (Google, 2025): a Gemma 3 that sees both ways."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_CONTEXT, Keys
from oxillama.models.params.rope import RopeScaling
from oxillama.models.params.windows import read_windows

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder

FULL_EVERY = 6
"""A constant of the architecture; files do not always state it."""


class GemmaEmbedding:
    """Every sixth layer sees the whole text, the others a window, with another base of rotation."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, causal=False)
        keys = Keys(gguf, architecture)
        require_whole_heads(keys, hparams.heads)
        window = keys.whole("attention.sliding_window", low=1, high=MAX_CONTEXT)
        base = keys.number("rope.freq_base_swa", 10000.0, low=1.001, high=1e30)
        return replace(
            hparams,
            windows=read_windows(keys, hparams.n_layer, window, full_every=FULL_EVERY),
            rope_sliding=RopeScaling(base=base, original_ctx=hparams.rope.original_ctx),
        )

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.embed(scale=math.sqrt(hp.n_embd))
        kinds = dict.fromkeys(map(hp.rope_of, range(hp.n_layer)))
        tables = {scaling: b.rope_table(hp.heads[0].n_rot, scaling) for scaling in kinds}
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            q, k, v = b.qkv(b.norm(x, prefix + "attn_norm"), prefix, shape)
            b.norm(q, prefix + "attn_q_norm", group=shape.key_dim, in_place=True)
            b.norm(k, prefix + "attn_k_norm", group=shape.key_dim, in_place=True)
            b.rope(q, k, tables[hp.rope_of(i)], "halves", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape, window=hp.windows[i]), shape.n_head)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.norm(b.linear(a, prefix + "attn_output", hp.n_embd), prefix + "post_attention_norm"), x)
            f = b.ffn(b.norm(x, prefix + "ffn_norm"), prefix, hp.n_ff[i], fn="gelu")
            x = b.add(b.norm(f, prefix + "post_ffw_norm"), x)
        b.vectors(b.norm(x, "output_norm"))
