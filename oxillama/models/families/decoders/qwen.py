"""Qwen 2 and 3: llama's block with another layout of the rotated pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


class Qwen2:
    """Biases on queries, keys and values; a scale beside a feed-forward matrix is not used."""

    ffn_scaled = False

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture)
        require_whole_heads(Keys(gguf, architecture), hparams.heads)
        return hparams

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        """Normalise heads in place, before the rotation."""

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot)
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            h = b.norm(x, prefix + "attn_norm")
            q, k, v = b.qkv(h, prefix, shape)
            self.norm_heads(b, q, k, prefix)
            b.rope(q, k, table, "halves", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape), shape.n_head)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            h = b.norm(x, prefix + "ffn_norm")
            x = b.add(b.ffn(h, prefix, hp.n_ff[i], scaled=self.ffn_scaled, biased=False), x)
        b.output(b.norm(x, "output_norm"))


class Qwen3(Qwen2):
    """Each head of queries and keys is RMS-normed before it is rotated."""

    ffn_scaled = True

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        group = b.hparams.heads[0].key_dim
        b.norm(q, prefix + "attn_q_norm", group=group, in_place=True)
        b.norm(k, prefix + "attn_k_norm", group=group, in_place=True)
        b.tensors.ignore("cls.output.weight")  # a reranker's head
