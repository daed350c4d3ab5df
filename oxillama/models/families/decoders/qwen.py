"""Qwen 2 and 3, and the latter's mixture of experts: llama's block with another layout of the rotated pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import ExpertParams, require_experts
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_FF, Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


class Qwen2:
    """Biases on queries, keys and values; a scale beside a feed-forward matrix is not used."""

    ffn_scaled = False

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, causal=None)
        require_whole_heads(Keys(gguf, architecture), hparams.heads)
        return hparams

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        """Normalise heads in place, before the rotation."""

    def network(self, b: Builder, h: View, prefix: str, layer: int) -> View:
        return b.ffn(h, prefix, b.hparams.n_ff[layer], scaled=self.ffn_scaled, biased=False)

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
            x = b.add(self.network(b, h, prefix, i), x)
        b.output(b.norm(x, "output_norm"))


class Qwen3(Qwen2):
    """Each head of queries and keys is RMS-normed before it is rotated."""

    ffn_scaled = True

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = super().hparams(gguf, architecture)
        # The scores of a reranker are the probabilities of its labels.
        return replace(hparams, pooling=replace(hparams.pooling, softmax=True))

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        group = b.hparams.heads[0].key_dim
        b.norm(q, prefix + "attn_q_norm", group=group, in_place=True)
        b.norm(k, prefix + "attn_k_norm", group=group, in_place=True)
        if b.hparams.pooling.kind != "rank":
            b.tensors.ignore("cls.output.weight")  # a reranker's head


class Qwen3Moe(Qwen3):
    """Qwen 3 with a mixture of experts in every layer."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams, keys = super().hparams(gguf, architecture), Keys(gguf, architecture)
        n, n_used = require_experts(keys)
        derived = tuple(max(1, n_ff // n_used) for n_ff in hparams.n_ff)
        n_ff = keys.per_layer("expert_feed_forward_length", hparams.n_layer, derived, low=1, high=MAX_FF)
        return replace(hparams, experts=ExpertParams(n=n, n_used=n_used, n_ff=n_ff))

    def network(self, b: Builder, h: View, prefix: str, layer: int) -> View:
        return b.moe(h, prefix, b.experts.n_ff[layer])
