"""Gemma 2 and 3: norms before and after attention and network, windows in most layers.

"Gemma 2: Improving Open Language Models at a Practical Size" (2024); "Gemma 3 Technical Report" (2025).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.heads import require_equal_dims
from oxillama.models.params.keys import MAX_CONTEXT, Keys
from oxillama.models.params.rope import read_sliding_base, unscaled
from oxillama.models.params.windows import read_windows

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


LEAST_CAP = 1e-3  # a smaller bound leaves nothing of scores or logits


def read_softcap(keys: Keys, key: str, default: float) -> float:
    """The bound of a soft cap; 0: none."""
    cap = keys.number(key, default, low=0.0, high=1e6)
    if 0 < cap < LEAST_CAP:
        keys.gguf.fail(keys.name(key), f"{cap:g} is neither 0 nor at least {LEAST_CAP:g}")
    return cap


class Gemma2:
    """Every second layer has a window; scores and logits are capped."""

    scaled_by_width = 46
    """How many layers a model has whose scores are divided by sqrt(n_embd / n_head), not by that of a head's width: the
    27B model's. Files do not state it."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams, keys = read_hparams(gguf, architecture), Keys(gguf, architecture)
        require_equal_dims(keys, hparams.heads)
        return self.slide(keys, hparams)

    def slide(self, keys: Keys, hparams: HParams) -> HParams:
        """Set the layers' windows, and how those with one rotate."""
        window = keys.whole("attention.sliding_window", 4096, low=1, high=MAX_CONTEXT)
        return replace(
            hparams,
            windows=read_windows(keys, hparams.n_layer, window, full_every=2),
            rope_sliding=replace(hparams.rope, base=read_sliding_base(keys, hparams.rope.base)),
        )

    def softcaps(self, keys: Keys) -> tuple[float, float]:
        """Of scores and of logits."""
        return (
            read_softcap(keys, "attn_logit_softcapping", 50.0),
            read_softcap(keys, "final_logit_softcapping", 30.0),
        )

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        """Normalise heads in place, before the rotation."""

    def build(self, b: Builder) -> None:
        hp = b.hparams
        score_cap, logit_cap = self.softcaps(Keys(b.gguf, hp.architecture))
        tables = b.rope_tables()
        x = b.embed(scale=math.sqrt(hp.n_embd))
        for i, shape in enumerate(hp.heads):
            prefix = f"blk.{i}."
            width = hp.n_embd // hp.heads[0].n_head if hp.n_layer == self.scaled_by_width else shape.key_dim
            q, k, v = b.qkv(b.norm(x, prefix + "attn_norm"), prefix, shape)
            self.norm_heads(b, q, k, prefix)
            b.rope(q, k, tables[i], "halves", shape.key_dim)
            cache = b.store(k, v, shape, window=hp.windows[i])
            a = b.attend(q, cache, shape.n_head, scale=1 / math.sqrt(max(width, 1)), softcap=score_cap)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.norm(b.linear(a, prefix + "attn_output", hp.n_embd), prefix + "post_attention_norm"), x)
            h = b.ffn(b.norm(x, prefix + "ffn_norm"), prefix, hp.n_ff[i], fn="gelu", scaled=False, biased=False)
            x = b.add(b.norm(h, prefix + "post_ffw_norm"), x)
        b.output(b.norm(x, "output_norm"), softcap=logit_cap)


class Gemma3(Gemma2):
    """Every sixth layer sees everything, and only these are stretched to longer contexts. Heads are RMS-normed."""

    scaled_by_width = 62

    def slide(self, keys: Keys, hparams: HParams) -> HParams:
        window = keys.whole("attention.sliding_window", 0, low=0, high=MAX_CONTEXT)
        if not window:
            return hparams
        return replace(
            hparams,
            windows=read_windows(keys, hparams.n_layer, window, full_every=6),
            rope_sliding=unscaled(hparams.rope, read_sliding_base(keys, 10000.0)),
        )

    def softcaps(self, keys: Keys) -> tuple[float, float]:
        return 0.0, read_softcap(keys, "final_logit_softcapping", 0.0)

    def norm_heads(self, b: Builder, q: View, k: View, prefix: str) -> None:
        group = b.hparams.heads[0].key_dim
        b.norm(q, prefix + "attn_q_norm", group=group, in_place=True)
        b.norm(k, prefix + "attn_k_norm", group=group, in_place=True)
