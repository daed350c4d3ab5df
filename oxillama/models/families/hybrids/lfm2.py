"""LFM2 (Liquid AI, 2025): short gated convolutions, and attention in some layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import read_mixture
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_CONTEXT, Keys
from oxillama.models.params.recurrent import read_taps

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


class LFM2:
    """Layers without key heads are convolutions of b * x, gated by c. Scales beside their matrices are not used."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, least_kv=0)
        keys = Keys(gguf, architecture)
        require_whole_heads(keys, hparams.heads)
        read_taps(keys, "shortconv.l_cache")
        window = keys.whole("attention.sliding_window", 0, low=0, high=MAX_CONTEXT)
        return replace(hparams, windows=tuple(window if shape.n_kv else 0 for shape in hparams.heads))

    def build(self, b: Builder) -> None:
        hp = b.hparams
        n_taps = read_taps(Keys(b.gguf, hp.architecture), "shortconv.l_cache")
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot)
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            h = b.norm(x, prefix + "attn_norm")
            if hp.heads[i].n_kv:
                y, out, scaled = self.attention(b, h, i, table), "attn_output", True
            else:
                y, out, scaled = self.convolution(b, h, prefix, n_taps), "shortconv.out_proj", False
            if i == hp.n_layer - 1:
                x, y = b.select(x, y)
            x = b.add(b.linear(y, prefix + out, hp.n_embd, scaled=scaled, biased=False), x)
            x = b.add(self.ffn(b, b.norm(x, prefix + "ffn_norm"), i), x)
        b.output(b.norm(x, "token_embd_norm"))

    def attention(self, b: Builder, h: View, i: int, table: View) -> View:
        shape, prefix = b.hparams.heads[i], f"blk.{i}."
        q, k, v = b.qkv(h, prefix, shape)
        b.norm(q, prefix + "attn_q_norm", group=shape.key_dim, in_place=True)
        b.norm(k, prefix + "attn_k_norm", group=shape.key_dim, in_place=True)
        b.rope(q, k, table, "halves", shape.key_dim)
        return b.attend(q, b.store(k, v, shape, window=b.hparams.windows[i]), shape.n_head)

    def convolution(self, b: Builder, h: View, prefix: str, n_taps: int) -> View:
        n = b.hparams.n_embd
        bcx = b.linear(h, prefix + "shortconv.in_proj", 3 * n, scaled=False, biased=False)
        y = b.short_conv(bcx.part(0, n), prefix + "shortconv.conv", n_taps, times=bcx.part(2 * n, n))
        return b.glu(y, bcx.part(n, n), "none")

    def ffn(self, b: Builder, h: View, i: int) -> View:
        return b.ffn(h, f"blk.{i}.", b.hparams.n_ff[i], scaled=False, biased=False)


class LFM2MoE(LFM2):
    """LFM2 with a mixture of experts after the first layers."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = super().hparams(gguf, architecture)
        keys = Keys(gguf, architecture)
        keys.whole("expert_gating_func", low=1, high=255)
        experts = replace(read_mixture(keys, hparams.n_layer, gating="sigmoid"), normalize=True)
        return replace(hparams, windows=(0,) * hparams.n_layer, experts=experts)

    def ffn(self, b: Builder, h: View, i: int) -> View:
        hp = b.hparams
        n_dense = Keys(b.gguf, hp.architecture).whole("leading_dense_block_count", 0, low=0, high=hp.n_layer)
        if i < n_dense:
            return super().ffn(b, h, i)
        assert hp.experts is not None
        bias = b.tensors.vector(f"blk.{i}.exp_probs_b.bias", hp.experts.n)
        return b.moe(h, f"blk.{i}.", hp.experts.n_ff[i], selection_bias=bias, scaled=False)
