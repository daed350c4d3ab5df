"""Describes the network of an architecture from its layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oxillama.models.families.blocks.layout import HeadNorms, Layout, Scales
from oxillama.models.families.blocks.params import read_layout
from oxillama.models.params.keys import MAX_LAYERS, MAX_WIDTH, Keys
from oxillama.models.params.rope import read_sections, unrotated_in_text
from oxillama.models.tensors import Vector

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
        if self.layout.state_space is None:
            Blocks(self.layout, b).build()
            return
        from oxillama.models.families.blocks.hybrid import HybridBlocks

        HybridBlocks(self.layout, b).build()


class Blocks:
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
        self.slopes = self._slopes()
        self.sections = self._sections()

    def build(self) -> None:
        b, hp = self.b, self.hp
        x = self.embed()
        tables = self._tables()
        for i in range(hp.n_layer):
            x = self.block(x, i, tables[i] if tables else None)
        b.output(self.norm(x, "output_norm"), scale=self.scales.logit, biased=self.layout.logits_biased)
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
        read = h
        if norms.attention_2 is not None and b.tensors.has(f"{prefix}{norms.attention_2}.weight"):
            read = self.norm(x, prefix + norms.attention_2)
        a = self.attention(read, i, table)
        parallel = self.parallel
        if parallel is None and norms.ffn and norms.ffn_optional and not b.tensors.has(f"{prefix}{norms.ffn}.weight"):
            parallel = "same"
        if i == self.hp.n_layer - 1:
            x, a, h = b.select(x, a, h) if parallel == "same" else (*b.select(x, a), h)
        a = self.attention_output(a, i)
        if norms.after_attention is not None:
            a = self.norm(a, prefix + norms.after_attention)
        if parallel is None:
            x = self.add(a, x)
            h = x if norms.ffn is None else self.norm(x, prefix + norms.ffn)
            return self.add(self._after(self.network(h, i), prefix), x)
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
        if norms is not None and not norms.after_rotation:
            self._norm_heads(q, k, prefix, i, norms)
        if table is not None and self.layout.rotation is not None:
            b.rope(q, k, table, "halves" if self.sections else self.layout.rotation.kind, shape.key_dim)
        if norms is not None and norms.after_rotation:
            self._norm_heads(q, k, prefix, i, norms)
        cache = b.store(k, v, shape, window=self.hp.windows[i])
        return b.attend(
            q,
            cache,
            shape.n_head,
            scale=self.scales.attention or None,
            slopes=self.slopes[i] if self.slopes else None,
            sinks=b.tensors.vector(f"{prefix}attn_sinks.weight", shape.n_head) if self.layout.sinks else None,
        )

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

    def network(self, h: View, i: int) -> View:
        """The dense network, or the experts of a layer that has a router."""
        prefix, mixture = f"blk.{i}.", self.layout.mixture
        if mixture is not None and self.b.tensors.has(f"{prefix}ffn_gate_inp.weight"):
            step = self.keys.whole("interleave_moe_layer_step", 1, low=1, high=MAX_LAYERS)
            if mixture.idle == "all" or (mixture.idle == "stepped" and (i + 1) % step):
                self.b.tensors.ignore_matching(f"{prefix}ffn_", "exps", "shexp", "gate_inp")
                self.b.tensors.ignore(f"{prefix}exp_probs_b.bias")
                return self.b.glu(h, None, self.layout.fn)
            return self.experts(h, i)
        return self.dense(h, prefix, self.hp.n_ff[i])

    def dense(self, h: View, prefix: str, n_ff: int, suffix: str = "") -> View:
        """A network for every token. suffix: of the tensors' names."""
        b, layout = self.b, self.layout
        options = {"scaled": layout.ffn_scaled, "scale_after_bias": True, "biased": layout.ffn_biased}
        gate, up, down = (f"{prefix}ffn_{name}{suffix}" for name in ("gate", "up", "down"))
        if not layout.ffn_biased:
            for name in (gate, up, down):
                b.tensors.ignore(f"{name}.bias")
        if layout.ffn == "gated":
            opened, times = b.linears(h, [(gate, n_ff), (up, n_ff)], **options)
            activated = b.glu(opened, times, layout.fn)
        elif layout.ffn == "fused":
            both = b.linears(h, [(up, 2 * n_ff)], **options)[0]
            activated = b.glu(both.part(0, n_ff), both.part(n_ff, n_ff), layout.fn)
        else:
            activated = b.glu(b.linears(h, [(up, n_ff)], **options)[0], None, layout.fn)
        if layout.norms.ffn_down is not None:
            activated = self.norm(activated, prefix + layout.norms.ffn_down)
        return b.linears(activated, [(down, self.hp.n_embd)], **options)[0]

    def experts(self, h: View, i: int) -> View:
        """The chosen experts, and what works on every token."""
        b, prefix, experts, mixture = self.b, f"blk.{i}.", self.b.experts, self.layout.mixture
        assert mixture is not None
        bias = b.tensors.optional_vector(f"{prefix}exp_probs_b.bias", experts.n)
        options = {"fn": mixture.fn, "selection_bias": bias, "scaled": mixture.scaled, "gated": mixture.gated}
        if b.tensors.has(f"{prefix}ffn_latent_down.weight"):
            y = self._latent_experts(h, i, options)
        else:
            y = b.moe(h, prefix, experts.n_ff[i], **options)
        if not experts.n_ff_shared:
            return y
        shared = self.dense(h, prefix, experts.n_ff_shared, suffix="_shexp")
        if mixture.shared == "gated":
            return b.gate(shared, b.linear(h, prefix + "ffn_gate_inp_shexp", 1, biased=False), y)
        return b.add(shared, y)

    def _latent_experts(self, h: View, i: int, options: dict[str, Any]) -> View:
        """Experts that work on fewer columns than the stream has (Nemotron 3)."""
        b, prefix = self.b, f"blk.{i}."
        n = self.keys.whole("moe_latent_size", low=1, high=MAX_WIDTH)
        logits = b.linear(h, f"{prefix}ffn_gate_inp", b.experts.n)
        y = b.moe(b.linear(h, f"{prefix}ffn_latent_down", n), prefix, b.experts.n_ff[i], logits=logits, **options)
        return b.linear(y, f"{prefix}ffn_latent_up", self.hp.n_embd)

    def _tables(self) -> list[View | None]:
        """Each layer's rotation; None: it is not rotated."""
        rotation, hp = self.layout.rotation, self.hp
        if rotation is None or self.slopes or rotation.only_layers not in (0, hp.n_layer):
            return []
        if rotation.switched and not self.b.gguf.get_bool(self.keys.name("rope.scaling.finetuned"), True):
            self._ignore_factors()
            return []
        tables = self.b.rope_tables(self._factors(), both=True)
        windowed = rotation.only_windows and any(hp.windows)
        return [
            None
            if (windowed and not hp.windows[i])
            or (rotation.unrotated_every and (i + 1) % rotation.unrotated_every == 0)
            else table
            for i, table in enumerate(tables)
        ]

    def _factors(self) -> Vector | None:
        """The divisors of the frequencies."""
        b, rotation = self.b, self.layout.rotation
        assert rotation is not None
        n_rot = self.hp.heads[0].n_rot
        if self.sections:
            return unrotated_in_text(self.sections, n_rot, interleaved=rotation.sections == "interleaved")
        if not rotation.factors:
            return None
        long = b.tensors.optional_vector("rope_factors_long.weight", n_rot // 2)
        short = b.tensors.optional_vector("rope_factors_short.weight", n_rot // 2)
        if long is None and short is None:
            return b.tensors.optional_vector("rope_freqs.weight", n_rot // 2)
        return long if b.n_ctx > self.hp.rope.original_ctx else short

    def _sections(self) -> tuple[int, ...]:
        """How many pairs rotate by each coordinate; empty: the position is one number."""
        rotation = self.layout.rotation
        if rotation is None or rotation.sections is None:
            return ()
        if self.keys.name("rope.dimension_sections") not in self.b.gguf.metadata_types:
            return ()
        sections = read_sections(self.keys, self.hp.heads[0].n_rot)
        return sections if min(sections[:2]) > 0 or rotation.sections_required else ()

    def _ignore_factors(self) -> None:
        for name in ("rope_freqs", "rope_factors_long", "rope_factors_short"):
            self.b.tensors.ignore(f"{name}.weight")

    def _slopes(self) -> list[Vector]:
        """Slopes of the scores of each layer's heads; empty: scores do not fall with distance."""
        largest = self.layout.alibi
        if self.layout.alibi_layers not in (0, self.hp.n_layer):
            return []
        if largest == "stated":
            largest = self.keys.number("attention.max_alibi_bias", 0.0, low=0.0, high=1e3)
        if not largest:
            return []
        return [Vector(shape.n_head, _alibi(shape.n_head, largest)) for shape in self.hp.heads]


def _alibi(n_head: int, largest: float) -> Callable[[], npt.NDArray[np.float32]]:
    """Press, Smith, Lewis: "Train Short, Test Long" (2021): a geometric series; heads beyond a power of two take every
    second slope of the next series."""
    whole = 2 ** math.floor(math.log2(n_head))

    def slopes() -> npt.NDArray[np.float32]:
        first = 2.0 ** (-largest / whole * np.arange(1, whole + 1))
        more = 2.0 ** (-largest / 2 / whole * np.arange(1, 2 * (n_head - whole) + 1, 2))
        return np.concatenate([first, more]).astype(np.float32)

    return slopes
