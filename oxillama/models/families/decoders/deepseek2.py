"""DeepSeek 2 and 3 and the models that use their network: attention over latents, and a mixture of experts.

DeepSeek-AI, "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model" (2024), section 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oxillama.errors import ModelUnsupportedError
from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import read_mixture
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_CONTEXT, MAX_LAYERS, MAX_WIDTH, Keys
from oxillama.models.params.latent import LatentShape, read_latent

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View

# GLM-4.7-Flash does not state its gating. It is known by its layers, NextN ones counted or not, and its vocabulary.
GLM_LAYERS, GLM_VOCABULARY = (47, 48), 154880


class Blocks(ABC):
    """Pre-norm blocks. The first have a gated SiLU network, the others a mixture of experts, some for every token."""

    rotates = True
    """Whether some columns of queries and keys rotate."""
    scaled = True
    """Whether to use the ".scale" beside the matrix of the queries and that of the latents, or to ignore it."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, nextn=True)
        keys = Keys(gguf, architecture)
        if leading(keys) >= hparams.n_layer:
            return replace(hparams, experts=None)
        glm = hparams.n_layer in GLM_LAYERS and hparams.n_vocab == GLM_VOCABULARY
        gating = "sigmoid" if glm else "softmax"
        return replace(hparams, experts=read_mixture(keys, hparams.n_layer + hparams.n_nextn, gating=gating))

    @abstractmethod
    def attention(self, b: Builder, h: View, prefix: str, table: View | None, layer: int) -> View:
        """What the heads found, side by side."""

    def build(self, b: Builder) -> None:
        hp = b.hparams
        lead = leading(Keys(b.gguf, hp.architecture))
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot) if self.rotates else None
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            a = self.attention(b, b.norm(x, prefix + "attn_norm"), prefix, table, i)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(self.attention_output(b, a, prefix, i), x)
            h = b.norm(x, prefix + "ffn_norm")
            x = self.dense(b, h, x, prefix, i) if i < lead else self.mixture(b, h, x, prefix, i)
        b.output(b.norm(x, "output_norm"))
        b.tensors.ignore_layers(hp.n_layer, hp.n_nextn)

    def attention_output(self, b: Builder, a: View, prefix: str, layer: int) -> View:
        return b.linear(a, prefix + "attn_output", b.hparams.n_embd)

    def dense(self, b: Builder, h: View, x: View, prefix: str, layer: int) -> View:
        return b.add(b.ffn(h, prefix, b.hparams.n_ff[layer], scaled=False, biased=False), x)

    def mixture(self, b: Builder, h: View, x: View, prefix: str, layer: int) -> View:
        """x, what the chosen experts add, and what those for every token add, which are one network."""
        experts = b.experts
        if experts.n_ff_shared:
            x = b.add(b.ffn(h, prefix, experts.n_ff_shared, scaled=False, biased=False, suffix="_shexp"), x)
        bias = b.tensors.optional_vector(f"{prefix}exp_probs_b.bias", experts.n)
        return b.add(b.moe(h, prefix, experts.n_ff[layer], selection_bias=bias, scaled=False), x)


