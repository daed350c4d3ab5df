"""The end of a model that gives vectors or scores of texts."""

from __future__ import annotations

from oxillama.errors import InvalidParameterError
from oxillama.models.graph.building.products import Products
from oxillama.models.graph.ops import View
from oxillama.models.params.keys import MAX_WIDTH, Keys
from oxillama.models.params.pooling import POOLINGS

DENSE = ("dense_2", "dense_3")
"""Matrices behind the pooling, as sentence-transformers numbers its modules."""
HEAD = ("cls.weight", "cls.bias", "cls.norm.weight", "cls.norm.bias", "cls.output.weight", "cls.output.bias")


class Vectors(Products):
    """Pooling, and what comes after it."""

    def vectors(self, hidden: View, *, head_fn: str = "tanh") -> None:
        """The model's vectors, or the scores of its classification head, from the normed hidden states.

        head_fn: the activation inside that head. Raises InvalidParameterError if scores are wanted and it has no head.
        """
        pooling = self.hparams.pooling
        x = hidden if hidden.value.outputs else self.pick(hidden, mean=pooling.rows == "mean")
        if pooling.kind == "rank":
            x = self._scores(x, head_fn)
        elif pooling.kind is not None:
            for name in HEAD:
                self.tensors.ignore(name)
            for name in DENSE:
                if self.tensors.has(f"{name}.weight"):
                    keys = Keys(self.gguf, self.hparams.architecture)
                    x = self.linear(x, name, keys.whole(f"{name}_feat_out", low=1, high=MAX_WIDTH))
        self.graph.hidden = x

    def _scores(self, x: View, fn: str) -> View:
        """output(norm(fn(cls(x)))), each where the file has it."""
        if not any(self.tensors.has(f"{name}.weight") for name in ("cls", "cls.output")):
            key = f"{self.hparams.architecture}.pooling_type"
            if self.gguf.get_int(key) == POOLINGS.index("rank"):
                self.gguf.fail(key, "asks for a classification head, and the file has none")
            raise InvalidParameterError(
                f"{self.gguf.path}: pooling 'rank' needs a classification head, and the model has none", param="pooling"
            )
        if self.tensors.has("cls.weight"):
            x = self.glu(self.linear(x, "cls", self._rows("cls")), None, fn)
        if self.tensors.has("cls.norm.weight"):
            x = self.norm(x, "cls.norm", kind="layer")
        if self.tensors.has("cls.output.weight"):
            x = self.linear(x, "cls.output", self._rows("cls.output"))
        labels = self.hparams.pooling.labels
        if labels and len(labels) != x.width:
            key = f"{self.hparams.architecture}.classifier.output_labels"
            self.gguf.fail(key, f"has {len(labels)} labels, and the head gives {x.width} scores")
        return x

    def _rows(self, name: str) -> int:
        """How many rows a matrix of the head has: the file alone says so."""
        shape = self.gguf.tensors[f"{name}.weight"].shape
        rows = shape[1] if len(shape) > 1 else 1
        if not 1 <= rows <= MAX_WIDTH:
            self.tensors.fail(f"{name}.weight", f"has {rows} rows")
        return rows
