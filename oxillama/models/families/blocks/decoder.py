"""Describes the network of an architecture from its layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.families.blocks.layout import HeadNorms, Layout, Scales
from oxillama.models.families.blocks.network import Network
from oxillama.models.families.blocks.params import read_layout
from oxillama.models.families.blocks.positions import Positions
from oxillama.models.params.keys import Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View
    from oxillama.models.params.common import HParams


class Decoder:
    """Blocks of attention and a network, with the parts that the layout names."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        return read_layout(gguf, architecture, self.layout)

    def build(self, b: Builder) -> None:
        self.blocks(b).build()

    def blocks(self, b: Builder) -> Blocks:
        return Blocks(self.layout, b)


class Blocks(Positions, Network):
    """One network that is being described."""

    def __init__(self, layout: Layout, b: Builder) -> None:
        self.layout = layout
        self.b = b
        self.hp = b.hparams
        self.keys = Keys(b.gguf, self.hp.architecture)
        self.scales: Scales = layout.scales(self.keys, self.hp)
        self.parallel = layout.parallel
        if self.parallel == "stated":
            self.parallel = "own" if b.gguf.get_bool(self.keys.name("use_parallel_residual"), True) else None
        self.clamp = 0.0
        if layout.clamped is not None:
            default = 0.0 if layout.clamped == "optional" else None
            self.clamp = self.keys.number("attention.clamp_kqv", default, low=0.0, high=1e30)
        self.slopes = self.read_slopes()
        self.sections = self.read_sections()

    def build(self) -> None:
        b, hp = self.b, self.hp
        x = self.embed()
        tables = self.tables()
        for i in range(hp.n_layer):
            x = self.block(x, i, tables[i] if tables else None)
        b.output(
            self.norm(x, "output_norm"),
            scale=self.scales.logit,
            softcap=self.scales.logit_cap,
            biased=self.layout.logits_biased,
        )
        b.tensors.ignore_layers(hp.n_layer, hp.n_nextn)
        for name in self.layout.ignored:
            b.tensors.ignore(name)
            for i in range(hp.n_layer):
                b.tensors.ignore(f"blk.{i}.{name}")

    def embed(self) -> View:
        b = self.b
        x = b.embed(scale=self.scales.embedding)
        if self.layout.positions == "required" or (
            self.layout.positions == "optional" and b.tensors.has("position_embd.weight")
        ):
            x = b.add(x, b.embed_position())
        return self.norm(x, "token_embd_norm") if self.layout.embedding_norm else x

    def norm(self, x: View, name: str) -> View:
        b, norms = self.b, self.layout.norms
        if not norms.weighted:
            return b.norm(x, None, kind=norms.kind)
        if not b.tensors.has(f"{name}.weight") and b.tensors.has(name):  # PLaMo 3's files leave the ending out
            return b.norm(x, None, kind=norms.kind, weight=b.tensors.vector(name, x.width))
        return b.norm(x, name, kind=norms.kind)

    def block(self, x: View, i: int, table: View | None) -> View:
        b, norms, prefix = self.b, self.layout.norms, f"blk.{i}."
        h = x if norms.attention is None else self.norm(x, prefix + norms.attention)
        read, router = h, self.router(x, i)
        if norms.attention_2 is not None and b.tensors.has(f"{prefix}{norms.attention_2}.weight"):
            read = self.norm(x, prefix + norms.attention_2)
        a = self.attention(read, i, table)
        parallel = self.parallel
        if parallel is None and norms.ffn and norms.ffn_optional and not b.tensors.has(f"{prefix}{norms.ffn}.weight"):
            parallel = "same"
        if i == self.hp.n_layer - 1:
            x, a, h = b.select(x, a, h) if parallel == "same" else (*b.select(x, a), h)
            if router is not None:
                router = b.select(router)[0]
        a = self.attention_output(a, i)
        if norms.after_attention is not None:
            a = self.norm(a, prefix + norms.after_attention)
        if parallel is None:
            x = self.add(a, x)
            h = x if norms.ffn is None else self.norm(x, prefix + norms.ffn)
            return self.add(self._after(self.network(h, i, router), prefix), x)
        if parallel == "own":
            assert norms.ffn is not None
            h = self.norm(x, prefix + norms.ffn)
        return self.add(self._after(self.network(h, i), prefix), self.add(a, x))

    def _after(self, y: View, prefix: str) -> View:
        name = self.layout.norms.after_ffn
        return y if name is None else self.norm(y, prefix + name)

    def add(self, y: View, x: View) -> View:
        """What a part of the block adds to the stream x."""
        return self.b.affine(y, scale=self.scales.residual, addend=x)

    def attention(self, h: View, i: int, table: View | None) -> View:
        """What the heads found, side by side."""
        b, shape, norms = self.b, self.hp.heads[i], self.layout.head_norms
        prefix = f"blk.{i}."
        q, k, v = b.qkv(h, prefix, shape, scaled=self.layout.qkv_scaled)
        if self.clamp:
            for x in (q, k, v):
                b.clamp(x, -self.clamp, self.clamp)
        if norms is not None and not norms.after_rotation:
            self._norm_heads(q, k, prefix, i, norms)
        if table is not None and self.layout.rotation is not None:
            b.rope(q, k, table, "halves" if self.sections else self.layout.rotation.kind, shape.key_dim)
        if norms is not None and norms.after_rotation:
            self._norm_heads(q, k, prefix, i, norms)
        cache = b.store(k, v, shape, window=self.hp.windows[i])
        a = b.attend(
            q,
            cache,
            shape.n_head,
            scale=self.scales.attention or None,
            softcap=self.scales.score_cap,
            slopes=self.slopes[i] if self.slopes else None,
            sinks=b.tensors.vector(f"{prefix}attn_sinks.weight", shape.n_head) if self.layout.sinks else None,
        )
        return self.gated(h, a, i)

    def gated(self, h: View, a: View, i: int) -> View:
        """What the heads found, times the gate that reads the block's normed input."""
        b, name, shape = self.b, f"blk.{i}.attn_gate", self.hp.heads[i]
        if self.layout.gate is None or not b.tensors.has(f"{name}.weight"):
            return a
        rows = b.gguf.tensors[f"{name}.weight"].shape
        if len(rows) > 1 and rows[1] == a.width and a.width != shape.n_head:
            return b.glu(b.linears(h, [(name, a.width)], scaled=False)[0], a, self.layout.gate)
        return b.gate(a, b.linears(h, [(name, shape.n_head)], scaled=False)[0], fn=self.layout.gate)

    def attention_output(self, a: View, i: int) -> View:
        name, before = f"blk.{i}.attn_output", self.layout.norms.attention_output
        if before is not None:
            a = self.norm(a, f"blk.{i}.{before}")
        if not self.layout.output_biased:
            self.b.tensors.ignore(f"{name}.bias")
        return self.b.linears(a, [(name, self.hp.n_embd)], biased=self.layout.output_biased)[0]

    def _norm_heads(self, q: View, k: View, prefix: str, i: int, norms: HeadNorms) -> None:
        b, shape = self.b, self.hp.heads[i]
        for x, name, n in ((q, "attn_q_norm", shape.n_head), (k, "attn_k_norm", shape.n_kv)):
            if not norms.required and not b.tensors.has(f"{prefix}{name}.weight"):
                continue
            if norms.over == "each":
                weight = b.tensors.vector(f"{prefix}{name}.weight", x.width, (shape.key_dim, n))
                b.norm(x, None, kind=norms.kind, group=shape.key_dim, weight=weight, in_place=True)
            else:
                group = shape.key_dim if norms.over == "head" else x.width
                b.norm(x, prefix + name, kind=norms.kind, group=group, in_place=True)
