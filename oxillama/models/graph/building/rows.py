"""Ops that work on each row by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.models.graph import ops
from oxillama.models.graph.ops import Graph, Value, View
from oxillama.models.tensors import Tensors, Vector

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.params.common import HParams


class Rows:
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

    def append(self, op: ops.Op) -> None:
        self.graph.ops.append(op)

    def embed(self, name: str = "token_embd", *, width: int | None = None, scale: float = 1.0) -> View:
        """A row of the table for each token. width None: that of the model."""
        hp = self.hparams
        out = Value(width or hp.n_embd).view()
        self.append(ops.Embed(False, out, self.tensors.table(f"{name}.weight", hp.n_vocab, out.width), scale))
        return out

    def select(self, *views: View) -> tuple[View, ...]:
        """The same values for only the rows whose logits were requested; later ops skip the other rows."""
        selected = []
        for x in views:
            out = Value(x.width, outputs=True).view()
            self.append(ops.Select(True, x, out))
            selected.append(out)
        return tuple(selected)

    def norm(
        self,
        x: View,
        name: str | None,
        *,
        kind: str = "rms",
        group: int | None = None,
        in_place: bool = False,
        weight: Vector | None = None,
        scale: Vector | None = None,
    ) -> View:
        """RMS or layer norm. `group`: norm each run of that many columns separately.

        `name` None: with `weight`, or without any. scale: one value that multiplies the result.
        """
        group = group or x.width
        bias = None
        if name is not None:
            weight = self.tensors.vector(f"{name}.weight", group)
            bias = self.tensors.optional_vector(f"{name}.bias", group)
        if scale is not None:
            weight = weight.times(scale) if weight is not None else scale.repeated(group)
            bias = bias.times(scale) if bias is not None else None
        out = x if in_place else Value(x.width, x.value.outputs).view()
        self.append(ops.Norm(x.value.outputs, x, out, kind, group, weight, bias, self.hparams.norm_eps))
        return out

    def glu(self, x: View, times: View | None, fn: str) -> View:
        out = Value(x.width, x.value.outputs).view()
        self.append(ops.Glu(x.value.outputs, x, times, out, fn))
        return out

    def affine(
        self, x: View, *, scale: float | Vector = 1.0, times: View | None = None, addend: View | None = None
    ) -> View:
        """x * scale * times + addend; a Vector as scale has one value."""
        out = Value(x.width, x.value.outputs).view()
        self.append(ops.Affine(x.value.outputs, x, out, scale, times, addend))
        return out

    def add(self, x: View, y: View) -> View:
        return self.affine(x, addend=y)

    def softcap(self, x: View, cap: float) -> View:
        out = Value(x.width, x.value.outputs).view()
        self.append(ops.Softcap(x.value.outputs, x, out, cap))
        return out
