"""Describes a network for an architecture's module: each method appends an op and returns its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oxillama.errors import ModelFormatError
from oxillama.models.graph import ops
from oxillama.models.graph.ops import Graph, Part, Value, View
from oxillama.models.params import rope
from oxillama.models.tensors import Tensors, Vector

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.params.common import HParams


class Builder:
    """Collects a Graph while checking every tensor it names against the file. Touches no weights.

    Tensor names are given without ".weight"; the ".bias" and ".scale" beside it are used where the file has them.
    n_ctx: the longest sequence; some kinds of rope scaling depend on it.
    """

    def __init__(self, gguf: GGUFFile, hparams: HParams, n_ctx: int) -> None:
        self.gguf = gguf
        self.hparams = hparams
        self.n_ctx = n_ctx
        self.tensors = Tensors(gguf)
        self.graph = Graph()

    def _append(self, op: ops.Op) -> None:
        self.graph.ops.append(op)

    # ------------------------------------------------------------------------------------------------------ in and out

    def embed(self, name: str = "token_embd", *, scale: float = 1.0) -> View:
        hp = self.hparams
        out = Value(hp.n_embd).view()
        self._append(ops.Embed(False, out, self.tensors.table(f"{name}.weight", hp.n_vocab, hp.n_embd), scale))
        return out

    def select(self, *views: View) -> tuple[View, ...]:
        """The same values for only the rows whose logits were requested; later ops skip the other rows."""
        selected = []
        for x in views:
            out = Value(x.width, outputs=True).view()
            self._append(ops.Select(True, x, out))
            selected.append(out)
        return tuple(selected)

    def output(self, hidden: View, name: str = "output", *, scale: float = 1.0, softcap: float = 0.0) -> None:
        """The last op: logits from the normed hidden states. Without that tensor the embedding is the matrix."""
        hp = self.hparams
        source = name if self.tensors.has(f"{name}.weight") else "token_embd"
        matrix = self.tensors.matrix(f"{source}.weight", hp.n_vocab, hp.n_embd)
        out = Value(hp.n_vocab, outputs=True).view()
        part = Part(
            matrix,
            out,
            bias=self.tensors.optional_vector(f"{name}.bias", hp.n_vocab),
            scale=self.tensors.optional_vector(f"{name}.scale", 1),
        )
        self._append(ops.Linear(True, hidden, [part]))
        if scale != 1.0:
            out = self.affine(out, scale=scale)
        if softcap:
            out = self.softcap(out, softcap)
        self.graph.logits, self.graph.hidden = out, hidden

    # ------------------------------------------------------------------------------------------------------ row by row

    def norm(
        self, x: View, name: str | None, *, kind: str = "rms", group: int | None = None, in_place: bool = False
    ) -> View:
        """RMS or layer norm; `name` None: without weight. `group`: norm each run of that many columns separately."""
        group = group or x.width
        weight = bias = None
        if name is not None:
            weight = self.tensors.vector(f"{name}.weight", group)
            bias = self.tensors.optional_vector(f"{name}.bias", group)
        out = x if in_place else Value(x.width, x.value.outputs).view()
        self._append(ops.Norm(x.value.outputs, x, out, kind, group, weight, bias, self.hparams.norm_eps))
        return out

    def glu(self, x: View, times: View | None, fn: str) -> View:
        out = Value(x.width, x.value.outputs).view()
        self._append(ops.Glu(x.value.outputs, x, times, out, fn))
        return out

    def affine(self, x: View, *, scale: float = 1.0, times: View | None = None, addend: View | None = None) -> View:
        out = Value(x.width, x.value.outputs).view()
        self._append(ops.Affine(x.value.outputs, x, out, scale, times, addend))
        return out

    def add(self, x: View, y: View) -> View:
        return self.affine(x, addend=y)

    def softcap(self, x: View, cap: float) -> View:
        out = Value(x.width, x.value.outputs).view()
        self._append(ops.Softcap(x.value.outputs, x, out, cap))
        return out

    # -------------------------------------------------------------------------------------------------------- products

    def linear(self, x: View, name: str, n_rows: int, **options: bool) -> View:
        """matrix * x * scale + bias, with the file's bias and scale, if any."""
        return self.linears(x, [(name, n_rows)], **options)[0]

    def linears(
        self,
        x: View,
        matrices: Sequence[tuple[str, int]],
        *,
        scaled: bool = True,
        scale_after_bias: bool = False,
        biased: bool = True,
    ) -> list[View]:
        """Several products with one input, as one op. scaled, biased: whether to use ".scale" and ".bias"."""
        parts = []
        for name, n_rows in matrices:
            matrix = self.tensors.matrix(f"{name}.weight", n_rows, x.width)
            scale = self.tensors.optional_vector(f"{name}.scale", 1)
            bias = self.tensors.optional_vector(f"{name}.bias", n_rows) if biased else None
            if not scaled:
                scale = None
            if scale is not None and bias is not None and scale_after_bias:
                bias = bias.times(scale)
            parts.append(Part(matrix, Value(n_rows, x.value.outputs).view(), bias, scale))
        self._append(ops.Linear(x.value.outputs, x, parts))
        return [part.out for part in parts]

    def qkv(self, x: View, prefix: str, n_head: int, n_head_kv: int) -> tuple[View, View, View]:
        """Queries, keys and values, from three tensors or from one that holds their rows in this order."""
        hp = self.hparams
        n_q, n_k, n_v = n_head * hp.head_dim_k, n_head_kv * hp.head_dim_k, n_head_kv * hp.head_dim_v
        if self.tensors.has(f"{prefix}attn_qkv.weight"):
            both = self.linear(x, f"{prefix}attn_qkv", n_q + n_k + n_v)
            return both.part(0, n_q), both.part(n_q, n_k), both.part(n_q + n_k, n_v)
        q, k, v = self.linears(x, [(f"{prefix}attn_q", n_q), (f"{prefix}attn_k", n_k), (f"{prefix}attn_v", n_v)])
        return q, k, v

    def ffn(
        self, x: View, prefix: str, n_ff: int, *, fn: str = "silu", scaled: bool = True, biased: bool = True
    ) -> View:
        """down(fn(gate(x)) * up(x)). Here a scale multiplies the bias too."""
        options = {"scaled": scaled, "scale_after_bias": True, "biased": biased}
        gate, up = self.linears(x, [(f"{prefix}ffn_gate", n_ff), (f"{prefix}ffn_up", n_ff)], **options)
        return self.linear(self.glu(gate, up, fn), f"{prefix}ffn_down", self.hparams.n_embd, **options)

    def moe(
        self, x: View, prefix: str, n_ff: int, *, fn: str = "silu", gating: str = "softmax", normalize: bool = True
    ) -> View:
        """A mixture of experts with its router."""
        hp = self.hparams
        logits = self.linear(x, f"{prefix}ffn_gate_inp", hp.n_expert)
        out = Value(hp.n_embd, x.value.outputs).view()
        op = ops.Experts(
            x.value.outputs,
            x,
            logits,
            out,
            gate=self._experts(f"{prefix}ffn_gate_exps", n_ff, hp.n_embd),
            up=self._experts(f"{prefix}ffn_up_exps", n_ff, hp.n_embd),
            down=self._experts(f"{prefix}ffn_down_exps", hp.n_embd, n_ff),
            n_expert=hp.n_expert,
            n_used=hp.n_expert_used,
            fn=fn,
            gating=gating,
            normalize=normalize,
        )
        self._append(op)
        return out

    def _experts(self, name: str, n_rows: int, n_cols: int) -> ops.ExpertMatrix:
        n = self.hparams.n_expert
        return ops.ExpertMatrix(
            self.tensors.matrix(f"{name}.weight", n_rows, n_cols, n),
            self.tensors.optional_vector(f"{name}.bias", n * n_rows, (n_rows, n)),
            self.tensors.optional_vector(f"{name}.scale", n),
        )

    # ------------------------------------------------------------------------------------------------------- attention

    def rope_table(self, factors: Vector | None = None) -> View:
        """Sines and cosines of every position, for `rope`. `factors` divide the frequencies one by one."""
        hp = self.hparams
        # A few numbers, closer to parameters than to weights. Checked now, so that a described model can be loaded.
        try:
            values = rope.frequencies(hp.rope, hp.n_rot, factors.read() if factors else None)
            magnitude = rope.magnitude(hp.rope)
        except ValueError as error:
            raise ModelFormatError(f"{self.gguf.path}: {error}") from None
        out = Value(hp.n_rot).view()
        self._append(ops.RopeTable(False, out, Vector(len(values), lambda: values), lambda: magnitude))
        return out

    def rope(self, q: View, k: View, table: View, kind: str) -> None:
        """Rotates q and k in place."""
        self._append(ops.Rope(False, q, k, table, kind, self.hparams.head_dim_k, table.width))

    def attention(
        self,
        q: View,
        k: View,
        v: View,
        n_head: int,
        n_head_kv: int,
        *,
        scale: float | None = None,
        temperature_scale: float = 0.0,
        temperature_floor: int = 0,
    ) -> View:
        """Stores k and v, and attends. scale None: 1 / sqrt(head_dim)."""
        hp = self.hparams
        cache = ops.CacheLayer(n_head_kv, hp.head_dim_k, hp.head_dim_v)
        out = Value(n_head * hp.head_dim_v).view()
        self._append(ops.KVStore(False, k, v, cache))
        self._append(
            ops.Attention(
                False,
                q,
                out,
                cache,
                n_head,
                1.0 / math.sqrt(hp.head_dim_k) if scale is None else scale,
                temperature_scale=temperature_scale,
                temperature_floor=temperature_floor,
            )
        )
        return out
