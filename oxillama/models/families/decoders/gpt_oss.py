"""gpt-oss: mixtures of experts with biases and a clamped SwiGLU, attention sinks, a window in every second layer.

"gpt-oss-120b & gpt-oss-20b Model Card" (2025).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import ExpertParams, require_experts
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_CONTEXT, MAX_FF, Keys
from oxillama.models.params.rope import read_sliding_base
from oxillama.models.params.windows import read_windows

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder


BIASED = ("attn_output", "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")


class GptOss:
    """Weights of experts are a softmax over the chosen ones. Layers with and without a window rotate alike."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams, keys = read_hparams(gguf, architecture), Keys(gguf, architecture)
        require_whole_heads(keys, hparams.heads)
        n, n_used = require_experts(keys)
        n_layer = hparams.n_layer
        window = keys.whole("attention.sliding_window", low=1, high=MAX_CONTEXT)
        return replace(
            hparams,
            windows=read_windows(keys, n_layer, window, full_every=2),
            rope_sliding=replace(hparams.rope, base=read_sliding_base(keys, hparams.rope.base)),
            experts=ExpertParams(
                n=n,
                n_used=n_used,
                n_ff=keys.per_layer("expert_feed_forward_length", n_layer, low=1, high=MAX_FF),
                gating="softmax_chosen",
                normalize=False,
            ),
        )

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.embed()
        tables = b.rope_tables()
        for i, shape in enumerate(hp.heads):
            prefix = f"blk.{i}."
            b.tensors.require(*(f"{prefix}{name}.bias" for name in BIASED))
            q, k, v = b.qkv(b.norm(x, prefix + "attn_norm"), prefix, shape)
            b.rope(q, k, tables[i], "halves", shape.key_dim)
            sinks = b.tensors.vector(f"{prefix}attn_sinks.weight", shape.n_head)
            a = b.attend(q, b.store(k, v, shape, window=hp.windows[i]), shape.n_head, sinks=sinks)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            h = b.norm(x, prefix + "post_attention_norm")
            x = b.add(b.moe(h, prefix, b.experts.n_ff[i], fn="swiglu_clamped", scaled=False), x)
        b.output(b.norm(x, "output_norm"), tied=False)
