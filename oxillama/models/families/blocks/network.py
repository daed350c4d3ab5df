"""The network of a block: dense, or a mixture of experts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from oxillama.models.families.blocks.layout import Layout
from oxillama.models.params.keys import MAX_LAYERS, MAX_WIDTH, Keys

if TYPE_CHECKING:
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View
    from oxillama.models.params.common import HParams

LEAST_LIMIT = 1e-6
"""A smaller one means that there is none."""


class Network(ABC):
    """What comes after attention in each block."""

    layout: Layout
    b: Builder
    hp: HParams
    keys: Keys

    @abstractmethod
    def norm(self, x: View, name: str) -> View:
        """The layout's norm of x, with the weights of that name."""

    def router(self, x: View, i: int) -> View | None:
        """The scores of a router that reads the block's input; None: it reads the network's, or there is none."""
        mixture, name = self.layout.mixture, f"blk.{i}.ffn_gate_inp"
        if mixture is None or mixture.router == "normed" or not self.b.tensors.has(f"{name}.weight"):
            return None
        return self.b.linear(x, name, self.b.experts.n)

    def network(self, h: View, i: int, router: View | None = None) -> View:
        """The dense network, or the experts of a layer that has a router, whose scores may be known already."""
        prefix, mixture = f"blk.{i}.", self.layout.mixture
        if mixture is not None and self.b.tensors.has(f"{prefix}ffn_gate_inp.weight"):
            step = self.keys.whole("interleave_moe_layer_step", 1, low=1, high=MAX_LAYERS)
            if mixture.idle == "all" or (mixture.idle == "stepped" and (i + 1) % step):
                self.b.tensors.ignore_matching(f"{prefix}ffn_", "exps", "shexp", "gate_inp")
                self.b.tensors.ignore(f"{prefix}exp_probs_b.bias")
                return self.b.glu(h, None, self.layout.fn)
            y = self.experts(h, i, router)
            if not (mixture.beside and self.b.tensors.has(f"{prefix}ffn_up.weight")):
                return y
            return self.b.affine(self.b.add(self.dense(h, i, self.hp.n_ff[i]), y), scale=math.sqrt(0.5))
        return self.dense(h, i, self.hp.n_ff[i])

    def dense(self, h: View, i: int, n_ff: int, suffix: str = "") -> View:
        """A network for every token. suffix: of the tensors' names."""
        b, layout, prefix = self.b, self.layout, f"blk.{i}."
        options = {"scaled": layout.ffn_scaled, "scale_after_bias": True, "biased": layout.ffn_biased}
        gate, up, down = (f"{prefix}ffn_{name}{suffix}" for name in ("gate", "up", "down"))
        if not layout.ffn_biased:
            for name in (gate, up, down):
                b.tensors.ignore(f"{name}.bias")
        if layout.ffn == "gated":
            opened, times = b.linears(h, [(gate, n_ff), (up, n_ff)], **options)
            activated = self._limited(opened, times, i)
        elif layout.ffn == "fused":
            both = b.linears(h, [(up, 2 * n_ff)], **options)[0]
            activated = b.glu(both.part(0, n_ff), both.part(n_ff, n_ff), layout.fn)
        else:
            activated = b.glu(b.linears(h, [(up, n_ff)], **options)[0], None, layout.fn)
        if layout.norms.ffn_down is not None:
            activated = self.norm(activated, prefix + layout.norms.ffn_down)
        return b.linears(activated, [(down, self.hp.n_embd)], **options)[0]

    def _limited(self, gate: View, up: View, i: int) -> View:
        """fn(gate) * up within the layer's limit, if it has one."""
        b, mixture, fn = self.b, self.layout.mixture, self.layout.fn
        limit = self.limit("swiglu_clamp_shexp", i)
        if mixture is None or not limit:
            return b.glu(gate, up, fn)
        b.clamp(up, -limit, limit)
        if mixture.limited == "gate":
            b.clamp(gate, -math.inf, limit)
            return b.glu(gate, up, fn)
        activated = b.glu(gate, None, fn)
        b.clamp(activated, -math.inf, limit)
        return b.glu(activated, up, "none")

    def limit(self, key: str, i: int) -> float:
        """The bound of values inside a layer's experts or dense network; 0: there is none."""
        mixture = self.layout.mixture
        if mixture is None or mixture.limited == "not":
            return 0.0
        limit = self.keys.numbers(key, self.hp.n_layer + self.hp.n_nextn, 0.0, low=0.0, high=1e30)[i]
        return limit if limit > LEAST_LIMIT else 0.0

    def experts(self, h: View, i: int, router: View | None = None) -> View:
        """The chosen experts, and what works on every token."""
        b, prefix, experts, mixture = self.b, f"blk.{i}.", self.b.experts, self.layout.mixture
        assert mixture is not None
        bias = b.tensors.optional_vector(f"{prefix}exp_probs_b.bias", experts.n)
        options: dict[str, Any] = {"fn": mixture.fn, "selection_bias": bias}
        options |= {"scaled": mixture.scaled, "gated": mixture.gated}
        options["weigh_first"] = mixture.weigh_first
        if limit := self.limit("swiglu_clamp_exp", i):
            options |= {"limited": mixture.limited, "limit": limit}
        if b.tensors.has(f"{prefix}ffn_latent_down.weight"):
            y = self._latent_experts(h, i, options)
        else:
            y = b.moe(h, prefix, experts.n_ff[i], logits=router, **options)
        if not experts.n_ff_shared:
            return y
        shared = self.dense(h, i, experts.n_ff_shared, suffix="_shexp")
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
