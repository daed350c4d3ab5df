"""Vectors and scores of texts: what goes into the engine, what comes out, and what a model can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oxillama.errors import GenerationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """What a model gives for texts.

    pooling: "mean", "cls", "last", "none" (a vector for each token), "rank" (scores); None: it was not opened for that.
    width: columns of a vector, or number of scores. max_tokens: of a text. generates: it also generates text.
    labels: the names of its scores, if the file has them. pair_template: the file's text around a query and a document.
    """

    pooling: str | None = None
    width: int = 0
    max_tokens: int = 0
    generates: bool = True
    labels: tuple[str, ...] = ()
    pair_template: str | None = None

    @property
    def reranks(self) -> bool:
        """Whether its first score says how well a document answers a query: it has no other, or "yes" and "no"."""
        return self.pooling == "rank" and (self.width == 1 or self.labels == ("yes", "no"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts as token ids. normalize: vectors get length 1; scores never. dimensions: keep the first columns only.

    params: what the caller calls each text, for errors about it.
    """

    texts: tuple[tuple[int, ...], ...]
    params: tuple[str, ...]
    normalize: bool = True
    dimensions: int | None = None

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.texts))


def check_finite(rows: npt.NDArray[np.float32], param: str) -> None:
    """Raises GenerationError for results of a text that are no numbers: broken weights give such."""
    if not np.isfinite(rows).all():
        raise GenerationError(f"Cannot use '{param}': the model's result for it is not finite.")


def finished(
    rows: Sequence[npt.NDArray[np.float32]], embedder: Embedder, *, normalize: bool, dimensions: int | None
) -> list[npt.NDArray[np.float32]]:
    """The rows [n, width] of each text as the caller wants them: cut to `dimensions`, then of length 1."""
    if embedder.pooling == "rank":
        return list(rows)
    cut = [row[:, :dimensions] for row in rows]
    if not normalize:
        return cut
    return [row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), np.float32(1e-12)) for row in cut]
