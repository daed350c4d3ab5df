"""How the rows of a text become one vector: a file's own choice, and its classification head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oxillama.models.params.keys import Keys

Float32 = npt.NDArray[np.float32]

POOLINGS = ("none", "mean", "cls", "last", "rank")
"""In the order of their numbers in files. none: a vector for each token. cls: the first token's. last: the last
token's. rank: the scores of a classification head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """kind: one of POOLINGS; None: the model was not opened for vectors. head: which rows a classification head reads,
    "mean", "cls" or "last". labels: the names of its scores, if the file has them. softmax: whether the scores are
    probabilities of the labels."""

    kind: str | None = None
    head: str = "cls"
    labels: tuple[str, ...] = ()
    softmax: bool = False

    @property
    def rows(self) -> str | None:
        """Which rows of a text count: "none" (all), "mean", "cls" or "last"."""
        return self.head if self.kind == "rank" else self.kind

    def finished(self, rows: Float32) -> Float32:
        """Results from the rows that the runner gives: probabilities [n_texts, n_labels] if scores are to be these."""
        if self.kind != "rank" or not self.softmax:
            return rows.copy()
        with np.errstate(invalid="ignore"):  # a row with an infinity gives NaN
            powers = np.exp(rows - rows.max(-1, keepdims=True))
        shares: Float32 = powers / powers.sum(-1, keepdims=True)
        return shares


def read_pooling(keys: Keys, *, causal: bool) -> Pooling:
    """What the file says. A model that sees both ways gives vectors, and their mean if it does not say which.

    Raises ModelFormatError, naming the file and the key.
    """
    stated = keys.gguf.get_int(keys.name("pooling_type"), low=0, high=len(POOLINGS) - 1)
    head = keys.gguf.get_int(keys.name("classifier.pooling_type"), low=0, high=len(POOLINGS) - 1)
    labels = keys.gguf.get_strs(keys.name("classifier.output_labels")) or []
    kind = None if stated is None else POOLINGS[stated]
    if causal and kind == "none":
        kind = None
    return Pooling(
        kind=kind if causal or kind is not None else "mean",
        head="mean" if head == POOLINGS.index("mean") else "last" if causal else "cls",
        labels=tuple(labels),
    )
