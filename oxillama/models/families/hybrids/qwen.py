"""Qwen3-Next and Qwen 3.5: gated delta nets (Yang et al., 2024), and gated attention in some layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.graph.ops import Value
from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.experts import read_mixture
from oxillama.models.params.heads import require_equal_dims
from oxillama.models.params.keys import MAX_FF, Keys
from oxillama.models.params.recurrent import DeltaNet, read_delta_net, read_recurrent_layers
from oxillama.models.params.rope import read_sections, unrotated_in_text

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View
    from oxillama.models.tensors import Vector


class Qwen35:
    """Delta nets with separate matrices for both gates, attention with interleaved M-RoPE, a dense network."""

    tiled = True
    dense = True

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, nextn=True, needs_ff=self.dense)
        keys = Keys(gguf, architecture)
        require_equal_dims(keys, hparams.heads)
        read_delta_net(keys)
        self.read_sections(keys, hparams)
        recurrent = read_recurrent_layers(keys, hparams.n_layer + hparams.n_nextn)
        heads = tuple(
            replace(shape, n_kv=0) if layer else shape for shape, layer in zip(hparams.heads, recurrent, strict=False)
        )
        return replace(hparams, heads=heads)

    def read_sections(self, keys: Keys, hparams: HParams) -> Vector | None:
        """Divisors of the rope frequencies for text, if any."""
        n_rot = hparams.heads[0].n_rot
        return unrotated_in_text(read_sections(keys, n_rot), n_rot)

    def build(self, b: Builder) -> None:
        hp = b.hparams
        keys = Keys(b.gguf, hp.architecture)
        net = read_delta_net(keys)
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot, factors=self.read_sections(keys, hp))
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            h = b.norm(x, prefix + "attn_norm")
            attends = hp.heads[i].n_kv > 0
            y, gate = self.attention(b, h, i, table) if attends else self.delta_net(b, h, prefix, net)
            if i == hp.n_layer - 1:
                x, y, gate = b.select(x, y, gate)
            if attends:
                y = b.linear(b.glu(gate, y, "sigmoid"), prefix + "attn_output", hp.n_embd, biased=False)
            else:
                y = b.norm(y, prefix + "ssm_norm", group=net.dim, in_place=True)
                y = self.delta_output(b, b.glu(gate, y, "silu"), prefix)
            x = b.add(y, x)
            x = self.add_ffn(b, b.norm(x, prefix + "post_attention_norm"), x, i)
        b.output(b.norm(x, "output_norm"))
        b.tensors.ignore_layers(hp.n_layer, hp.n_nextn)

    def attention(self, b: Builder, h: View, i: int, table: View) -> tuple[View, View]:
        """(result, its gate). The matrix of queries has the rows of each head's query, then those of its gate."""
        shape, prefix = b.hparams.heads[i], f"blk.{i}."
        both, k, v = b.qkv(h, prefix, replace(shape, n_head=2 * shape.n_head))
        q = b.gather(both, 2 * shape.key_dim, 0, shape.key_dim)
        gate = b.gather(both, 2 * shape.key_dim, shape.key_dim, shape.key_dim)
        b.norm(q, prefix + "attn_q_norm", group=shape.key_dim, in_place=True)
        b.norm(k, prefix + "attn_k_norm", group=shape.key_dim, in_place=True)
        b.rope(q, k, table, "halves", shape.key_dim)
        return b.attend(q, b.store(k, v, shape), shape.n_head), gate

    def delta_net(self, b: Builder, h: View, prefix: str, net: DeltaNet) -> tuple[View, View]:
        """(result before its norm, its gate)"""
        qkv, gate, beta, decay = self.delta_inputs(b, h, prefix, net)
        qkv = b.short_conv(qkv, prefix + "ssm_conv1d", net.n_taps, fn="silu")
        return b.delta_rule(qkv, decay, beta, prefix, net, tiled=self.tiled), gate

    def delta_inputs(self, b: Builder, h: View, prefix: str, net: DeltaNet) -> tuple[View, View, View, View]:
        """(queries, keys and values; gate of the result; beta; decay)"""
        matrices = [
            (f"{prefix}attn_qkv", net.conv_width),
            (f"{prefix}attn_gate", net.n_head * net.dim),
            (f"{prefix}ssm_beta", net.n_head),
            (f"{prefix}ssm_alpha", net.n_head),
        ]
        qkv, gate, beta, decay = b.linears(h, matrices, biased=False)
        return qkv, gate, beta, decay

    def delta_output(self, b: Builder, y: View, prefix: str) -> View:
        return b.linear(y, prefix + "ssm_out", b.hparams.n_embd, biased=False)

    def add_ffn(self, b: Builder, h: View, x: View, i: int) -> View:
        return b.add(b.ffn(h, f"blk.{i}.", b.hparams.n_ff[i], biased=False), x)


