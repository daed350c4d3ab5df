"""Ops that work on each row by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError
from oxillama.models.graph import ops
from oxillama.models.graph.ops import Graph, Value, View
from oxillama.models.graph.row_ops import Clamp, Dot
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

    def embed_position(self, name: str = "position_embd") -> View:
        """A row of the table for each token, by its position.

        Raises InvalidParameterError if the context is longer than the table.
        """
        hp = self.hparams
        if self.n_ctx > hp.n_ctx_train:
            raise InvalidParameterError(
                f"{self.gguf.path}: the model has positions for {hp.n_ctx_train} tokens, not for a context of"
                f" {self.n_ctx}",
                param="n_ctx",
            )
        return self._embed_by(name, hp.n_ctx_train, "position")

    def embed_first(self, name: str, n_rows: int) -> View:
        """The first row of a table [n_rows, n_embd], for every token."""
        return self._embed_by(name, n_rows, "first")

    def _embed_by(self, name: str, n_rows: int, by: str) -> View:
        out = Value(self.hparams.n_embd).view()
        self.append(ops.Embed(False, out, self.tensors.table(f"{name}.weight", n_rows, out.width), by=by))
        return out

    def select(self, *views: View) -> tuple[View, ...]:
        """The same values for only the rows whose results were requested; later ops skip the other rows.

        For a mean all rows are needed, and the values stay as they are.
        """
        if self.hparams.pooling.rows == "mean":
            return views
        return tuple(self.pick(x) for x in views)

    def pick(self, x: View, *, mean: bool = False) -> View:
        """The rows whose results were requested; mean: for each the mean of its run up to that row."""
        out = Value(x.width, outputs=True).view()
        self.append(ops.Select(True, x, out, mean))
        return out

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
        self,
        x: View,
        *,
        scale: float | Vector = 1.0,
        times: View | Vector | None = None,
        addend: View | None = None,
        bias: Vector | None = None,
    ) -> View:
        """x * scale * times + bias + addend; a Vector as scale has one value."""
        out = Value(x.width, x.value.outputs).view()
        weight = times if isinstance(times, Vector) else None
        view = None if isinstance(times, Vector) else times
        self.append(ops.Affine(x.value.outputs, x, out, scale, view, addend, weight, bias))
        return out

    def dot(self, x: View, y: View, n: int) -> View:
        """n sums of x * y, over equally many columns each."""
        out = Value(n, x.value.outputs).view()
        self.append(Dot(x.value.outputs, x, y, out))
        return out

    def add(self, x: View, y: View) -> View:
        return self.affine(x, addend=y)

    def clamp(self, x: View, low: float, high: float) -> None:
        """Bounds x, in place."""
        self.append(Clamp(x.value.outputs, x, x, low, high))

    def softcap(self, x: View, cap: float) -> View:
        out = Value(x.width, x.value.outputs).view()
        self.append(ops.Softcap(x.value.outputs, x, out, cap))
        return out
