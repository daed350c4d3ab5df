"""Describes a network for an architecture's module: each method appends an op and returns its result."""

from __future__ import annotations

from oxillama.models.graph import ops
from oxillama.models.graph.building.attention import Attention
from oxillama.models.graph.building.experts import Experts
from oxillama.models.graph.building.recurrent import Recurrent
from oxillama.models.graph.building.vectors import Vectors
from oxillama.models.graph.ops import Part, Value, View


class Builder(Attention, Experts, Recurrent, Vectors):
    """All methods, and the last op."""

    def output(
        self,
        hidden: View,
        name: str = "output",
        *,
        tied: bool = True,
        biased: bool = True,
        scale: float = 1.0,
        softcap: float = 0.0,
    ) -> None:
        """The last op: logits from the normed hidden states. tied: without that tensor the embedding is the matrix.
        biased: whether to use a ".bias", or to ignore it.

        A model that sees both ways, or ends in a classification head, has no logits.
        """
        hp = self.hparams
        self.vectors(hidden)
        if not hp.causal or hp.pooling.kind == "rank":
            for kind in ("weight", "bias", "scale"):
                self.tensors.ignore(f"{name}.{kind}")
            return
        if not hidden.value.outputs:
            hidden = self.pick(hidden)
        source = "token_embd" if tied and not self.tensors.has(f"{name}.weight") else name
        matrix = self.tensors.matrix(f"{source}.weight", hp.n_vocab, hp.n_embd)
        out = Value(hp.n_vocab, outputs=True).view()
        if not biased:
            self.tensors.ignore(f"{name}.bias")
        part = Part(
            matrix,
            out,
            bias=self.tensors.optional_vector(f"{name}.bias", hp.n_vocab) if biased else None,
            scale=self.tensors.optional_vector(f"{name}.scale", 1),
        )
        self.append(ops.Linear(True, hidden, [part]))
        if scale != 1.0:
            out = self.affine(out, scale=scale)
        if softcap:
            out = self.softcap(out, softcap)
        self.graph.logits = out