class Qwen35MoE(Qwen35):
    """A mixture of experts, and a shared expert with one gate for the whole row."""

    dense = False

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = super().hparams(gguf, architecture)
        keys = Keys(gguf, architecture)
        n_blocks = hparams.n_layer + hparams.n_nextn
        experts = read_mixture(keys, n_blocks, gating="softmax", needs_ff=False)
        n_ff = tuple(own or dense // experts.n_used for own, dense in zip(experts.n_ff, hparams.n_ff, strict=False))
        shared = keys.whole("expert_shared_feed_forward_length", 0, low=0, high=MAX_FF) or max(hparams.n_ff)
        for key, sizes in (("expert_feed_forward_length", n_ff), ("expert_shared_feed_forward_length", (shared,))):
            if min(sizes) < 1:
                gguf.fail(keys.name(key), "is missing, and 'feed_forward_length' does not state it either")
        return replace(
            hparams, experts=replace(experts, n_ff=n_ff, gating="softmax", normalize=True, n_ff_shared=shared)
        )

    def add_ffn(self, b: Builder, h: View, x: View, i: int) -> View:
        prefix, experts = f"blk.{i}.", b.experts
        x = b.add(b.moe(h, prefix, experts.n_ff[i]), x)
        by = b.linear(h, prefix + "ffn_gate_inp_shexp", 1, biased=False)
        return b.gate(b.ffn(h, prefix, experts.n_ff_shared, biased=False, suffix="_shexp"), by, x)


class Qwen3Next(Qwen35MoE):
    """Ordinary rotation, neighbouring value heads share a key head, and one matrix makes beta and decay."""

    tiled = False

    def read_sections(self, keys: Keys, hparams: HParams) -> Vector | None:
        return None

    def delta_inputs(self, b: Builder, h: View, prefix: str, net: DeltaNet) -> tuple[View, View, View, View]:
        keys, values, share = net.n_key_head * net.dim, net.n_head * net.dim, net.n_head // net.n_key_head
        gates = (f"{prefix}ssm_ba", 2 * net.n_head)
        if b.tensors.has(f"{prefix}attn_qkv.weight"):
            matrices = [(f"{prefix}attn_qkv", net.conv_width), (f"{prefix}attn_gate", values), gates]
            qkv, gate, both = b.linears(h, matrices, scaled=False, biased=False)
            for name in ("weight", "scale", "input_scale"):
                b.tensors.ignore(f"{prefix}ssm_in.{name}")
        else:  # older files: one matrix with the rows of each key head's query, key, values and gates
            mixed, both = b.linears(h, [(f"{prefix}ssm_in", 2 * (keys + values)), gates], scaled=False, biased=False)
            of_values = share * net.dim
            sizes = (net.dim, net.dim, of_values, of_values)
            stride = sum(sizes)
            qkv = Value(net.conv_width).view()
            for part, column in enumerate((0, keys, 2 * keys)):
                out = qkv.part(column, values if part == 2 else keys)
                b.gather(mixed, stride, sum(sizes[:part]), sizes[part], out)
            gate = b.gather(mixed, stride, sum(sizes[:3]), of_values)
        return qkv, gate, b.gather(both, 2 * share, 0, share), b.gather(both, 2 * share, share, share)

    def delta_output(self, b: Builder, y: View, prefix: str) -> View:
        return b.linear(y, prefix + "ssm_out", b.hparams.n_embd, scaled=False, biased=False)
