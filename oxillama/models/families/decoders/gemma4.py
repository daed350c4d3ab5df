"""Gemma 4: layers with and without a window have heads of their own; later layers may reuse earlier keys and values.

Variants have an embedding for each layer, or a mixture of experts beside the dense network.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.core._core import MAX_HEAD_DIM
from oxillama.models.families.decoders.gemma import read_softcap
from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import ExpertParams
from oxillama.models.params.heads import HeadShape, check_width, read_rotated, require_equal_dims
from oxillama.models.params.keys import MAX_CONTEXT, MAX_FF, MAX_WIDTH, Keys
from oxillama.models.params.rope import read_sliding_base, unscaled
from oxillama.models.params.windows import read_windows

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import CacheLayer, View
    from oxillama.models.tensors import Vector


class Gemma4:
    """Scores are not scaled: queries and keys are RMS-normed, and so are values, without a weight.

    Only layers without a window rotate with the file's factors ("proportional" rope: some pairs stand still).
    """

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams, keys = read_hparams(gguf, architecture), Keys(gguf, architecture)
        window = keys.whole("attention.sliding_window", low=1, high=MAX_CONTEXT)
        windows = read_windows(keys, hparams.n_layer, window)
        experts = hparams.experts
        if experts is not None:
            n_ff = keys.per_layer("expert_feed_forward_length", hparams.n_layer, low=1, high=MAX_FF)
            experts = ExpertParams(n=experts.n, n_used=experts.n_used, n_ff=n_ff)
        return replace(
            hparams,
            heads=_heads(keys, hparams.heads, windows),
            windows=windows,
            rope_sliding=unscaled(hparams.rope, read_sliding_base(keys, 10000.0)),
            experts=experts,
        )

    def build(self, b: Builder) -> None:
        hp, keys = b.hparams, Keys(b.gguf, b.hparams.architecture)
        own = hp.n_layer - keys.whole("attention.shared_kv_layers", 0, low=0, high=hp.n_layer - 1)
        x = b.embed(scale=math.sqrt(hp.n_embd))
        inputs = _per_layer_inputs(b, keys, x)
        tables = b.rope_tables(_rope_factors(b))
        caches: dict[bool, CacheLayer] = {}  # the last of each kind: with a window, and without
        for i, shape in enumerate(hp.heads):
            prefix = f"blk.{i}."
            h = b.norm(x, prefix + "attn_norm")
            if i < own:
                q, caches[hp.windows[i] > 0] = _with_own_cache(b, h, i, tables[i])
            else:
                q = _with_shared_cache(b, h, i, tables[i])
                _check_shared(keys, i, shape, caches.get(hp.windows[i] > 0))
            a = b.attend(q, caches[hp.windows[i] > 0], shape.n_head, scale=1.0)
            per_layer = inputs[i] if inputs else None
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
                per_layer = b.select(per_layer)[0] if per_layer else None
            x = b.add(b.norm(b.linear(a, prefix + "attn_output", hp.n_embd), prefix + "post_attention_norm"), x)
            h = _network(b, x, i)
            scale = b.tensors.optional_vector(f"{prefix}layer_output_scale.weight", 1)
            if per_layer is None:
                x = _add_normed(b, x, h, prefix + "post_ffw_norm", scale)
                continue
            x = _add_normed(b, x, h, prefix + "post_ffw_norm", None)
            gated = b.glu(b.linear(x, prefix + "inp_gate", per_layer.width), per_layer, "gelu")
            x = _add_normed(b, x, b.linear(gated, prefix + "proj", hp.n_embd), prefix + "post_norm", scale)
        b.output(b.norm(x, "output_norm"), softcap=read_softcap(keys, "final_logit_softcapping", 30.0))


def _heads(keys: Keys, full: tuple[HeadShape, ...], windows: tuple[int, ...]) -> tuple[HeadShape, ...]:
    """Give the layers with a window heads of their own width."""
    key_dim = keys.whole("attention.key_length_swa", low=1, high=MAX_HEAD_DIM)
    value_dim = keys.whole("attention.value_length_swa", low=1, high=MAX_HEAD_DIM)
    if key_dim != value_dim:
        keys.gguf.fail(keys.name("attention.value_length_swa"), f"{value_dim} is not the key length {key_dim}")
    check_width(keys, tuple(shape.n_head for shape in full), key_dim)
    n_rot = read_rotated(keys, "rope.dimension_count_swa", full[0].n_rot, key_dim)
    require_equal_dims(keys, full)
    return tuple(
        HeadShape(shape.n_head, shape.n_kv, key_dim, value_dim, n_rot) if window else shape
        for shape, window in zip(full, windows, strict=True)
    )


def _rope_factors(b: Builder) -> Vector | None:
    """The divisors of frequencies in layers without a window, one for each pair of a whole head."""
    full = [shape for shape, window in zip(b.hparams.heads, b.hparams.windows, strict=True) if not window]
    if not full:
        b.tensors.ignore("rope_freqs.weight")
        return None
    shape = full[0]
    if shape.n_rot != shape.key_dim:
        key = f"{b.hparams.architecture}.rope.dimension_count"
        b.gguf.fail(key, f"{shape.n_rot} is not the head's {shape.key_dim} dimensions")
    return b.tensors.vector("rope_freqs.weight", shape.n_rot // 2)


def _per_layer_inputs(b: Builder, keys: Keys, x: View) -> list[View]:
    """What each layer gets of the token besides the stream: its own embedding, and a projection of the model's.

    Empty if the model has no such inputs.
    """
    hp = b.hparams
    n = keys.whole("embedding_length_per_layer_input", 0, low=0, high=MAX_WIDTH)
    if not n:
        return []
    width = n * hp.n_layer
    if width > MAX_WIDTH:
        b.gguf.fail(keys.name("embedding_length_per_layer_input"), f"{n} for {hp.n_layer} layers are too many")
    own = b.embed("per_layer_token_embd", width=width, scale=math.sqrt(n / 2))
    projected = b.affine(b.linear(x, "per_layer_model_proj", width), scale=1 / math.sqrt(hp.n_embd))
    weight = b.tensors.vector("per_layer_proj_norm.weight", n).scaled(math.sqrt(0.5))
    both = b.add(b.norm(projected, None, group=n, weight=weight, in_place=True), own)
    return [both.part(i * n, n) for i in range(hp.n_layer)]


def _with_own_cache(b: Builder, h: View, layer: int, table: View) -> tuple[View, CacheLayer]:
    """Queries, and a layer of the cache with the keys and values. Without a matrix for values they are the keys before
    norm and rotation."""
    prefix, shape = f"blk.{layer}.", b.hparams.heads[layer]
    n_q, n_kv = shape.n_head * shape.key_dim, shape.n_kv * shape.key_dim
    if b.tensors.has(f"{prefix}attn_qkv.weight") or b.tensors.has(f"{prefix}attn_v.weight"):
        q, k, v = b.qkv(h, prefix, shape)
        b.norm(v, None, group=shape.value_dim, in_place=True)
    else:
        q, k = b.linears(h, [(prefix + "attn_q", n_q), (prefix + "attn_k", n_kv)])
        v = b.norm(k, None, group=shape.value_dim)
    b.norm(q, prefix + "attn_q_norm", group=shape.key_dim, in_place=True)
    b.norm(k, prefix + "attn_k_norm", group=shape.key_dim, in_place=True)
    b.rope(q, k, table, "halves", shape.key_dim)
    return q, b.store(k, v, shape, window=b.hparams.windows[layer])


def _with_shared_cache(b: Builder, h: View, layer: int, table: View) -> View:
    """Queries only; matrices for keys and values may be there, and have no part in the computation."""
    prefix, shape = f"blk.{layer}.", b.hparams.heads[layer]
    n_q, n_kv = shape.n_head * shape.key_dim, shape.n_kv * shape.key_dim
    if b.tensors.has(f"{prefix}attn_qkv.weight"):
        q = b.first_rows(h, prefix + "attn_qkv", n_q, n_q + 2 * n_kv)
    else:
        q = b.linear(h, prefix + "attn_q", n_q)
    for name in ("attn_k", "attn_v", "attn_k_norm"):
        b.tensors.ignore(f"{prefix}{name}.weight")
    b.norm(q, prefix + "attn_q_norm", group=shape.key_dim, in_place=True)
    b.rope(q, None, table, "halves", shape.key_dim)
    return q


def _check_shared(keys: Keys, layer: int, shape: HeadShape, cache: CacheLayer | None) -> None:
    if cache is None:
        keys.gguf.fail(
            keys.name("attention.shared_kv_layers"), f"leaves layer {layer} no layer of its kind to share with"
        )
    if shape.n_head % cache.n_head:
        name = keys.name("attention.head_count_kv")
        keys.gguf.fail(name, f"{cache.n_head} shared key heads do not divide the {shape.n_head} heads of layer {layer}")


def _network(b: Builder, x: View, layer: int) -> View:
    """The dense network, and where the layer has a router, its experts beside it."""
    hp, prefix = b.hparams, f"blk.{layer}."
    dense = b.ffn(b.norm(x, prefix + "ffn_norm"), prefix, hp.n_ff[layer], fn="gelu", biased=False)
    if not b.tensors.has(f"{prefix}ffn_gate_inp.weight"):
        return dense
    weight = b.tensors.vector(f"{prefix}ffn_gate_inp.scale", hp.n_embd).scaled(1 / math.sqrt(hp.n_embd))
    logits = b.linear(b.norm(x, None, weight=weight), prefix + "ffn_gate_inp", b.experts.n, scaled=False, biased=False)
    h = b.norm(x, prefix + "pre_ffw_norm_2")
    mixed = b.moe(h, prefix, b.experts.n_ff[layer], fn="gelu", logits=logits)
    return b.add(b.norm(dense, prefix + "post_ffw_norm_1"), b.norm(mixed, prefix + "post_ffw_norm_2"))


def _add_normed(b: Builder, x: View, y: View, norm: str, scale: Vector | None) -> View:
    """(x + norm(y)) * scale."""
    return b.affine(x, scale=1.0 if scale is None else scale, addend=b.norm(y, norm, scale=scale))
