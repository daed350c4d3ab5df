"""ModernBERT (Warner et al., 2024): norms before each block, rotary positions, windows in two of three layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.errors import ModelUnsupportedError
from oxillama.models.params.common import LAYER_EPSILON, HParams, read_hparams
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import MAX_CONTEXT, Keys
from oxillama.models.params.rope import RopeScaling
from oxillama.models.params.windows import PATTERN

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder

ACTIVATIONS = ("gelu", "silu")


class ModernBert:
    """The first of every few layers sees the whole text, the others a window, with another base of rotation."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, causal=False, epsilon=LAYER_EPSILON)
        keys = Keys(gguf, architecture)
        require_whole_heads(keys, hparams.heads)
        window = keys.whole("attention.sliding_window", low=1, high=MAX_CONTEXT)
        base = keys.number("rope.freq_base_swa", 10000.0, low=1.001, high=1e30)
        return replace(
            hparams,
            windows=_windows(keys, hparams.n_layer, window),
            rope_sliding=RopeScaling(base=base, original_ctx=hparams.rope.original_ctx),
        )

    def build(self, b: Builder) -> None:
        hp = b.hparams
        fn = _activation(b)
        x = b.norm(b.embed(), "token_embd_norm", kind="layer")
        kinds = dict.fromkeys(map(hp.rope_of, range(hp.n_layer)))
        tables = {scaling: b.rope_table(hp.heads[0].n_rot, scaling) for scaling in kinds}
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            # The embeddings' norm is that of the first layer too.
            h = x if i == 0 else b.norm(x, prefix + "attn_norm", kind="layer")
            q, k, v = b.qkv(h, prefix, shape)
            b.rope(q, k, tables[hp.rope_of(i)], "halves", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape, window=hp.windows[i]), shape.n_head)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            h = b.norm(x, prefix + "ffn_norm", kind="layer")
            both = b.linear(h, prefix + "ffn_up", 2 * hp.n_ff[i])  # the activated half, then its factors
            gated = b.glu(both.part(0, hp.n_ff[i]), both.part(hp.n_ff[i], hp.n_ff[i]), fn)
            x = b.add(b.linear(gated, prefix + "ffn_down", hp.n_embd), x)
        b.vectors(b.norm(x, "output_norm", kind="layer"), head_fn="gelu")


def _windows(keys: Keys, n_layer: int, window: int) -> tuple[int, ...]:
    """An array says which layers have the window; a number n (3 by default): all but layers 0, n, 2n, …"""
    name = keys.name(PATTERN)
    kind = keys.gguf.metadata_types.get(name, "")
    if kind.startswith("arr"):
        values = keys.gguf.require_array(name, kind="bool" if kind == "arr[bool]" else "integer", length=n_layer)
        return tuple(window if slides else 0 for slides in values)
    every = keys.whole(PATTERN, 3, low=1, high=MAX_CONTEXT)
    return tuple(window if i % every else 0 for i in range(n_layer))


def _activation(b: Builder) -> str:
    key = f"{b.hparams.architecture}.hidden_activation"
    name = b.gguf.get_str(key, "gelu")
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ModelUnsupportedError(f"{b.gguf.path}: key '{key}': {name[:40]!r} is not one of {known}")
    return name