class DeepSeek2(Blocks):
    """With attention over latents (MLA)."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = super().hparams(gguf, architecture)
        keys = Keys(gguf, architecture)
        read_latent(keys, hparams.heads)
        if yarn_multiplier(keys, hparams):
            # The rotated values keep their size, and all scores are multiplied instead.
            return replace(hparams, rope=replace(hparams.rope, log_multiplier=1.0))
        return hparams

    def attention(self, b: Builder, h: View, prefix: str, table: View | None, layer: int) -> View:
        shape = b.hparams.heads[layer]
        latent = read_latent(Keys(b.gguf, b.hparams.architecture), (shape,))
        q, latents = self._queries_and_latents(b, h, prefix, shape.n_head, latent)
        compressed = b.norm(latents.part(0, latent.rank), prefix + "attn_kv_a_norm", in_place=True)
        options = self._options(b, latent)
        if latent.absorbed:
            q = b.head_linear(q, prefix + "attn_k_b", shape.n_head, latent.rank, latent.plain)
            if table is not None:
                b.rope(q, latents, table, "pairs", shape.key_dim, offset=latent.rank)
            a = b.attend(q, b.store(latents, compressed, shape), shape.n_head, **options)
            return b.head_linear(a, prefix + "attn_v_b", shape.n_head, latent.value, latent.rank)
        if table is not None:
            b.rope(q, None, table, "pairs", shape.key_dim, offset=latent.plain)
            b.rope(latents, None, table, "pairs", latents.width, offset=latent.rank)
        rows = {"of_rows": latent.plain + latent.value, "n_cols": latent.rank}
        k = b.head_rows(latents, prefix + "attn_kv_b", shape.n_head, 0, latent.plain, **rows)
        v = b.head_rows(compressed, prefix + "attn_kv_b", shape.n_head, latent.plain, latent.value, **rows)
        return b.attend(q, b.store(k, v, shape), shape.n_head, **options)

    def _queries_and_latents(
        self, b: Builder, h: View, prefix: str, n_head: int, latent: LatentShape
    ) -> tuple[View, View]:
        """Queries of all heads, from h or from a latent of their own, and the latent with the shared key."""
        kv = (prefix + "attn_kv_a_mqa", latent.rank + latent.n_rot)
        n_q = n_head * (latent.plain + latent.n_rot)
        if b.tensors.has(f"{prefix}attn_q.weight"):
            q, latents = b.linears(h, [(prefix + "attn_q", n_q), kv], scaled=self.scaled)
            return q, latents
        rank = Keys(b.gguf, b.hparams.architecture).whole("attention.q_lora_rank", low=1, high=MAX_WIDTH)
        q, latents = b.linears(h, [(prefix + "attn_q_a", rank), kv])
        return b.linear(b.norm(q, prefix + "attn_q_a_norm"), prefix + "attn_q_b", n_q), latents

    def _options(self, b: Builder, latent: LatentShape) -> dict[str, Any]:
        """The attention's scale, and how queries sharpen with their position."""
        keys = Keys(b.gguf, b.hparams.architecture)
        rope = b.hparams.rope
        sharpening = rope.attention_factor * (1.0 + yarn_multiplier(keys, b.hparams) * math.log(rope.factor))
        scale = keys.number("attention.temperature_scale", 0.0, low=-1e3, high=1e3)
        floor = keys.whole("attention.temperature_length", low=1, high=MAX_CONTEXT) if scale else 0
        return {
            "scale": sharpening**2 / math.sqrt(latent.plain + latent.n_rot),
            "temperature": (scale, floor),
        }


class DeepSeek2OCR(Blocks):
    """With plain attention, for the text decoder of DeepSeek-OCR."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = super().hparams(gguf, architecture)
        keys = Keys(gguf, architecture)
        require_whole_heads(keys, hparams.heads)
        if hparams.rope.kind != "none":
            raise ModelUnsupportedError(
                f"{gguf.path}: key '{keys.name('rope.scaling.type')}': {hparams.rope.kind!r} is not supported here"
            )
        return hparams

    def attention(self, b: Builder, h: View, prefix: str, table: View | None, layer: int) -> View:
        shape = b.hparams.heads[layer]
        q, k, v = b.qkv(h, prefix, shape)
        assert table is not None
        b.rope(q, k, table, "halves", shape.key_dim)
        return b.attend(q, b.store(k, v, shape), shape.n_head)


def leading(keys: Keys) -> int:
    """How many layers come before those with experts."""
    return keys.whole("leading_dense_block_count", 0, low=0, high=MAX_LAYERS)


def yarn_multiplier(keys: Keys, hparams: HParams) -> float:
    """What YaRN multiplies the scores with is 1 + this * log(factor), squared; 0: the rotated values grow instead."""
    if hparams.rope.kind != "yarn":
        return 0.0
    return keys.number("rope.scaling.yarn_log_multiplier", 0.0, low=-100.0, high=100.0)
