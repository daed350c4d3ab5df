"""Blocks with Mamba-2's scan (Dao, Gu: "Transformers are SSMs", 2024) instead of attention, or beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.families.blocks.decoder import Blocks, Decoder
from oxillama.models.families.blocks.layout import Layout
from oxillama.models.params.recurrent import read_state_space

if TYPE_CHECKING:
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View


class Hybrid(Decoder):
    """A decoder some of whose layers have scans."""

    def blocks(self, b: Builder) -> Blocks:
        return HybridBlocks(self.layout, b)


class HybridBlocks(Blocks):
    """A network whose layers may have scans: see Layout.state_space."""

    def __init__(self, layout: Layout, b: Builder) -> None:
        super().__init__(layout, b)
        self.net = read_state_space(self.keys)

    def scans(self, i: int) -> bool:
        """Whether the layer has a scan."""
        kind, networks = self.layout.state_space, self.hp.n_ff[i] > 0
        if kind in ("beside", "only"):
            return True
        return self.hp.heads[i].n_kv == 0 and not (kind == "single" and networks)

    def block(self, x: View, i: int, table: View | None) -> View:
        b, prefix, last = self.b, f"blk.{i}.", i == self.hp.n_layer - 1
        if self.layout.state_space == "instead":
            return super().block(x, i, table)
        assert self.layout.norms.attention is not None
        h = self.norm(x, prefix + self.layout.norms.attention)
        if self.layout.state_space == "beside":
            a, y = super().attention(h, i, table), self.scan(h, i)
            if last:
                x, a, y = b.select(x, a, y)
            x = self.add(self.scan_output(y, i), self.add(super().attention_output(a, i), x))
            return self.add(self.network(self.norm(x, prefix + "ffn_norm"), i), x)
        if self.layout.state_space == "single" and self.hp.n_ff[i]:
            if last:
                x, h = b.select(x, h)
            return self.add(self.network(h, i), x)
        y = self.attention(h, i, table)
        if last:
            x, y = b.select(x, y)
        return self.add(self.attention_output(y, i), x)

    def attention(self, h: View, i: int, table: View | None) -> View:
        return self.scan(h, i) if self.scans(i) else super().attention(h, i, table)

    def attention_output(self, a: View, i: int) -> View:
        return self.scan_output(a, i) if self.scans(i) else super().attention_output(a, i)

    def scan(self, h: View, i: int) -> View:
        """The gated and normed result, before its matrix."""
        b, net, prefix = self.b, self.net, f"blk.{i}."
        mixed = b.linear(h, prefix + "ssm_in", net.inner + net.conv_width + net.n_head)
        gate, step = mixed.part(0, net.inner), mixed.part(net.inner + net.conv_width, net.n_head)
        xbc = b.short_conv(mixed.part(net.inner, net.conv_width), prefix + "ssm_conv1d", net.n_taps, fn="silu")
        y = b.glu(gate, b.selective_scan(xbc, step, prefix, net), "silu")
        if not b.tensors.has(f"{prefix}ssm_norm.weight"):
            return y
        group = net.inner // net.n_key_head
        weight = b.tensors.vector(f"{prefix}ssm_norm.weight", net.inner, (group, net.n_key_head))
        return b.norm(y, None, group=group, weight=weight, in_place=True)

    def scan_output(self, y: View, i: int) -> View:
        return self.b.linear(y, f"blk.{i}.ssm_out", self.hp.n_embd)
