"""The llama family: llama 1 to 3, mistral, mixtral and models that use the same network under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.params.common import HParams, read_hparams
from oxillama.models.params.heads import require_whole_heads
from oxillama.models.params.keys import Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.tensors import Vector


class Llama:
    """Pre-norm blocks of grouped-query attention and a gated SiLU network, or a mixture of such networks."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, causal=None)
        require_whole_heads(Keys(gguf, architecture), hparams.heads)
        return hparams

    def temperature(self, b: Builder) -> tuple[float, int]:
        """(scale, floor) for queries that sharpen with their position, as in oxi_op_attention; (0, 0): they do not."""
        return 0.0, 0

    def build(self, b: Builder) -> None:
        hp = b.hparams
        temperature = self.temperature(b)
        x = b.embed()
        table = b.rope_table(hp.heads[0].n_rot, factors=rope_factors(b))
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            h = b.norm(x, prefix + "attn_norm")
            q, k, v = b.qkv(h, prefix, shape)
            b.rope(q, k, table, "pairs", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape), shape.n_head, temperature=temperature)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            h = b.norm(x, prefix + "ffn_norm")
            x = b.add(b.moe(h, prefix, hp.n_ff[i]) if hp.experts else b.ffn(h, prefix, hp.n_ff[i]), x)
        b.output(b.norm(x, "output_norm"))


class Mistral3(Llama):
    """Llama with YaRN's tuning parameters from the file, and queries that sharpen with their position."""

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, yarn_keys=True)
        require_whole_heads(Keys(gguf, architecture), hparams.heads)
        return hparams

    def temperature(self, b: Builder) -> tuple[float, int]:
        scale = Keys(b.gguf, b.hparams.architecture).number("attention.temperature_scale", 0.0, low=-1e3, high=1e3)
        return (scale, b.hparams.rope.original_ctx) if scale else (0.0, 0)


def rope_factors(b: Builder) -> Vector | None:
    """The file's divisors for the rope frequencies: llama 3's, or longrope's for a short or a long context."""
    half = b.hparams.heads[0].n_rot // 2
    if b.hparams.rope.kind != "longrope":
        return b.tensors.optional_vector("rope_freqs.weight", half)
    long = b.tensors.optional_vector("rope_factors_long.weight", half)
    short = b.tensors.optional_vector("rope_factors_short.weight", half)
    return long if b.n_ctx > b.hparams.rope.original_ctx else short
