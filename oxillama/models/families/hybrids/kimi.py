"""Kimi Linear (Kimi Team, 2025): delta attention that decays by columns, and latents without rotation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from oxillama.models.families.decoders.deepseek2 import DeepSeek2, leading
from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import read_mixture
from oxillama.models.params.heads import HeadShape
from oxillama.models.params.keys import MAX_WIDTH, Keys
from oxillama.models.params.latent import read_latent
from oxillama.models.params.recurrent import MAX_STATE, read_taps, state_floats
from oxillama.models.tensors import Vector

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


class KimiLinear(DeepSeek2):
    """Layers without key heads have delta attention. Scales beside its matrices are not used."""

    rotates = False
    scaled = False

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams, keys = read_hparams(gguf, architecture, nextn=True, least_kv=0), Keys(gguf, architecture)
        attending = tuple(shape for shape in hparams.heads if shape.n_kv)
        if attending:
            read_latent(keys, attending)
        read_taps(keys, "ssm.conv_kernel")
        _delta_dim(keys, hparams.heads)
        if leading(keys) >= hparams.n_layer:
            return replace(hparams, experts=None)
        experts = read_mixture(keys, hparams.n_layer + hparams.n_nextn, gating="sigmoid")
        return replace(hparams, experts=replace(experts, normalize=True))

    def attention(self, b: Builder, h: View, prefix: str, table: View | None, layer: int) -> View:
        if b.hparams.heads[layer].n_kv:
            return super().attention(b, h, prefix, table, layer)
        keys = Keys(b.gguf, b.hparams.architecture)
        n_head, dim = b.hparams.heads[0].n_head, _delta_dim(keys, b.hparams.heads)
        width, n_taps = n_head * dim, read_taps(keys, "ssm.conv_kernel")
        for name in ("attn_q.bias", "attn_k.bias", "attn_v.bias"):
            b.tensors.ignore(prefix + name)
        matrices = [(f"{prefix}attn_{name}", width) for name in "qkv"]
        small = [(f"{prefix}ssm_f_a", dim), (f"{prefix}ssm_g_a", dim), (f"{prefix}ssm_beta", n_head)]
        *qkv, f, g, beta = b.linears(h, [*matrices, *small], scaled=False, biased=False)
        q, k, v = (
            b.short_conv(x, f"{prefix}ssm_conv1d_{name}", n_taps, fn="silu") for x, name in zip(qkv, "qkv", strict=True)
        )
        b.unit_vectors(q, dim, (dim**-0.5,))
        b.unit_vectors(k, dim, (1.0,))
        decay = _decay(b, f, prefix, n_head, dim)
        beta = b.glu(beta, None, "sigmoid")
        views = {
            "q": q,
            "w": decay,
            "k": k,
            "a": b.glu(k, decay, "none"),
            "b": b.affine(b.gate(k, beta, fn="none"), scale=-1.0),
            "v": b.gate(v, beta, fn="none"),
        }
        y = b.norm(b.dplr(views, n_head, dim, dim), prefix + "ssm_norm", group=dim, in_place=True)
        gate = b.linears(g, [(prefix + "ssm_g_b", width)], scaled=False, biased=False)[0]
        return b.glu(gate, y, "sigmoid")

    def attention_output(self, b: Builder, a: View, prefix: str, layer: int) -> View:
        scaled = b.hparams.heads[layer].n_kv > 0
        return b.linears(a, [(prefix + "attn_output", b.hparams.n_embd)], scaled=scaled)[0]


def _delta_dim(keys: Keys, heads: tuple[HeadShape, ...]) -> int:
    """Columns of a head of delta attention, which has as many heads as the first layer."""
    dim = keys.whole("kda.head_dim", low=1, high=MAX_WIDTH)
    n_head = heads[0].n_head
    if not n_head:
        keys.gguf.fail(keys.name("attention.head_count"), "is 0 in the first layer, which states that of all")
    if n_head * dim > MAX_WIDTH or state_floats(n_head, dim, dim) > MAX_STATE:
        keys.gguf.fail(keys.name("kda.head_dim"), f"{n_head} heads of {dim} are too many")
    return dim


def _decay(b: Builder, f: View, prefix: str, n_head: int, dim: int) -> View:
    """e^(rate * softplus(f + dt)) of every column; the rates are those of heads."""
    name = f"{prefix}ssm_a"
    rate = b.tensors.vector(name, n_head, (1, n_head))
    rates = Vector(n_head * dim, lambda: np.repeat(rate.read(), dim))
    dt = b.tensors.vector(f"{prefix}ssm_dt.bias", n_head * dim)
    x = b.linears(f, [(prefix + "ssm_f_b", n_head * dim)], scaled=False, biased=False)[0]
    return b.glu(b.affine(b.glu(b.affine(x, bias=dt), None, "softplus"), times=rates), None, "exp")
