"""Products with matrices."""

from __future__ import annotations

from collections.abc import Sequence

from oxillama.models.graph import ops
from oxillama.models.graph.building.rows import Rows
from oxillama.models.graph.ops import Part, Value, View
from oxillama.models.params.heads import HeadShape
from oxillama.models.tensors import Matrix


class Products(Rows):
    """matrix * x * scale + bias, alone and in the groups that share an input."""

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
        """Several products with one input, as one op. scaled: whether to use ".scale", or to ignore it. biased: whether
        a ".bias" may be there."""
        parts = []
        for name, n_rows in matrices:
            matrix = self.tensors.matrix(f"{name}.weight", n_rows, x.width)
            if not scaled:
                self.tensors.ignore(f"{name}.scale")
            scale = self.tensors.optional_vector(f"{name}.scale", 1) if scaled else None
            bias = self.tensors.optional_vector(f"{name}.bias", n_rows) if biased else None
            if scale is not None and bias is not None and scale_after_bias:
                bias = bias.times(scale)
            parts.append(Part(matrix, Value(n_rows, x.value.outputs).view(), bias, scale))
        self.append(ops.Linear(x.value.outputs, x, parts))
        return [part.out for part in parts]

    def first_rows(self, x: View, name: str, n_rows: int, of_rows: int) -> View:
        """The product with the first n_rows of a tensor's of_rows."""
        matrix = self.tensors.matrix(f"{name}.weight", n_rows, x.width, of_rows=of_rows)
        out = Value(n_rows, x.value.outputs).view()
        part = Part(matrix, out, scale=self.tensors.optional_vector(f"{name}.scale", 1))
        self.append(ops.Linear(x.value.outputs, x, [part]))
        return out

    def head_linear(self, x: View, name: str, n_head: int, n_rows: int, n_cols: int) -> View:
        """Matrix h of the tensor times the first n_cols columns of head h of x; the head's other columns follow."""
        matrix = self.tensors.matrix(f"{name}.weight", n_rows, n_cols, n_head)
        return self._head_linear(x, matrix, x.width // n_head - n_cols)

    def head_rows(
        self, x: View, name: str, n_head: int, first_row: int, n_rows: int, *, of_rows: int, n_cols: int
    ) -> View:
        """Some of the of_rows that each head has in one matrix, times the first n_cols columns of x. The other columns
        of x follow in every head."""
        matrix = self.tensors.matrix(
            f"{name}.weight", n_rows, n_cols, n_head, first_row=first_row, of_rows=of_rows, joined=True
        )
        return self._head_linear(x, matrix, x.width - n_cols, shared=True)

    def _head_linear(self, x: View, matrix: Matrix, left: int, *, shared: bool = False) -> View:
        out = Value(matrix.n_experts * (matrix.n_rows + left), x.value.outputs).view()
        self.append(ops.HeadLinear(x.value.outputs, x, out, matrix, shared))
        return out

    def qkv(self, x: View, prefix: str, shape: HeadShape, *, scaled: bool = True) -> tuple[View, View, View]:
        """Queries, keys and values, from three tensors or from one that holds their rows in this order. scaled: whether
        to use the ".scale" of the one."""
        n_q, n_k, n_v = shape.n_head * shape.key_dim, shape.n_kv * shape.key_dim, shape.n_kv * shape.value_dim
        if self.tensors.has(f"{prefix}attn_qkv.weight"):
            both = self.linear(x, f"{prefix}attn_qkv", n_q + n_k + n_v, scaled=scaled)
            return both.part(0, n_q), both.part(n_q, n_k), both.part(n_q + n_k, n_v)
        q, k, v = self.linears(x, [(f"{prefix}attn_q", n_q), (f"{prefix}attn_k", n_k), (f"{prefix}attn_v", n_v)])
        return q, k, v

    def ffn(
        self,
        x: View,
        prefix: str,
        n_ff: int,
        *,
        fn: str = "silu",
        scaled: bool = True,
        biased: bool = True,
        suffix: str = "",
    ) -> View:
        """down(fn(gate(x)) * up(x)). Here a scale multiplies the bias too. suffix: of the tensors' names."""
        options = {"scaled": scaled, "scale_after_bias": True, "biased": biased}
        gate, up = self.linears(x, [(f"{prefix}ffn_gate{suffix}", n_ff), (f"{prefix}ffn_up{suffix}", n_ff)], **options)
        return self.linear(self.glu(gate, up, fn), f"{prefix}ffn_down{suffix}", self.hparams.n_embd, **options)
