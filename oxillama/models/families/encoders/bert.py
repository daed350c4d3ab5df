"""BERT (Devlin et al., 2018) and models of its kind: norms after each sum, a bias in every product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.params.common import LAYER_EPSILON, HParams, read_hparams
from oxillama.models.params.heads import require_equal_dims
from oxillama.models.params.keys import MAX_VOCAB, Keys

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View

TOKEN_TYPES = "tokenizer.ggml.token_type_count"


class Bert:
    """A learned row for each position, and the row of token type 0 for all tokens."""

    rotates = False

    def hparams(self, gguf: GGUFFile, architecture: str) -> HParams:
        hparams = read_hparams(gguf, architecture, causal=False, epsilon=LAYER_EPSILON)
        require_equal_dims(Keys(gguf, architecture), hparams.heads)
        return hparams

    def ffn(self, b: Builder, x: View, prefix: str, n_ff: int) -> View:
        up = b.linear(x, prefix + "ffn_up", n_ff)
        return b.linear(b.glu(up, None, "gelu"), prefix + "ffn_down", b.hparams.n_embd)

    def build(self, b: Builder) -> None:
        hp = b.hparams
        x = b.norm(self._embed(b), "token_embd_norm", kind="layer")
        table = b.rope_table(hp.heads[0].n_rot) if self.rotates else None
        for i in range(hp.n_layer):
            prefix = f"blk.{i}."
            shape = hp.heads[i]
            q, k, v = b.qkv(x, prefix, shape)
            if table is not None:
                b.rope(q, k, table, "halves", shape.key_dim)
            a = b.attend(q, b.store(k, v, shape), shape.n_head)
            if i == hp.n_layer - 1:
                x, a = b.select(x, a)
            x = b.add(b.linear(a, prefix + "attn_output", hp.n_embd), x)
            x = b.norm(x, prefix + "attn_output_norm", kind="layer")
            x = b.add(self.ffn(b, x, prefix, hp.n_ff[i]), x)
            x = b.norm(x, prefix + "layer_output_norm", kind="layer")
        b.vectors(x)

    def _embed(self, b: Builder) -> View:
        x = b.embed()
        if b.tensors.has("token_types.weight"):
            n_types = b.gguf.get_int(TOKEN_TYPES, 1, low=1, high=MAX_VOCAB)
            x = b.add(x, b.embed_first("token_types", n_types))
        return x if self.rotates else b.add(x, b.embed_position())


class NomicBert(Bert):
    """BERT with rotary positions and a gated SiLU network (nomic-embed-text; Nussbaum et al., 2024)."""

    rotates = True

    def ffn(self, b: Builder, x: View, prefix: str, n_ff: int) -> View:
        return b.ffn(x, prefix, n_ff)
